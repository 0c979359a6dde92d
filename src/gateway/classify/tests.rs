use super::*;

fn facts(code: &str, kind: &str, message: &str) -> ErrorFacts {
    let some = |t: &str| (!t.is_empty()).then(|| t.to_owned());
    ErrorFacts {
        kind: some(kind),
        code: some(code),
        message: some(message),
        param: None,
    }
}

#[test]
fn table() {
    use Fault::{Broken, Credential, NotFound, Quota, RateLimit, Server};
    use Rejection::{ContentFilter, ContextLength, Invalid};
    use Verdict::{NotReady, Reject, Retry};
    let cases: &[(u16, &str, &str, &str, Verdict)] = &[
        (400, "", "", "", Reject(Invalid)),
        (
            400,
            "invalid_value",
            "invalid_request_error",
            "temperature",
            Reject(Invalid),
        ),
        (
            400,
            "context_length_exceeded",
            "",
            "",
            Reject(ContextLength),
        ),
        (
            400,
            "",
            "",
            "This model's maximum context length is 8192 tokens.",
            Reject(ContextLength),
        ),
        (
            400,
            "",
            "exceed_context_size_error",
            "",
            Reject(ContextLength),
        ),
        (413, "", "", "Prompt is too long", Reject(ContextLength)),
        (400, "content_filter", "", "", Reject(ContentFilter)),
        (
            400,
            "",
            "",
            "Your request was rejected by our safety system",
            Reject(ContentFilter),
        ),
        (
            400,
            "",
            "",
            "The provided model identifier is invalid.",
            Retry(NotFound),
        ),
        (400, "model_not_found", "", "", Retry(NotFound)),
        (400, "", "", "Your credit balance is too low", Retry(Quota)),
        (
            400,
            "",
            "",
            "Billing hard limit has been reached",
            Retry(Quota),
        ),
        (
            400,
            "",
            "",
            "Invalid schema for function 'billing_address'",
            Reject(Invalid),
        ),
        (400, "", "", "please mind the rate limit", Reject(Invalid)),
        (401, "invalid_api_key", "", "", Retry(Credential)),
        (403, "", "", "", Retry(Credential)),
        (402, "", "", "", Retry(Quota)),
        (404, "DeploymentNotFound", "", "", Retry(NotFound)),
        (302, "", "", "", Retry(NotFound)),
        (405, "", "", "", NotReady),
        (501, "", "", "", NotReady),
        (
            404,
            "",
            "invalid_request_error",
            "This is a chat model",
            Reject(Invalid),
        ),
        (
            404,
            "",
            "invalid_request_error",
            "Invalid URL (POST /v2)",
            Retry(NotFound),
        ),
        (
            404,
            "model_not_found",
            "invalid_request_error",
            "",
            Retry(NotFound),
        ),
        (
            403,
            "",
            "invalid_request_error",
            "not allowed to generate embeddings",
            Reject(Invalid),
        ),
        (408, "", "", "", Retry(Server)),
        (409, "", "", "", Retry(Server)),
        (422, "", "", "", Reject(Invalid)),
        (425, "", "", "", Retry(Server)),
        (429, "", "", "", Retry(RateLimit)),
        (429, "insufficient_quota", "", "", Retry(Quota)),
        (
            500,
            "",
            "",
            "rate limit reached, maximum context length",
            Retry(Server),
        ),
        (503, "", "", "Loading model", NotReady),
        (503, "", "", "", Retry(Server)),
        (529, "", "", "", Retry(Server)),
        (200, "", "", "", Retry(Broken)),
    ];
    for (status, code, kind, message, expected) in cases {
        let status = StatusCode::from_u16(*status).expect("a status");
        assert_eq!(
            classify(status, &facts(code, kind, message)),
            *expected,
            "{status} {code} {kind} {message}"
        );
    }
}

#[test]
fn classes() {
    use ErrorClass as C;
    let answered: &[(u16, &str, ErrorClass)] = &[
        (400, "", C::BadRequest),
        (413, "", C::BadRequest),
        (415, "", C::BadRequest),
        (422, "", C::BadRequest),
        (400, "context_length_exceeded", C::BadRequest),
        (400, "content_filter", C::ContentPolicy),
        (400, "model_not_found", C::NotFound),
        (400, "tool_use_failed", C::InternalServer),
        (401, "", C::Authentication),
        (403, "", C::Authentication),
        (402, "", C::RateLimit),
        (404, "", C::NotFound),
        (302, "", C::NotFound),
        (408, "", C::Timeout),
        (409, "", C::InternalServer),
        (429, "", C::RateLimit),
        (429, "insufficient_quota", C::RateLimit),
        (500, "", C::InternalServer),
        (501, "", C::InternalServer),
        (502, "", C::BadGateway),
        (503, "", C::ServiceUnavailable),
        (504, "", C::Timeout),
        (529, "", C::ServiceUnavailable),
        (200, "", C::InternalServer),
    ];
    for (status, code, expected) in answered {
        let status = StatusCode::from_u16(*status).expect("a status");
        let verdict = classify(status, &facts(code, "", ""));
        assert_eq!(class(verdict, Some(status)), *expected, "{status} {code}");
    }
    let unanswered = [
        (Fault::Connect, C::InternalServer),
        (Fault::Broken, C::InternalServer),
        (Fault::Timeout, C::Timeout),
        (Fault::Credential, C::Authentication),
    ];
    for (fault, expected) in unanswered {
        assert_eq!(class(Verdict::Retry(fault), None), expected, "{fault:?}");
    }
}

#[test]
fn retry_after_in_all_its_spellings() {
    let unix = Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
    let cases = [
        ("retry-after", "7", Some(7.0)),
        ("retry-after", " 0.5 ", Some(0.5)),
        ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT", Some(30.0)),
        ("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT", Some(0.0)),
        (
            "retry-after",
            "Thu, 29 Feb 1996 00:00:00 GMT",
            Some(825_552_000.0 - 784_111_777.0),
        ),
        ("retry-after-ms", "1500", Some(1.5)),
        (
            "retry-after",
            "Sun, 06 Nov 9223372036854775807 08:50:07 GMT",
            None,
        ),
        (
            "retry-after",
            "Sun, 9223372036854775807 Nov 1994 08:50:07 GMT",
            None,
        ),
        (
            "retry-after",
            "Sun, 06 Nov 1994 9223372036854775807:50:07 GMT",
            None,
        ),
        ("retry-after", "-1", None),
        ("retry-after", "soon", None),
        ("retry-after", "NaN", None),
    ];
    for (name, value, expected) in cases {
        let headers = HeaderMap::from_iter([(
            http::HeaderName::from_static(name),
            http::HeaderValue::from_static(value),
        )]);
        assert_eq!(
            retry_after(&headers, unix).map(|d| d.as_secs_f64()),
            expected,
            "{value}"
        );
    }
}

#[test]
fn without_retry_after_the_limits_that_are_used_up_say_when_they_are_back() {
    let wait = |fields: &[(&'static str, &'static str)]| {
        let headers: HeaderMap = fields
            .iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_static(value);
                (http::HeaderName::from_static(name), value)
            })
            .collect();
        retry_after(&headers, Duration::ZERO).map(|d| d.as_secs_f64())
    };
    const REQUESTS: &str = "x-ratelimit-remaining-requests";
    const TOKENS: &str = "x-ratelimit-remaining-tokens";
    const REQUESTS_RESET: &str = "x-ratelimit-reset-requests";
    const TOKENS_RESET: &str = "x-ratelimit-reset-tokens";
    for (value, expected) in [
        ("1s", Some(1.0)),
        ("6m0s", Some(360.0)),
        ("1h2m3.5s", Some(3723.5)),
        ("120ms", Some(0.12)),
        ("30", Some(30.0)),
        ("", None),
        ("soon", None),
        ("1y", None),
        ("-1s", None),
    ] {
        let found = wait(&[(REQUESTS, "0"), (REQUESTS_RESET, value)]);
        assert_eq!(found, expected, "{value}");
    }
    let both = [
        (REQUESTS, "0"),
        (REQUESTS_RESET, "1s"),
        (TOKENS, "0"),
        (TOKENS_RESET, "7s"),
    ];
    assert_eq!(wait(&both), Some(7.0), "the later");
    assert_eq!(wait(&both[1..]), Some(7.0));
    assert_eq!(wait(&[(TOKENS, "12"), (TOKENS_RESET, "7s")]), None);
    let given = [("retry-after", "3"), both[2], both[3]];
    assert_eq!(wait(&given), Some(3.0), "what is said stands above it");
}
