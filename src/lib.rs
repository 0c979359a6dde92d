//! Waypost.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod types;
