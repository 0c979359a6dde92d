//! What an upstream's failure means: for the deployment, for the request, and for what the client reads.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Value, json};
use waypost::lab::{Behaviour, Fault, Lab};

use crate::support::{
    Gateway, Logs, Model, Request, Yaml, chat_body, cools, first_then_second, lab, received,
};

const QUICK: &str = "timeouts: {first_content: 50ms}";

fn openai(status: u16, kind: &str, code: Option<&str>, message: &str) -> Fault {
    Fault::status(
        status,
        json!({"error": {"message": message, "type": kind, "param": null, "code": code}}),
    )
}

#[tokio::test]
async fn what_is_the_callers_fault_passes_through_unchanged() {
    let param = Fault::BadRequest {
        param: "temperature".into(),
    };
    let llamacpp = json!({"error": {"code": 400, "message": "too long", "type": "exceed_context_size_error", "n_ctx": 8}});
    for (fault, status, code) in [
        (param, 400, "invalid_value"),
        (Fault::ContextLength, 400, "context_length_exceeded"),
        (Fault::ContentFilter, 400, "content_filter"),
        (
            openai(
                413,
                "invalid_request_error",
                Some("too_large"),
                "Payload too large",
            ),
            413,
            "too_large",
        ),
        (
            openai(422, "invalid_request_error", Some("odd"), "Not this way"),
            422,
            "odd",
        ),
        (
            openai(400, "invalid_request_error", Some("x"), "a rate limit, 429"),
            400,
            "x",
        ),
        (Fault::status(400, llamacpp), 400, "context_length_exceeded"),
    ] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").set(fault.clone());
        let direct = direct(&lab).await;
        let yaml = first_then_second(&lab).router("allowed_fails: 0");
        let (gateway, _clock) = Gateway::with_manual_clock(&yaml).await;
        let answer = gateway.chat("g").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{fault:?}"
        );
        assert_eq!((answer.attempts(), answer.deployment()), (1, "a"));
        if direct["error"]["code"].is_string() {
            assert_eq!(answer.json(), direct, "{fault:?}");
        }
        assert_eq!(
            answer.json()["error"]["message"],
            direct["error"]["message"]
        );
        assert!(!cools(&gateway, 0), "{fault:?}");
        assert_eq!(lab.deployment("b").stats().requests, 0);
        assert_eq!(gateway.in_flight("g"), [0, 0]);
    }
}

/// What the deployment itself answers.
async fn direct(lab: &Lab) -> Value {
    let request = Request::new(
        lab.deployment("a").addr(),
        Method::POST,
        "/v1/chat/completions",
    );
    request.json(&chat_body("a")).send().await.json()
}

#[tokio::test]
async fn what_is_the_deployments_fault_is_tried_elsewhere() {
    let error = |status| openai(status, "server_error", None, "no");
    let no_model = openai(
        400,
        "invalid_request_error",
        Some("model_not_found"),
        "no such model",
    );
    for (fault, at_once) in [
        (Fault::rate_limit(), true),
        (Fault::InsufficientQuota, true),
        (Fault::PaymentRequired, true),
        (Fault::Unauthorized, true),
        (error(403), true),
        (Fault::DeploymentNotFound, true),
        (Fault::ModelNotFound, true),
        (no_model, true),
        (
            Fault::Redirect {
                location: "http://127.0.0.1:9/".into(),
            },
            true,
        ),
        (Fault::Timeout, false),
        (error(409), false),
        (error(425), false),
        (Fault::ServerError, false),
        (error(502), false),
        (Fault::Unavailable { retry_after: None }, false),
        (error(529), false),
        (Fault::Loading, false),
        (Fault::status(500, json!("<html>oh</html>")), false),
        (Fault::ErrorIn200, false),
        (Fault::MalformedJson, false),
        (Fault::TruncatedBody, false),
        (Fault::Reset, false),
        (Fault::Cut { after: 2 }, false),
        (Fault::HangBeforeHead, false),
    ] {
        let lab = lab(["a", "b"]);
        lab.deployment("a").set(fault.clone());
        let (gateway, _clock) =
            Gateway::with_manual_clock(&first_then_second(&lab).waypost(QUICK)).await;
        let answer = gateway.chat("g").await;
        assert_eq!(
            (answer.status, answer.deployment(), answer.attempts()),
            (200, "b", 2),
            "{fault:?}"
        );
        assert_eq!(received(&lab), [1, 1], "{fault:?}");
        assert_eq!(cools(&gateway, 0), at_once, "{fault:?}");
        assert_eq!(gateway.in_flight("g"), [0, 0], "{fault:?}");
    }
}

#[tokio::test]
async fn what_is_left_when_no_attempt_succeeds() {
    for (fault, status, code) in [
        (Fault::Unauthorized, 502, "upstream_auth_error"),
        (openai(403, "x", None, "no"), 502, "upstream_auth_error"),
        (Fault::DeploymentNotFound, 502, "upstream_model_not_found"),
        (Fault::ModelNotFound, 502, "upstream_model_not_found"),
        (
            Fault::Redirect {
                location: "http://127.0.0.1:9/".into(),
            },
            502,
            "upstream_model_not_found",
        ),
        (Fault::PaymentRequired, 502, "upstream_quota_exceeded"),
        (Fault::InsufficientQuota, 502, "upstream_quota_exceeded"),
        (Fault::rate_limit(), 429, "rate_limit_exceeded"),
        (Fault::Timeout, 408, "Timeout"),
        (Fault::ServerError, 500, ""),
        (Fault::Unavailable { retry_after: None }, 503, ""),
        (Fault::Loading, 503, ""),
        (Fault::status(500, json!("<html>oh</html>")), 500, ""),
        (Fault::status(503, Value::Null), 503, ""),
        (Fault::ErrorIn200, 500, ""),
        (Fault::MalformedJson, 502, "upstream_broken"),
        (Fault::TruncatedBody, 502, "upstream_broken"),
        (Fault::Reset, 502, "upstream_broken"),
        (Fault::HangBeforeHead, 504, "upstream_timeout"),
        (Fault::Refused, 502, "upstream_unreachable"),
    ] {
        let lab = lab(["a"]);
        lab.deployment("a").set(fault.clone());
        lab.deployment("a").settled().await;
        let gateway =
            Gateway::start(&Yaml::over(&lab).router("num_retries: 0").waypost(QUICK)).await;
        let answer = gateway.chat("g").await;
        assert_eq!(answer.status, status, "{fault:?}: {}", answer.text());
        let error = answer.json()["error"].clone();
        if fault != Fault::Loading {
            assert_eq!(answer.code(), code, "{fault:?}");
        }
        assert!(
            error["message"].is_string() && error["type"].is_string(),
            "{error}"
        );
        assert!(
            error.get("param").is_some() || fault == Fault::Loading,
            "{error}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{fault:?}");
        assert_eq!(
            (answer.attempts(), answer.deployment()),
            (1, "a"),
            "{fault:?}"
        );
        assert!(answer.header("x-request-id").is_some());
        assert!(answer.header("location").is_none());
        assert!(!answer.text().contains("127.0.0.1"), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_streams_request_fails_in_the_same_words() {
    for (fault, status, code) in [
        (Fault::rate_limit(), 429, "rate_limit_exceeded"),
        (Fault::HangBeforeContent, 504, "upstream_timeout"),
        (Fault::Cut { after: 0 }, 502, "upstream_broken"),
        (
            Fault::StreamError {
                after: 0,
                kind: "server_error".into(),
            },
            500,
            "",
        ),
        (Fault::ContextLength, 400, "context_length_exceeded"),
    ] {
        let lab = lab(["a"]);
        lab.deployment("a").set(fault.clone());
        let gateway =
            Gateway::start(&Yaml::over(&lab).router("num_retries: 0").waypost(QUICK)).await;
        let answer = gateway.stream("g").await.finish().await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (status, code),
            "{fault:?}: {}",
            answer.text()
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(gateway.in_flight("g"), [0]);
    }
}

#[tokio::test]
async fn the_failure_that_tells_most_is_the_answer() {
    let lab = lab(["a", "b"]);
    lab.deployment("a").set(Fault::ServerError);
    lab.deployment("b").refuse(true).await;
    let gateway = Gateway::start(&first_then_second(&lab).router("num_retries: 1")).await;
    let answer = gateway.chat("g").await;
    assert_eq!((answer.status, answer.attempts()), (500, 2));
}

#[tokio::test]
async fn wrong_keys_are_called_so_each_time() {
    let lab = lab(["a", "b"]);
    lab.deployments()
        .iter()
        .for_each(|d| d.set(Fault::Unauthorized));
    let (gateway, _clock) = Gateway::with_manual_clock(&Yaml::over(&lab)).await;
    for n in 0..4 {
        let answer = gateway.chat("g").await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream_auth_error"),
            "request {n}"
        );
        assert_eq!(
            answer.header("x-should-retry"),
            Some("false"),
            "request {n}"
        );
        assert!(
            answer.header("retry-after").is_none(),
            "a wrong key does not pass"
        );
    }
    assert_eq!(received(&lab), [1, 1], "cooling meanwhile");
}

#[tokio::test]
async fn headers_of_a_refusal_reach_the_client_and_ours_cannot_be_forged() {
    let headers = BTreeMap::from([
        ("retry-after".to_owned(), "17".to_owned()),
        ("x-ratelimit-remaining-requests".to_owned(), "0".to_owned()),
        ("x-waypost-deployment".to_owned(), "forged".to_owned()),
        ("x-should-retry".to_owned(), "true".to_owned()),
        ("set-cookie".to_owned(), "a=b".to_owned()),
        ("connection".to_owned(), "x-hop".to_owned()),
        ("x-hop".to_owned(), "1".to_owned()),
    ]);
    let body = json!({"error": {"message": "slow down", "type": "requests", "param": null, "code": "rate_limit_exceeded"}});
    let lab = lab(["a"]);
    lab.deployment("a").set(Fault::Status {
        status: 429,
        body: body.clone(),
        headers,
    });
    let gateway = Gateway::start(&Yaml::over(&lab).router("num_retries: 0")).await;
    let answer = gateway.chat("g").await;
    assert_eq!((answer.status, answer.json()), (429, body));
    assert_eq!(answer.header("retry-after"), Some("17"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert_eq!(answer.deployment(), "a");
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(
        answer
            .header("x-upstream-request-id")
            .is_some_and(|id| id.starts_with("req_lab"))
    );
    for hidden in ["set-cookie", "x-hop"] {
        assert!(answer.header(hidden).is_none(), "{hidden}");
    }
}

#[tokio::test]
async fn secrets_that_come_back_are_masked() {
    const KEY: &str = "sk-of-the-deployment";
    let echo = |status| {
        let message = format!("Incorrect API key provided: Bearer {KEY}.");
        openai(status, "invalid_request_error", Some("x"), &message)
    };
    let headers = BTreeMap::from([("x-echo".to_owned(), format!("Bearer {KEY}"))]);
    let success = Behaviour {
        headers: headers.clone(),
        ..Behaviour::text(format!("your key is {KEY}"))
    };
    for behaviour in [
        Behaviour {
            headers: headers.clone(),
            ..echo(400).into()
        },
        Behaviour {
            headers,
            ..echo(500).into()
        },
        Fault::EchoAuthorization.into(),
        Fault::status(500, json!(format!("<html>{KEY}</html>"))).into(),
        success,
    ] {
        let logs = Logs::listen();
        let lab = lab(["a"]);
        lab.deployment("a").set(behaviour);
        let models = [Model::provider("openai", lab.deployment("a"))];
        let yaml = Yaml::default().group("g", models).router("num_retries: 0");
        let gateway = Gateway::logging(&yaml, &logs).await;
        for stream in [false, true] {
            let answer = if stream {
                gateway.stream("g").await.finish().await
            } else {
                gateway.chat("g").await
            };
            assert!(!answer.text().contains(KEY), "{}", answer.text());
            assert!(
                !format!("{:?}", answer.headers).contains(KEY),
                "{:?}",
                answer.headers
            );
        }
        let sent = lab
            .deployment("a")
            .last_request()
            .expect("one")
            .header("authorization")
            .map(str::to_owned);
        assert_eq!(sent.as_deref(), Some("Bearer sk-of-the-deployment"));
        gateway.stop().await;
        // The simulated deployment is in this process, too, but hyper is silent about bodies and headers.
        let text = logs.text();
        assert!(
            text.contains("\"target\":\"access\"") && !text.contains(KEY),
            "{text}"
        );
    }
}
