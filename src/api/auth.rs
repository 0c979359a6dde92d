//! Who is asking. Keys are kept and compared as SHA-256, all of them every time, in constant time.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::ClientKey;

/// The keys clients may present; none: everybody is welcome.
#[derive(Debug)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    sha256: [u8; 32],
    caller: Caller,
}

/// Whose request it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// The key's name.
    pub(super) name: Option<Arc<str>>,
    /// The groups it may use; `None`: all.
    pub(super) groups: Option<Arc<[Arc<str>]>>,
}

/// No key, or a wrong one. Says nothing of what was presented.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unauthorized {
    /// Whether anything was presented at all.
    pub(super) presented: bool,
}

impl Keys {
    pub(super) fn new(keys: &[ClientKey]) -> Self {
        let key = |k: &ClientKey| Key {
            sha256: k.sha256,
            caller: Caller {
                name: Some(Arc::clone(&k.name)),
                groups: k.groups.clone().map(Into::into),
            },
        };
        Self(keys.iter().map(key).collect())
    }

    /// The caller, by `Authorization: Bearer`, `api-key` (Azure's SDK) or `x-api-key`.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Unauthorized> {
        if self.0.is_empty() {
            return Ok(Caller::default());
        }
        let bearer = headers
            .get(AUTHORIZATION)
            .map(|v| v.as_bytes())
            .and_then(|v| {
                let (scheme, key) = v.split_at_checked(7)?;
                scheme
                    .eq_ignore_ascii_case(b"bearer ")
                    .then(|| key.trim_ascii())
            });
        let header = |name: &str| headers.get(name).map(|v| v.as_bytes());
        let Some(presented) = bearer
            .or_else(|| header("api-key"))
            .or_else(|| header("x-api-key"))
        else {
            return Err(Unauthorized { presented: false });
        };
        let hash: [u8; 32] = Sha256::digest(presented).into();
        let mut found = None;
        for key in &self.0 {
            if bool::from(key.sha256.ct_eq(&hash)) {
                found = Some(&key.caller);
            }
        }
        found.cloned().ok_or(Unauthorized { presented: true })
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn the_three_headers_and_no_other_key() {
        let key = ClientKey {
            name: "rasa".into(),
            sha256: Sha256::digest(b"secret").into(),
            plain: None,
            groups: None,
        };
        let keys = Keys::new(&[key]);
        let ask = |name: &'static str, value: &'static str| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            keys.caller(&headers)
                .map(|c| c.name.as_deref() == Some("rasa"))
                .map_err(|u| u.presented)
        };
        assert_eq!(ask("authorization", "Bearer secret"), Ok(true));
        assert_eq!(ask("authorization", "bearer  secret "), Ok(true));
        assert_eq!(ask("api-key", "secret"), Ok(true));
        assert_eq!(ask("x-api-key", "secret"), Ok(true));
        assert_eq!(ask("authorization", "Bearer wrong"), Err(true));
        assert_eq!(ask("authorization", "Basic secret"), Err(false));
        assert_eq!(ask("cookie", "secret"), Err(false));
        assert!(Keys::new(&[]).caller(&HeaderMap::new()).is_ok());
    }
}
