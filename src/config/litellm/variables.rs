//! Variables of a LiteLLM file, written as Waypost's own dialect writes them.
//!
//! LiteLLM replaces `os.environ/NAME` where it is the whole value. Its users also write `$NAME` and `${NAME}`, in files
//! that go through `envsubst` before LiteLLM reads them. All three become `${NAME}`, which the loader then expands, and
//! complains about if it is not set.
//!
//! Passwords contain `$`. So a `$NAME` in the value of a secret counts only where it is the whole value, as
//! `api_key: $NAME` is; elsewhere it also counts inside a value, as in `sagemaker/$ENDPOINT_NAME`. A `$` that begins no
//! name stays as it is everywhere.

use crate::config::check::join;
use crate::config::context::Context;
use crate::config::env::{is_name, is_secret};
use crate::config::tree::{Node, Value};

/// LiteLLM's own way to refer to a variable.
const OWN: &str = "os.environ/";

/// Rewrites every scalar below `node`, and says what is wrong with its mappings: keys given twice, tags nobody knows.
pub(super) fn rewrite(ctx: &mut Context<'_>, node: &mut Node, path: &str, secret: bool) {
    if let Some(tag) = node.tag.take() {
        let tag: String = tag.chars().take(40).collect();
        let message = format!("the tag {tag} is not known; write the value without it");
        ctx.findings.error(node.at, path, message);
    }
    let at = node.at;
    match &mut node.value {
        Value::Null => {}
        Value::Scalar(scalar) => match braced(&scalar.raw, secret) {
            Ok(text) => {
                scalar.text.clone_from(&text);
                scalar.raw = text;
            }
            Err(message) => {
                ctx.findings.error(at, path, message);
                ctx.findings.mute(at);
            }
        },
        Value::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                rewrite(ctx, item, &format!("{path}[{i}]"), secret);
            }
        }
        Value::Map(map) => {
            for (at, key, message) in std::mem::take(&mut map.problems) {
                ctx.findings.error(at, &join(path, &key), message);
            }
            for entry in &mut map.entries {
                let secret = secret || is_secret(&entry.key) || entry.key == "master_key";
                rewrite(ctx, &mut entry.value, &join(path, &entry.key), secret);
            }
        }
    }
}

/// The text with every reference as `${NAME}`.
fn braced(raw: &str, secret: bool) -> Result<String, &'static str> {
    if let Some(name) = raw.trim().strip_prefix(OWN) {
        return if is_name(name) {
            Ok(format!("${{{name}}}"))
        } else {
            Err(
                "os.environ/ is not followed by the name of a variable: letters, digits and _, no digit first",
            )
        };
    }
    if raw.contains(OWN) {
        return Err(
            "os.environ/NAME is a value of its own; inside a longer one write ${NAME}, which also loads here",
        );
    }
    if secret {
        let whole = raw.strip_prefix('$').filter(|name| is_name(name));
        return Ok(whole.map_or_else(|| raw.to_owned(), |name| format!("${{{name}}}")));
    }
    let mut out = String::with_capacity(raw.len() + 2);
    let mut rest = raw;
    while let Some(start) = rest.find('$') {
        out.push_str(&rest[..start]);
        rest = &rest[start + 1..];
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if is_name(&rest[..end]) {
            out.push_str("${");
            out.push_str(&rest[..end]);
            out.push('}');
            rest = &rest[end..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_ways_to_name_a_variable() {
        for (raw, plain, secret) in [
            ("os.environ/A", "${A}", "${A}"),
            ("$A_1", "${A_1}", "${A_1}"),
            ("${A}", "${A}", "${A}"),
            ("${A:-b}", "${A:-b}", "${A:-b}"),
            ("sagemaker/$A", "sagemaker/${A}", "sagemaker/$A"),
            ("pa$$word$", "pa$${word}$", "pa$$word$"),
            ("$1 $ {A} 5$", "$1 $ {A} 5$", "$1 $ {A} 5$"),
            ("$A-$B", "${A}-${B}", "$A-$B"),
            ("", "", ""),
        ] {
            assert_eq!(braced(raw, false).as_deref(), Ok(plain), "{raw}");
            assert_eq!(braced(raw, true).as_deref(), Ok(secret), "{raw}");
        }
        for raw in [
            "os.environ/",
            "os.environ/1A",
            "os.environ/A-B",
            "x/os.environ/A",
        ] {
            assert!(braced(raw, false).is_err(), "{raw}");
        }
    }

    proptest! {
        #[test]
        fn nothing_changes_without_a_dollar(text in "[^$]*") {
            prop_assume!(!text.contains(OWN));
            prop_assert_eq!(braced(&text, false), Ok(text));
        }

        #[test]
        fn what_is_braced_stays(text in "[${}A/_-]{0,20}") {
            let once = braced(&text, false).unwrap_or_default();
            prop_assert_eq!(braced(&once, false), Ok(once.clone()));
        }
    }
}
