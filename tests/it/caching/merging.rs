//! Equal requests that come together.

use waypost::lab::{Behaviour, Canned, Fault, Hold};

use super::{ON, chat, state};
use crate::support::beside::Beside;
use crate::support::pair::{Pair, read_until, stream_body};
use crate::support::wire::Wire;
use crate::support::{Answer, chat_body};

/// Sends the same request ten times at once; `meanwhile` happens once the first is held.
async fn ten(pair: &Pair, stream: bool) -> Vec<Answer> {
    let body = if stream {
        stream_body()
    } else {
        chat_body("g")
    };
    let asked: Vec<_> = (0..10)
        .map(|_| Beside::start(pair.gateway.chat_with(&body).send()))
        .collect();
    pair.a().wait_for(|stats| stats.held == 1).await;
    pair.a().release();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.result().await);
    }
    answers
}

#[tokio::test]
async fn ten_at_once_are_one_call() {
    for stream in [false, true] {
        for hold in [Hold::BeforeHead, Hold::After(2)] {
            let pair = Pair::with(ON, &[]).await;
            pair.a().behave_next(1, Behaviour::hold(hold));
            let answers = ten(&pair, stream).await;
            let hits = answers.iter().filter(|a| state(a) == "hit").count();
            assert_eq!(
                (hits, pair.a().stats().requests),
                (9, 1),
                "{stream} {hold:?}"
            );
            assert!(
                answers
                    .iter()
                    .all(|a| a.status == 200 && a.body == answers[0].body)
            );
            pair.stop().await;
        }
    }
}

#[tokio::test]
async fn if_the_first_fails_the_others_go_on() {
    for stream in [false, true] {
        let pair = Pair::with(
            &[
                "cache_responses: true",
                "num_retries: 0",
                "disable_cooldowns: true",
            ],
            &[],
        )
        .await;
        let failing = Behaviour {
            hold: Some(Hold::BeforeHead),
            ..Behaviour::fault(Fault::ServerError)
        };
        pair.a().behave_next(1, failing);
        let answers = ten(&pair, stream).await;
        let failed = answers.iter().filter(|a| a.status == 500).count();
        let fine = answers.iter().filter(|a| a.status == 200).count();
        assert_eq!((failed, fine), (1, 9), "{stream}");
        pair.stop().await;
    }
}

#[tokio::test]
async fn if_the_first_leaves_the_others_go_on() {
    let pair = Pair::with(ON, &[]).await;
    pair.a().behave_next(1, Behaviour::hold(Hold::After(1)));
    let mut first = pair.stream().await;
    read_until(&mut first, "").await;
    pair.a().wait_for(|stats| stats.held == 1).await;
    let second = Beside::start(pair.streaming().send());
    drop(first);
    let second = second.result().await.ok();
    assert!(second.text().ends_with("data: [DONE]\n\n"));
    pair.a().wait_for(|stats| stats.cancelled == 1).await;
    assert_eq!(state(&chat(&pair, &stream_body()).await), "hit");
    pair.stop().await;
}

#[tokio::test]
async fn one_that_does_not_come_to_an_end_holds_nobody_up_for_ever() {
    let pair = Pair::with(ON, &["timeouts: {request: 1s}"]).await;
    let canned = Canned::Stream {
        chunks: 1_000,
        bytes: 20_000,
        every: None,
    };
    pair.a().behave_next(1, Behaviour::canned(canned));
    // Its client does not read, so nothing moves, and nothing that moves with it can end it.
    let mut first = Wire::connect(pair.gateway.addr()).await.expect("connected");
    let body = stream_body().to_string();
    first
        .request("POST", "/v1/chat/completions", &[], body.as_bytes())
        .await;
    assert_eq!(first.head().await.expect("a head").status, 200);
    let second = pair.streaming().send().await.ok();
    assert_eq!(state(&second), "bypass");
    assert_eq!(pair.in_flight(), 1, "the first is still there");
    drop(first);
    pair.stop().await;
}
