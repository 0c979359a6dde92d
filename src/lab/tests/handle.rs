//! What a test does with a handle: queue, hold, release, count, refuse, stop.

use std::io;

use super::client::{Client, ask, chat, lab, only};
use crate::lab::{Behaviour, Fault, Hold, Lab, Script};

#[tokio::test]
async fn queued_behaviours_are_used_up_in_order() {
    let lab = lab(Behaviour::default());
    let deployment = only(&lab);
    deployment.behave_next(2, Fault::rate_limit());
    deployment.behave_next(1, Fault::ServerError);
    deployment.behave_next(0, Fault::Loading);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(ask(deployment, false).await.status);
    }
    assert_eq!(statuses, [429, 429, 500, 200]);
}

#[tokio::test]
async fn setting_a_behaviour_forgets_the_queue_and_reset_brings_the_first_one_back() {
    let lab = lab(Behaviour::text("first"));
    only(&lab).behave_next(5, Fault::ServerError);
    only(&lab).set(Fault::Timeout);
    assert_eq!(ask(only(&lab), false).await.status, 408);
    only(&lab).reset();
    assert_eq!(ask(only(&lab), true).await.said(), "first");
}

#[tokio::test]
async fn an_answer_is_held_where_the_behaviour_says() {
    for (hold, seen) in [
        (Hold::BeforeHead, None),
        (Hold::BeforeContent, Some("")),
        (Hold::After(2), Some("a b")),
        (Hold::After(99), Some("a b c")),
    ] {
        let lab = lab(Behaviour {
            hold: Some(hold),
            ..Behaviour::text("a b c")
        });
        let deployment = only(&lab);
        let mut client = Client::connect(deployment).await.expect("connected");
        client.post("/v1/chat/completions", &chat(true)).await;
        deployment.wait_for(|stats| stats.held == 1).await;
        if let Some(seen) = seen {
            let so_far = client.read_until(|reply| reply.said() == seen).await;
            assert!(!so_far.complete, "{hold:?}");
        }
        deployment.release();
        let reply = client.read().await;
        assert!(reply.complete);
        assert_eq!(reply.said(), "a b c");
        assert_eq!(deployment.stats().in_flight, 0);
    }
}

#[tokio::test]
async fn a_release_as_soon_as_the_request_is_in_flight_is_not_lost() {
    let lab = lab(Behaviour::hold(Hold::BeforeHead));
    for _ in 0..50 {
        let mut client = Client::connect(only(&lab)).await.expect("connected");
        client.post("/v1/chat/completions", &chat(false)).await;
        only(&lab).wait_for(|stats| stats.in_flight == 1).await;
        only(&lab).release();
        assert_eq!(client.read().await.status, 200);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_cancelled() {
    for (hold, stream) in [
        (Hold::BeforeHead, false),
        (Hold::BeforeHead, true),
        (Hold::After(1), true),
    ] {
        let lab = lab(Behaviour::hold(hold));
        let mut client = Client::connect(only(&lab)).await.expect("connected");
        client.post("/v1/chat/completions", &chat(stream)).await;
        only(&lab).wait_for(|stats| stats.held == 1).await;
        drop(client);
        let stats = only(&lab).wait_for(|stats| stats.in_flight == 0).await;
        assert_eq!(
            (stats.cancelled, stats.completed, stats.held),
            (1, 0, 0),
            "{hold:?}"
        );
    }
}

#[tokio::test]
async fn requests_are_counted_and_recorded() {
    let lab = lab(Behaviour::default());
    let mut client = Client::connect(only(&lab)).await.expect("connected");
    for path in [
        "/v1/chat/completions?x=1",
        "/v1/embeddings",
        "/v1/completions",
    ] {
        client
            .send("POST", path, &[("x-mark", "yes")], b"{\"model\":\"m\"}")
            .await;
        client.read().await;
    }
    let stats = only(&lab).stats();
    assert_eq!(
        (
            stats.requests,
            stats.chat,
            stats.completions,
            stats.embeddings
        ),
        (3, 1, 1, 1)
    );
    assert_eq!((stats.connections, stats.completed), (1, 3));
    let requests = only(&lab).take_requests();
    assert_eq!(requests[0].path, "/v1/chat/completions?x=1");
    assert_eq!(requests[0].header("x-mark"), Some("yes"));
    assert_eq!(requests[2].json()["model"], "m");
    assert_eq!(requests[2].connection, 1);
    assert!(only(&lab).requests().is_empty());
}

#[tokio::test]
async fn a_refusing_deployment_is_gone_and_comes_back_on_the_same_port() {
    let lab = lab(Behaviour::default());
    let deployment = only(&lab);
    let mut idle = Client::connect(deployment).await.expect("connected");
    idle.post("/v1/chat/completions", &chat(false)).await;
    assert_eq!(idle.read().await.status, 200);

    for _ in 0..3 {
        deployment.refuse(true).await;
        let refused = Client::connect(deployment)
            .await
            .map(|_| ())
            .expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert_eq!(deployment.stats().open_connections, 0);
        deployment.refuse(false).await;
        assert_eq!(ask(deployment, false).await.status, 200);
    }
    assert!(
        idle.read().await.error.is_some(),
        "open connections ended too"
    );
}

#[tokio::test]
async fn refused_as_a_behaviour_closes_the_port() {
    let lab = lab(Fault::Refused);
    assert!(
        Client::connect(only(&lab)).await.is_err(),
        "closed from the start"
    );
    only(&lab).set(Behaviour::default());
    only(&lab).settled().await;
    assert_eq!(ask(only(&lab), false).await.status, 200);
    only(&lab).reset();
    only(&lab).settled().await;
    assert!(Client::connect(only(&lab)).await.is_err());
}

#[tokio::test]
async fn closing_connections_ends_idle_ones_and_leaves_the_port_open() {
    let lab = lab(Behaviour::default());
    let mut idle = Client::connect(only(&lab)).await.expect("connected");
    idle.post("/v1/chat/completions", &chat(false)).await;
    assert_eq!(idle.read().await.status, 200);
    only(&lab).close_connections().await;
    assert_eq!(idle.read().await.error, Some(io::ErrorKind::UnexpectedEof));
    assert_eq!(ask(only(&lab), false).await.status, 200);
}

#[tokio::test]
async fn stopping_closes_ports_and_ends_answers_that_would_never_end() {
    let lab = lab(Fault::HangBeforeHead);
    let deployment = only(&lab).clone();
    let mut client = Client::connect(&deployment).await.expect("connected");
    client.post("/v1/chat/completions", &chat(false)).await;
    deployment.wait_for(|stats| stats.in_flight == 1).await;
    lab.stop().await;
    assert!(client.read().await.error.is_some());
    assert!(Client::connect(&deployment).await.is_err());
    assert_eq!(deployment.stats().in_flight, 0);
}

#[tokio::test]
async fn deployments_are_found_by_name_and_have_ports_of_their_own() {
    let lab = Lab::start(&Script::healthy(["a", "b"])).expect("loopback ports");
    assert_ne!(lab.deployment("a").addr(), lab.deployment("b").addr());
    assert!(lab.get("c").is_none());
    assert_eq!(lab.deployments().len(), 2);
    assert!(
        Lab::start(&Script::default()).is_err(),
        "a script without deployments"
    );
}
