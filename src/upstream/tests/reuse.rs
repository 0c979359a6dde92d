//! Which connections are used again, and which are closed.

use std::sync::atomic::{AtomicU32, Ordering};

use tokio_util::task::TaskTracker;

use super::*;

/// Answers all requests on all connections, and counts the latter.
async fn serve(pair: &Pair, accepted: &AtomicU32) {
    let tasks = TaskTracker::new();
    loop {
        let mut stream = pair.accept().await;
        accepted.fetch_add(1, Ordering::Relaxed);
        tasks.spawn(async move {
            loop {
                request(&mut stream).await;
                answer(&mut stream).await;
            }
        });
    }
}

#[tokio::test]
async fn connections_below_the_one_in_use_do_not_stay_for_ever() {
    let (pair, accepted) = (Pair::new().await, AtomicU32::new(0));
    let work = async {
        for answer in [pair.send().await, pair.send().await] {
            read(answer).await.expect("all of it");
        }
        assert_eq!(pair.upstream.connections(), 2);
        for _ in 0..2 {
            pass(20).await;
            pair.ask().await.expect("an answer");
        }
        assert_eq!(pair.upstream.connections(), 1);
        pass(31).await;
        pair.ask().await.expect("an answer");
        assert_eq!(pair.upstream.connections(), 1);
    };
    Pair::serving(serve(&pair, &accepted), work).await;
    assert_eq!(accepted.into_inner(), 3);
}

#[tokio::test]
async fn whoever_wants_the_same_connection_may_use_it() {
    let (pair, accepted) = (Pair::new().await, AtomicU32::new(0));
    let port = pair.listener.local_addr().expect("an address").port();
    let endpoint = |host: &str| {
        let url = Uri::try_from(format!("http://{host}:{port}/other/path")).expect("a URL");
        pair.upstream.endpoint(&url, &TlsOptions::default())
    };
    let work = async {
        pair.ask().await.expect("an answer");
        let same = endpoint("127.0.0.1").expect("an endpoint");
        read(send(&same, outbound("{}")).await).await.expect("all");
        assert_eq!(pair.upstream.connections(), 1);
        // The same machine, but who knows that?
        let other = endpoint("localhost").expect("an endpoint");
        read(send(&other, outbound("{}")).await).await.expect("all");
        assert_eq!(pair.upstream.connections(), 2);
    };
    Pair::serving(serve(&pair, &accepted), work).await;
    assert_eq!(accepted.into_inner(), 2);
}

#[tokio::test]
async fn only_what_failed_at_once_is_sent_again() {
    for (wait, expected) in [(0, 3), (2, 2)] {
        let (pair, served) = (Pair::new().await, AtomicU32::new(0));
        let serve = async {
            loop {
                let mut stream = pair.accept().await;
                request(&mut stream).await;
                served.fetch_add(1, Ordering::Relaxed);
                answer(&mut stream).await;
                request(&mut stream).await;
                served.fetch_add(1, Ordering::Relaxed);
                pass(wait).await;
            }
        };
        let work = async {
            pair.ask().await.expect("an answer");
            assert_eq!(pair.ask().await.is_ok(), wait == 0);
        };
        Pair::serving(serve, work).await;
        assert_eq!(served.into_inner(), expected, "after {wait} s");
    }
}

#[tokio::test]
async fn an_answer_that_began_is_not_asked_for_again() {
    for began in ["H", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let pair = Pair::new().await;
        let serve = async {
            let mut stream = pair.accept().await;
            request(&mut stream).await;
            answer(&mut stream).await;
            request(&mut stream).await;
            write(&mut stream, began.as_bytes()).await;
        };
        let work = async {
            pair.ask().await.expect("an answer");
            pair.ask().await.expect_err("none")
        };
        let (error, ()) = tokio::join!(work, serve);
        assert!(error.contains("middle of the answer's head"), "{error}");
    }
}

#[tokio::test]
async fn what_the_peer_closed_is_not_kept() {
    let pair = Pair::new().await;
    let serve = async {
        let mut stream = pair.accept().await;
        request(&mut stream).await;
        answer(&mut stream).await;
        stream
    };
    let (got, stream) = tokio::join!(pair.ask(), serve);
    got.expect("an answer");
    assert_eq!(pair.upstream.connections(), 1);
    drop(stream);
    pass(2).await;
    settle().await;
    assert_eq!(pair.upstream.connections(), 0);
}

#[tokio::test]
async fn an_answer_that_is_dropped_takes_its_connection_along() {
    let pair = Pair::new().await;
    let serve = async {
        let mut stream = pair.accept().await;
        request(&mut stream).await;
        write(
            &mut stream,
            b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok",
        )
        .await;
        assert_eq!(stream.read(&mut [0]).await.expect("the end"), 0);
    };
    let work = async { drop(pair.send().await.expect("a head")) };
    tokio::join!(work, serve);
    assert_eq!(pair.upstream.connections(), 0);
}

#[tokio::test]
async fn each_runtime_keeps_its_own() {
    let (pair, accepted) = (Pair::new().await, AtomicU32::new(0));
    let work = async {
        for _ in 0..2 {
            pair.ask().await.expect("an answer");
        }
        let endpoint = pair.endpoint.clone();
        let elsewhere = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                for _ in 0..2 {
                    let answer = send(&endpoint, outbound("{}")).await;
                    read(answer).await.expect("an answer");
                }
            });
        });
        elsewhere.await.expect("no panic");
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
        pair.ask().await.expect("an answer");
        assert_eq!(accepted.load(Ordering::Relaxed), 2);
    };
    Pair::serving(serve(&pair, &accepted), work).await;
}
