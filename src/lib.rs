//! Waypost.

pub mod config;
pub mod types;
pub mod clock;
pub mod request;
pub mod sse;
pub mod router;
