//! The one integration test binary: everything through the public library and the compiled command.

mod architecture;
mod azure;
mod completions_only;
mod config;
mod cooldown;
mod errors;
mod forwarding;
mod in_flight;
mod limits;
mod retries;
mod routing;
mod scenarios;
mod support;
