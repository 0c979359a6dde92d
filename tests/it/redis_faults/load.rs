//! Clients that ask one request after another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::support::Request;

/// Clients of each gateway.
const CLIENTS: usize = 4;

/// What one request came to.
#[derive(Debug, Clone)]
pub(super) struct Came {
    pub(super) took: Duration,
    /// What was wrong with its answer, if anything.
    pub(super) wrong: Option<String>,
    /// Tokens its answer says were used. If it was stored, nobody has used them now.
    pub(super) tokens: u64,
    pub(super) stored: bool,
}

/// Requests to all `gateways` for as long as `lasts`: plain ones and streams, a third of them asked before.
pub(super) async fn run(
    gateways: &[SocketAddr],
    next: &Arc<AtomicU64>,
    lasts: Duration,
) -> Vec<Came> {
    let until = Instant::now() + lasts;
    let mut clients = JoinSet::new();
    for addr in gateways {
        for _ in 0..CLIENTS {
            clients.spawn(client(*addr, Arc::clone(next), until));
        }
    }
    clients.join_all().await.into_iter().flatten().collect()
}

async fn client(addr: SocketAddr, next: Arc<AtomicU64>, until: Instant) -> Vec<Came> {
    let mut all = Vec::new();
    while Instant::now() < until {
        let number = next.fetch_add(1, Ordering::Relaxed);
        all.push(request(addr, number).await);
    }
    all
}

async fn request(addr: SocketAddr, number: u64) -> Came {
    let stream = number.is_multiple_of(2);
    // Every third has been asked before, and may be stored.
    let text = if number % 3 == 2 { number - 2 } else { number };
    let mut body = json!({
        "model": "g",
        "messages": [{"role": "user", "content": format!("question {text}")}],
        "max_tokens": 5 + text % 7,
    });
    if stream {
        body["stream"] = true.into();
        body["stream_options"] = json!({"include_usage": true});
    }
    let began = Instant::now();
    let answer = Request::new(addr, Method::POST, "/v1/chat/completions")
        .json(&body)
        .send()
        .await;
    let took = began.elapsed();
    let stored = answer.header("x-waypost-cache") == Some("hit");
    if answer.status != 200 {
        return Came {
            took,
            wrong: Some(format!("{}: {}", answer.status, answer.text())),
            tokens: 0,
            stored,
        };
    }
    let reported = |value: &Value| value["usage"]["total_tokens"].as_u64();
    let tokens = if stream {
        answer.events().iter().rev().find_map(reported)
    } else {
        reported(&answer.json())
    };
    Came {
        took,
        wrong: tokens
            .is_none()
            .then(|| format!("no usage in {}", answer.text())),
        tokens: tokens.unwrap_or(0),
        stored,
    }
}

/// The time that 99 of a hundred do not exceed.
pub(super) fn p99(all: &[Came]) -> Duration {
    let mut times: Vec<_> = all.iter().map(|came| came.took).collect();
    times.sort_unstable();
    times
        .get(times.len().saturating_sub(1) * 99 / 100)
        .copied()
        .unwrap_or_default()
}
