//! `waypost usage`, `ledger` and `reconcile` over ledgers of a few records.

mod reconcile;

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;
use waypost::types::{Provenance, TokenBuckets};
use waypost::usage::ledger::{Entry, Line, Outcome, segment};

use crate::support::process::{Exit, run};

/// 2026-11-04 in milliseconds.
const DAY: u64 = 1_793_750_400_000;
const HOUR: u64 = 3_600_000;

fn entry(began_ms: u64, provider: &str, model: &str) -> Entry {
    Entry {
        began_ms,
        request: format!("req-{began_ms}").into(),
        attempt: 1,
        group: "chat".into(),
        deployment: format!("{provider}-1").into(),
        provider: provider.into(),
        model: model.into(),
        key: None,
        operation: "chat".into(),
        stream: false,
        tokens: TokenBuckets::default(),
        provenance: Provenance::Reported,
        cost_pico: Some(0),
        price: Some("list 2026-11".into()),
        outcome: Outcome::Ok,
        fault: None,
        first_content_ms: Some(120),
        total_ms: 900,
    }
}

/// With these tokens (input, cached input, output) at that cost in pico-dollars.
fn used(mut entry: Entry, tokens: [u64; 3], cost: u64) -> Entry {
    [
        entry.tokens.input,
        entry.tokens.cached_input,
        entry.tokens.output,
    ] = tokens;
    entry.cost_pico = Some(cost);
    entry
}

/// Two days of OpenAI, as its exports in `tests/data/exports` have them.
fn openai() -> Vec<Entry> {
    let mut first = used(
        entry(DAY + HOUR, "openai", "gpt-4o"),
        [600, 500, 100],
        3_625_000_000,
    );
    first.tokens.reasoning = 50;
    first.key = Some("team-a".into());
    let second = used(
        entry(DAY + 23 * HOUR, "openai", "gpt-4o"),
        [400, 0, 150],
        2_500_000_000,
    );
    let third = used(
        entry(DAY + 25 * HOUR, "openai", "gpt-4o-2024-08-06"),
        [100, 0, 50],
        750_000_000,
    );
    let mut fourth = used(
        entry(DAY + 26 * HOUR, "openai", "text-embedding-3-small"),
        [80, 0, 0],
        1_600_000,
    );
    fourth.group = "embed".into();
    vec![first, second, third, fourth]
}

fn bytes(entries: &[Entry], first: u64) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, entry) in (first..).zip(entries) {
        let entry = entry.clone();
        let line = Line {
            ledger: "here".into(),
            number,
            entry,
        };
        segment::write(&line, &mut out);
    }
    out
}

/// A ledger of two segments, the first of which has one record.
fn folder(entries: &[Entry]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    let (one, rest) = entries.split_at(1);
    fs::write(dir.path().join(segment::name(1)), bytes(one, 1)).expect("written");
    fs::write(dir.path().join(segment::name(2)), bytes(rest, 2)).expect("written");
    dir
}

async fn over(dir: &Path, arguments: &[&str]) -> Exit {
    let dir = dir.display().to_string();
    let all = [arguments, &["--ledger", &dir]].concat();
    run(&all, &[]).await
}

/// The words of the line that begins with `first`.
fn words<'a>(text: &'a str, first: &str) -> Vec<&'a str> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(first));
    let line = line.unwrap_or_else(|| panic!("no line begins with {first}: {text}"));
    line.split_whitespace().collect()
}

#[tokio::test]
async fn usage_is_a_table_with_totals() {
    let dir = folder(&openai());
    let exit = over(dir.path(), &["usage", "--by", "day,group"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let text = &exit.stdout;
    assert!(
        text.starts_with("2026-11-04 01:00:00Z to 2026-11-05 02:00:00Z"),
        "{text}"
    );
    assert_eq!(
        words(text, "day"),
        [
            "day",
            "group",
            "requests",
            "attempts",
            "input",
            "cached",
            "input",
            "output",
            "reasoning",
            "cost,",
            "$"
        ]
    );
    let row = [
        "2026-11-04",
        "chat",
        "2",
        "2",
        "1,000",
        "500",
        "250",
        "50",
        "0.00612500",
    ];
    assert_eq!(words(text, "2026-11-04  chat"), row);
    let row = ["total", "4", "4", "1,180", "500", "300", "50", "0.00687660"];
    assert_eq!(words(text, "total"), row);
    // All is priced and reported.
    assert!(
        !text.contains("estimate") && !text.contains("price"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_not_known_is_said() {
    let mut entries = openai();
    entries[1].cost_pico = None;
    entries[2].provenance = Provenance::Counted;
    let mut failed = entry(DAY, "azure", "m");
    failed.attempt = 2;
    failed.outcome = Outcome::Failed;
    failed.provenance = Provenance::Unknown;
    failed.cost_pico = None;
    entries.push(failed);
    let dir = folder(&entries);
    let exit = over(dir.path(), &["usage", "--by", "outcome"]).await;
    for part in [
        "550 tokens of 1 attempt have no known price",
        "150 tokens of 1 attempt are estimates",
        "The tokens of 1 attempt are unknown",
    ] {
        assert!(exit.stdout.contains(part), "{part}: {}", exit.stdout);
    }
    assert_eq!(words(&exit.stdout, "ok").last(), Some(&"550"));
    assert_eq!(words(&exit.stdout, "failed")[..3], ["failed", "0", "1"]);
}

#[tokio::test]
async fn usage_for_programs_is_exact() {
    let dir = folder(&openai());
    let exit = over(dir.path(), &["usage", "--by", "key", "--format", "json"]).await;
    let answer: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(answer["rows"][0]["key"], Value::Null);
    assert_eq!(answer["rows"][1]["key"], "team-a");
    assert_eq!(answer["rows"][1]["cost_usd"], "0.003625");
    assert_eq!(answer["total"]["cost_usd"], "0.0068766");
    assert_eq!(answer["total"]["tokens"]["total"], 2030);
    assert_eq!(answer["total"]["reported"]["attempts"], 4);

    let exit = over(dir.path(), &["usage", "--by", "model", "--format", "csv"]).await;
    let mut reader = csv::Reader::from_reader(exit.stdout.as_bytes());
    let header = reader.headers().expect("a header").clone();
    let cost = header
        .iter()
        .position(|name| name == "cost_usd")
        .expect("a column");
    let rows: Vec<_> = reader.records().map(|row| row.expect("a row")).collect();
    assert_eq!(rows.len(), 3);
    assert_eq!((&rows[0][0], &rows[0][cost]), ("gpt-4o", "0.006125"));
    assert_eq!(
        (&rows[2][0], &rows[2][cost]),
        ("text-embedding-3-small", "0.0000016")
    );
}

#[tokio::test]
async fn usage_of_a_period() {
    let dir = folder(&openai());
    let attempts = async |more: &[&str]| {
        let arguments = [&["usage", "--format", "json"], more].concat();
        let exit = over(dir.path(), &arguments).await;
        let answer: Value = serde_json::from_str(&exit.stdout).expect("JSON");
        answer["total"]["attempts"].as_u64().expect("a number")
    };
    assert_eq!(attempts(&["--since", "2026-11-05"]).await, 2);
    assert_eq!(attempts(&["--until", "2026-11-04"]).await, 2);
    assert_eq!(
        attempts(&[
            "--since",
            "2026-11-04T02:00:00Z",
            "--until",
            "2026-11-05 01:30:00"
        ])
        .await,
        2
    );
    assert_eq!(attempts(&["--until", "2026-11-03"]).await, 0);
    let exit = over(dir.path(), &["usage", "--until", "2026-11-03"]).await;
    assert!(
        exit.stdout.contains("No attempt is recorded"),
        "{}",
        exit.stdout
    );
    let exit = over(dir.path(), &["usage", "--since", "yesterday"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("--since yesterday"), "{}", exit.stderr);
}

#[tokio::test]
async fn ledgers_of_several_replicas_are_added_up() {
    let (one, other) = (folder(&openai()), folder(&openai()[..2]));
    let other = other.path().display().to_string();
    let exit = over(
        one.path(),
        &["usage", "--format", "json", "--ledger", &other],
    )
    .await;
    let answer: Value = serde_json::from_str(&exit.stdout).expect("JSON");
    assert_eq!(answer["total"]["attempts"], 6);
    let exit = over(one.path(), &["ledger", "verify", "--ledger", &other]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("4 records") && exit.stdout.contains("2 records"),
        "{}",
        exit.stdout
    );
}

#[tokio::test]
async fn no_ledger_is_said_plainly() {
    let dir = tempfile::tempdir().expect("a folder");
    let exit = over(&dir.path().join("none"), &["usage"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("no ledger at "), "{}", exit.stderr);
    let file = dir.path().join("endpoints.yml");
    let text = "model_groups:\n  - id: g\n    models:\n      - {provider: self-hosted, model: m, api_base: 'http://127.0.0.1:1/v1'}\n";
    fs::write(&file, text).expect("written");
    let exit = run(&["usage", "--config", &file.display().to_string()], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("keeps no ledger"), "{}", exit.stderr);
}

#[tokio::test]
async fn a_damaged_record_is_left_out_and_told() {
    let dir = folder(&openai());
    let file = dir.path().join(segment::name(2));
    let mut text = fs::read(&file).expect("read");
    text[30] ^= 1;
    fs::write(&file, text).expect("written");
    let exit = over(dir.path(), &["usage"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stderr.contains("line 1"), "{}", exit.stderr);
    assert!(
        exit.stderr.contains("1 part of the ledger"),
        "{}",
        exit.stderr
    );
    assert_eq!(words(&exit.stdout, "total")[1..3], ["3", "3"]);

    let exit = over(dir.path(), &["ledger", "verify"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(exit.stdout.contains("checksum"), "{}", exit.stdout);
}

#[tokio::test]
async fn verify_walks_all_segments() {
    let entries = openai();
    let dir = folder(&entries);
    let exit = over(dir.path(), &["ledger", "verify"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("4 records in 2 segments"),
        "{}",
        exit.stdout
    );
    assert!(exit.stdout.trim_end().ends_with("whole"), "{}", exit.stdout);

    // The begin of a record at the very end is no fault, only said.
    let file = dir.path().join(segment::name(2));
    let whole = fs::read(&file).expect("read");
    fs::write(&file, [&whole, &b"0badcafe {\"led"[..]].concat()).expect("written");
    let exit = over(dir.path(), &["ledger", "verify"]).await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    assert!(
        exit.stdout.contains("14 bytes after byte"),
        "{}",
        exit.stdout
    );

    fs::write(&file, bytes(&entries[2..], 3)).expect("written");
    let exit = over(dir.path(), &["ledger", "verify"]).await;
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stdout
            .contains("00000000000000000002.log: record 2 is missing"),
        "{}",
        exit.stdout
    );
    assert!(
        exit.stdout.contains("does not begin with record 2"),
        "{}",
        exit.stdout
    );
    assert!(exit.stdout.contains("2 faults"), "{}", exit.stdout);
}

#[tokio::test]
async fn exports_go_to_a_file_or_to_standard_output() {
    let dir = folder(&openai());
    let exit = over(
        dir.path(),
        &[
            "ledger",
            "export",
            "--format",
            "jsonl",
            "--since",
            "2026-11-05",
        ],
    )
    .await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let numbers: Vec<u64> = exit
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).expect("a record").number)
        .collect();
    assert_eq!(numbers, [3, 4]);

    let out = dir.path().join("out.parquet");
    fs::write(&out, "before").expect("written");
    let name = out.display().to_string();
    let exit = over(
        dir.path(),
        &["ledger", "export", "--format", "parquet", "-o", &name],
    )
    .await;
    assert_eq!(exit.code, Some(0), "{exit:?}");
    let parquet = fs::read(&out).expect("written");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    assert!(!dir.path().join("out.parquet.part").exists());

    for (format, part) in [
        ("postgres", "PRIMARY KEY (ledger, number)"),
        ("clickhouse", "ReplacingMergeTree"),
    ] {
        let exit = run(&["ledger", "export", "--format", format, "--schema"], &[]).await;
        assert_eq!(exit.code, Some(0), "{exit:?}");
        assert!(
            exit.stdout.contains("CREATE TABLE") && exit.stdout.contains(part),
            "{}",
            exit.stdout
        );
    }
    let exit = run(&["ledger", "export", "--format", "csv", "--schema"], &[]).await;
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.contains("csv needs no table"),
        "{}",
        exit.stderr
    );
}
