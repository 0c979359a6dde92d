//! What `model` of a request may be.
//!
//! All names that the file has are in one map, so that a plain one costs one look. A deployment by its id is a group of
//! that one alone. A name that only a wildcard group's pattern stands for becomes a group when it is first asked for, with
//! the `*` in its deployments' models filled; a bounded number of those is kept. Both are views: scores, series,
//! connections and credentials are those of the deployments in the file, and so are limits and cooldowns.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::snapshot::{Group, Link};
use crate::config::PriceTables;
use crate::provider;
use crate::router::Deployment;
use crate::types::{Fallbacks, Pattern, Target};

/// Names of wildcard groups that are kept as groups.
const KEPT: usize = 1024;
/// The longest name, in bytes, that a wildcard group stands for: no model's is, and what is kept is to be bounded.
const LONGEST: usize = 256;

/// All names.
#[derive(Debug)]
pub(super) struct Names {
    known: HashMap<Arc<str>, Name>,
    /// The name and its group.
    listed: Vec<(Arc<str>, Arc<str>)>,
    /// The most specific first.
    wildcards: Vec<(Pattern, Arc<Group>)>,
    /// There is one if there are wildcards.
    filled: Option<Mutex<Filled>>,
    prices: PriceTables,
}

/// What a name that the file has stands for.
#[derive(Debug)]
enum Name {
    Group(Arc<Group>),
    /// A deployment of a group; the group of it alone is made when it is first asked for.
    Deployment(Arc<Group>, usize, OnceLock<Arc<Group>>),
    /// A name that a wildcard group stands for.
    Other(Arc<str>),
}

impl Names {
    /// The names of `groups` and of `aliases`, which are name, group, and whether it is hidden. `rng` is asked once if
    /// there are wildcards.
    pub(super) fn new<'a>(
        groups: &[Arc<Group>],
        aliases: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>, bool)> + Clone,
        prices: &PriceTables,
        rng: impl FnOnce() -> StdRng,
    ) -> Self {
        let is_wildcard = |group: &&Arc<Group>| Pattern::is_one(&group.id);
        let mut wildcards: Vec<_> = groups
            .iter()
            .filter(is_wildcard)
            .map(|group| (Pattern::new(&group.id), Arc::clone(group)))
            .collect();
        wildcards.sort_by_key(|(pattern, _)| pattern.rank());
        let mut names = Self {
            filled: (!wildcards.is_empty()).then(|| Mutex::new(Filled::new(rng()))),
            prices: if wildcards.is_empty() {
                PriceTables::default()
            } else {
                prices.clone()
            },
            wildcards,
            known: HashMap::new(),
            listed: groups
                .iter()
                .map(|group| (Arc::clone(&group.id), Arc::clone(&group.id)))
                .collect(),
        };
        // What comes later goes before what came earlier.
        names.add_deployments(groups, |id, group| !is_given(id, group));
        for group in groups.iter().filter(|group| !is_wildcard(group)) {
            let name = Name::Group(Arc::clone(group));
            names.known.insert(Arc::clone(&group.id), name);
        }
        names.add_aliases(groups, aliases);
        names.add_deployments(groups, is_given);
        names
    }

    fn add_aliases<'a>(
        &mut self,
        groups: &[Arc<Group>],
        aliases: impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>, bool)>,
    ) {
        for (alias, name, hidden) in aliases {
            let group = groups.iter().find(|group| group.id == *name);
            let owner = group.or_else(|| Some(self.wildcard_of(name)?.0));
            if let (Some(owner), false) = (owner, hidden) {
                self.listed
                    .push((Arc::clone(alias), Arc::clone(&owner.owner)));
            }
            let name = match group {
                Some(group) => Name::Group(Arc::clone(group)),
                None => Name::Other(Arc::clone(name)),
            };
            self.known.insert(Arc::clone(alias), name);
        }
    }

    fn add_deployments(
        &mut self,
        groups: &[Arc<Group>],
        wanted: impl Fn(&Arc<str>, &Group) -> bool,
    ) {
        for group in groups {
            for (index, deployment) in group.router.deployments().iter().enumerate() {
                let Target { id, model, .. } = &*deployment.target;
                // Whose model is yet to be named can't be called by its id; and a group of that name with nothing else
                // in it is the same, with all that belongs to it.
                let same = id == &group.id && group.links.len() == 1;
                if wanted(id, group) && !Pattern::is_one(model) && !same {
                    let name = Name::Deployment(Arc::clone(group), index, OnceLock::new());
                    self.known.insert(Arc::clone(id), name);
                }
            }
        }
    }

    pub(super) fn listed(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.listed.iter().map(|(name, owner)| (name, owner))
    }

    pub(super) fn resolve(&self, name: &str) -> Option<Arc<Group>> {
        match self.known.get(name) {
            Some(Name::Group(group)) => Some(Arc::clone(group)),
            Some(Name::Deployment(group, index, alone)) => {
                Some(Arc::clone(alone.get_or_init(|| only(group, *index))))
            }
            Some(Name::Other(name)) => self.fill(name),
            None => self.fill(name),
        }
    }

    /// The wildcard group that stands for `name`, and what the `*` are.
    fn wildcard_of<'a>(&self, name: &'a str) -> Option<(&Arc<Group>, Vec<&'a str>)> {
        self.wildcards
            .iter()
            .find_map(|(pattern, group)| Some((group, pattern.matches(name)?)))
    }

    /// The group that a wildcard group is under this name.
    fn fill(&self, name: &str) -> Option<Arc<Group>> {
        let filled = self.filled.as_ref().filter(|_| name.len() <= LONGEST)?;
        // Made under the lock, so that requests which arrive together get the same one.
        let mut filled = filled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = filled.get(name) {
            return Some(group);
        }
        let (group, captures) = self.wildcard_of(name)?;
        let made = self.members(group, |text| fit(text, &captures))?;
        let (deployments, links) = made.into_iter().unzip();
        let id: Arc<str> = name.into();
        let rng = StdRng::from_rng(&mut filled.rng);
        let group = Arc::new(group.of_others((Arc::clone(&id), &id), deployments, links, rng));
        filled.put(id, Arc::clone(&group));
        Some(group)
    }

    /// The deployments of a wildcard group with their models filled by `fill`; `None` if one can't be.
    fn members(
        &self,
        group: &Group,
        fill: impl Fn(&str) -> Option<Arc<str>>,
    ) -> Option<Vec<(Arc<Deployment>, Link)>> {
        let deployments = group.router.deployments().iter().zip(&group.links);
        deployments
            .map(|(deployment, link)| {
                if !Pattern::is_one(&deployment.target.model) {
                    return Some((Arc::clone(deployment), link.clone()));
                }
                let target = Arc::new(Target {
                    model: fill(&deployment.target.model)?,
                    price_model: fill(&deployment.target.price_model)?,
                    ..Target::clone(&deployment.target)
                });
                let link = Link {
                    adapter: provider::adapter(&target).ok()?.into(),
                    filled: true,
                    ..link.clone()
                };
                let known = || self.prices.find(&target.provider, &target.price_model);
                let deployment = Deployment {
                    price: deployment.price.clone().or_else(known),
                    target: Arc::clone(&target),
                    ..Deployment::clone(deployment)
                };
                Some((Arc::new(deployment), link))
            })
            .collect()
    }
}

/// Whether the file has given the id: the others begin with their group's.
fn is_given(id: &Arc<str>, group: &Group) -> bool {
    let rest = id.strip_prefix(&*group.id);
    !rest.is_some_and(|rest| rest.starts_with('/'))
}

/// A deployment of `group` as a group. There is nothing to choose, so that chance does not matter; and whoever names one
/// deployment wants no other, so that it has no fallbacks.
fn only(group: &Group, index: usize) -> Arc<Group> {
    let deployment = Arc::clone(&group.router.deployments()[index]);
    let id = Arc::clone(&deployment.target.id);
    let link = group.links[index].clone();
    let rng = StdRng::seed_from_u64(0);
    let only = group.of_others((id, &group.id), vec![deployment], vec![link], rng);
    Arc::new(Group {
        fallbacks: Fallbacks::default(),
        ..only
    })
}

/// `template` filled, if that can stand in the path of any provider's URL as it is and lead nowhere else.
fn fit(template: &str, captures: &[&str]) -> Option<Arc<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~:/@+=,".contains(&byte);
    if !captures.iter().all(|capture| capture.bytes().all(plain)) {
        return None;
    }
    let model = Pattern::fill(template, captures);
    let leads_elsewhere = |segment: &str| matches!(segment, "" | "." | "..");
    (!model.split('/').any(leads_elsewhere)).then(|| model.into())
}

/// Groups of names that wildcard groups were asked by; the one not asked for longest goes first.
#[derive(Debug)]
struct Filled {
    groups: HashMap<Arc<str>, (Arc<Group>, u64)>,
    /// Counts what is asked.
    asked: u64,
    rng: StdRng,
}

impl Filled {
    fn new(rng: StdRng) -> Self {
        Self {
            groups: HashMap::new(),
            asked: 0,
            rng,
        }
    }

    fn get(&mut self, name: &str) -> Option<Arc<Group>> {
        self.asked += 1;
        let (group, last) = self.groups.get_mut(name)?;
        *last = self.asked;
        Some(Arc::clone(group))
    }

    fn put(&mut self, name: Arc<str>, group: Arc<Group>) {
        if self.groups.len() >= KEPT
            && let Some(oldest) = self.groups.iter().min_by_key(|(_, (_, last))| *last)
        {
            let oldest = Arc::clone(oldest.0);
            self.groups.remove(&oldest);
        }
        self.groups.insert(name, (group, self.asked));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, load_str};
    use crate::gateway::{Deps, Snapshot};

    fn config() -> Config {
        let text = "model_groups: [{id: 'p/*', models: [{provider: self-hosted, model: '*', api_base: 'http://h'}]}]";
        load_str("x", text, &|_| None, false).expect("readable").0
    }

    #[test]
    fn a_bounded_number_of_names_is_kept_and_the_one_longest_unasked_goes_first() {
        let snapshot = Snapshot::build(&config(), &Deps::new(Some(1))).expect("usable");
        let resolve = |n: usize| snapshot.resolve(&format!("p/{n}")).expect("a group");
        let (first, second) = (resolve(0), resolve(1));
        for n in 2..KEPT {
            resolve(n);
        }
        assert!(Arc::ptr_eq(&resolve(0), &first), "kept");
        resolve(KEPT);
        assert!(Arc::ptr_eq(&resolve(0), &first), "asked since");
        assert!(!Arc::ptr_eq(&resolve(1), &second), "made anew");
        let scores = |group: &Group| Arc::clone(&group.router.deployments()[0].scores);
        assert!(
            Arc::ptr_eq(&scores(&resolve(1)), &scores(&second)),
            "the deployment's"
        );
    }

    #[test]
    fn what_fills_a_model_leads_nowhere_else() {
        for (pattern, name, template, expected) in [
            ("p/*", "p/a", "*", Some("a")),
            ("p/*", "p/a/b:free@1", "*", Some("a/b:free@1")),
            ("p/*", "p/a", "fixed name", Some("fixed name")),
            ("p*", "p", "*", None),
            ("p*", "p", "v*", Some("v")),
            ("p.*", "p..", "x/.*", None),
            ("p/*", "p/..", "*", None),
            ("p/*", "p/..", "a*", Some("a..")),
            ("p/*", "p/a?b", "*", None),
            ("p/*", "p/a\\b", "*", None),
            ("p/*", "p/a\r\nb", "*", None),
        ] {
            let pattern = Pattern::new(pattern);
            let captures = pattern.matches(name).expect("of the pattern");
            let got = fit(template, &captures);
            assert_eq!(got.as_deref(), expected, "{name} in {template}");
        }
    }
}
