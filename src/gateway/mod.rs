//! The life of one request.
pub mod classify;
pub mod plan;
