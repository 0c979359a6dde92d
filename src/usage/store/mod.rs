//! What replicas share through Redis.

pub mod reserve;
