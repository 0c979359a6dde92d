//! Waypost.

pub mod cli;
pub mod config;
pub mod lab;
pub mod types;
