//! Anthropic's Messages.

#[allow(dead_code, reason = "until the dialect is whole")]
pub(in crate::provider) mod models;
#[allow(dead_code, reason = "until the dialect is whole")]
pub(in crate::provider) mod schema;
