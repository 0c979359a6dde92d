//! The one integration test binary: everything through the public library and the compiled command.

mod config;
mod routing;
mod support;
