//! `kill -9` at any moment: whoever has got the end of an answer finds its record, numbers go on without a gap, and
//! everyone's sums in Redis have each record once.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use waypost::usage::ledger::{Outcome, ship};
use waypost::usage::totals::{Day, Sums};

use super::{records, yaml};
use crate::support::pair::stream_body;
use crate::support::process::{Process, run};
use crate::support::redis::RedisServer;
use crate::support::{chat_body, lab};

const ROUNDS: usize = 50;
/// Clients at once.
const CLIENTS: usize = 6;

/// What clients have got to its end.
#[derive(Default)]
struct Got {
    ids: Mutex<HashSet<String>>,
    count: AtomicUsize,
    more: Notify,
}

/// Sends one request after the other on one connection, until that ends.
async fn client(addr: SocketAddr, name: String, got: Arc<Got>) -> Option<()> {
    let stream = TcpStream::connect(addr).await.ok()?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.ok()?;
    let mut task = JoinSet::new();
    task.spawn(connection);
    for n in 0.. {
        let id = format!("{name}-{n}");
        let streams = n % 2 == 0;
        let body = if streams {
            stream_body()
        } else {
            chat_body("g")
        };
        let request = http::Request::post("/v1/chat/completions")
            .header("host", "waypost")
            .header("x-request-id", &id)
            .body(Full::new(Bytes::from(body.to_string())))
            .expect("a request");
        let mut answer = sender.send_request(request).await.ok()?;
        assert_eq!(answer.status(), 200);
        let mut text = Vec::new();
        let mut told = false;
        while let Some(frame) = answer.frame().await {
            text.extend(frame.ok()?.into_data().unwrap_or_default());
            // Clients read no further than the end mark.
            if streams && !told && text.ends_with(b"data: [DONE]\n\n") {
                told = true;
                got.note(&id);
            }
        }
        got.note(&id);
    }
    None
}

impl Got {
    fn note(&self, id: &str) {
        if self.ids.lock().expect("not poisoned").insert(id.to_owned()) {
            self.count.fetch_add(1, Ordering::SeqCst);
            self.more.notify_one();
        }
    }

    async fn reaches(&self, count: usize) {
        while self.count.load(Ordering::SeqCst) < count {
            self.more.notified().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_was_acknowledged_is_lost() {
    let lab = lab(["a"]);
    let dir = tempfile::tempdir().expect("a folder");
    let ledger = dir.path().join("ledger");
    let file = dir.path().join("endpoints.yml");
    // Small segments, so that the end may come while one follows another.
    let redis = RedisServer::start().await;
    let config = yaml(&lab, &ledger, ", segment_bytes: 65536")
        .waypost(&format!("redis: {{url: {:?}}}", redis.url()));
    std::fs::write(&file, config.to_string()).expect("written");
    let file = file.display().to_string();
    let arguments = [
        "serve",
        "--config",
        &file,
        "--port",
        "0",
        "--threads",
        "2",
        "--no-access-log",
    ];
    let mut rng = StdRng::seed_from_u64(9);
    let got = Arc::new(Got::default());
    let mut torn = 0;
    for round in 0..ROUNDS {
        let mut process = Process::start(&arguments, &[]);
        let addr = process.address().await;
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            clients.spawn(client(addr, format!("r{round}c{n}"), Arc::clone(&got)));
        }
        let before = got.count.load(Ordering::SeqCst);
        got.reaches(before + rng.random_range(1..40)).await;
        // Not at the moment of an answer, but somewhere behind it.
        for _ in 0..rng.random_range(0..200) {
            tokio::task::yield_now().await;
        }
        process.signal("KILL");
        while let Some(ended) = clients.join_next().await {
            assert_eq!(ended.expect("no panic"), None);
        }
        drop(process.exit().await);
        if round % 10 == 9 {
            // As if it had been in the middle of a write.
            let (_, last) = waypost::usage::ledger::segment::list(&ledger)
                .expect("segments")
                .pop()
                .expect("one");
            let mut last = OpenOptions::new().append(true).open(last).expect("a file");
            last.write_all(b"0badcafe {\"ledger\":\"").expect("written");
            torn += 1;
        }
    }
    let mut process = Process::start(&arguments, &[]);
    process.address().await;
    // A second one is told why it can't start.
    let second = run(&arguments, &[]).await;
    assert_ne!(second.code, Some(0));
    assert!(second.stderr.contains("another process"), "{second:?}");
    let handed = shared(&redis, &ledger).await;
    process.signal("TERM");
    let exit = process.exit().await;
    assert!(exit.stderr.contains("they are cut"), "{exit:?}");

    let lines = records(&ledger);
    let mut answered = HashSet::new();
    for line in &lines {
        if line.entry.outcome == Outcome::Ok {
            let fresh = answered.insert(line.entry.request.to_string());
            assert!(fresh, "twice: {line:?}");
        }
    }
    let mut recorded = Sums::default();
    lines
        .iter()
        .for_each(|line| recorded.add(&Sums::of(&line.entry)));
    assert_eq!(handed, recorded, "each record once");
    let got = got.ids.lock().expect("not poisoned");
    let lost: Vec<_> = got.difference(&answered).collect();
    assert!(
        lost.is_empty(),
        "{} of {} are lost: {lost:?}",
        lost.len(),
        got.len()
    );
    assert!(got.len() > ROUNDS && torn == ROUNDS / 10, "{}", got.len());
}

/// Everyone's sums, once all of the ledger is in them.
async fn shared(redis: &RedisServer, ledger: &Path) -> Sums {
    let (redis, _keeper) = redis.connected().await;
    let lines = records(ledger);
    let last = lines.last().expect("records");
    while ship::position(&redis, &last.ledger).await != Ok(last.number) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let days = [&lines[0], last].map(|line| Day::of_ms(line.entry.began_ms));
    let mut all = Sums::default();
    for day in days[0].0..=days[1].0 {
        let sums = ship::day(&redis, Day(day)).await.expect("sums");
        sums.iter().for_each(|sum| all.add(&sum.sums));
    }
    all
}
