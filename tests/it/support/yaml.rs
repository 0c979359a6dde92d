//! The text of a configuration over a lab.

use std::fmt;

use waypost::lab::{Handle, Lab};

/// Groups and own settings. Lines given to it are YAML without indentation, in flow style where they nest.
#[derive(Clone, Default)]
pub(crate) struct Yaml {
    groups: Vec<Group>,
    waypost: Vec<String>,
}

#[derive(Clone)]
struct Group {
    id: String,
    models: Vec<Model>,
    router: Vec<String>,
}

/// One entry of `models`.
#[derive(Clone)]
pub(crate) struct Model(Vec<String>);

impl Model {
    /// Self-hosted, without a key, called as in the lab.
    pub(crate) fn of(handle: &Handle) -> Self {
        Self::at("self-hosted", handle, &handle.base_url())
    }

    /// Of this provider, with a key.
    pub(crate) fn provider(provider: &str, handle: &Handle) -> Self {
        Self::at(provider, handle, &handle.base_url()).with("api_key: sk-of-the-deployment")
    }

    /// Azure, with a key.
    pub(crate) fn azure(handle: &Handle, api_version: &str) -> Self {
        let lines = [
            "provider: azure".to_owned(),
            format!("deployment: {}", handle.name()),
            format!("api_base: {}", handle.root_url()),
            format!("api_version: {api_version:?}"),
            format!("model_info: {{id: {}}}", handle.name()),
        ];
        Self(lines.into()).with("api_key: sk-of-the-deployment")
    }

    fn at(provider: &str, handle: &Handle, base: &str) -> Self {
        let name = handle.name();
        let lines = [
            format!("provider: {provider}"),
            format!("model: {name}"),
            format!("api_base: {base}"),
            format!("model_info: {{id: {name}}}"),
        ];
        Self(lines.into())
    }

    /// Anything else: these lines alone.
    pub(crate) fn lines<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        Self(lines.into_iter().map(str::to_owned).collect())
    }

    /// With this line. One with the same key is replaced.
    pub(crate) fn with(mut self, line: &str) -> Self {
        let key = line.split(':').next().unwrap_or_default();
        self.0.retain(|old| old.split(':').next() != Some(key));
        self.0.push(line.to_owned());
        self
    }

    /// Without that key.
    pub(crate) fn without(mut self, key: &str) -> Self {
        self.0.retain(|old| old.split(':').next() != Some(key));
        self
    }
}

impl From<&Handle> for Model {
    fn from(handle: &Handle) -> Self {
        Self::of(handle)
    }
}

impl Yaml {
    /// A group `g` of all deployments of `lab`.
    pub(crate) fn over(lab: &Lab) -> Self {
        Self::default().group("g", lab.deployments())
    }

    /// One more group. If it has several models and nothing else is said, its strategy is simple-shuffle.
    pub(crate) fn group<M: Into<Model>>(
        mut self,
        id: &str,
        models: impl IntoIterator<Item = M>,
    ) -> Self {
        let models = models.into_iter().map(Into::into).collect();
        self.groups.push(Group {
            id: id.to_owned(),

            models,
            router: Vec::new(),
        });
        self
    }

    /// One more line in the last group's router.
    pub(crate) fn router(mut self, line: &str) -> Self {
        self.last().router.push(line.to_owned());
        self
    }

    /// One more line in every model of the last group.
    pub(crate) fn each(mut self, line: &str) -> Self {
        let group = self.last();
        group.models = std::mem::take(&mut group.models)
            .into_iter()
            .map(|model| model.with(line))
            .collect();
        self
    }

    /// One more line in the section `waypost`.
    pub(crate) fn waypost(mut self, line: &str) -> Self {
        self.waypost.push(line.to_owned());
        self
    }

    fn last(&mut self) -> &mut Group {
        self.groups.last_mut().expect("a group")
    }
}

impl fmt::Display for Yaml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "model_groups:")?;
        for group in &self.groups {
            writeln!(f, "  - id: {:?}", group.id)?;
            writeln!(f, "    models:")?;
            for model in &group.models {
                for (i, line) in model.0.iter().enumerate() {
                    writeln!(f, "      {} {line}", if i == 0 { '-' } else { ' ' })?;
                }
            }
            let named = group
                .router
                .iter()
                .any(|line| line.starts_with("routing_strategy:"));
            if group.models.len() > 1 || !group.router.is_empty() {
                writeln!(f, "    router:")?;
                if !named {
                    writeln!(f, "      routing_strategy: simple-shuffle")?;
                }
            }
            for line in &group.router {
                writeln!(f, "      {line}")?;
            }
        }
        if !self.waypost.is_empty() {
            writeln!(f, "waypost:")?;
        }
        self.waypost
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}
