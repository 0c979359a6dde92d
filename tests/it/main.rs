//! The one integration test binary: everything through the public library and the compiled command.

mod config;
mod ollama;
mod routing;
mod support;
mod upstream;
