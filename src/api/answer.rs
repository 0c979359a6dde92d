//! An answer on its way out, whoever writes it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};

use crate::gateway::observe::ObservedBody;
use crate::gateway::{LiteLlmFacts, Reply, ReplyBody, ReplyFacts};
use crate::h1::Fields;

/// An answer, and what goes with it.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The upstream's that go on.
    fields: Fields,
    /// Those of an error.
    headers: HeaderMap,
    pub(super) body: AnswerBody,
    /// The request's id.
    id: Arc<str>,
    facts: Option<ReplyFacts>,
}

impl Answer {
    /// The gateway's.
    pub(super) fn reply(reply: Reply, id: Arc<str>) -> Self {
        Self {
            status: reply.status,
            fields: reply.fields,
            headers: HeaderMap::new(),
            body: match reply.body {
                ReplyBody::Whole(bytes) => AnswerBody::Whole(Some(bytes)),
                ReplyBody::Stream(stream) => AnswerBody::Stream(stream),
            },
            id,
            facts: Some(reply.facts),
        }
    }

    /// An error of our own, `facts` if the gateway has seen the request.
    pub(super) fn error(response: Response, id: Arc<str>, facts: Option<ReplyFacts>) -> Self {
        let (head, body) = response.into_parts();
        Self {
            status: head.status,
            fields: Fields::default(),
            headers: head.headers,
            body: AnswerBody::Other(body),
            id,
            facts,
        }
    }

    /// All headers but those that say how it is sent, one after the other.
    pub(super) fn each_header(&self, mut put: impl FnMut(&[u8], &[u8])) {
        for (name, value) in self.fields.iter() {
            put(name, value);
        }
        for (name, value) in &self.headers {
            put(name.as_str().as_bytes(), value.as_bytes());
        }
        self.each_own_header(|name, value| put(name.as_bytes(), value));
    }

    /// Those that say who answered and how.
    fn each_own_header(&self, mut put: impl FnMut(&'static str, &[u8])) {
        put("x-request-id", self.id.as_bytes());
        let Some(facts) = &self.facts else { return };
        if let Some(group) = &facts.group {
            put("x-waypost-model-group", group.as_bytes());
        }
        if let Some(deployment) = &facts.deployment {
            put("x-waypost-deployment", deployment.as_bytes());
        }
        if let Some(strategy) = facts.strategy {
            put("x-waypost-strategy", strategy.as_bytes());
            put("x-waypost-reason", facts.reason.as_bytes());
        }
        put("x-waypost-cache", facts.cache.as_bytes());
        if let Some(key) = &facts.cache_key {
            put("x-waypost-cache-key", key.as_bytes());
        }
        let mut number = itoa::Buffer::new();
        put(
            "x-waypost-attempts",
            number.format(facts.attempts).as_bytes(),
        );
        if facts.fallbacks > 0 {
            put(
                "x-waypost-fallbacks",
                number.format(facts.fallbacks).as_bytes(),
            );
        }
        if !facts.tried.is_empty() {
            put("x-waypost-tried", facts.tried.as_bytes());
        }
        if let Some(litellm) = &facts.litellm {
            self.each_litellm_header(facts, litellm, put);
        }
    }

    /// Those that LiteLLM's clients look for.
    #[cold]
    fn each_litellm_header(
        &self,
        facts: &ReplyFacts,
        litellm: &LiteLlmFacts,
        mut put: impl FnMut(&'static str, &[u8]),
    ) {
        put("x-litellm-call-id", self.id.as_bytes());
        if let Some(group) = &facts.group {
            put("x-litellm-model-group", group.as_bytes());
        }
        if let Some(deployment) = &facts.deployment {
            put("x-litellm-model-id", deployment.as_bytes());
        }
        // Their clients tell a hit by it.
        if let Some(key) = facts.cache_key.as_ref().filter(|_| facts.cache == "hit") {
            put("x-litellm-cache-key", key.as_bytes());
        }
        // Of the attempts each group's first is none.
        let attempts = usize::try_from(facts.attempts).unwrap_or(usize::MAX);
        let retries = attempts.saturating_sub(1 + facts.fallbacks);
        let mut number = itoa::Buffer::new();
        let mut count = |name, n: usize| put(name, number.format(n).as_bytes());
        count("x-litellm-attempted-retries", retries);
        count("x-litellm-attempted-fallbacks", facts.fallbacks);
        let milliseconds = litellm.took.as_secs_f64() * 1000.0;
        let took = format!("{milliseconds:.3}");
        put("x-litellm-response-duration-ms", took.as_bytes());
        if let Some(cost) = litellm.cost {
            let dollars = cost.as_dollars().to_string();
            put("x-litellm-response-cost", dollars.as_bytes());
        }
    }

    /// As axum wants it.
    pub(super) fn into_response(mut self) -> Response {
        let mut headers = self.fields.to_map();
        headers.extend(std::mem::take(&mut self.headers));
        self.each_own_header(|name, value| {
            if let Ok(value) = HeaderValue::from_bytes(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        });
        let mut response = Response::new(Body::new(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// The body of any answer.
#[derive(Debug)]
pub(super) enum AnswerBody {
    /// Complete.
    Whole(Option<Bytes>),
    /// A stream under observation.
    Stream(Box<ObservedBody>),
    /// Anything else.
    Other(Body),
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(match &mut *self {
            Self::Whole(bytes) => bytes
                .take()
                .filter(|b| !b.is_empty())
                .map(|b| Ok(Frame::data(b))),
            Self::Stream(stream) => ready!(Pin::new(&mut **stream).poll_frame(cx))
                .map(|frame| frame.map_err(|never| match never {})),
            Self::Other(body) => {
                ready!(Pin::new(body).poll_frame(cx)).map(|frame| frame.map_err(Into::into))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Self::Stream(stream) => stream.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Stream(stream) => stream.size_hint(),
            Self::Other(body) => body.size_hint(),
        }
    }
}
