//! How a deployment is authenticated to, and what is exchanged for tokens that expire.

use std::path::PathBuf;
use std::sync::Arc;

use http::HeaderValue;

use super::Secret;

/// How a deployment is authenticated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// No header at all.
    None,
    /// `Authorization: Bearer …`
    Bearer(Secret),
    /// The key as the value of this header (`api-key` at Azure, `x-api-key` at Anthropic).
    Header(&'static str, Secret),
    /// Something that is exchanged for tokens or keys which expire.
    Token(Arc<TokenCredential>),
}

/// A credential that is exchanged for a [`Token`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCredential {
    /// Microsoft Entra ID.
    Entra(EntraCredential),
    /// The keys of AWS.
    Aws(AwsCredential),
    /// Google Cloud.
    Google(GoogleSource),
    /// A grant of OAuth 2 at an endpoint of the provider's own.
    OAuth(OAuthCredential),
}

impl TokenCredential {
    /// How people may call what it yields.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Entra(_) => "Entra ID token",
            Self::Aws(_) => "AWS keys",
            Self::Google(_) => "Google Cloud token",
            Self::OAuth(OAuthCredential { grant, .. }) => match grant {
                OAuthGrant::IbmApiKey(_) => "IBM Cloud token",
                OAuthGrant::ClientCredentials { .. } => "OAuth token",
            },
        }
    }
}

/// What authenticates a request right now. Cloning shares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// The value of `Authorization`, marked as sensitive.
    Bearer(HeaderValue),
    /// Keys to sign the request with (AWS Signature Version 4).
    Aws(Arc<AwsKeys>),
}

impl Token {
    /// What must not be shown of it.
    pub fn secrets(&self) -> impl Iterator<Item = &[u8]> {
        let (bearer, keys) = match self {
            Self::Bearer(value) => (Some(value.as_bytes()), None),
            Self::Aws(keys) => (None, Some(keys)),
        };
        let bearer = bearer.map(|value| value.strip_prefix(b"Bearer ").unwrap_or(value));
        let keys = keys.into_iter().flat_map(|keys| {
            [Some(&keys.secret_access_key), keys.session_token.as_ref()]
                .into_iter()
                .flatten()
                .map(|secret| secret.expose().as_bytes())
        });
        bearer.into_iter().chain(keys)
    }
}

/// Keys of AWS, temporary ones if there is a session token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsKeys {
    /// No secret, but nothing to show around either.
    pub access_key_id: Secret,
    /// What requests are signed with.
    pub secret_access_key: Secret,
    /// `x-amz-security-token`
    pub session_token: Option<Secret>,
}

/// Where keys of AWS come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsCredential {
    /// The first source.
    pub source: AwsSource,
    /// The role that is assumed with what the source gives, or with the web identity.
    pub role: Option<AwsRole>,
    /// The region whose token service is asked.
    pub region: String,
    /// Another address of the token service than the region's own.
    pub sts_endpoint: Option<String>,
}

/// The sources of AWS keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwsSource {
    /// In the file.
    Static(AwsKeys),
    /// A profile of the shared files.
    Profile(String),
    /// A token of another identity provider, exchanged for the keys of the role.
    WebIdentity(WebToken),
    /// Environment, web identity, default profile, container, instance, in that order.
    Default,
}

/// A token that proves an identity to AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebToken {
    /// As it is.
    Text(Secret),
    /// In a file that somebody else renews; read every time.
    File(PathBuf),
}

/// A role of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsRole {
    /// Its ARN.
    pub arn: String,
    /// What the session is called in logs of AWS.
    pub session_name: String,
    /// What the role's owner wants to see, for roles of other accounts.
    pub external_id: Option<Secret>,
}

/// Where a token of Google Cloud comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GoogleSource {
    /// A file with a service account or a user's credentials; read every time.
    File(PathBuf),
    /// The content of such a file.
    Json(Secret),
    /// `GOOGLE_APPLICATION_CREDENTIALS`, gcloud's own file, metadata server, in that order.
    Default,
}

/// A grant and where it is exchanged for a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OAuthCredential {
    /// What is shown.
    pub grant: OAuthGrant,
    /// The token endpoint.
    pub url: String,
}

/// The grants of OAuth 2 that need nobody to be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OAuthGrant {
    /// An API key of IBM Cloud.
    IbmApiKey(Secret),
    /// Client credentials, by basic authentication.
    ClientCredentials {
        /// Application or service principal.
        client_id: Secret,
        /// Its secret.
        client_secret: Secret,
        /// What the token is for.
        scope: String,
    },
}

/// A credential of Microsoft Entra ID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntraCredential {
    /// Where the token comes from.
    pub source: EntraSource,
    /// The scopes asked for, as in the file.
    pub scopes: Vec<String>,
    /// `https://login.microsoftonline.com` unless the file names another cloud.
    pub authority_host: String,
}

/// The three ways of `oauth.type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntraSource {
    /// `azure_entra_id_client_secret`
    ClientSecret {
        /// Directory.
        tenant_id: String,
        /// Application.
        client_id: Secret,
        /// Its secret.
        client_secret: Secret,
    },
    /// `azure_entra_id_default`: environment, workload identity, managed identity, in that order.
    Default,
}
