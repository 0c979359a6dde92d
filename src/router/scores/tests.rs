use super::super::estimate::HALF_LIFE;
use super::*;

const S: Duration = Duration::from_secs(1);

#[test]
fn estimates_rise_fast_fall_slowly_and_decay() {
    let (scores, t) = (Scores::default(), Instant::now());
    assert_eq!(scores.latency(true, t), None);
    scores.sample(true, S, t);
    assert_eq!(scores.latency(true, t), Some(S));
    assert_eq!(scores.latency(false, t), None, "the two kinds are apart");
    scores.sample(true, 3 * S, t);
    let up = scores.latency(true, t).expect("known");
    assert!(up > 2 * S, "{up:?}");
    scores.sample(true, S, t);
    assert!(scores.latency(true, t).expect("known") > S + S / 2);
    let later = scores.latency(true, t + HALF_LIFE).expect("known");
    assert!(later < S, "{later:?}");
    assert!(scores.enter(&Limits::NONE, 7, 0).is_some());
    assert!(
        scores.latency(true, t + HALF_LIFE).expect("known") > S,
        "no decay while under way"
    );
}

#[test]
fn a_sample_after_a_long_silence_counts_against_what_is_left() {
    let (scores, t) = (Scores::default(), Instant::now());
    scores.sample(true, 60 * S, t);
    let later = t + 9 * HALF_LIFE;
    scores.sample(true, S / 5, later);
    let now = scores.latency(true, later).expect("known");
    assert!(
        now < S / 5,
        "{now:?}: it was avoided until it counted for that"
    );
}

#[test]
fn failures_are_never_fast() {
    let (scores, t) = (Scores::default(), Instant::now());
    for streaming in [false, true] {
        scores.penalise(streaming, Duration::from_millis(1), t);
        let slow = Some(SLOW[usize::from(streaming)]);
        assert_eq!(scores.latency(streaming, t), slow, "untested");
        for _ in 0..50 {
            let before = scores.latency(streaming, t);
            scores.penalise(streaming, Duration::from_millis(1), t);
            assert!(scores.latency(streaming, t) >= before);
        }
        let now = scores.latency(streaming, t).expect("known");
        assert!(now <= 60 * S, "bounded: {now:?}");
    }
    let hung = Scores::default();
    hung.sample(true, S / 2, t);
    hung.penalise(true, 30 * S, t);
    assert!(hung.latency(true, t).expect("known") > 10 * S);
}

#[test]
fn one_failure_among_successes_is_forgotten_within_a_minute() {
    for (streaming, usual) in [(false, S / 50), (true, S / 2)] {
        let (scores, t) = (Scores::default(), Instant::now());
        scores.sample(streaming, usual, t);
        scores.penalise(streaming, S / 100, t);
        assert!(scores.latency(streaming, t).expect("known") > usual);
        let later = scores.latency(streaming, t + HALF_LIFE).expect("known");
        assert!(later <= usual, "{later:?} after {usual:?}");
    }
}

#[test]
fn minutes_start_from_zero_and_reservations_are_corrected() {
    let scores = Scores::default();
    let reserve = |minute, tokens| assert!(scores.enter(&Limits::NONE, minute, tokens).is_some());
    reserve(7, 100);
    reserve(7, 50);
    scores.correct(7, 100, 30);
    assert_eq!(
        scores.minute(7),
        Totals {
            requests: 2,
            tokens: 80
        }
    );
    assert_eq!(scores.minute(8), Totals::default());
    reserve(8, 5);
    scores.correct(7, 50, 500);
    assert_eq!(
        scores.minute(8),
        Totals {
            requests: 1,
            tokens: 5
        }
    );
}

#[test]
fn absurd_numbers_do_not_wrap() {
    let scores = Scores::default();
    assert!(scores.enter(&Limits::NONE, 7, u64::MAX).is_some());
    assert!(scores.enter(&Limits::NONE, 7, u64::MAX).is_some());
    assert_eq!(scores.minute(7).tokens, PerMinute::MOST);
    scores.correct(7, 1, u64::MAX);
    assert_eq!(scores.minute(7).tokens, PerMinute::MOST);
    assert_eq!(scores.minute(8), Totals::default(), "the next is another");
}

#[test]
fn what_does_not_fit_leaves_nothing_behind() {
    let scores = Scores::default();
    let limits = Limits {
        rpm: 2,
        tpm: 100,
        in_flight: 3,
    };
    assert!(scores.enter(&limits, 7, 60).is_some());
    let before = scores.minute(7);
    assert!(scores.enter(&limits, 7, 60).is_none(), "over its tokens");
    assert_eq!((scores.minute(7), scores.in_flight()), (before, 1));
    assert!(scores.enter(&limits, 7, 40).is_some());
    assert!(scores.enter(&limits, 7, 0).is_none(), "over its requests");
    assert!(scores.enter(&limits, 8, 100).is_some());
    assert!(scores.enter(&limits, 9, 1).is_none(), "full");
    assert_eq!(scores.minute(8).requests, 1);
}

#[test]
fn a_correction_for_another_minute_changes_nothing() {
    let scores = Scores::default();
    assert!(scores.enter(&Limits::NONE, 8, 5).is_some());
    scores.correct(7, 50, 500);
    assert_eq!(
        scores.minute(8),
        Totals {
            requests: 1,
            tokens: 5
        }
    );
}
