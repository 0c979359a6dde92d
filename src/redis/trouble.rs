//! What keeps a Redis from being used, in words that say what would help.

use ::redis::{RedisError, ServerError};

use super::StoreError;

/// Errors of the server after which the connection is of no use: it is not the master (any more), not ready, or does not
/// know us (any more).
const LOSING: [&str; 6] = [
    "READONLY",
    "LOADING",
    "MASTERDOWN",
    "CLUSTERDOWN",
    "NOAUTH",
    "WRONGPASS",
];

/// Why there is no connection. Holds no password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(super) struct Trouble {
    text: String,
    /// Nothing but a change of the configuration, here or there, will help.
    pub(super) lasting: bool,
}

/// Parts of errors, what they mean, and whether that lasts.
const MEANINGS: [(&str, &str, bool); 22] = [
    ("WRONGPASS", "the username or the password is wrong", true),
    (
        "authentication failed",
        "the username or the password is wrong, or there is none there",
        true,
    ),
    ("NOAUTH", "it wants a password: set `password`", true),
    ("NOPERM", "it does not allow this user as much", true),
    (
        "protected mode",
        "it answers local clients only, as it has no password (protected mode)",
        true,
    ),
    (
        "DB index is out of range",
        "it has no database of that number",
        true,
    ),
    (
        "cluster support disabled",
        "it is no node of a cluster: configure it as a single server",
        true,
    ),
    ("LOADING", "it is still reading its data", false),
    ("MASTERDOWN", "it is a replica without its master", false),
    ("CLUSTERDOWN", "the cluster is not whole", false),
    (
        "READONLY",
        "it is a replica (now), which takes no writes",
        false,
    ),
    (
        "UnknownIssuer",
        "its certificate is of an authority that is not trusted here: name the authority's file as `ca`",
        true,
    ),
    (
        "BadSignature",
        "its certificate is of another authority of the same name as the one trusted here",
        true,
    ),
    (
        "not valid for name",
        "its certificate is for another host",
        true,
    ),
    (
        "certificate expired",
        "its certificate is out of date",
        true,
    ),
    (
        "CertificateRequired",
        "it wants a certificate of ours: name its files as `certificate` and `key`",
        true,
    ),
    (
        "UnknownCA",
        "it does not trust the authority of our certificate",
        true,
    ),
    (
        "corrupt message",
        "what listens there does not speak TLS",
        true,
    ),
    (
        "failed to lookup address",
        "there is no host of that name",
        true,
    ),
    ("Connection refused", "nobody listens there", false),
    ("No such file", "there is no such socket", false),
    ("timed out", "it did not answer in time", false),
];

impl Trouble {
    /// One that may pass.
    pub(super) fn passing(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            lasting: false,
        }
    }

    /// One that somebody has to see to.
    pub(super) fn lasting(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            lasting: true,
        }
    }

    /// What came of connecting.
    pub(super) fn connecting(error: &RedisError) -> Self {
        let text = plain(error);
        for (part, meaning, lasting) in MEANINGS {
            if text.contains(part) {
                let text = format!("{meaning} ({text})");
                return Self { text, lasting };
            }
        }
        if error.is_connection_dropped() {
            return Self::passing(format!(
                "it closes the connection before it answers ({text}); does it want TLS?"
            ));
        }
        Self::passing(text)
    }

    /// The same, with what it is about before it.
    pub(super) fn about(mut self, what: &str) -> Self {
        self.text.insert_str(0, &format!("{what}: "));
        self
    }

    /// The trouble that an error of a connection at work is, if it ends it.
    pub(super) fn losing(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Unavailable | StoreError::Timeout(_) => None,
            StoreError::Broken(text) => Some(Self::passing(text)),
            StoreError::Refused(text) => LOSING
                .into_iter()
                // Of a script, Redis before 7 tells it further behind.
                .find(|code| {
                    text.split(' ').next() == Some(code) || text.contains(&format!(" -{code} "))
                })
                .map(|_| Self::passing(text)),
        }
    }
}

/// What the server said, or what befell the connection. A server that does not know `AUTH` repeats what came with it, so
/// that is cut off.
fn plain(error: &RedisError) -> String {
    let text = match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(detail)) => detail.to_owned(),
        (None, None) => error.to_string(),
    };
    without_arguments(&text)
}

fn without_arguments(text: &str) -> String {
    let end = text.find(", with args beginning with");
    text[..end.unwrap_or(text.len())].trim_end().to_owned()
}

impl From<&RedisError> for StoreError {
    fn from(error: &RedisError) -> Self {
        if error.is_io_error() || error.is_connection_dropped() || error.is_unrecoverable_error() {
            Self::Broken(plain(error))
        } else {
            Self::Refused(plain(error))
        }
    }
}

impl From<&ServerError> for StoreError {
    fn from(error: &ServerError) -> Self {
        let text = match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        };
        Self::Refused(without_arguments(&text))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn server(line: &str) -> RedisError {
        let value = ::redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        let value = value.expect("an error is a value");
        value.extract_error().expect_err("an error")
    }

    #[test]
    fn errors_say_what_would_help() {
        for (error, says, lasting) in [
            (
                server("WRONGPASS invalid username-password pair or user is disabled."),
                "the username or the password is wrong (WRONGPASS",
                true,
            ),
            (
                server("NOAUTH Authentication required."),
                "it wants a password: set `password` (NOAUTH",
                true,
            ),
            (
                server("LOADING Redis is loading the dataset in memory"),
                "it is still reading its data (LOADING",
                false,
            ),
            (
                io::Error::from(io::ErrorKind::ConnectionReset).into(),
                "does it want TLS?",
                false,
            ),
        ] {
            let trouble = Trouble::connecting(&error);
            assert!(trouble.to_string().contains(says), "{trouble}");
            assert_eq!(trouble.lasting, lasting, "{trouble}");
        }
    }

    #[test]
    fn a_server_that_repeats_the_password_is_cut_short() {
        let error = server("ERR unknown command 'AUTH', with args beginning with: 's3cret' ");
        assert_eq!(
            Trouble::connecting(&error).to_string(),
            "ERR unknown command 'AUTH'"
        );
    }

    #[test]
    fn what_ends_a_connection() {
        for (line, ends) in [
            (
                "READONLY You can't write against a read only replica.",
                true,
            ),
            ("CLUSTERDOWN The cluster is down", true),
            ("NOAUTH Authentication required.", true),
            ("MASTERDOWN Link with MASTER is down", true),
            ("LOADING Redis is loading the dataset in memory", true),
            ("WRONGPASS invalid username-password pair", true),
            ("ERR Error running script", false),
            (
                "ERR Error running script (call to f_12): @user_script:9: @user_script: 9: -READONLY You can't write",
                true,
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                false,
            ),
            ("NOPERM this user has no permissions", false),
            ("READONLYER is another word", false),
        ] {
            let error = StoreError::from(&server(line));
            assert!(matches!(error, StoreError::Refused(_)), "{error}");
            assert_eq!(Trouble::losing(&error).is_some(), ends, "{error}");
        }
        let broken = RedisError::from(io::Error::from(io::ErrorKind::UnexpectedEof));
        assert!(Trouble::losing(&StoreError::from(&broken)).is_some());
        assert!(Trouble::losing(&StoreError::Unavailable).is_none());
    }
}
