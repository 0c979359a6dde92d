//! Waypost: one dependable OpenAI-compatible endpoint over any set of LLM deployments.
//!
//! A client names a *model group* in `model`; the group's *router* picks a *deployment* by its *strategy*; the provider's
//! *adapter* speaks that deployment's dialect; what came back is watched, counted and handed on. A group that fails hands
//! the request to its *fallbacks*.
//!
//! ```text
//! client ─► api               plain inference requests by the connection's own task, all else by hyper and axum
//!            └─► gateway::handle
//!                   │ request    read the top-level members, keep the bytes; what is meant for the gateway goes no further
//!                   │ names      `model` is a group, an alias of one, a name of a wildcard group, or one deployment
//!                   │ cache      hit, here or in Redis: answer and stop
//!                   │ route ◄──────────────────────────────────────────────┐
//!                   │ fit        which deployments can't do what is asked  │
//!                   │ plan ◄───────────────────────────────────────────┐   │
//!                   │ router     which deployment → Attempt (guard)    │   │
//!                   │ hedge      too slow: another one beside it       │   │
//!                   │ provider   adapter.outbound → request::Outbound  │   │
//!                   │ upstream   send → http::Response                 │   │
//!                   │ classify   → Verdict ── try again ───────────────┘   │
//!                   │                      ── another group ───────────────┘
//!                   │ observe    events to the client, watched, not held
//!                   ▼ record     the attempt settles → scores, cooldown, usage, ledger, cache, metrics, decisions
//! ```
//!
//! Beside all requests ([`gateway::Gateway::background`]): connections to Redis are kept ([`redis`]), replicas exchange what
//! they count ([`router::shared`] says what, [`usage::store`] how), purges of the cache are followed, and the records of the
//! [`usage::ledger`] go on to everyone's totals. No request waits for any of it but for a cached answer and for the
//! reservation of an exact limit, briefly; none fails for it.
//!
//! One budget of attempts and one deadline hold over all of it (`gateway/journey.rs`). [`gateway::Gateway::explain`] goes the
//! same way without an attempt and changes nothing; [`gateway::decisions`] keeps what became of the last requests. Which
//! dialect a configuration was written in is known to [`config`] alone: a LiteLLM `config.yaml` is turned into the tree of an
//! `endpoints.yml` before it is read.
//!
//! Five rules hold everywhere:
//!
//! 1. What decides ([`router`], [`gateway::route`], [`gateway::plan`], [`gateway::classify`]) does no I/O and is given time
//!    and randomness.
//! 2. State belongs to the deployment; an [`router::Attempt`] is the only handle that changes it, and dropping it settles it.
//!    A group has none but where its conversations are and how many second attempts it has left.
//! 3. Bytes pass through: what is needed is parsed, what changes is spliced, nothing is re-serialised where both sides
//!    speak OpenAI.
//! 4. No store is asked on a request's way unless a hard limit or a cache demands it, and no store's failure fails a request.
//!    What replicas tell each other is what each has counted in all, so that nothing is added twice and what is lost heals.
//! 5. Every refusal says why, whose fault it is, and when or how it would work.
//!
//! Imports run one way: `cli` → `api` → `gateway` → (`router`, `provider`, `upstream`, `usage`, `cache`) → the leaves
//! (`types`, `json`, `h1`, `request`, `sse`, `sigv4`, `aws_profiles`, `clock`, `metrics`, `telemetry`, `access_log`,
//! `catalog`, `redis`). Peers never import each other, with three edges for a reason: `upstream` writes `request`'s outbound
//! form; `config` reads the `catalog` of providers and AWS's profiles, so that what is checked at load and what is
//! spoken later can't differ; and `request` finds its members with `json`, the one scanner that all of the hot path
//! reads with. `tests/it/architecture.rs` holds all of this to be true.
//!
//! What is not here yet has its place: choosers that look at more than the name stand before
//! [`gateway::Snapshot::resolve`]; a further dialect that is not OpenAI's is a [`provider::Translator`]; where conversations are
//! is not shared between replicas; a reload builds a second [`gateway::Snapshot`] and carries the scores
//! over by deployment id.

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
pub mod redis;
pub mod request;
pub mod router;
pub mod sigv4;
pub mod sse;
pub mod telemetry;
pub mod types;
pub mod upstream;
pub mod usage;
