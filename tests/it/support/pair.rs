//! The usual scene: group `g` of `a`, which is asked first, and `b`, which is asked when `a` fails.

use std::sync::Arc;

use serde_json::{Value, json};
use waypost::lab::{Handle, Lab};

use super::{Answer, Gateway, Model, Request, Streaming, Yaml, chat_body, lab};

/// A gateway over a lab of `a` and `b`.
pub(crate) struct Pair {
    pub(crate) lab: Lab,
    pub(crate) gateway: Gateway,
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(&[], &[]).await
    }

    /// With these lines in the router and in the section `waypost`.
    pub(crate) async fn with(router: &[&str], waypost: &[&str]) -> Self {
        let lab = lab(["a", "b"]);
        let mut yaml = Self::yaml(&lab);
        for line in router {
            yaml = yaml.router(line);
        }
        for line in waypost {
            yaml = yaml.waypost(line);
        }
        let gateway = Gateway::start(&yaml).await;
        Self { lab, gateway }
    }

    /// The group of the two.
    pub(crate) fn yaml(lab: &Lab) -> Yaml {
        let model = |name: &str, order: &str| Model::of(lab.deployment(name)).with(order);
        Yaml::default().group("g", [model("a", "order: 1"), model("b", "order: 2")])
    }

    pub(crate) fn a(&self) -> &Handle {
        self.lab.deployment("a")
    }

    pub(crate) fn b(&self) -> &Handle {
        self.lab.deployment("b")
    }

    /// A chat request that streams.
    pub(crate) fn streaming(&self) -> Request {
        self.gateway.chat_with(&stream_body())
    }

    /// The smallest stream; returns when its head is there.
    pub(crate) async fn stream(&self) -> Streaming {
        self.streaming().stream().await
    }

    /// Requests under way by the gateway's own count.
    pub(crate) fn in_flight(&self) -> u32 {
        self.gateway.in_flight("g").iter().sum()
    }

    /// The sum of the series of that name with all these labels, each as `name="value"`.
    pub(crate) fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        sum(&self.gateway.app().gateway().metrics(), name, labels)
    }

    /// Attempts of a deployment that ended so.
    pub(crate) fn attempts(&self, deployment: &str, outcome: &str) -> f64 {
        let labels = [
            format!("deployment=\"{deployment}\""),
            format!("outcome=\"{outcome}\""),
        ];
        self.metric("waypost_attempts_total", &[&labels[0], &labels[1]])
    }

    /// Requests that ended so.
    pub(crate) fn requests(&self, outcome: &str) -> f64 {
        let label = format!("outcome=\"{outcome}\"");
        self.metric("waypost_requests_total", &[&label])
    }

    /// Tokens counted for a deployment, in its scores.
    pub(crate) fn tokens(&self, index: usize) -> u64 {
        self.gateway.deployments("g")[index].scores.total_tokens()
    }

    /// Stops, and requires that nothing is left under way.
    pub(crate) async fn stop(self) {
        let app = self.gateway.stop().await;
        for group in app.gateway().snapshot().groups() {
            for deployment in group.router.deployments() {
                assert_eq!(deployment.scores.in_flight(), 0, "{}", deployment.target.id);
            }
        }
        assert_eq!(
            Arc::strong_count(&app),
            1,
            "something still holds the gateway"
        );
        self.lab.stop().await;
    }
}

/// The sum of the series of that name with all these labels in an `OpenMetrics` text.
pub(crate) fn sum(text: &str, name: &str, labels: &[&str]) -> f64 {
    let series = text.lines().filter_map(|line| {
        let (key, value) = line.rsplit_once(' ')?;
        let (found, rest) = key.split_once('{').unwrap_or((key, ""));
        (found == name && labels.iter().all(|label| rest.contains(label))).then_some(value)
    });
    series
        .map(|value| value.parse::<f64>().expect("a number"))
        .sum()
}

/// The smallest chat request for group `g` that streams.
pub(crate) fn stream_body() -> Value {
    let mut body = chat_body("g");
    body["stream"] = json!(true);
    body
}

/// The payloads of a stream's events, comments left out.
pub(crate) fn events(text: &str) -> Vec<String> {
    text.replace("\r\n", "\n")
        .split("\n\n")
        .filter_map(|event| event.trim_start_matches('\n').strip_prefix("data:"))
        .map(|payload| payload.trim_start().to_owned())
        .collect()
}

/// The text said in choice 0 of a chat stream.
pub(crate) fn said(text: &str) -> String {
    events(text)
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|chunk| {
            chunk["choices"][0]["delta"]["content"]
                .as_str()
                .map(str::to_owned)
        })
        .collect()
}

/// Reads a stream until that much text was said.
pub(crate) async fn read_until(stream: &mut Streaming, text: &str) -> String {
    let mut seen = String::new();
    while !said(&seen).contains(text) {
        let chunk = stream.chunk().await.expect("more of the stream");
        seen += std::str::from_utf8(&chunk.expect("no break")).expect("whole characters");
    }
    seen
}

/// The error in a stream's last event; it must be one, of OpenAI's shape, and no `[DONE]` may be there.
#[track_caller]
pub(crate) fn last_error(answer: &Answer) -> Value {
    let events = events(answer.text());
    assert!(!events.iter().any(|e| e == "[DONE]"), "{}", answer.text());
    assert!(answer.text().ends_with("\n\n"), "{}", answer.text());
    for event in &events {
        assert!(
            serde_json::from_str::<Value>(event).is_ok(),
            "half an event: {event}"
        );
    }
    let last: Value = serde_json::from_str(events.last().expect("events")).expect("JSON");
    let error = &last["error"];
    assert!(
        error["message"].is_string() && error["type"].is_string(),
        "{last}"
    );
    assert!(error.get("code").is_some(), "{last}");
    error.clone()
}

/// Bytes of the lab without what no two of its answers have in common: running numbers and times, at equal length.
pub(crate) fn timeless(bytes: &[u8]) -> String {
    let mut text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    for before in ["-lab", "_lab", "\"created\":"] {
        let mut from = 0;
        while let Some(at) = text[from..].find(before) {
            from += at + before.len();
            let digits = text[from..].bytes().take_while(u8::is_ascii_digit).count();
            text.replace_range(from..from + digits, &"1".repeat(digits));
        }
    }
    text
}
