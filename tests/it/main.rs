//! The one integration test binary: everything through the public library and the compiled command.

mod caching;
mod commands;
mod config;
mod disconnect;
mod drain;
mod edge;
mod embeddings;
mod keys;
mod metrics;
mod routing;
mod stream_errors;
mod streaming;
mod support;
