//! Waypost.

pub mod api;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod config;
pub mod gateway;
pub mod lab;
pub mod metrics;
pub mod provider;
pub mod request;
pub mod router;
pub mod sse;
pub mod types;
pub mod upstream;
pub mod usage;
