//! The wall clock, by which two processes of one machine tell how long a chunk was on its way.
#![expect(
    clippy::disallowed_methods,
    reason = "the rule is for the gateway, whose tests set the clock; here the machine's own is what is measured by"
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What stands before the time in a stamp.
const MARK: &[u8] = b"sent=";

/// The time since 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// A duration in microseconds.
pub(crate) fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// The time as text that [`stamps`] finds again.
pub(crate) fn stamp() -> String {
    format!("sent={};", now().as_nanos())
}

/// The times stamped in a stream's body, as far as it has come.
pub(crate) fn stamps(body: &[u8]) -> Vec<Duration> {
    memchr::memmem::find_iter(body, MARK)
        .filter_map(|at| {
            let text = &body[at + MARK.len()..];
            let end = memchr::memchr(b';', text)?;
            let nanos = std::str::from_utf8(&text[..end]).ok()?.parse().ok()?;
            Some(Duration::from_nanos(nanos))
        })
        .collect()
}

/// Sleeps until then, to the precision of the kernel's timer rather than the runtime's millisecond.
pub(crate) fn sleep_until(then: Duration) {
    std::thread::sleep(then.saturating_sub(now()));
}
