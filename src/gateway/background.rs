//! What goes on beside requests. The gateway's owner runs it, on a task of its own: nothing here is started by a request.

use std::time::Duration;

use futures_util::future::join_all;

use super::Gateway;
use super::share::Share;
use crate::redis::Redis;

/// How long the end waits for a disk that does not answer, and for what is still to be handed over.
const LAST_WAIT: Duration = Duration::from_secs(5);

impl Gateway {
    /// Keeps the connections to every Redis, exchanges through them what replicas count, and hands the ledger over. Never
    /// ends.
    pub async fn background(&self) {
        let keep = join_all(self.redis.iter().map(Redis::keep));
        let share = join_all(self.shares.iter().map(Share::keep));
        let ship = async {
            if let Some(shipper) = &self.shipper {
                shipper.run().await;
            }
        };
        tokio::join!(keep, share, ship, self.keep_cache());
        // Without any Redis there is nothing to do, and that is not an end.
        std::future::pending::<()>().await;
    }

    /// Nothing more is served: hands over what has not been handed over yet.
    pub async fn finish(&self) {
        join_all(self.shares.iter().map(Share::finish)).await;
        if let Some(ledger) = &self.ledger
            && tokio::time::timeout(LAST_WAIT, ledger.flush())
                .await
                .is_err()
        {
            tracing::error!(
                "ledger: the disk does not answer; what is not written yet may be lost"
            );
        }
        if let Some(shipper) = &self.shipper {
            // The rest stands in the files.
            let _late = tokio::time::timeout(LAST_WAIT, shipper.finish()).await;
        }
    }
}
