//! A Redis, as the commands ask one that do not serve.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use crate::redis::{Redis, State, StoreError};
use crate::types::RedisTarget;

/// How long a Redis may take to be reached.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a Redis says, asked as soon as there is a connection.
///
/// # Errors
/// If it can't be reached, or refuses.
pub(super) fn asked_of<T>(
    target: &Arc<RedisTarget>,
    ask: impl AsyncFnOnce(&Redis) -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let redis = Redis::new(Arc::clone(target));
    let place = target.place();
    runtime.block_on(async {
        let asked = async {
            let reached = tokio::time::timeout(PATIENCE, redis.reaches(State::Up)).await;
            reached.ok().with_context(|| {
                format!(
                    "no Redis at {place} could be used within {} s: is it there, and are user, password and TLS right?",
                    PATIENCE.as_secs()
                )
            })?;
            ask(&redis)
                .await
                .with_context(|| format!("Redis at {place}"))
        };
        tokio::select! {
            answer = asked => answer,
            () = redis.keep() => bail!("the connection to Redis ended"),
        }
    })
}
