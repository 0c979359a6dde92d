//! The keys of AWS: where the file says, or where its own tools look; and roles on top.
//!
//! Files, of profiles and of web identities, are read for every fetch, so what others write there while Waypost runs is
//! taken up.

mod machine;
mod profile;
mod sts;

use std::sync::Arc;

use super::ask::Outside;
use super::source::{Fetched, Life};
use crate::aws_profiles::default_name;
use crate::types::{AwsCredential, AwsKeys, AwsRole, AwsSource, Secret, Token, WebToken};

/// Keys and how long they are good for.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    keys: AwsKeys,
    life: Life,
}

/// A credential and the means to find its keys.
struct Search<'a> {
    outside: &'a Outside,
    credential: &'a AwsCredential,
}

pub(super) async fn fetch(
    outside: &Outside,
    credential: &AwsCredential,
) -> Result<Fetched, String> {
    let search = Search {
        outside,
        credential,
    };
    let found = search.run().await?;
    Ok(Fetched {
        token: Token::Aws(Arc::new(found.keys)),
        life: found.life,
    })
}

impl Search<'_> {
    async fn run(&self) -> Result<Found, String> {
        let AwsCredential { source, role, .. } = self.credential;
        let found = match source {
            AwsSource::Static(keys) => Found {
                keys: keys.clone(),
                life: Life::FIXED,
            },
            AwsSource::Profile(name) => self.profile(name).await?,
            AwsSource::WebIdentity(token) => {
                let Some(role) = role else {
                    return Err("a web identity needs a role".to_owned());
                };
                return self.web_identity(token, role).await;
            }
            AwsSource::Default => self.default().await?,
        };
        match role {
            Some(role) => self.assume(&found.keys, role).await,
            None => Ok(found),
        }
    }

    /// What the machine has, in the order of AWS's own tools.
    async fn default(&self) -> Result<Found, String> {
        if let Some(found) = self.environment() {
            return Ok(found);
        }
        if let Some(found) = self.environment_identity().await {
            return found;
        }
        if let Some(found) = self.default_profile().await {
            return found;
        }
        if let Some(found) = self.container().await {
            return found;
        }
        self.instance().await.map_err(|why| {
            format!(
                "none in the environment, no web identity, no profile \"{}\", no container; {why}",
                default_name(self.outside.lookup())
            )
        })
    }

    fn environment(&self) -> Option<Found> {
        let set = |name| self.outside.set(name).map(Secret::new);
        Some(Found {
            keys: AwsKeys {
                access_key_id: set("AWS_ACCESS_KEY_ID")?,
                secret_access_key: set("AWS_SECRET_ACCESS_KEY")?,
                session_token: set("AWS_SESSION_TOKEN"),
            },
            life: Life::FIXED,
        })
    }

    /// What Kubernetes gives its pods (IRSA).
    async fn environment_identity(&self) -> Option<Result<Found, String>> {
        let file = self.outside.set("AWS_WEB_IDENTITY_TOKEN_FILE")?;
        let role = AwsRole {
            arn: self.outside.set("AWS_ROLE_ARN")?,
            session_name: self.session_name(None),
            external_id: None,
        };
        Some(self.web_identity(&WebToken::File(file.into()), &role).await)
    }

    fn session_name(&self, given: Option<&str>) -> String {
        given
            .map(str::to_owned)
            .or_else(|| self.outside.set("AWS_ROLE_SESSION_NAME"))
            .unwrap_or_else(|| "waypost".to_owned())
    }
}
