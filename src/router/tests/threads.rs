//! Counts and limits while several threads come and go.

use super::*;

/// Two configurations over the same deployments, as after a reload, each used by several threads.
#[test]
fn limits_and_counts_are_exact_over_all_threads() {
    const THREADS: usize = 8;
    const EACH: usize = 400;
    let shared: Vec<Arc<Scores>> = (0..3).map(|_| Arc::default()).collect();
    let limited = |(number, scores): (usize, &Arc<Scores>)| Deployment {
        rpm: Some(500),
        tpm: (number == 0).then_some(2_000),
        max_parallel_requests: Some(4),
        scores: Arc::clone(scores),
        ..deployment("d")
    };
    let routers = [StrategyKind::LeastBusy, StrategyKind::Usage]
        .map(|kind| router(kind, shared.iter().enumerate().map(limited).collect()));
    let now = Instant::now();
    let start = std::sync::Barrier::new(THREADS);
    let work = |router: &Router| {
        start.wait();
        let (mut taken, mut held) = (0, Vec::new());
        for round in 0..EACH {
            // Tokens are used as reserved, so that tokens of the minute are 10 for each attempt.
            if let Ok(mut attempt) = router.begin(&ask(&[], now)) {
                let in_flight = attempt.deployment().scores.in_flight();
                assert!((1..=4).contains(&in_flight), "{in_flight}");
                attempt.note_usage(ask(&[], now).tokens);
                taken += 1;
                held.push(attempt);
            }
            if round % 3 == 0 {
                held.clear();
            }
        }
        for attempt in held {
            attempt.settle(Outcome::Success, now);
        }
        taken
    };
    let taken: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                let (work, router) = (&work, &routers[n % 2]);
                scope.spawn(move || work(router))
            })
            .collect();
        threads
            .into_iter()
            .map(|t| t.join().expect("no panic"))
            .sum()
    });
    let minutes: Vec<_> = shared.iter().map(|s| s.minute(minute_of(90 * S))).collect();
    assert_eq!(
        minutes.iter().map(|m| m.requests).sum::<u64>(),
        taken as u64
    );
    assert!(minutes.iter().all(|m| m.requests <= 500), "{minutes:?}");
    assert!(minutes[0].tokens <= 2_000, "{minutes:?}");
    for (scores, minute) in shared.iter().zip(&minutes) {
        assert_eq!(scores.in_flight(), 0);
        assert_eq!(scores.total_tokens(), minute.requests * 10);
        assert_eq!(minute.tokens, minute.requests * 10);
    }
}

/// Whatever thread a request comes on, it goes to the least busy.
#[test]
fn least_busy_is_level_over_all_threads() {
    const THREADS: usize = 8;
    const EACH: u32 = 30;
    let r = router(
        StrategyKind::LeastBusy,
        ["a", "b", "c", "d"].map(deployment).into(),
    );
    let now = Instant::now();
    let begin = || r.begin(&ask(&[], now)).expect("one");
    let held: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| (0..EACH).map(|_| begin()).collect::<Vec<_>>()))
            .collect();
        let held = threads.into_iter().map(|t| t.join().expect("no panic"));
        held.flatten().collect()
    });
    let counts = || r.deployments().iter().map(|d| d.scores.in_flight());
    assert!(
        counts().all(|n| n == 60),
        "{:?}",
        counts().collect::<Vec<_>>()
    );
    std::thread::scope(|scope| {
        for attempt in held {
            scope.spawn(move || drop(attempt));
        }
    });
    assert!(counts().all(|n| n == 0));
}
