//! Whatever happens to requests, when they are over nothing is in flight.

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use waypost::lab::{Behaviour, Fault, Hold};

use crate::support::{Gateway, Request, Yaml, at_rest, chat_body, lab, s};

/// What can happen, by number.
fn behaviour(rng: &mut StdRng) -> Behaviour {
    match rng.random_range(0..16) {
        0 => Fault::ServerError.into(),
        1 => Fault::rate_limit().into(),
        2 => Fault::Reset.into(),
        3 => Fault::Cut { after: 2 }.into(),
        4 => Fault::StreamError {
            after: 3,
            kind: "server_error".into(),
        }
        .into(),
        5 => Fault::HangBeforeHead.into(),
        6 => Fault::HangBeforeContent.into(),
        7 => Fault::Stall { after: 2 }.into(),
        8 => Fault::TruncatedBody.into(),
        9 => Fault::MalformedJson.into(),
        10 => Fault::BadRequest { param: "x".into() }.into(),
        11 => Fault::Unauthorized.into(),
        12 => Fault::EndEarly { after: 1 }.into(),
        _ => Behaviour::default(),
    }
}

/// How a client behaves.
#[derive(Clone, Copy)]
enum Client {
    Reads,
    LeavesAtHead,
    LeavesAfterChunk,
    LeavesAtOnce,
}

async fn play(request: Request, client: Client) {
    match client {
        Client::LeavesAtOnce => {
            // Polled once and given up: the request may or may not be on its way.
            tokio::select! {
                biased;
                _ = request.try_stream() => {}
                () = std::future::ready(()) => {}
            }
        }
        Client::LeavesAtHead => drop(request.try_stream().await),
        Client::LeavesAfterChunk => {
            if let Ok(mut streaming) = request.try_stream().await {
                let _chunk = streaming.chunk().await;
            }
        }
        Client::Reads => {
            let mut streaming = request.stream().await;
            while let Some(Ok(_)) = streaming.chunk().await {}
        }
    }
}

#[tokio::test]
async fn nothing_is_in_flight_when_all_is_over() {
    for seed in 0..4 {
        let mut rng = StdRng::seed_from_u64(seed);
        let lab = lab(["a", "b", "c"]);
        let yaml = Yaml::over(&lab)
            .router("routing_strategy: least-busy")
            .router("num_retries: 1")
            .waypost("timeouts: {first_content: 40ms, gap: 40ms, total: 200ms}")
            .waypost("groups: {g: {deadline: 300ms, max_wait: 50ms}}");
        let (gateway, clock) = Gateway::with_manual_clock(&yaml).await;
        for _round in 0..4 {
            for deployment in lab.deployments() {
                for _ in 0..8 {
                    deployment.behave_next(1, behaviour(&mut rng));
                }
            }
            let requests: Vec<_> = (0..20)
                .map(|_| {
                    let mut body = chat_body("g");
                    body["stream"] = rng.random_bool(0.6).into();
                    let client = match rng.random_range(0..6) {
                        0 => Client::LeavesAtHead,
                        1 => Client::LeavesAfterChunk,
                        2 => Client::LeavesAtOnce,
                        _ => Client::Reads,
                    };
                    play(gateway.chat_with(&body), client)
                })
                .collect();
            join_all(requests).await;
            clock.advance(s(400));
        }
        let deployments = gateway.deployments("g");
        gateway.stop().await;
        at_rest(lab.deployments()).await;
        for deployment in deployments {
            assert_eq!(
                deployment.scores.in_flight(),
                0,
                "{} with seed {seed}",
                deployment.target.id
            );
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_cancels_the_call() {
    let lab = lab(["a"]);
    let a = lab.deployment("a");
    a.set(Behaviour::hold(Hold::BeforeHead));
    let gateway = Gateway::start(&Yaml::over(&lab)).await;
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        let mut body = chat_body("g");
        body["prompt"] = "x".into();
        body["input"] = "x".into();
        let request = gateway.post(path).json(&body).send();
        let left = a.wait_for(|stats| stats.held == 1);
        match futures_util::future::select(std::pin::pin!(request), std::pin::pin!(left)).await {
            futures_util::future::Either::Left((answer, _)) => panic!("{answer:?}"),
            futures_util::future::Either::Right(_) => {} // and the request is dropped
        }
        a.wait_for(|stats| stats.in_flight == 0).await;
        assert_eq!(gateway.in_flight("g"), [0], "{path}");
    }
    assert_eq!(a.stats().cancelled, 3);
}
