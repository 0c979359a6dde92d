//! Where replicas exchange what they count.
//!
//! A replica sends its whole part of each deployment's numbers and is told everyone's. Since parts are absolute, an
//! exchange that is repeated, late, or lost changes no total for longer than until the next one; and a store that has
//! lost everything is whole again once every replica was heard ([`model`] says what a store does, in Rust; `exchange.lua`
//! is the same for Redis, and a test holds them against each other).
//!
//! # How late the numbers are
//!
//! A replica knows of others' counts what they sent at their last exchange and it fetched at its own: at most two
//! intervals and two halves of a round trip ago, on average one interval and one round trip.
//!
//! # By how much a limit may be exceeded
//!
//! With approximate limits a replica counts its own requests at once, and those of others that late. So at most
//!
//! ```text
//! overshoot ≤ (replicas − 1) × (2 × interval + round trip) × rate
//! ```
//!
//! requests (or tokens) beyond a limit get through in a minute, where `rate` is what one replica lets through per second
//! just before the limit is reached; and never more than `(replicas − 1) × limit`. Of tokens, what a request turns out to
//! have used beyond its estimate comes on top, as it does with one replica.

pub mod model;
pub mod redis;
pub mod reserve;

use crate::redis::StoreError;
use crate::types::{Answer, Message};

/// A store that several replicas exchange through.
pub trait UsageStore {
    /// Takes the messages of one replica, one for each group, and answers each in its place.
    ///
    /// # Errors
    /// [`StoreError`]: none of them may have been heard, or all. What a single one was refused for stands in its place.
    fn exchange(
        &self,
        messages: &[Message],
    ) -> impl Future<Output = Result<Vec<Result<Answer, StoreError>>, StoreError>> + Send;
}

/// How long the parts of a replica that is silent are kept; its totals stay. A replica that was not heard for half as long
/// must not assume that it is known.
pub const KEPT: std::time::Duration = std::time::Duration::from_secs(86_400);

/// The largest number that is sent: two of them can be added in an integer of Redis.
const MOST: u64 = 1 << 62;
