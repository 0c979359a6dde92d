//! What goes on beside requests. The gateway's owner runs it, on a task of its own: nothing here is started by a request.

use futures_util::future::join_all;

use super::Gateway;
use super::share::Share;

impl Gateway {
    /// Keeps the connections to every Redis, and exchanges through them what replicas count. Never ends.
    pub async fn background(&self) {
        let keep = join_all(self.redis.iter().map(crate::redis::Redis::keep));
        let share = join_all(self.shares.iter().map(Share::keep));
        tokio::join!(keep, share);
        // Without any Redis there is nothing to do, and that is not an end.
        std::future::pending::<()>().await;
    }

    /// Nothing more is served: hands over what has not been handed over yet.
    pub async fn finish(&self) {
        join_all(self.shares.iter().map(Share::finish)).await;
    }
}
