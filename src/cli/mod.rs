//! The subcommands of `waypost`.

pub mod lab;
