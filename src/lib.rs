//! Waypost.

pub mod config;
pub mod lab;
pub mod types;
