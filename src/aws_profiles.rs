//! The shared files of AWS's tools, `~/.aws/config` and `~/.aws/credentials`: where they are and what their profiles say.
//!
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The profiles of both files.
#[derive(Default)]
pub struct Profiles(HashMap<String, Profile>);

/// The settings of one profile.
#[derive(Default)]
pub struct Profile(HashMap<String, String>);

impl Profile {
    /// The setting of that name, in lower case; an empty one counts as none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|v| !v.is_empty())
    }
}

impl std::fmt::Debug for Profiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl Profiles {
    /// Reads both files; one that is not there, or can't be read, has no profiles.
    #[must_use]
    pub fn read(env: &dyn Fn(&str) -> Option<String>) -> Self {
        let [config, credentials] =
            paths(env).map(|path| std::fs::read_to_string(path).unwrap_or_default());
        Self::parse(&config, &credentials)
    }

    /// The profiles of the two texts. A setting that both have is taken from `credentials`.
    #[must_use]
    pub fn parse(config: &str, credentials: &str) -> Self {
        let mut profiles = Self::default();
        profiles.add(config, of_config);
        profiles.add(credentials, |section| Some(section));
        profiles
    }

    /// The profile of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    fn add(&mut self, text: &str, name: fn(&str) -> Option<&str>) {
        let mut current = None;
        for line in text.lines() {
            // What is indented belongs to the setting above (`s3 =` and its like), and no such setting is read here.
            if line.starts_with([' ', '\t', '#', ';']) || line.trim().is_empty() {
                continue;
            }
            if let Some(section) = line.trim().strip_prefix('[') {
                let section = section.split(']').next().unwrap_or_default().trim();
                current = name(section).map(str::to_owned);
                if let Some(name) = &current {
                    self.0.entry(name.clone()).or_default();
                }
            } else if let (Some(profile), Some((key, value))) = (&current, line.split_once('=')) {
                // A comment after a value begins with a blank, since secrets may contain the sign itself.
                let value = value.split(" #").next().unwrap_or_default();
                let value = value.split(" ;").next().unwrap_or_default();
                let settings = &mut self.0.entry(profile.clone()).or_default().0;
                settings.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
            }
        }
    }
}

/// The profile's name in a heading of `config`, where profiles are called so, but for the default one. In `credentials`
/// there is nothing else.
fn of_config(section: &str) -> Option<&str> {
    match section.strip_prefix("profile") {
        Some(rest) if rest.starts_with([' ', '\t']) => Some(rest.trim_start()),
        _ => (section == "default").then_some(section),
    }
}

/// Where the two files are: `AWS_CONFIG_FILE`, `AWS_SHARED_CREDENTIALS_FILE`, or below `.aws` in the home folder.
#[must_use]
pub fn paths(env: &dyn Fn(&str) -> Option<String>) -> [PathBuf; 2] {
    let set = |name: &str| env(name).filter(|v| !v.is_empty());
    let home = set("HOME").or_else(|| set("USERPROFILE"));
    let home = home.unwrap_or_default();
    [
        ("AWS_CONFIG_FILE", "config"),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
    ]
    .map(|(variable, name)| match set(variable) {
        Some(path) => match path.strip_prefix("~/") {
            Some(rest) => Path::new(&home).join(rest),
            None => PathBuf::from(path),
        },
        None => Path::new(&home).join(".aws").join(name),
    })
}

/// The profile used where none is named.
#[must_use]
pub fn default_name(env: &dyn Fn(&str) -> Option<String>) -> String {
    env("AWS_PROFILE")
        .or_else(|| env("AWS_DEFAULT_PROFILE"))
        .filter(|v| !v.is_empty())
        .unwrap_or_else(|| "default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_are_one_set_of_profiles() {
        let config = "# a comment\n[default]\nregion = eu-west-1\n\n[profile work]\nregion=us-east-2 # there\nrole_arn = arn:aws:iam::1:role/r\ns3 =\n  region = nowhere\n\n[profiles]\nregion = x\n[sso-session default]\nregion = y\n[profile\tspaced]\nregion = z\n";
        let credentials = "[work]\naws_access_key_id = AK\naws_secret_access_key = a#b;c/+=\nREGION = us-west-1\n[ bare ]\naws_session_token=\n";
        let profiles = Profiles::parse(config, credentials);
        let get = |profile, key| {
            profiles
                .get(profile)
                .and_then(|p| p.get(key))
                .map(str::to_owned)
        };
        for (profile, key, expected) in [
            ("default", "region", Some("eu-west-1")),
            ("work", "region", Some("us-west-1")),
            ("work", "role_arn", Some("arn:aws:iam::1:role/r")),
            ("work", "aws_secret_access_key", Some("a#b;c/+=")),
            ("spaced", "region", Some("z")),
            ("bare", "aws_session_token", None),
            ("s", "region", None),
            ("profiles", "region", None),
        ] {
            assert_eq!(get(profile, key).as_deref(), expected, "{profile} {key}");
        }
        assert!(profiles.get("bare").is_some());
        assert!(!format!("{profiles:?} {:?}", profiles.get("work")).contains("a#b"));
    }

    #[test]
    fn files_are_where_the_variables_say() {
        let with = |vars: &'static [(&str, &str)]| {
            paths(&move |name: &str| {
                let found = vars.iter().find(|(n, _)| *n == name);
                found.map(|(_, v)| (*v).to_owned())
            })
            .map(|p| p.to_string_lossy().into_owned())
        };
        assert_eq!(
            with(&[("HOME", "/h")]),
            ["/h/.aws/config", "/h/.aws/credentials"]
        );
        assert_eq!(
            with(&[
                ("HOME", "/h"),
                ("AWS_CONFIG_FILE", "~/c"),
                ("AWS_SHARED_CREDENTIALS_FILE", "/s")
            ]),
            ["/h/c", "/s"]
        );
    }
}
