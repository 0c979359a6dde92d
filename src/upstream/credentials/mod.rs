//! Tokens and keys that expire, or have to be found: fetched when first needed, renewed before they run out.
//!
//! [`TokenSource`] keeps what was fetched and decides when to fetch; the other files each know one kind of credential
//! and only how to fetch. Nothing secret is in an error, a log line or a `Debug`.

mod ask;
mod aws;
mod entra;
mod google;
mod oauth;
mod source;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use futures_util::future::BoxFuture;

pub use source::TokenSource;

use self::ask::{Env, Outside};
use self::source::{Fetch, Fetched};
use crate::clock::{Clock, SystemClock};
use crate::types::TokenCredential;

/// Why there is no token. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no {what}: {why}")]
pub struct TokenError {
    what: &'static str,
    why: String,
}

/// All token sources of a process, one per distinct credential that is in use.
pub struct Credentials {
    env: Env,
    clock: Arc<dyn Clock>,
    outside: OnceLock<Arc<Outside>>,
    sources: Mutex<Vec<(Arc<TokenCredential>, Weak<TokenSource>)>>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Default for Credentials {
    /// Of this process's environment, by the machine's clock.
    fn default() -> Self {
        Self::new(|name| std::env::var(name).ok(), Arc::new(SystemClock))
    }
}

impl Credentials {
    /// `env` looks up variables. What is signed bears the wall time of `clock`, and moments of expiry are read by it; how
    /// long a token is kept goes by tokio's time.
    pub fn new(
        env: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            env: Arc::new(env),
            clock,
            outside: OnceLock::new(),
            sources: Mutex::default(),
        }
    }

    /// The source for `credential`; deployments with equal credentials share one.
    pub fn source(&self, credential: &Arc<TokenCredential>) -> Arc<TokenSource> {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.retain(|(_, source)| source.strong_count() > 0);
        let known = sources.iter().find(|(known, _)| known == credential);
        if let Some(source) = known.and_then(|(_, source)| source.upgrade()) {
            return source;
        }
        let outside = self
            .outside
            .get_or_init(|| Arc::new(Outside::new(Arc::clone(&self.env), Arc::clone(&self.clock))));
        let fetcher = Fetcher {
            credential: Arc::clone(credential),
            outside: Arc::clone(outside),
        };
        let source = Arc::new(TokenSource::new(credential.name(), Arc::new(fetcher)));
        sources.push((Arc::clone(credential), Arc::downgrade(&source)));
        source
    }
}

/// A credential and the means to exchange it.
struct Fetcher {
    credential: Arc<TokenCredential>,
    outside: Arc<Outside>,
}

impl Fetch for Fetcher {
    fn fetch(&self) -> BoxFuture<'_, Result<Fetched, String>> {
        let outside = &*self.outside;
        Box::pin(async move {
            match &*self.credential {
                TokenCredential::Entra(entra) => entra::fetch(outside, entra).await,
                TokenCredential::Aws(aws) => aws::fetch(outside, aws).await,
                TokenCredential::Google(google) => google::fetch(outside, google).await,
                TokenCredential::OAuth(oauth) => oauth::fetch(outside, oauth).await,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AwsCredential, AwsSource, GoogleSource};

    #[test]
    fn equal_credentials_share_a_source_as_long_as_one_is_in_use() {
        let aws = |region: &str| {
            Arc::new(TokenCredential::Aws(AwsCredential {
                source: AwsSource::Default,
                role: None,
                region: region.to_owned(),
                sts_endpoint: None,
            }))
        };
        let credentials = Credentials::default();
        let first = credentials.source(&aws("a"));
        assert!(Arc::ptr_eq(&first, &credentials.source(&aws("a"))));
        assert!(!Arc::ptr_eq(&first, &credentials.source(&aws("b"))));
        drop(first);
        let google = Arc::new(TokenCredential::Google(GoogleSource::Default));
        let _google = credentials.source(&google);
        let kept = credentials.sources.lock().expect("whole").len();
        assert_eq!(kept, 1, "those that nobody uses are forgotten");
    }
}
