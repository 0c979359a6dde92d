//! What a model thought, kept over turns.
//!
//! Providers sign what their models think, want it back in the next turn, and refuse it from others: thinking is bound
//! to the model, of newer models also to the account. So each block that goes to a client carries `from`, a short hash
//! of model and account; a deployment gets back what is its own, and the rest of the conversation without it. A block
//! without `from` was not made by Waypost, and goes where the request goes.

use serde::{Deserialize, Serialize};

use crate::types::{
    Auth, AwsCredential, AwsSource, GoogleSource, OAuthCredential, OAuthGrant, Target,
    TokenCredential,
};

/// A block of `thinking_blocks`, in LiteLLM's form, which is Anthropic's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::provider) enum Thinking {
    /// In words, perhaps empty ones.
    Thinking {
        #[serde(default)]
        thinking: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
    /// Encrypted.
    RedactedThinking {
        data: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
}

impl Thinking {
    /// Whether the model at this account may get it.
    pub(in crate::provider) fn is_of(&self, account: &str) -> bool {
        let (Self::Thinking { from, .. } | Self::RedactedThinking { from, .. }) = self;
        from.as_deref().is_none_or(|from| from == account)
    }

    /// Whether its provider would take it back.
    pub(in crate::provider) const fn is_signed(&self) -> bool {
        match self {
            Self::Thinking { signature, .. } => signature.is_some(),
            Self::RedactedThinking { .. } => true,
        }
    }
}

/// Model and account of a target in twelve hexadecimal digits.
pub(in crate::provider) fn account(target: &Target) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |part: &str| {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    };
    add(&target.provider);
    add(&target.model);
    match &target.auth {
        Auth::None => add(&target.base_url),
        Auth::Bearer(key) | Auth::Header(_, key) => add(key.expose()),
        Auth::Token(credential) => match &**credential {
            TokenCredential::Aws(AwsCredential {
                role: Some(role), ..
            }) => add(&role.arn),
            TokenCredential::Aws(aws) => match &aws.source {
                AwsSource::Static(keys) => add(keys.access_key_id.expose()),
                // Secrets are not in it, here and below.
                source => add(&format!("{source:?}")),
            },
            TokenCredential::Google(GoogleSource::Json(json)) => add(json.expose()),
            TokenCredential::Google(source) => add(&format!("{source:?}")),
            TokenCredential::OAuth(OAuthCredential { grant, url }) => {
                add(url);
                match grant {
                    OAuthGrant::IbmApiKey(key) => add(key.expose()),
                    OAuthGrant::ClientCredentials { client_id, .. } => add(client_id.expose()),
                }
            }
            TokenCredential::Entra(entra) => add(&format!("{entra:?}")),
        },
    }
    hasher.finalize().to_hex()[..12].to_owned()
}
