//! What changes when: the schedule of a script, and the task that follows it.
//!
//! The schedule is an iterator over moments counted from the start; only [`run`] knows the clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::handle::Handle;
use super::script::{Change, Script};

/// The changes of `script` in the order of their moments, without end if it repeats. Changes of one moment keep the
/// order of the script.
fn schedule(script: &Script) -> impl Iterator<Item = (Duration, &Change)> {
    let mut changes: Vec<&Change> = script.timeline.iter().collect();
    changes.sort_by_key(|change| change.at);
    let rounds = match script.repeat {
        Some(_) if !changes.is_empty() => u32::MAX,
        _ => 1,
    };
    let every = script.repeat.unwrap_or_default();
    (0..rounds).flat_map(move |round| {
        changes
            .clone()
            .into_iter()
            .map(move |change| (every.saturating_mul(round) + change.at, change))
    })
}

/// Changes behaviours as `script` says until `stop`.
pub(super) async fn run(script: Script, handles: Arc<[Handle]>, stop: CancellationToken) {
    let start = Instant::now();
    for (at, change) in schedule(&script) {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep_until(start + at) => {}
        }
        if let Some(handle) = handles
            .iter()
            .find(|handle| handle.name() == change.deployment)
        {
            match &change.behave {
                Some(behaviour) => handle.set(behaviour.clone()),
                None => handle.reset(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{Behaviour, Fault, Lab};

    fn script(repeat: &str) -> Script {
        let yaml = "deployments: [{name: a}, {name: b}]\ntimeline:\n  - {at: 3s, deployment: a}\n  - {at: 1s, \
                    deployment: b, behave: {fault: timeout}}\n  - {at: 1s, deployment: a, behave: {fault: reset}}\n";
        Script::parse(&format!("{yaml}{repeat}")).expect("a good script")
    }

    fn moments(script: &Script) -> Vec<(u64, &str)> {
        schedule(script)
            .take(5)
            .map(|(at, change)| (at.as_secs(), change.deployment.as_str()))
            .collect()
    }

    #[test]
    fn changes_come_in_order_and_repeat_if_told_so() {
        assert_eq!(moments(&script("")), [(1, "b"), (1, "a"), (3, "a")]);
        assert_eq!(
            moments(&script("repeat: 10s")),
            [(1, "b"), (1, "a"), (3, "a"), (11, "b"), (11, "a")]
        );
        assert_eq!(
            moments(&Script {
                repeat: Some(Duration::from_secs(1)),
                ..Script::healthy(["a"])
            }),
            []
        );
    }

    #[tokio::test(start_paused = true)]
    async fn behaviours_change_on_time() {
        let lab = Lab::start(&script("")).expect("loopback ports");
        let a = lab.deployment("a");
        let start = Instant::now();
        for (at, fault) in [
            (900, None),
            (1100, Some(Fault::Reset)),
            (2900, Some(Fault::Reset)),
            (3100, None),
        ] {
            tokio::time::sleep_until(start + Duration::from_millis(at)).await;
            let expected = fault.map_or_else(Behaviour::default, Behaviour::fault);
            assert_eq!(a.behaviour(), expected, "after {at} ms");
        }
        lab.stop().await;
    }
}
