use std::fs::{self, File, FileTimes};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::entry::tests::line;
use super::*;
use crate::metrics::Metrics;
use crate::types::Fsync;

/// A disk that is full, or fails to sync, when told to.
#[derive(Debug, Default)]
struct Moody {
    full: AtomicBool,
    fails_to_sync: AtomicBool,
    syncs: AtomicU64,
}

impl Disk for Moody {
    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        if self.full.load(Ordering::Relaxed) {
            // As much as fits.
            Machine.append(file, &bytes[..bytes.len() / 2])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        Machine.append(file, bytes)
    }

    fn sync(&self, _file: &File) -> io::Result<()> {
        self.syncs.fetch_add(1, Ordering::Relaxed);
        if self.fails_to_sync.load(Ordering::Relaxed) {
            return Err(io::Error::other("I/O error"));
        }
        Ok(())
    }
}

fn settings(dir: &Path) -> LedgerSettings {
    LedgerSettings {
        dir: dir.to_owned(),
        fsync: Fsync::Never,
        when_full: WhenFull::GoOn,
        segment_bytes: 1 << 20,
        retain: Duration::from_secs(90 * 24 * 3600),
        redis: None,
    }
}

fn open(settings: &LedgerSettings) -> Result<Ledger, LedgerError> {
    Ledger::open(settings, Arc::new(Machine), Metrics::new().ledger())
}

fn open_on(disk: &Arc<Moody>, settings: &LedgerSettings) -> Ledger {
    let disk = Arc::<Moody>::clone(disk);
    Ledger::open(settings, disk, Metrics::new().ledger()).expect("a ledger")
}

fn numbers(dir: &Path) -> Vec<u64> {
    read(dir)
        .map(|line| line.expect("a record").number)
        .collect()
}

fn up_to(n: u64) -> Vec<u64> {
    (1..=n).collect()
}

#[tokio::test]
async fn a_record_is_there_when_its_receipt_is_ready_and_the_next_start_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(&dir.path().join("made/by/it"));
    let mut ids = Vec::new();
    for round in 1..=3 {
        let ledger = open(&settings).expect("a ledger");
        for _ in 0..3 {
            ledger.append(line(0).entry).await;
        }
        assert_eq!(numbers(&settings.dir), up_to(3 * round));
        assert_eq!(ledger.unwritten(), 0);
        ids.push(fs::read_to_string(settings.dir.join("id")).expect("an id"));
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let ledger = read(&settings.dir)
        .next()
        .expect("one")
        .expect("a record")
        .ledger;
    assert_eq!(*ledger, *ids[0].trim());
}

#[tokio::test]
async fn nobody_has_to_wait_and_the_end_writes_all() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(dir.path());
    let ledger = open(&settings).expect("a ledger");
    for _ in 0..1000 {
        drop(ledger.append(line(0).entry));
    }
    drop(ledger);
    assert_eq!(numbers(dir.path()), up_to(1000));
}

#[tokio::test]
async fn one_process_at_a_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(dir.path());
    let first = open(&settings).expect("a ledger");
    let error = open(&settings).expect_err("locked").to_string();
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
    drop(first);
    open(&settings).expect("free again");
}

#[test]
fn a_folder_that_can_not_be_used_says_why() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    let error = open(&settings(&file)).expect_err("a file").to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
    fs::write(dir.path().join("id"), "no id\n").expect("written");
    let error = open(&settings(dir.path())).expect_err("no id").to_string();
    assert!(error.contains("16 hex digits"), "{error}");
}

#[tokio::test]
async fn a_torn_end_is_cut_and_a_lost_id_is_found_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = settings(dir.path());
    let ledger = open(&settings).expect("a ledger");
    ledger.append(line(0).entry).await;
    drop(ledger);
    let id = fs::read_to_string(dir.path().join("id")).expect("an id");
    let segment = dir.path().join(segment::name(1));
    let whole = fs::read(&segment).expect("a segment");
    // Cut anywhere, the second record is not there.
    for cut in [1, 9, 40, whole.len() - 1] {
        let text = [&whole[..], &whole[..cut]].concat();
        fs::write(&segment, text).expect("written");
        fs::remove_file(dir.path().join("id")).expect("removed");
        let ledger = open(&settings).expect("a ledger");
        assert_eq!(fs::read(&segment).expect("a segment"), whole, "{cut}");
        ledger.append(line(0).entry).await;
        assert_eq!(numbers(dir.path()), [1, 2], "{cut}");
        drop(ledger);
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("id")).expect("an id"),
        id
    );
}

#[tokio::test]
async fn segments_follow_each_other_and_old_ones_go() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = LedgerSettings {
        segment_bytes: 1,
        ..settings(dir.path())
    };
    let ledger = open(&settings).expect("a ledger");
    for _ in 0..4 {
        ledger.append(line(0).entry).await;
    }
    let segments = segment::list(dir.path()).expect("a list");
    let firsts: Vec<u64> = segments.iter().map(|(first, _)| *first).collect();
    assert_eq!(firsts, [1, 2, 3, 4]);
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (_, path) in &segments[..2] {
        let file = File::options().append(true).open(path).expect("a segment");
        let times = FileTimes::new().set_modified(long_ago);
        file.set_times(times).expect("a time");
    }
    ledger.append(line(0).entry).await;
    assert_eq!(numbers(dir.path()), [3, 4, 5]);
    drop(ledger);
    // What is left names the next number, even if nothing is in it.
    for (_, path) in segment::list(dir.path()).expect("a list") {
        fs::remove_file(path).expect("removed");
    }
    fs::write(dir.path().join(segment::name(6)), "").expect("written");
    let ledger = open(&settings).expect("a ledger");
    ledger.append(line(0).entry).await;
    assert_eq!(numbers(dir.path()), [6]);
}

#[tokio::test]
async fn on_a_full_disk_records_are_kept_and_nothing_has_a_gap() {
    for (when_full, refuses) in [(WhenFull::GoOn, false), (WhenFull::Refuse, true)] {
        let dir = tempfile::tempdir().expect("a folder");
        let settings = LedgerSettings {
            when_full,
            ..settings(dir.path())
        };
        let disk = Arc::new(Moody::default());
        let ledger = open_on(&disk, &settings);
        ledger.append(line(0).entry).await;
        assert!(!ledger.is_refusing());
        disk.full.store(true, Ordering::Relaxed);
        for _ in 0..5 {
            ledger.append(line(0).entry).await;
        }
        assert_eq!(ledger.is_refusing(), refuses);
        assert!(ledger.trouble().is_some());
        ledger.flush().await;
        assert_eq!(ledger.unwritten(), 5);
        assert_eq!(numbers(dir.path()), [1], "no part of a record is left");
        disk.full.store(false, Ordering::Relaxed);
        ledger.flush().await;
        assert_eq!((ledger.unwritten(), ledger.trouble()), (0, None));
        assert!(!ledger.is_refusing());
        ledger.append(line(0).entry).await;
        assert_eq!(numbers(dir.path()), up_to(7));
    }
}

#[tokio::test]
async fn beyond_what_memory_is_for_records_are_lost_and_counted() {
    let dir = tempfile::tempdir().expect("a folder");
    let disk = Arc::new(Moody::default());
    let metrics = Metrics::new();
    let shared = Arc::<Moody>::clone(&disk);
    let ledger = Ledger::open(&settings(dir.path()), shared, metrics.ledger()).expect("a ledger");
    disk.full.store(true, Ordering::Relaxed);
    let entry = line(0).entry;
    for _ in 0..KEPT + 3 {
        ledger.append(entry.clone()).await;
    }
    assert_eq!(ledger.unwritten(), KEPT);
    disk.full.store(false, Ordering::Relaxed);
    ledger.flush().await;
    ledger.append(entry).await;
    assert_eq!(ledger.unwritten(), 0);
    let text = metrics.encode();
    assert!(text.contains("waypost_ledger_lost_total 3\n"), "{text}");
    assert!(
        text.contains("waypost_ledger_records_total 100001\n"),
        "{text}"
    );
    assert_eq!(
        read(dir.path())
            .last()
            .expect("one")
            .expect("a record")
            .number,
        KEPT + 1
    );
}

#[tokio::test]
async fn what_could_not_be_synced_is_written_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = LedgerSettings {
        fsync: Fsync::Always,
        when_full: WhenFull::Refuse,
        ..settings(dir.path())
    };
    let disk = Arc::new(Moody::default());
    let ledger = open_on(&disk, &settings);
    ledger.append(line(0).entry).await;
    assert_eq!(disk.syncs.load(Ordering::Relaxed), 1);
    disk.fails_to_sync.store(true, Ordering::Relaxed);
    ledger.append(line(0).entry).await;
    assert!(ledger.is_refusing());
    disk.fails_to_sync.store(false, Ordering::Relaxed);
    ledger.flush().await;
    assert_eq!((ledger.unwritten(), ledger.is_refusing()), (0, false));
    assert_eq!(numbers(dir.path()), [1, 2]);
}

#[tokio::test]
async fn those_that_come_together_share_a_sync() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = LedgerSettings {
        fsync: Fsync::Always,
        ..settings(dir.path())
    };
    let disk = Arc::new(Moody::default());
    let ledger = open_on(&disk, &settings);
    let mut receipts: Vec<_> = (0..1000).map(|_| ledger.append(line(0).entry)).collect();
    receipts.pop().expect("one").await;
    let syncs = disk.syncs.load(Ordering::Relaxed);
    assert!((1..1000).contains(&syncs), "{syncs}");
    assert_eq!(numbers(dir.path()), up_to(1000));
}

#[tokio::test]
async fn at_an_interval_the_end_syncs_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let settings = LedgerSettings {
        fsync: Fsync::Every(Duration::from_secs(3600)),
        ..settings(dir.path())
    };
    let disk = Arc::new(Moody::default());
    let ledger = open_on(&disk, &settings);
    ledger.append(line(0).entry).await;
    assert_eq!(disk.syncs.load(Ordering::Relaxed), 0);
    ledger.flush().await;
    assert_eq!(disk.syncs.load(Ordering::Relaxed), 1);
    ledger.append(line(0).entry).await;
    drop(ledger);
    assert_eq!(disk.syncs.load(Ordering::Relaxed), 2);
}
