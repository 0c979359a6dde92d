//! Waiting in line for a place: in order, and no call is lost.

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::*;
use crate::router::queue::{Queue, Ticket};

/// A router over deployments with these limits in flight, and a line of so many at most.
fn narrow(limits: &[u32], most: usize) -> Router {
    let queue = Arc::new(Queue::new(most));
    let deployments = limits.iter().map(|limit| Deployment {
        max_parallel_requests: Some(*limit),
        scores: Arc::new(Scores::default().with_queue(&queue, *limit)),
        ..deployment("a")
    });
    router(StrategyKind::SimpleShuffle, deployments.collect())
}

/// A request as the gateway plays it, for the deployments that fit it.
struct Request {
    name: usize,
    unfit: Vec<(usize, Why)>,
    ticket: Option<Ticket>,
}

impl Request {
    /// Fit for those deployments whose bit is set.
    fn new(name: usize, fits: usize) -> Self {
        let unfit = (0..8).filter(|i| fits >> i & 1 == 0);
        Self {
            name,
            unfit: unfit.map(|i| (i, Why::Unfit)).collect(),
            ticket: None,
        }
    }

    fn ask(&self, now: Instant) -> Ask<'_> {
        Ask {
            unfit: &self.unfit,
            ticket: self.ticket.as_ref().map(Ticket::number),
            ..ask(&[], now)
        }
    }

    fn wants(&self, index: usize) -> bool {
        !self.unfit.iter().any(|(unfit, _)| *unfit == index)
    }

    fn is_called(&self) -> bool {
        let called = |ticket: &Ticket| ticket.called().now_or_never().is_some();
        self.ticket.as_ref().is_none_or(called)
    }

    /// Tries until it has a place or must wait in line.
    fn go(&mut self, router: &Router, now: Instant) -> Option<Attempt> {
        loop {
            match router.begin(&self.ask(now)) {
                Ok(attempt) => {
                    self.ticket = None;
                    return Some(attempt);
                }
                Err(none) => assert!(none.is_full()),
            }
            let mut ticket = self.ticket.take();
            let asked = Ask {
                ticket: ticket.as_ref().map(Ticket::number),
                ..self.ask(now)
            };
            assert!(router.line_up(&asked, &mut ticket), "there is room");
            self.ticket = ticket;
            if !self.is_called() {
                return None;
            }
        }
    }
}

fn is_at_rest(router: &Router) -> bool {
    let queue = router.queue().expect("a line");
    let rests = |d: &Arc<Deployment>| {
        let places = d.scores.places().expect("a limit");
        d.scores.in_flight() == 0 && places.ahead(&d.scores, None) == 0
    };
    queue.is_empty() && router.deployments().iter().all(rests)
}

#[test]
fn first_come_first_served() {
    let (r, now) = (narrow(&[1], 10), Instant::now());
    let mut place = Request::new(0, 1).go(&r, now);
    let mut waiting: Vec<_> = (1..=5).map(|name| Request::new(name, 1)).collect();
    for request in &mut waiting {
        assert!(request.go(&r, now).is_none());
    }
    for n in 0..5 {
        drop(place.take());
        let called: Vec<usize> = (0..5).filter(|i| waiting[*i].is_called()).collect();
        let waits = |i: &usize| waiting[*i].ticket.is_some();
        assert_eq!(called.into_iter().find(waits), Some(n));
        // Neither who comes now nor who stands behind gets it.
        assert!(r.begin(&ask(&[], now)).is_err());
        if let Some(next) = waiting.get(n + 1) {
            assert!(r.begin(&next.ask(now)).is_err());
        }
        assert_eq!(
            r.availability(&ask(&[], now)),
            Availability::None(r.begin(&ask(&[], now)).expect_err("full"))
        );
        place = waiting[n].go(&r, now);
        assert!(place.is_some());
    }
    drop(place);
    assert!(is_at_rest(&r));
    assert!(r.begin(&ask(&[], now)).is_ok());
}

#[test]
fn whoever_was_called_and_leaves_passes_it_on() {
    let (r, now) = (narrow(&[1], 10), Instant::now());
    let place = Request::new(0, 1).go(&r, now);
    let [mut first, mut second] = [1, 2].map(|name| Request::new(name, 1));
    assert!(first.go(&r, now).is_none() && second.go(&r, now).is_none());
    drop(place);
    assert!(!second.is_called(), "the first one is");
    drop(first);
    assert!(second.is_called());
    assert!(second.go(&r, now).is_some());
    drop(second);
    assert!(is_at_rest(&r));
}

#[test]
fn a_line_has_an_end() {
    let (r, now) = (narrow(&[1], 1), Instant::now());
    let place = r.begin(&ask(&[], now)).expect("a place");
    let (mut first, mut second) = (None, None);
    assert!(r.line_up(&ask(&[], now), &mut first));
    assert!(!r.line_up(&ask(&[], now), &mut second) && second.is_none());
    let again = Ask {
        ticket: first.as_ref().map(Ticket::number),
        ..ask(&[], now)
    };
    assert!(r.line_up(&again, &mut first), "it stands there already");
    drop((place, first));
    assert!(is_at_rest(&r));
    assert!(r.line_up(&ask(&[], now), &mut second) && second.is_none());
}

#[test]
fn what_is_not_limited_in_flight_has_no_line() {
    let r = router(StrategyKind::SimpleShuffle, vec![deployment("a")]);
    assert!(r.queue().is_none());
}

proptest! {
    /// Whatever happens in whatever order: whom a place is open to has been called, and nobody gets a place that one in
    /// front of it waits for.
    #[test]
    fn no_call_is_lost_and_nobody_is_overtaken(
        limits in prop::collection::vec(1u32..3, 1..4),
        steps in prop::collection::vec((0u8..6, any::<prop::sample::Index>(), 1usize..8), 1..200),
    ) {
        let (r, now) = (narrow(&limits, usize::MAX), Instant::now());
        let all = (1 << limits.len()) - 1;
        let (mut running, mut waiting): (Vec<Attempt>, Vec<Request>) = (vec![], vec![]);
        for (name, (kind, which, fits)) in steps.into_iter().enumerate() {
            let begun = match kind {
                0 | 1 => {
                    let fits = if fits & all == 0 { all } else { fits };
                    let mut request = Request::new(name, fits);
                    let begun = request.go(&r, now);
                    if begun.is_none() {
                        waiting.push(request);
                    }
                    begun.map(|attempt| (name, attempt))
                }
                2 | 3 if !running.is_empty() => {
                    let attempt = running.swap_remove(which.index(running.len()));
                    if kind == 2 {
                        attempt.settle(Outcome::Success, now);
                    }
                    None
                }
                4 if !waiting.is_empty() => {
                    waiting.remove(which.index(waiting.len()));
                    None
                }
                5 if !waiting.is_empty() => {
                    let at = which.index(waiting.len());
                    let begun = if waiting[at].is_called() { waiting[at].go(&r, now) } else { None };
                    begun.map(|attempt| (waiting.remove(at).name, attempt))
                }
                _ => None,
            };
            if let Some((name, attempt)) = begun {
                // Those in front of it that have not come yet still have their places.
                let at = attempt.index();
                let before = waiting.iter().filter(|other| other.name < name && other.wants(at));
                let taken = attempt.deployment().scores.in_flight() as usize + before.count();
                prop_assert!(taken <= limits[at] as usize, "{} has another's place", name);
                running.push(attempt);
            }
            for request in &waiting {
                let called = request.is_called();
                if called {
                    request.ticket.iter().for_each(Ticket::call);
                }
                let open = !matches!(r.availability(&request.ask(now)), Availability::None(_));
                prop_assert!(called || !open, "{} was not called", request.name);
            }
            for (deployment, limit) in r.deployments().iter().zip(&limits) {
                prop_assert!(deployment.scores.in_flight() <= *limit);
            }
        }
        drop(running);
        // Those that are called go, until all were served.
        while let Some(at) = waiting.iter().position(Request::is_called) {
            drop(waiting[at].go(&r, now).expect("a place"));
            waiting.remove(at);
        }
        prop_assert!(waiting.is_empty() && is_at_rest(&r));
    }
}

/// All are served: whoever's call was lost would wait for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_is_lost_between_threads() {
    let (r, now) = (Arc::new(narrow(&[2, 1], usize::MAX)), Instant::now());
    let mut tasks = JoinSet::new();
    for name in 0..32 {
        let r = Arc::clone(&r);
        tasks.spawn(async move {
            for round in 0..300 {
                let mut request = Request::new(name, 1 + (name + round) % 3);
                let attempt = loop {
                    if let Some(attempt) = request.go(&r, now) {
                        break Some(attempt);
                    }
                    // Some leave after a moment, called or not.
                    if (name + round) % 7 == 0 {
                        tokio::task::yield_now().await;
                        break None;
                    }
                    if let Some(ticket) = &request.ticket {
                        ticket.called().await;
                    }
                };
                drop(request);
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                drop(attempt);
            }
        });
    }
    tasks.join_all().await;
    assert!(is_at_rest(&r));
}
