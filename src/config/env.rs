//! `${NAME}` in values.
//!
//! Expansion happens after the file was parsed, so a value with `#`, `:` or quotes cannot change the structure, and it
//! happens once: what comes out of a variable is not looked at again. It happens in every scalar, quoted or not;
//! Rasa's own rules differ with quoting and place, and a strict load reports where.
//!
//! `${NAME:-default}` is an extension: Rasa does not load a file that has it. A bare `$NAME` is left alone, because
//! passwords contain `$`.

use super::context::Context;
use super::tree::{Node, Pos, Scalar, Value};

/// Keys whose values are never shown. The first ten are Rasa's own list.
const SECRET: [&str; 21] = [
    "api_key",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
    "client_id",
    "client_secret",
    "token_url",
    "secret",
    "langfuse_public_key",
    "langfuse_secret_key",
    "redis_password",
    "redis_url",
    "key",
    "password",
    "token",
    "certificate_password",
    "extra_headers",
    "aws_external_id",
    "aws_web_identity_token",
    "vertex_credentials",
    "zen_api_key",
];

/// How many of [`SECRET`] Rasa demands to be exactly `${NAME}`.
const RASA_SECRET: usize = 10;

/// Model keys for which Rasa expands a quoted variable.
const QUOTABLE: [&str; 8] = [
    "deployment",
    "api_base",
    "api_key",
    "api_version",
    "aws_region_name",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
];

/// Whether values of `key` are secrets.
pub(super) fn is_secret(key: &str) -> bool {
    SECRET.contains(&key)
}

/// What a text became.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Expanded {
    pub(super) text: String,
    /// Variables that were replaced.
    pub(super) variables: Vec<String>,
    /// Variables that are not set and have no default.
    pub(super) unset: Vec<String>,
    /// A `${` that is no reference.
    pub(super) malformed: bool,
    /// A `${NAME:-default}` was there.
    pub(super) defaults: bool,
}

/// Replaces every `${NAME}` and `${NAME:-default}` of `text`.
pub(super) fn expand(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Expanded {
    let mut out = Expanded::default();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.text.push_str(&rest[..start]);
        let inside = &rest[start + 2..];
        let Some(reference) = reference(inside) else {
            out.malformed = true;
            out.text.push_str("${");
            rest = inside;
            continue;
        };
        let Reference { name, default, end } = reference;
        out.defaults |= default.is_some();
        // As in a shell, `:-` also stands in for a variable that is set but empty.
        match (
            env(name).filter(|value| default.is_none() || !value.is_empty()),
            default,
        ) {
            (Some(value), _) => {
                out.text.push_str(&value);
                out.variables.push(name.to_owned());
            }
            (None, Some(default)) => {
                out.text.push_str(default);
                out.variables.push(name.to_owned());
            }
            (None, None) => {
                // Stands in so that nothing else is said about the value.
                out.text.push_str("unset");
                out.unset.push(name.to_owned());
            }
        }
        rest = &inside[end..];
    }
    out.text.push_str(rest);
    out
}

/// What stands behind a `${`.
struct Reference<'a> {
    name: &'a str,
    default: Option<&'a str>,
    /// Where it is over.
    end: usize,
}

/// Looks no further than it has to, so that a text of nothing but `${` is read in one pass.
fn reference(inside: &str) -> Option<Reference<'_>> {
    let len = inside
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_')
        .count();
    let name = &inside[..len];
    let rest = &inside[len..];
    if !is_name(name) {
        None
    } else if rest.starts_with('}') {
        Some(Reference {
            name,
            default: None,
            end: len + 1,
        })
    } else {
        // A default cannot contain the beginning of another reference, so the search ends there.
        let text = rest.strip_prefix(":-")?;
        let close = text
            .find(['}', '$'])
            .filter(|at| text[*at..].starts_with('}'))?;
        Some(Reference {
            name,
            default: Some(&text[..close]),
            end: len + 2 + close + 1,
        })
    }
}

/// Whether a variable can be called so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Whether `raw` is one `${NAME}` and nothing else.
fn is_exactly_one(raw: &str) -> bool {
    raw.strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(is_name)
}

/// The names of bare `$NAME`s.
fn bare(text: &str) -> impl Iterator<Item = &str> {
    text.split('$').skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        is_name(&rest[..end]).then_some(&rest[..end])
    })
}

/// Where a scalar stands, as far as Rasa's rules differ by it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In an entry of `models`.
    Model,
    /// Elsewhere in a model group.
    Group,
    /// In the section that is ours alone.
    Own,
}

/// A scalar's place in the file and in the rules.
struct Site<'a> {
    at: Pos,
    path: &'a str,
    key: &'a str,
    place: Place,
    secret: bool,
}

/// Expands every scalar below `node`, and says what is wrong with any of them.
pub(super) fn expand_all(ctx: &mut Context<'_>, node: &mut Node, path: &str, place: Place) {
    descend(ctx, node, path, path, place, false);
}

fn descend(
    ctx: &mut Context<'_>,
    node: &mut Node,
    path: &str,
    key: &str,
    place: Place,
    secret: bool,
) {
    let at = node.at;
    if let Some(tag) = &node.tag {
        let tag: String = tag.chars().take(40).collect();
        ctx.findings.error(
            at,
            path,
            format!("the tag {tag} is not known; write the value without it"),
        );
    }
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            let found = expand(&scalar.raw, ctx.env);
            report(
                ctx,
                &Site {
                    at,
                    path,
                    key,
                    place,
                    secret,
                },
                scalar,
                &found,
            );
            scalar.text = found.text;
            scalar.variables = found.variables;
        }
        Value::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                descend(ctx, item, &format!("{path}[{i}]"), key, place, secret);
            }
        }
        Value::Map(map) => {
            for (at, name, message) in std::mem::take(&mut map.problems) {
                ctx.findings.error(at, &format!("{path}.{name}"), message);
            }
            for entry in &mut map.entries {
                let path = format!("{path}.{}", entry.key);
                let model = place == Place::Group && entry.key == "models";
                let place = if model { Place::Model } else { place };
                let secret = secret || is_secret(&entry.key);
                descend(ctx, &mut entry.value, &path, &entry.key, place, secret);
            }
        }
    }
}

fn report(ctx: &mut Context<'_>, site: &Site<'_>, scalar: &Scalar, found: &Expanded) {
    let Site {
        at,
        path,
        key,
        place,
        secret,
    } = *site;
    for name in &found.unset {
        let message = format!(
            "the environment variable {name} is not set; set it, or write ${{{name}:-default}}"
        );
        ctx.findings.error(at, path, message);
    }
    if !found.unset.is_empty() {
        ctx.findings.mute(at);
    }
    if found.malformed && !secret {
        let message =
            "a \"${\" here begins no ${NAME} or ${NAME:-default}; the text is left as it is";
        ctx.findings.warning(at, path, message);
    }
    if secret && !found.variables.is_empty() && found.text.is_empty() {
        let message = format!(
            "the environment variable {} is set, but empty",
            found.variables.join(", ")
        );
        ctx.findings.warning(at, path, message);
    }
    let rasa_secret = SECRET[..RASA_SECRET].contains(&key);
    let literal = !scalar.raw.contains("${") && !scalar.raw.is_empty();
    if literal && place != Place::Own && (rasa_secret || key == "redis_password") {
        let name = key.to_ascii_uppercase();
        let message = format!(
            "a secret in clear text; put it into an environment variable and write ${{{name}}}"
        );
        if rasa_secret {
            ctx.stricter(
                at,
                path,
                &format!("{message} (Rasa refuses a literal here)"),
                &message,
            );
        } else {
            ctx.findings.warning(at, path, message);
        }
    }
    if place == Place::Own {
        return;
    }
    for name in bare(&scalar.raw).filter(|_| place == Place::Model && !ctx.litellm) {
        if (ctx.env)(name).is_some() {
            let message = format!(
                "${name} is left as it is here, but Rasa would expand it; write ${{{name}}} if that is meant"
            );
            ctx.findings.warning(at, path, message);
        }
    }
    if ctx.strict {
        strict(ctx, site, rasa_secret, scalar, found);
    }
}

/// What Rasa refuses, or would send as literal text.
fn strict(
    ctx: &mut Context<'_>,
    site: &Site<'_>,
    rasa_secret: bool,
    scalar: &Scalar,
    found: &Expanded,
) {
    let Site {
        at,
        path,
        key,
        place,
        ..
    } = *site;
    let refers = !found.variables.is_empty() || !found.unset.is_empty();
    let one = is_exactly_one(&scalar.raw);
    if found.defaults {
        ctx.findings.error(
            at,
            path,
            "Rasa does not know ${NAME:-default}; write ${NAME}",
        );
    } else if rasa_secret && refers && !one {
        ctx.findings.error(
            at,
            path,
            "Rasa wants exactly ${NAME} here, nothing around it",
        );
    } else if refers && !scalar.plain && place == Place::Group {
        ctx.findings.error(
            at,
            path,
            "Rasa does not expand a quoted variable here; remove the quotes",
        );
    } else if !scalar.plain
        && place == Place::Model
        && one
        && !rasa_secret
        && !QUOTABLE.contains(&key)
    {
        let allowed = QUOTABLE.join(", ");
        let message = format!(
            "Rasa refuses a quoted variable here (it allows one for {allowed}); remove the quotes"
        );
        ctx.findings.error(at, path, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("1".to_owned()),
            "NESTED" => Some("${A}".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        }
    }

    #[test]
    fn expands_braced_names_once() {
        for (text, expected) in [
            ("${A}", "1"),
            ("x-${A}-${A}", "x-1-1"),
            ("$A $$ ${", "$A $$ ${"),
            ("${NESTED}", "${A}"),
            ("${EMPTY}", ""),
            ("${NOPE:-b}", "b"),
            ("${EMPTY:-b}", "b"),
            ("${A:-b}", "1"),
            ("${NOPE:-}", ""),
            ("${1A}", "${1A}"),
            ("${a.b}", "${a.b}"),
            ("${a-${A}}", "${a-1}"),
            ("ä${A}ö", "ä1ö"),
            ("${NOPE:-a b/c}", "a b/c"),
            ("${NOPE:-x${A}}", "${NOPE:-x1}"),
            ("${NOPE:-", "${NOPE:-"),
        ] {
            assert_eq!(expand(text, &env).text, expected, "{text}");
        }
        assert_eq!(expand("${X} ${Y}", &env).unset, ["X", "Y"]);
        assert!(expand("${oops", &env).malformed);
    }

    #[test]
    fn finds_bare_names() {
        assert_eq!(
            bare("a$B c$D_1$ $2 $${E}").collect::<Vec<_>>(),
            ["B", "D_1"]
        );
    }

    proptest! {
        #[test]
        fn text_without_a_reference_stays(text in "[^$]*") {
            prop_assert_eq!(expand(&text, &env).text, text);
        }

        #[test]
        fn never_panics(text in "[${}:A_-]{0,20}|.*") {
            let _ = expand(&text, &env);
        }
    }
}
