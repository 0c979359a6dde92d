use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use http::HeaderValue;
use tokio::time::{advance, sleep};

use super::*;
use crate::types::{AwsKeys, Secret};

/// An endpoint that takes its time and answers by the number of the call, from 1.
struct Endpoint {
    takes: Duration,
    answer: Box<dyn Fn(usize) -> Result<Life, String> + Send + Sync>,
    asked: AtomicUsize,
    answered: AtomicUsize,
}

impl Fetch for Endpoint {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        Box::pin(async move {
            sleep(self.takes).await;
            self.answered.fetch_add(1, Ordering::SeqCst);
            let token = token(number);
            (self.answer)(number).map(|life| Fetched { token, life })
        })
    }
}

fn token(number: usize) -> Token {
    Token::Bearer(HeaderValue::try_from(format!("Bearer {number}")).expect("a value"))
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn source(
    takes: Duration,
    answer: impl Fn(usize) -> Result<Life, String> + Send + Sync + 'static,
) -> (TokenSource, Arc<Endpoint>) {
    let endpoint = Arc::new(Endpoint {
        takes,
        answer: Box::new(answer),
        asked: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    });
    let fetch = Arc::clone(&endpoint) as Arc<dyn Fetch>;
    (TokenSource::new("test token", fetch), endpoint)
}

impl Endpoint {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// The token there is without waiting for anything.
#[track_caller]
fn at_once(source: &TokenSource) -> Result<Token, TokenError> {
    match source.now() {
        Now::Known(outcome) => outcome,
        Now::Awaited(_) => panic!("had to wait"),
    }
}

/// Moves time on, and lets tasks get through what is due meanwhile.
async fn pass(time: Duration) {
    // The task has to have set its timer before time moves.
    tokio::task::yield_now().await;
    advance(time).await;
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_who_need_a_token_wait_for_one_fetch() {
    let (source, endpoint) = source(secs(3), |_| Ok(Life::of(secs(1000))));
    let tokens = join_all((0..50).map(|_| source.token())).await;
    assert!(tokens.into_iter().all(|got| got == Ok(token(1))));
    assert_eq!(endpoint.asked(), 1);
    assert_eq!(at_once(&source), Ok(token(1)));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_while_the_old_one_is_used() {
    let (source, endpoint) = source(secs(30), |_| Ok(Life::of(secs(1000))));
    assert_eq!(source.token().await, Ok(token(1)));
    // A life counts from when it was asked for, thirty seconds ago.
    pass(secs(769)).await;
    assert_eq!((at_once(&source), endpoint.asked()), (Ok(token(1)), 1));
    pass(secs(1)).await;
    for _ in 0..50 {
        assert_eq!(at_once(&source), Ok(token(1)), "nobody waits");
    }
    pass(secs(29)).await;
    assert_eq!((at_once(&source), endpoint.asked()), (Ok(token(1)), 2));
    pass(secs(1)).await;
    assert_eq!((at_once(&source), endpoint.asked()), (Ok(token(2)), 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_nobody_renewed_in_time_is_not_used() {
    let (source, endpoint) = source(secs(1), |_| Ok(Life::of(secs(100))));
    assert_eq!(source.token().await, Ok(token(1)));
    pass(secs(99)).await;
    assert_eq!(source.token().await, Ok(token(2)));
    assert_eq!(endpoint.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_fails_is_asked_in_growing_intervals_while_the_old_token_serves() {
    let (source, endpoint) = source(secs(0), |number| match number {
        1 | 20.. => Ok(Life::of(secs(1000))),
        _ => Err("it failed".to_owned()),
    });
    assert_eq!(source.token().await, Ok(token(1)));
    let mut asked = Vec::new();
    for second in 1..1000 {
        pass(secs(1)).await;
        assert_eq!(at_once(&source), Ok(token(1)), "second {second}");
        tokio::task::yield_now().await;
        let before = asked.last().map_or(1, |(number, _)| *number);
        if endpoint.asked() > before {
            asked.push((endpoint.asked(), second));
        }
    }
    let seconds: Vec<_> = asked.iter().map(|(_, second)| *second).collect();
    assert_eq!(
        seconds,
        [800, 801, 802, 804, 808, 816, 832, 864, 924, 984],
        "at once, then after 1, 2, 4 … at most 60 seconds"
    );
    // With no token left requests get the reason, without waiting and without another fetch, until it is time for one.
    pass(secs(10)).await;
    let error = at_once(&source).expect_err("expired");
    assert_eq!(error.to_string(), "no test token: it failed");
    assert_eq!(endpoint.asked(), 11);
    pass(secs(60)).await;
    assert!(matches!(source.now(), Now::Awaited(_)));
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_works_again_is_believed() {
    let (source, endpoint) = source(secs(0), |number| match number {
        1..=3 => Err("it failed".to_owned()),
        _ => Ok(Life::of(secs(1000))),
    });
    for number in 1..=3 {
        assert!(source.token().await.is_err());
        assert_eq!(endpoint.asked(), number);
        pass(secs(2)).await;
    }
    assert_eq!(source.token().await, Ok(token(4)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_fetched_anew_once() {
    let (source, endpoint) = source(secs(1), |_| Ok(Life::of(secs(1000))));
    let old = source.token().await.expect("a token");
    // Many requests had it, and all are refused.
    for _ in 0..10 {
        assert!(source.refused(&old));
    }
    let new = join_all((0..10).map(|_| source.token())).await;
    assert!(new.into_iter().all(|got| got == Ok(token(2))));
    assert_eq!(endpoint.asked(), 2);
    assert!(source.refused(&old), "a newer one is there");
    assert_eq!(at_once(&source), Ok(token(2)));
    assert!(!source.refused(&token(2)), "it is not the token's fault");
    assert_eq!(at_once(&source), Ok(token(2)));
    pass(QUIET).await;
    assert!(source.refused(&token(2)), "it may be, by now");
    assert_eq!(source.token().await, Ok(token(3)));
}

#[tokio::test(start_paused = true)]
async fn what_never_changes_is_fetched_once() {
    let (source, endpoint) = source(secs(0), |_| Ok(Life::FIXED));
    let got = source.token().await.expect("a token");
    pass(secs(1_000_000)).await;
    assert!(!source.refused(&got));
    assert_eq!((at_once(&source), endpoint.asked()), (Ok(got), 1));
}

#[tokio::test(start_paused = true)]
async fn what_stands_in_a_file_is_read_again_now_and_then() {
    let (source, endpoint) = source(secs(0), |_| Ok(Life::FILE));
    let got = source.token().await.expect("a token");
    pass(REREAD).await;
    assert_eq!(at_once(&source), Ok(got.clone()));
    pass(secs(0)).await;
    assert_eq!((at_once(&source), endpoint.asked()), (Ok(token(2)), 2));
    assert!(source.refused(&token(2)), "somebody may have changed it");
}

#[test]
fn keys_of_aws_are_renewed_five_minutes_before_the_end_if_there_are_ten() {
    for (life, renew) in [
        (43_200, 34_560),
        (3600, 2880),
        (900, 600),
        (600, 300),
        (60, 30),
    ] {
        let got = Life::of_aws(secs(life));
        assert_eq!((got.renew, got.end), (Some(secs(renew)), Some(secs(life))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fetch_outlives_the_request_that_began_it_and_ends_with_the_source() {
    let (first, endpoint) = source(secs(5), |_| Ok(Life::of(secs(1000))));
    {
        let waiting = first.token();
        assert!(tokio::time::timeout(secs(1), waiting).await.is_err());
    }
    pass(secs(4)).await;
    assert_eq!((at_once(&first), endpoint.asked()), (Ok(token(1)), 1));

    let (second, endpoint) = source(secs(5), |_| Ok(Life::of(secs(1000))));
    assert!(matches!(second.now(), Now::Awaited(_)));
    pass(secs(1)).await;
    drop(second);
    pass(secs(60)).await;
    let answered = endpoint.answered.load(Ordering::SeqCst);
    assert_eq!((endpoint.asked(), answered), (1, 0));
}

#[tokio::test]
async fn those_who_wait_are_told_if_the_fetch_is_taken_away() {
    let (source, endpoint) = source(secs(600), |_| Ok(Life::FIXED));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    {
        let _inside = runtime.enter();
        assert!(matches!(source.now(), Now::Awaited(_)));
    }
    // The runtime of the one who began it ends while another one waits.
    let (outcome, ()) = tokio::join!(source.token(), async { runtime.shutdown_background() });
    let error = outcome.expect_err("no token");
    assert_eq!(error.to_string(), format!("no test token: {GIVEN_UP}"));
    assert_eq!(endpoint.answered.load(Ordering::SeqCst), 0);
    assert!(
        matches!(source.now(), Now::Awaited(_)),
        "and the next one begins anew"
    );
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn one_line_is_logged_when_it_begins_to_fail_and_one_when_it_works_again() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (source, _) = source(secs(0), |number| match number {
        2..=5 => Err("it failed".to_owned()),
        _ => Ok(Life::of(secs(100))),
    });
    for _ in 0..120 {
        let _ = source.token().await;
        pass(secs(1)).await;
    }
    let text = String::from_utf8(lock(&log.0).clone()).expect("text");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].contains("WARN") && lines[0].contains("no test token: it failed"));
    assert!(lines[0].contains("old_is_valid=true"), "{text}");
    assert!(lines[1].contains("INFO"), "{text}");
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let (source, _) = source(secs(0), |_| Ok(Life::FIXED));
    let got = source.token().await;
    let keys = AwsKeys {
        access_key_id: Secret::new("s3cret-id"),
        secret_access_key: Secret::new("s3cret-key"),
        session_token: Some(Secret::new("s3cret-token")),
    };
    let shown = format!("{source:?} {:?}", Token::Aws(Arc::new(keys)));
    assert!(got.is_ok() && !shown.contains("s3cret"), "{shown}");
}
