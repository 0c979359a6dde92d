//! The lab over real HTTP: every promise of [`Behaviour`](super::Behaviour) and [`Fault`](super::Fault) on the wire.

mod answers;
mod client;
mod control;
mod faults;
mod handle;
