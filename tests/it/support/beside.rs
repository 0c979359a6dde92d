//! Something that goes on beside the test.

use tokio::task::JoinSet;

/// A task; dropped, it ends.
pub(crate) struct Beside<T>(JoinSet<T>);

impl<T: Send + 'static> Beside<T> {
    /// Starts it.
    pub(crate) fn start(work: impl Future<Output = T> + Send + 'static) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(work);
        Self(tasks)
    }

    /// Waits for its result, and passes its panic on.
    pub(crate) async fn result(mut self) -> T {
        match self.0.join_next().await.expect("one task") {
            Ok(result) => result,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Ends it, and says whether it was still under way.
    pub(crate) async fn end(mut self) -> bool {
        self.0.abort_all();
        self.0
            .join_next()
            .await
            .expect("one task")
            .is_err_and(|e| e.is_cancelled())
    }
}
