//! What a request needs of a deployment, held against what the configuration and the model tables say of it.
//!
//! None of this changes from one moment to the next, so it is compared once per request and group, before the first pick;
//! what comes out is [`Ask::unfit`](super::Ask), and no strategy sees those deployments. What nobody knows of a deployment
//! is not held against it, with one exception: a region that was asked for must be known.

use std::fmt;

use super::{Deployment, NoneEligible, Router, Why};
use crate::types::TagFilter;

/// The tag of the deployments that serve requests without a tag of their own.
const DEFAULT: &str = "default";

/// The estimate of a prompt's tokens may be off by one part in so many, either way: from -18 % to +21 % in the table of
/// `usage::prompt`. Within that of a window somebody else decides: a tokenizer, else the deployment itself.
const DOUBT: u64 = 4;

/// What a request needs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs<'a> {
    /// Its tags: `x` is wanted, `!x` must not be there, `&x` must be.
    pub tags: &'a [String],
    /// `allowed_model_region`
    pub region: Option<&'a str>,
    /// The prompt's length; `None`: not to be compared.
    pub prompt: Option<Prompt<'a>>,
    /// It has tools.
    pub tools: bool,
    /// It shows images.
    pub images: bool,
    /// It wants an answer by a JSON schema.
    pub json_schema: bool,
}

/// The length of a prompt.
#[derive(Clone, Copy)]
pub struct Prompt<'a> {
    /// Tokens, estimated.
    pub estimate: u64,
    /// Tokens as a deployment's own tokenizer counts them, if there is one for it. Asked only where the estimate is so
    /// close to a window that it can't tell.
    pub exact: &'a dyn Fn(&Deployment) -> Option<u64>,
}

impl fmt::Debug for Prompt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prompt")
            .field("estimate", &self.estimate)
            .finish_non_exhaustive()
    }
}

impl Needs<'_> {
    /// Whether every deployment meets them, so that there is nothing to compare. Without tags of its own a request may
    /// still be kept to the deployments tagged `default`.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.tags.is_empty()
            && self.region.is_none()
            && self.prompt.is_none()
            && !self.tools
            && !self.images
            && !self.json_schema
    }
}

impl Router {
    /// The deployments that don't meet `needs`, each with the first reason of: tags, region, abilities, context window.
    /// A window is the reason only if nothing else is, so that it tells that a larger one would have done. Without a
    /// `filter` tags mean nothing.
    #[must_use]
    pub fn unfit(&self, needs: &Needs<'_>, filter: Option<TagFilter>) -> Vec<(usize, Why)> {
        if filter.is_none() && needs.is_empty() {
            return Vec::new();
        }
        let deployments = self.deployments();
        let tagged = filter.map(|filter| {
            by_tags(deployments.len(), needs.tags, filter, |place| {
                &deployments[place].tags
            })
        });
        let out_by_tags = |place: usize| tagged.as_ref().is_some_and(|kept| !kept[place]);
        let all = deployments.iter().enumerate();
        all.filter_map(|(place, deployment)| {
            let why = out_by_tags(place).then_some(Why::Tag);
            let why = why.or_else(|| elsewhere(deployment, needs));
            let why = why.or_else(|| lacks(deployment, needs));
            let why = why.or_else(|| too_long(deployment, needs));
            why.map(|why| (place, why))
        })
        .collect()
    }
}

/// Which of so many deployments a request's tags leave. Exclusions and demands hold always. Among what meets them, those
/// with a wanted tag (or all of the wanted ones) are left, else those tagged `default`. A request that wants none is served
/// by those tagged `default` if there are any, else by all; demands stand for wishes there.
fn by_tags<'d>(
    deployments: usize,
    asked: &[String],
    filter: TagFilter,
    tags: impl Fn(usize) -> &'d [String],
) -> Vec<bool> {
    let has = |place: usize, tag: &str| tags(place).iter().any(|own| own == tag);
    let marked = |mark: char| {
        asked
            .iter()
            .filter_map(move |tag| tag.strip_prefix(mark).filter(|tag| !tag.is_empty()))
    };
    let allowed = |place: usize| {
        marked('&').all(|tag| has(place, tag)) && !marked('!').any(|tag| has(place, tag))
    };
    let wanted: Vec<&String> = asked
        .iter()
        .filter(|tag| !tag.starts_with(['&', '!']))
        .collect();
    let matches = |place: usize| match filter {
        TagFilter { match_any: true } => wanted.iter().any(|tag| has(place, tag)),
        TagFilter { match_any: false } => {
            !wanted.is_empty() && wanted.iter().all(|tag| has(place, tag))
        }
    };
    let that = |test: &dyn Fn(usize) -> bool| (0..deployments).map(test).collect::<Vec<_>>();
    let is_default = |place: usize| has(place, DEFAULT);
    if wanted.is_empty() {
        // The defaults are those of the group: an exclusion that leaves none of them opens no others.
        let defaults = marked('&').next().is_none() && (0..deployments).any(is_default);
        return that(&|place| allowed(place) && (!defaults || is_default(place)));
    }
    let matching = that(&|place| allowed(place) && matches(place));
    if matching.contains(&true) {
        return matching;
    }
    that(&|place| allowed(place) && is_default(place))
}

fn elsewhere(deployment: &Deployment, needs: &Needs<'_>) -> Option<Why> {
    let asked = needs.region?;
    let own = deployment.region.as_deref();
    (own != Some(asked)).then_some(Why::Region {
        known: own.is_some(),
    })
}

fn lacks(deployment: &Deployment, needs: &Needs<'_>) -> Option<Why> {
    let has = deployment.abilities;
    [
        (needs.tools, has.tools, "tools"),
        (needs.images, has.images, "images"),
        (needs.json_schema, has.json_schema, "json_schema"),
    ]
    .into_iter()
    .find_map(|(needed, able, name)| (needed && able == Some(false)).then_some(Why::Lacks(name)))
}

fn too_long(deployment: &Deployment, needs: &Needs<'_>) -> Option<Why> {
    let limit = deployment.max_input_tokens?;
    let prompt = needs.prompt.as_ref()?;
    let doubt = prompt.estimate / DOUBT;
    let certain = prompt.estimate - doubt > limit;
    let needed = if certain {
        prompt.estimate
    } else if prompt.estimate + doubt > limit {
        (prompt.exact)(deployment)?
    } else {
        return None;
    };
    (certain || needed > limit).then_some(Why::Context { limit, needed })
}

impl Why {
    /// Whether it lies in what the request asks, and so is the same at any time.
    #[must_use]
    pub const fn is_unfit(self) -> bool {
        match self {
            Self::Unfit
            | Self::Tag
            | Self::Region { .. }
            | Self::Context { .. }
            | Self::Lacks(_) => true,
            Self::Cooling(_)
            | Self::Probing
            | Self::OverRpm { .. }
            | Self::OverTpm { .. }
            | Self::Uncounted
            | Self::Full { .. } => false,
        }
    }
}

impl NoneEligible {
    /// What no deployment has of what the request asks, if that is why each of them is out. Of several reasons it is the
    /// one that the others were met before ([`Router::unfit`]), so that it tells what would have been enough; of several
    /// windows the largest.
    #[must_use]
    pub fn unfit(&self) -> Option<Why> {
        let whys = || self.deployments.iter().map(|d| d.why);
        let met = |why: &Why| match *why {
            Why::Context { limit, needed } => (3, limit, needed),
            Why::Unfit | Why::Lacks(_) => (2, 0, 0),
            Why::Region { known } => (1, u64::from(known), 0),
            _ => (0, 0, 0),
        };
        let nearest = whys().max_by_key(met);
        nearest.filter(|_| whys().all(Why::is_unfit))
    }

    /// The largest window and the tokens that don't fit into it, if the group has not failed but the prompt is too long
    /// for it: no deployment meets the request's needs, and one would if its window were larger.
    #[must_use]
    pub fn too_long(&self) -> Option<(u64, u64)> {
        match self.unfit()? {
            Why::Context { limit, needed } => Some((limit, needed)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places that are left of deployments with these tags; `any` and `all` as the filter's two readings.
    fn left(deployments: &[&str], asked: &str, match_any: bool) -> Vec<usize> {
        let words = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let tags: Vec<Vec<String>> = deployments.iter().map(|tags| words(tags)).collect();
        let kept = by_tags(
            tags.len(),
            &words(asked),
            TagFilter { match_any },
            |place| &tags[place],
        );
        (0..kept.len()).filter(|place| kept[*place]).collect()
    }

    /// The deployments' tags, the request's, and who is left if any will do, and if all are wanted.
    type Case<'a> = (&'a [&'a str], &'a str, &'a [usize], &'a [usize]);

    #[test]
    fn tags() {
        let plain = ["free", "paid", "paid eu", ""];
        let with_default = ["free", "paid eu", "default", "default eu"];
        let cases: [Case<'_>; 17] = [
            (&plain, "", &[0, 1, 2, 3], &[0, 1, 2, 3]),
            (&plain, "free", &[0], &[0]),
            (&plain, "paid eu", &[1, 2], &[2]),
            (&plain, "free eu", &[0, 2], &[]),
            (&plain, "unknown", &[], &[]),
            (&plain, "!paid", &[0, 3], &[0, 3]),
            (&plain, "&paid", &[1, 2], &[1, 2]),
            (&plain, "&paid &eu", &[2], &[2]),
            (&plain, "&paid !eu", &[1], &[1]),
            (&plain, "paid !eu", &[1], &[1]),
            (&plain, "! &", &[0, 1, 2, 3], &[0, 1, 2, 3]),
            (&with_default, "", &[2, 3], &[2, 3]),
            (&with_default, "unknown", &[2, 3], &[2, 3]),
            (&with_default, "unknown !eu", &[2], &[2]),
            (&with_default, "!eu", &[2], &[2]),
            (&with_default, "&eu", &[1, 3], &[1, 3]),
            (&with_default, "!default", &[], &[]),
        ];
        for (deployments, asked, any, all) in cases {
            assert_eq!(
                left(deployments, asked, true),
                any,
                "{deployments:?} {asked:?} any"
            );
            assert_eq!(
                left(deployments, asked, false),
                all,
                "{deployments:?} {asked:?} all"
            );
        }
    }
}
