//! Answers with an error status, in the words of real providers, since gateways read those words.

use http::StatusCode;
use serde_json::{Value, json};

use super::fault::Fault;

/// A whole answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(String, String)>,
    /// A JSON string is sent as bare text.
    pub(super) body: Value,
}

impl Refusal {
    fn new(status: u16, body: Value) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: Vec::new(),
            body,
        }
    }

    fn with(mut self, name: &str, value: Option<String>) -> Self {
        self.headers
            .extend(value.map(|value| (name.to_owned(), value)));
        self
    }

    /// 404 as OpenAI answers a path it does not have.
    pub(super) fn unknown_path(method: &str, path: &str) -> Self {
        let message = format!("Invalid URL ({method} {path})");
        Self::new(404, error(&message, "invalid_request_error", None, None))
    }

    /// 404 as Azure answers a path it does not have, a missing `api-version` among them.
    pub(super) fn unknown_resource() -> Self {
        Self::new(
            404,
            json!({"error": {"code": "404", "message": "Resource not found"}}),
        )
    }

    /// 405 for the wrong method.
    pub(super) fn wrong_method(method: &str) -> Self {
        let message = format!("Not allowed to {method} on this path");
        Self::new(
            405,
            error(
                &message,
                "invalid_request_error",
                None,
                Some("method_not_supported"),
            ),
        )
    }

    /// 400 for a body that is no JSON object.
    pub(super) fn unparsable() -> Self {
        let message = "We could not parse the JSON body of your request. (HINT: This likely means you aren't using \
                       your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was not \
                       valid JSON.)";
        Self::new(400, error(message, "invalid_request_error", None, None))
    }

    /// 400 for a field this deployment does not know.
    pub(super) fn unrecognized(field: &str) -> Self {
        let message = format!("Unrecognized request argument supplied: {field}");
        Self::new(
            400,
            error(&message, "invalid_request_error", Some(field), None),
        )
    }

    /// 400 for a field without which there is no answer.
    pub(super) fn missing(field: &str) -> Self {
        let message = format!("Missing required parameter: '{field}'.");
        Self::new(
            400,
            error(
                &message,
                "invalid_request_error",
                Some(field),
                Some("missing_required_parameter"),
            ),
        )
    }

    /// 401 for a wrong or missing key; never repeats it.
    pub(super) fn wrong_key(azure: bool) -> Self {
        if azure {
            let message = "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a \
                           valid key for an active subscription and use a correct regional API endpoint for your \
                           resource.";
            return Self::new(401, json!({"error": {"code": "401", "message": message}}));
        }
        let message = "Incorrect API key provided: sk-****. You can find your API key at \
                       https://platform.openai.com/account/api-keys.";
        Self::new(
            401,
            error(
                message,
                "invalid_request_error",
                None,
                Some("invalid_api_key"),
            ),
        )
    }

    /// 404 for a model this deployment does not have.
    pub(super) fn unknown_model(model: &str) -> Self {
        let message =
            format!("The model `{model}` does not exist or you do not have access to it.");
        Self::new(
            404,
            error(
                &message,
                "invalid_request_error",
                None,
                Some("model_not_found"),
            ),
        )
    }

    /// The answer of a fault that is one; `None` for faults of the way an answer travels.
    ///
    /// `credential` is the key header as it came, `model` the model asked for, `azure` the dialect of the path.
    pub(super) fn of(fault: &Fault, credential: &str, model: &str, azure: bool) -> Option<Self> {
        let refusal = match fault {
            Fault::RateLimit {
                retry_after,
                retry_after_ms,
            } => {
                let message = format!(
                    "Rate limit reached for {model} in organization org-lab on requests per min (RPM): Limit 3, Used \
                     3, Requested 1. Please try again later."
                );
                let body = error(&message, "requests", None, Some("rate_limit_exceeded"));
                Self::new(429, body)
                    .with("retry-after", retry_after.map(whole_seconds))
                    .with("retry-after-ms", retry_after_ms.map(|ms| ms.to_string()))
            }
            Fault::InsufficientQuota => {
                let message =
                    "You exceeded your current quota, please check your plan and billing details.";
                Self::new(
                    429,
                    error(
                        message,
                        "insufficient_quota",
                        None,
                        Some("insufficient_quota"),
                    ),
                )
            }
            Fault::ServerError => {
                let message =
                    "The server had an error while processing your request. Sorry about that!";
                Self::new(500, error(message, "server_error", None, None))
            }
            Fault::Unavailable { retry_after } => {
                let message = "The engine is currently overloaded, please try again later";
                Self::new(503, error(message, "overloaded_error", None, None))
                    .with("retry-after", retry_after.map(whole_seconds))
            }
            Fault::Loading => {
                let body = json!({"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}});
                Self::new(503, body)
            }
            Fault::Unauthorized => Self::wrong_key(azure),
            Fault::EchoAuthorization => {
                let message = format!("Incorrect API key provided: {credential}.");
                Self::new(
                    401,
                    error(
                        &message,
                        "invalid_request_error",
                        None,
                        Some("invalid_api_key"),
                    ),
                )
            }
            Fault::PaymentRequired => Self::new(
                402,
                error(
                    "Insufficient Balance",
                    "unknown_error",
                    None,
                    Some("invalid_request_error"),
                ),
            ),
            Fault::DeploymentNotFound => {
                let message = "The API deployment for this resource does not exist. If you created the deployment \
                               within the last 5 minutes, please wait a moment and try again.";
                Self::new(
                    404,
                    json!({"error": {"code": "DeploymentNotFound", "message": message}}),
                )
            }
            Fault::ModelNotFound => Self::unknown_model(model),
            Fault::Timeout => Self::new(
                408,
                error("Request timed out.", "timeout", None, Some("Timeout")),
            ),
            Fault::ContextLength => {
                let message = "This model's maximum context length is 8192 tokens. However, your messages resulted in \
                               9001 tokens. Please reduce the length of the messages.";
                let code = Some("context_length_exceeded");
                Self::new(
                    400,
                    error(message, "invalid_request_error", Some("messages"), code),
                )
            }
            Fault::ContentFilter => Self::new(400, content_filter()),
            Fault::BadRequest { param } => {
                let message = format!("Invalid value for '{param}'.");
                Self::new(
                    400,
                    error(
                        &message,
                        "invalid_request_error",
                        Some(param),
                        Some("invalid_value"),
                    ),
                )
            }
            Fault::Redirect { location } => Self::new(302, Value::String(String::new()))
                .with("location", Some(location.clone())),
            Fault::Status {
                status,
                body,
                headers,
            } => {
                let mut refusal = Self::new(*status, body.clone());
                refusal.headers.extend(
                    headers
                        .iter()
                        .map(|(name, value)| (name.clone(), value.clone())),
                );
                refusal
            }
            Fault::ErrorIn200 | Fault::StreamError { .. } => {
                Self::new(200, error_inside("server_error"))
            }
            Fault::MalformedJson | Fault::MalformedEvent { .. } => {
                Self::new(200, Value::String(MALFORMED.to_owned()))
                    .with("content-type", Some(JSON.to_owned()))
            }
            Fault::Refused
            | Fault::Reset
            | Fault::ResetReused
            | Fault::HangBeforeHead
            | Fault::HangBeforeContent
            | Fault::Stall { .. }
            | Fault::Cut { .. }
            | Fault::EndEarly { .. }
            | Fault::EmptyChoices { .. }
            | Fault::TruncatedBody
            | Fault::SlowDrip { .. } => return None,
        };
        Some(refusal)
    }
}

/// The content type of nearly everything.
pub(super) const JSON: &str = "application/json";

/// What stands where JSON should be.
pub(super) const MALFORMED: &str = r#"{"id":"chatcmpl-lab","choices":[{"index":0,"#;

/// The error object inside a 200 answer, plain or streamed.
pub(super) fn error_inside(kind: &str) -> Value {
    let code = (kind != "server_error").then_some(kind);
    error(
        "The server had an error while processing your request. Sorry about that!",
        kind,
        None,
        code,
    )
}

fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

fn content_filter() -> Value {
    let message = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy. \
                   Please modify your prompt and retry.";
    let safe = json!({"filtered": false, "severity": "safe"});
    json!({"error": {
        "message": message,
        "type": null,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {
            "code": "ResponsibleAIPolicyViolation",
            "content_filter_result": {
                "hate": safe,
                "self_harm": safe,
                "sexual": safe,
                "violence": {"filtered": true, "severity": "high"},
            },
        },
    }})
}

/// Whole seconds, rounded up: a client that comes back earlier is refused again.
fn whole_seconds(duration: std::time::Duration) -> String {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).to_string()
}
