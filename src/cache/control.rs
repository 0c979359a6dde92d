//! What a request says about the cache: `Cache-Control`, and LiteLLM's `cache` object in the body.

use std::time::Duration;

use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde_json::Value;

/// A request's wishes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Control {
    /// Do not read; the answer is stored all the same.
    pub no_cache: bool,
    /// Do not store.
    pub no_store: bool,
    /// Take an entry only if it is younger.
    pub max_age: Option<Duration>,
    /// Keep the answer this long.
    pub ttl: Option<Duration>,
    /// Another key space.
    pub namespace: Option<String>,
}

impl Control {
    /// Reads both places. What is not understood is not there.
    #[must_use]
    pub fn read(headers: &HeaderMap, cache: Option<&[u8]>) -> Self {
        let mut control = Self::default();
        for directive in headers
            .get_all(CACHE_CONTROL)
            .iter()
            .filter_map(|v| v.to_str().ok())
            .flat_map(|v| v.split(','))
        {
            let (name, value) = directive
                .trim()
                .split_once('=')
                .unwrap_or((directive.trim(), ""));
            let seconds = || {
                value
                    .trim_matches('"')
                    .parse()
                    .ok()
                    .map(Duration::from_secs)
            };
            match name.to_ascii_lowercase().as_str() {
                "no-cache" => control.no_cache = true,
                "no-store" => control.no_store = true,
                "max-age" | "s-maxage" => control.max_age = seconds(),
                _ => {}
            }
        }
        let Some(Value::Object(body)) = cache.and_then(|raw| serde_json::from_slice(raw).ok())
        else {
            return control;
        };
        let flag = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(false);
        let seconds = |name: &str| {
            body.get(name)
                .and_then(Value::as_f64)
                .and_then(|s| Duration::try_from_secs_f64(s).ok())
        };
        control.no_cache |= flag("no-cache");
        control.no_store |= flag("no-store");
        control.max_age = seconds("s-maxage")
            .or_else(|| seconds("s-max-age"))
            .or(control.max_age);
        control.ttl = seconds("ttl");
        control.namespace = body
            .get("namespace")
            .and_then(Value::as_str)
            .map(str::to_owned);
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_places() {
        let headers = |value: &'static str| {
            HeaderMap::from_iter([(CACHE_CONTROL, http::HeaderValue::from_static(value))])
        };
        let read =
            |header, body: Option<&str>| Control::read(&headers(header), body.map(str::as_bytes));
        assert_eq!(read("", None), Control::default());
        assert!(read("No-Cache, x", None).no_cache);
        assert!(read("private, no-store", None).no_store);
        assert_eq!(
            read("s-maxage=30", None).max_age,
            Some(Duration::from_secs(30))
        );
        let body = r#"{"no-cache":true,"ttl":5,"namespace":"n","s-maxage":1.5,"use-cache":true}"#;
        let expected = Control {
            no_cache: true,
            no_store: true,
            max_age: Some(Duration::from_millis(1500)),
            ttl: Some(Duration::from_secs(5)),
            namespace: Some("n".to_owned()),
        };
        assert_eq!(read("no-store", Some(body)), expected);
        assert_eq!(
            read("", Some(r#"{"ttl":-1,"no-cache":"yes"}"#)),
            Control::default()
        );
        assert_eq!(read("", Some("true")), Control::default());
    }
}
