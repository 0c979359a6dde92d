//! The one integration test binary: everything through the public library and the compiled command.

mod architecture;
mod azure;
mod caching;
mod commands;
mod completions_only;
mod config;
mod cooldown;
mod disconnect;
mod drain;
mod edge;
mod embeddings;
mod errors;
mod forwarding;
mod in_flight;
mod keys;
mod limits;
mod metrics;
mod ollama;
mod retries;
mod routing;
mod scenarios;
mod stream_errors;
mod streaming;
mod support;
mod upstream;
