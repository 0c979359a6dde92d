//! The control port as curl sees it.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::client::{Client, ask, chat, lab, only};
use crate::lab::{Behaviour, Hold};

/// One control request.
async fn control(addr: SocketAddr, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let mut client = Client::connect_to(addr).await.expect("connected");
    client
        .send(method, path, &[], body.to_string().as_bytes())
        .await;
    let reply = client.read().await;
    (reply.status, reply.json())
}

#[tokio::test]
async fn a_behaviour_is_shown_replaced_queued_and_reset() {
    let lab = lab(Behaviour::default());
    let addr = lab.control(0).expect("a port");
    let (status, state) = control(addr, "GET", "/lab", &Value::Null).await;
    assert_eq!(
        (status, &state["deployments"][0]["base_url"]),
        (200, &json!(only(&lab).base_url()))
    );

    let fault = json!({"fault": {"rate_limit": {"retry_after": "3s"}}});
    let (status, state) = control(addr, "PUT", "/lab/deployments/d", &fault).await;
    assert_eq!(
        (status, &state["behaviour"]["fault"]),
        (200, &fault["fault"])
    );
    assert_eq!(
        ask(only(&lab), false).await.header("retry-after"),
        Some("3")
    );

    let next = json!({"count": 2, "behaviour": {"fault": "server_error"}});
    let (_, state) = control(addr, "POST", "/lab/deployments/d/next", &next).await;
    assert_eq!(state["queued"], 2);
    assert_eq!(ask(only(&lab), false).await.status, 500);

    control(addr, "POST", "/lab/deployments/d/reset", &Value::Null).await;
    assert_eq!(ask(only(&lab), false).await.status, 200);
    let (_, state) = control(addr, "GET", "/lab/deployments/d", &Value::Null).await;
    assert_eq!(state["stats"]["completed"], 3);
}

#[tokio::test]
async fn held_answers_are_released_and_requests_shown() {
    let lab = lab(Behaviour::hold(Hold::BeforeContent));
    let addr = lab.control(0).expect("a port");
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    client.post("/v1/chat/completions", &chat(true)).await;
    only(&lab).wait_for(|stats| stats.held == 1).await;
    control(addr, "POST", "/lab/deployments/d/release", &Value::Null).await;
    assert!(client.read().await.complete);

    let (_, requests) = control(addr, "DELETE", "/lab/deployments/d/requests", &Value::Null).await;
    assert_eq!(requests[0]["body"], chat(true));
    assert_eq!(requests[0]["headers"]["host"], "lab");
    let (_, requests) = control(addr, "GET", "/lab/deployments/d/requests", &Value::Null).await;
    assert_eq!(requests, json!([]));
}

#[tokio::test]
async fn the_port_is_closed_or_open_when_the_control_answer_comes() {
    let lab = lab(Behaviour::default());
    let addr = lab.control(0).expect("a port");
    let (_, state) = control(
        addr,
        "PUT",
        "/lab/deployments/d",
        &json!({"fault": "refused"}),
    )
    .await;
    assert_eq!(state["listening"], false);
    assert!(Client::connect(only(&lab)).await.is_err());
    control(addr, "POST", "/lab/deployments/d/reset", &Value::Null).await;
    assert_eq!(ask(only(&lab), false).await.status, 200);
}

#[tokio::test]
async fn mistakes_are_answered_with_what_there_is() {
    let lab = lab(Behaviour::default());
    let addr = lab.control(0).expect("a port");
    for (method, path, body, status, word) in [
        ("GET", "/", Value::Null, 404, "GET /lab"),
        ("GET", "/lab/deployments/e", Value::Null, 404, "there are d"),
        (
            "POST",
            "/lab/deployments/d/explode",
            Value::Null,
            404,
            "release",
        ),
        (
            "PUT",
            "/lab/deployments/d",
            json!({"falt": "reset"}),
            400,
            "falt",
        ),
        (
            "PUT",
            "/lab/deployments/d",
            json!({"faults": [{"fault": "reset", "probability": 7}]}),
            400,
            "probability",
        ),
        (
            "POST",
            "/lab/deployments/d/next",
            json!({"count": 1}),
            400,
            "behaviour",
        ),
    ] {
        let (seen, answer) = control(addr, method, path, &body).await;
        assert_eq!(seen, status, "{path}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains(word)),
            "{answer}"
        );
    }
}
