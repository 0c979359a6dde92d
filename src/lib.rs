//! Waypost: one dependable OpenAI-compatible endpoint over any set of LLM deployments.
//!
//! A client names a *model group* in `model`; the group's *router* picks a *deployment* by its *strategy*; the provider's
//! *adapter* speaks that deployment's dialect; what came back is watched, counted and handed on.
//!
//! ```text
//! client ─► api               plain inference requests by the connection's own task, all else by hyper and axum
//!            └─► gateway::handle
//!                   │ request    read the top-level members, keep the bytes
//!                   │ group      by the name in `model`
//!                   │ cache      hit: answer and stop
//!                   │ plan ◄───────────────────────────────────────────┐
//!                   │ router     which deployment → Attempt (guard)    │
//!                   │ provider   adapter.outbound → request::Outbound  │
//!                   │ upstream   send → http::Response                 │
//!                   │ classify   → Verdict ── try again ───────────────┘
//!                   │ observe    events to the client, watched, not held
//!                   ▼ record     the attempt settles → scores, cooldown, usage, cache, metrics
//! ```
//!
//! Four rules hold everywhere:
//!
//! 1. What decides ([`router`], [`gateway::plan`], [`gateway::classify`]) does no I/O and is given time and randomness.
//! 2. State belongs to the deployment; an [`router::Attempt`] is the only handle that changes it, and dropping it settles it.
//! 3. Bytes pass through: what is needed is parsed, what changes is spliced, nothing is re-serialised where both sides
//!    speak OpenAI.
//! 4. Every refusal says why, whose fault it is, and when or how it would work.
//!
//! Imports run one way: `cli` → `api` → `gateway` → (`router`, `provider`, `upstream`, `usage`, `cache`) → the leaves
//! (`types`, `json`, `h1`, `request`, `sse`, `sigv4`, `aws_profiles`, `clock`, `metrics`, `telemetry`, `access_log`,
//! `catalog`). Peers never import each other, with three edges for a reason: `upstream` writes `request`'s outbound
//! form; `config` reads the `catalog` of providers and AWS's profiles, so that what is checked at load and what is
//! spoken later can't differ; and `request` finds its members with `json`, the one scanner that all of the hot path
//! reads with. `tests/it/architecture.rs` holds all of this to be true.
//!
//! What is not here yet has its place: choosers that look at more than the name stand before
//! [`gateway::Snapshot::resolve`]; a further dialect that is not OpenAI's is a [`provider::Translator`]; a shared store exchanges
//! the [`router::scores`]; a reload builds a second [`gateway::Snapshot`] and carries the scores over by deployment id.

pub mod access_log;
pub mod api;
pub mod aws_profiles;
pub mod cache;
pub mod catalog;
pub mod cli;
pub mod clock;
pub mod config;
pub mod gateway;
pub mod h1;
pub mod json;
pub mod lab;
pub mod metrics;
pub mod provider;
pub mod request;
pub mod router;
pub mod sigv4;
pub mod sse;
pub mod telemetry;
pub mod types;
pub mod upstream;
pub mod usage;
