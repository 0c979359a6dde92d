//! Disks that are full, or do not answer.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use futures_util::FutureExt;
use tokio::sync::Notify;
use waypost::gateway::Deps;
use waypost::usage::ledger::{Disk, Machine};

use super::{records, yaml};
use crate::support::pair::{stream_body, sum};
use crate::support::{Gateway, chat_body, lab, load};

/// A disk that is full, or hangs, when told to.
#[derive(Debug, Default)]
struct Moody {
    full: AtomicBool,
    hangs: Mutex<bool>,
    goes_on: Condvar,
    /// Somebody waits for it to go on.
    hanging: Notify,
}

impl Moody {
    fn hang(&self, hangs: bool) {
        *self.hangs.lock().expect("not poisoned") = hangs;
        self.goes_on.notify_all();
    }
}

impl Disk for Moody {
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            Machine.append(file, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let hangs = self.hangs.lock().expect("not poisoned");
        if *hangs {
            self.hanging.notify_one();
        }
        let wait = self.goes_on.wait_while(hangs, |hangs| *hangs);
        drop(wait.expect("not poisoned"));
        Machine.append(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        Machine.sync(file)
    }
}

async fn start(
    lab: &waypost::lab::Lab,
    dir: &tempfile::TempDir,
    ledger: &str,
) -> (Gateway, Arc<Moody>) {
    let disk = Arc::new(Moody::default());
    let mut deps = Deps::new(Some(7));
    deps.disk = Arc::<Moody>::clone(&disk);
    let config = load(&yaml(lab, dir.path(), ledger).to_string());
    (Gateway::with_deps(&config, deps).await, disk)
}

fn metric(gateway: &Gateway, name: &str) -> f64 {
    sum(&gateway.app().gateway().metrics(), name, &[])
}

#[tokio::test]
async fn a_full_disk_and_going_on() {
    let (lab, dir) = (lab(["a"]), tempfile::tempdir().expect("a folder"));
    let (gateway, disk) = start(&lab, &dir, ", when_full: go_on").await;
    gateway.chat("g").await.ok();
    disk.full.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        gateway.chat("g").await.ok();
        gateway.chat_with(&stream_body()).send().await.ok();
    }
    assert_eq!(metric(&gateway, "waypost_ledger_unwritten"), 6.0);
    assert_eq!(gateway.get("/readyz").await.status, 200);
    assert_eq!(records(dir.path()).len(), 1, "no half record is left");
    disk.full.store(false, Ordering::SeqCst);
    gateway.app().gateway().finish().await;
    assert_eq!(records(dir.path()).len(), 7);
    assert_eq!(metric(&gateway, "waypost_ledger_unwritten"), 0.0);
    assert_eq!(metric(&gateway, "waypost_ledger_records_total"), 7.0);
    assert_eq!(metric(&gateway, "waypost_ledger_lost_total"), 0.0);
}

#[tokio::test]
async fn a_full_disk_and_refusing() {
    let (lab, dir) = (lab(["a"]), tempfile::tempdir().expect("a folder"));
    let (gateway, disk) = start(&lab, &dir, ", when_full: refuse").await;
    disk.full.store(true, Ordering::SeqCst);
    // That it is full is known with the first record it does not take.
    gateway.chat("g").await.ok();
    for body in [chat_body("g"), stream_body()] {
        let answer = gateway.chat_with(&body).send().await;
        assert_eq!((answer.status, &*answer.code()), (503, "ledger_unwritable"));
        assert!(
            answer.message().contains("when_full"),
            "{}",
            answer.message()
        );
    }
    let ready = gateway.get("/readyz").await;
    assert_eq!(
        (ready.status, ready.text()),
        (503, "the ledger can't be written")
    );
    assert_eq!(gateway.get("/livez").await.status, 200);
    assert_eq!(lab.deployment("a").stats().requests, 1, "nothing was spent");
    disk.full.store(false, Ordering::SeqCst);
    gateway.app().gateway().finish().await;
    assert_eq!(gateway.get("/readyz").await.status, 200);
    gateway.chat("g").await.ok();
    assert_eq!(records(dir.path()).len(), 2);
}

#[tokio::test]
async fn the_end_of_a_stream_waits_for_its_record() {
    let (lab, dir) = (lab(["a"]), tempfile::tempdir().expect("a folder"));
    let (gateway, disk) = start(&lab, &dir, "").await;
    disk.hang(true);
    let mut stream = gateway.stream("g").await;
    disk.hanging.notified().await;
    // Whatever has been given away by now would be here by the time another answer is.
    gateway.get("/livez").await;
    let mut text = Vec::new();
    while let Some(Some(chunk)) = stream.chunk().now_or_never() {
        text.extend_from_slice(&chunk.expect("a chunk"));
    }
    // On a machine that stood still for a second it may be there after all, which is counted.
    let early = String::from_utf8_lossy(&text).contains("[DONE]");
    assert!(!early || metric(&gateway, "waypost_ledger_late_total") > 0.0);
    disk.hang(false);
    let rest = stream.finish().await;
    assert!(early || rest.text().contains("[DONE]"), "{}", rest.text());
    assert_eq!(records(dir.path()).len(), 1);
}

#[tokio::test]
async fn no_answer_waits_for_long() {
    let (lab, dir) = (lab(["a"]), tempfile::tempdir().expect("a folder"));
    let (gateway, disk) = start(&lab, &dir, "").await;
    disk.hang(true);
    let both = [chat_body("g"), stream_body()].map(|body| gateway.chat_with(&body));
    for answer in crate::support::together(both).await {
        answer.ok();
    }
    assert_eq!(metric(&gateway, "waypost_ledger_late_total"), 2.0);
    disk.hang(false);
    gateway.app().gateway().finish().await;
    assert_eq!(records(dir.path()).len(), 2);
}
