use super::*;
use crate::types::{Provenance, TokenBuckets};
use crate::usage::ledger::{Entry, Outcome};
use crate::usage::reconcile::{Export, Provider, Same};
use crate::usage::totals::Day;

const DAY: Day = Day(20_770);

fn entry(day: Day, model: &str, input: u64, cached: u64, cost: Option<u64>) -> Entry {
    Entry {
        began_ms: day.start_ms() + 5,
        request: "r".into(),
        attempt: 1,
        group: "g".into(),
        deployment: "d".into(),
        provider: "openai".into(),
        model: model.into(),
        key: None,
        operation: "chat".into(),
        stream: false,
        tokens: TokenBuckets {
            input,
            cached_input: cached,
            ..TokenBuckets::default()
        },
        provenance: Provenance::Reported,
        cost_pico: cost,
        price: None,
        outcome: Outcome::Ok,
        fault: None,
        first_content_ms: None,
        total_ms: 1,
    }
}

/// Rows of day, model, input, cached input and cost.
fn export(rows: &[(Day, &str, i128, i128, i128)]) -> Export {
    let tells = [Measure::Input, Measure::CachedInput, Measure::Cost];
    let mut export = Export::of("test", &tells);
    for (day, model, input, cached, cost) in rows {
        for (measure, amount) in tells.into_iter().zip([input, cached, cost]) {
            export.add(*day, model, measure, *amount);
        }
    }
    export
}

fn compared(export: Export, entries: &[Entry]) -> Compared {
    let same = Same::default();
    let export = export.named(&same);
    let mut ledger = Ledger::beside(Provider::OpenAi, &export, &same);
    entries.iter().for_each(|entry| ledger.add(entry));
    compare(&ledger, Tolerance::parse("0.5%").expect("a percentage"))
}

fn states(compared: &Compared) -> Vec<(&str, State)> {
    let rows = compared.rows.iter();
    rows.map(|row| (&*row.key.1, row.state)).collect()
}

fn hinted(compared: &Compared, part: &str) -> bool {
    compared.hints.iter().any(|hint| hint.contains(part))
}

#[test]
fn tolerance_is_of_what_the_provider_says() {
    assert_eq!(Tolerance::parse("0.5%"), Some(Tolerance(5_000)));
    assert_eq!(Tolerance::parse("0%"), Some(Tolerance(0)));
    for wrong in ["0.5", "-1%", "%", "x%"] {
        assert_eq!(Tolerance::parse(wrong), None, "{wrong}");
    }
    let half = Tolerance(5_000);
    assert!(!half.is_beyond(1_000, 1_005, 0));
    assert!(half.is_beyond(1_000, 1_006, 0));
    assert!(half.is_beyond(1_000, 994, 0));
    assert!(half.is_beyond(0, 1, 0));
    assert!(!half.is_beyond(0, 1, 1));
    assert!(!half.is_beyond(0, 0, 0));
}

#[test]
fn rows_agree_differ_or_stand_alone() {
    let there = export(&[
        (DAY, "a-2024-08-06", 1_000, 0, 50),
        (DAY, "b", 1_000, 0, 50),
        (DAY, "c", 1_000, 0, 50),
    ]);
    let here = [
        entry(DAY, "a", 998, 0, Some(50)),
        entry(DAY, "b", 900, 0, Some(50)),
        entry(DAY, "d", 1, 0, Some(50)),
    ];
    let compared = compared(there, &here);
    assert_eq!(
        states(&compared),
        [
            ("a", State::Agrees),
            ("b", State::Differs),
            ("c", State::OnlyExport),
            ("d", State::OnlyLedger)
        ]
    );
    assert!(!compared.agrees);
    assert!(hinted(&compared, "--same"));
    assert!(hinted(&compared, "did not go through Waypost"));
    assert!(hinted(&compared, "not complete yet"));
}

#[test]
fn agreement_needs_no_explanation() {
    let there = export(&[(DAY, "a", 1_000, 10, 50)]);
    let compared = compared(there, &[entry(DAY, "a", 1_000, 10, Some(50))]);
    assert!(compared.agrees);
    assert!(compared.hints.is_empty());
    assert_eq!(compared.total[0].difference(), 0);
}

#[test]
fn other_providers_and_attempts_without_tokens_are_no_rows() {
    let there = export(&[(DAY, "a", 1_000, 0, 0)]);
    let mut bedrock = entry(DAY, "a", 7, 0, None);
    bedrock.provider = "bedrock".into();
    let mut failed = entry(DAY, "z", 0, 0, None);
    failed.provenance = Provenance::Unknown;
    let compared = compared(there, &[entry(DAY, "a", 900, 0, None), bedrock, failed]);
    assert_eq!(states(&compared), [("a", State::Differs)]);
    assert!(hinted(&compared, "Of 1 attempt nobody reported tokens"));
}

#[test]
fn the_pattern_of_differences_says_what_they_are() {
    // Each day off, all days together not.
    let there = export(&[(DAY, "a", 600, 0, 6), (DAY.next(), "a", 400, 0, 4)]);
    let here = [
        entry(DAY, "a", 500, 0, Some(5)),
        entry(DAY.next(), "a", 500, 0, Some(5)),
    ];
    let days = compared(there, &here);
    assert!(hinted(&days, "another time zone"));
    assert_eq!(days.hints.len(), 1);

    let there = export(&[(DAY, "a", 1_000, 0, 5)]);
    let cached = compared(there, &[entry(DAY, "a", 400, 600, Some(5))]);
    assert!(hinted(&cached, "cached and other ones do not"));

    let there = export(&[(DAY, "a", 1_000, 0, 5_000)]);
    let price = compared(there, &[entry(DAY, "a", 1_000, 0, Some(6_000))]);
    assert!(hinted(&price, "another price"));

    let there = export(&[(DAY, "a", 1_000, 0, 5_000)]);
    let mut counted = entry(DAY, "a", 1_100, 0, None);
    counted.provenance = Provenance::Counted;
    let unpriced = compared(there, &[counted]);
    assert!(hinted(&unpriced, "1100 tokens have no known price"));
    assert!(hinted(&unpriced, "1 attempt were not reported but counted"));
}

#[test]
fn buckets_the_export_does_not_tell_apart_are_added_up() {
    let mut there = Export::of("test", &[Measure::Input, Measure::Output]);
    there.add(DAY, "a", Measure::Input, 111_110);
    there.add(DAY, "a", Measure::Output, 1_011);
    let mut here = entry(DAY, "a", 10, 100, None);
    here.tokens.cache_write = 1_000;
    here.tokens.audio_input = 10_000;
    here.tokens.image_input = 100_000;
    here.tokens.output = 1;
    here.tokens.reasoning = 10;
    here.tokens.audio_output = 1_000;
    let compared = compared(there, &[here]);
    assert!(compared.agrees, "{compared:?}");
    assert_eq!(compared.total.len(), 2);
}

#[test]
fn without_models_days_are_compared() {
    let mut there = export(&[(DAY, "", 1_000, 0, 5)]);
    there.by_model = false;
    let here = [
        entry(DAY, "a", 400, 0, Some(2)),
        entry(DAY, "b", 600, 0, Some(3)),
    ];
    let compared = compared(there, &here);
    assert_eq!(states(&compared), [("", State::Agrees)]);
}
