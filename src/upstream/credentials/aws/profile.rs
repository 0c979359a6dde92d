//! Keys of a profile of the shared files, and the roles that profiles name.

use super::super::source::Life;
use super::{Found, Search};
use crate::aws_profiles::{Profile, Profiles, default_name, paths};
use crate::types::{AwsKeys, AwsRole, Secret, WebToken};

/// So many profiles may name each other as their source.
const LONGEST_CHAIN: usize = 8;

impl Search<'_> {
    async fn profiles(&self) -> Profiles {
        let [config, credentials] = paths(self.outside.lookup());
        let read = async |path| tokio::fs::read_to_string(path).await.unwrap_or_default();
        Profiles::parse(&read(config).await, &read(credentials).await)
    }

    /// The default profile, if there is one that has to do with credentials.
    pub(super) async fn default_profile(&self) -> Option<Result<Found, String>> {
        const CREDENTIALS: [&str; 6] = [
            "aws_access_key_id",
            "role_arn",
            "credential_process",
            "sso_session",
            "sso_start_url",
            "login_session",
        ];
        let name = default_name(self.outside.lookup());
        let profiles = self.profiles().await;
        let profile = profiles.get(&name)?;
        let any = CREDENTIALS.iter().any(|key| profile.get(key).is_some());
        if any {
            Some(self.profile_of(&profiles, &name).await)
        } else {
            None
        }
    }

    pub(super) async fn profile(&self, name: &str) -> Result<Found, String> {
        self.profile_of(&self.profiles().await, name).await
    }

    async fn profile_of(&self, profiles: &Profiles, name: &str) -> Result<Found, String> {
        let mut name = name;
        let mut roles = Vec::new();
        let mut found = loop {
            let Some(profile) = profiles.get(name) else {
                return Err(format!(
                    "there is no profile \"{name}\" in AWS's shared files"
                ));
            };
            let Some(role) = self.role(profile) else {
                break keys(name, profile)?;
            };
            if profile.get("mfa_serial").is_some() {
                return Err(format!(
                    "profile \"{name}\" wants a second factor, which nobody is here to give"
                ));
            }
            if let Some(file) = profile.get("web_identity_token_file") {
                break self
                    .web_identity(&WebToken::File(file.into()), &role)
                    .await?;
            }
            roles.push(role);
            match (
                profile.get("source_profile"),
                profile.get("credential_source"),
            ) {
                (Some(source), _) if source == name => break keys(name, profile)?,
                (Some(source), _) => name = source,
                (None, Some(source)) => break self.named(source).await?,
                (None, None) => {
                    return Err(format!(
                        "profile \"{name}\" has role_arn without source_profile or credential_source"
                    ));
                }
            }
            if roles.len() > LONGEST_CHAIN {
                return Err(format!(
                    "the source_profile of \"{name}\" leads in a circle"
                ));
            }
        };
        while let Some(role) = roles.pop() {
            found = self.assume(&found.keys, &role).await?;
        }
        Ok(found)
    }

    fn role(&self, profile: &Profile) -> Option<AwsRole> {
        Some(AwsRole {
            arn: profile.get("role_arn")?.to_owned(),
            session_name: self.session_name(profile.get("role_session_name")),
            external_id: profile.get("external_id").map(Secret::new),
        })
    }

    /// The sources that `credential_source` can name.
    async fn named(&self, source: &str) -> Result<Found, String> {
        let none = || Err(format!("credential_source is {source}, and there are none"));
        match source {
            "Environment" => self.environment().map_or_else(none, Ok),
            "EcsContainer" => self.container().await.unwrap_or_else(none),
            "Ec2InstanceMetadata" => self.instance().await,
            _ => Err(format!("credential_source {source} is not known")),
        }
    }
}

/// The keys that stand in the profile.
fn keys(name: &str, profile: &Profile) -> Result<Found, String> {
    let get = |key| profile.get(key).map(Secret::new);
    if let (Some(access_key_id), Some(secret_access_key)) =
        (get("aws_access_key_id"), get("aws_secret_access_key"))
    {
        return Ok(Found {
            keys: AwsKeys {
                access_key_id,
                secret_access_key,
                session_token: get("aws_session_token"),
            },
            life: Life::FILE,
        });
    }
    let sso = ["sso_session", "sso_start_url", "login_session"];
    Err(if profile.get("credential_process").is_some() {
        format!(
            "profile \"{name}\" has credential_process, and no programs are run; write keys into the profile, or use a role"
        )
    } else if sso.iter().any(|key| profile.get(key).is_some()) {
        format!(
            "profile \"{name}\" signs in by a browser; use a role, or the keys that `aws configure export-credentials` prints"
        )
    } else {
        format!("profile \"{name}\" has no keys")
    })
}
