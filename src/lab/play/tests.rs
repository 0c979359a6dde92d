//! Steps as lists: where waits, holds and breaks stand.

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A stream of a role chunk `r`, the content `a` and `b`, and an end `e`.
fn events() -> Vec<Event> {
    [
        (Part::Preamble, "r"),
        (Part::Content, "a"),
        (Part::Content, "b"),
        (Part::Tail, "e"),
    ]
    .into_iter()
    .map(|(part, data)| Event {
        part,
        data: data.to_owned(),
    })
    .collect()
}

/// The steps of the body in short: `r` for the event r, `5` for a wait in milliseconds.
fn told(behaviour: &Behaviour, fault: Option<&Fault>) -> String {
    let play = Play::answer(
        Answer::Stream(events()),
        behaviour,
        fault,
        &mut StdRng::seed_from_u64(0),
    );
    let word = |step: &Step| match step {
        Step::Wait(wait) => wait.as_millis().to_string(),
        Step::Send(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            text.trim()
                .trim_start_matches("data:")
                .trim()
                .replace("\n\ndata: ", "+")
        }
        Step::Hold => "hold".into(),
        Step::Hang(_) => "hang".into(),
        Step::Cut => "cut".into(),
    };
    play.body.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn waits_stand_before_the_content_they_delay() {
    let behaviour = Behaviour {
        first_token: ms(50).into(),
        per_token: ms(5).into(),
        ..Behaviour::default()
    };
    assert_eq!(told(&behaviour, None), "r 50 a 5 b e");
    let beating = Behaviour {
        heartbeat: Some(ms(20)),
        ..behaviour.clone()
    };
    assert_eq!(
        told(&beating, None),
        "r 20 : keep-alive 20 : keep-alive 10 a 5 b e"
    );
    let coalesced = Behaviour {
        chunking: Chunking::Coalesced,
        ..behaviour
    };
    assert_eq!(told(&coalesced, None), "r 50 a 5 b+e");
}

#[test]
fn a_plain_answer_waits_before_its_head_as_long_as_the_stream_would() {
    let behaviour = Behaviour {
        head: ms(100).into(),
        first_token: ms(50).into(),
        per_token: ms(5).into(),
        ..Behaviour::default()
    };
    let answer = Answer::Whole {
        body: json!({}),
        tokens: 3,
    };
    let play = Play::answer(answer, &behaviour, None, &mut StdRng::seed_from_u64(0));
    assert_eq!(play.before, [Step::Wait(ms(160))]);
    assert_eq!(play.body, [Step::Send("{}".into())]);
}

#[test]
fn breaks_stand_after_the_content_they_name_or_at_its_end() {
    for (fault, expected) in [
        (Fault::HangBeforeContent, "r hang"),
        (Fault::Stall { after: 1 }, "r a hang"),
        (Fault::Cut { after: 0 }, "r cut"),
        (Fault::Cut { after: 2 }, "r a b cut"),
        (Fault::Cut { after: 9 }, "r a b cut"),
        (Fault::TruncatedBody, "r a cut"),
        (Fault::EndEarly { after: 1 }, "r a"),
        (Fault::ServerError, "r a b e"),
    ] {
        assert_eq!(
            told(&Behaviour::default(), Some(&fault)),
            expected,
            "{fault:?}"
        );
    }
}

#[test]
fn a_hold_comes_once_and_before_a_break_of_the_same_place() {
    for (hold, fault, expected) in [
        (Hold::BeforeHead, None, "r a b e"),
        (Hold::BeforeContent, None, "r hold a b e"),
        (Hold::After(1), None, "r a hold b e"),
        (Hold::After(9), None, "r a b hold e"),
        (
            Hold::After(1),
            Some(Fault::Cut { after: 1 }),
            "r a hold cut",
        ),
    ] {
        assert_eq!(
            told(&Behaviour::hold(hold), fault.as_ref()),
            expected,
            "{hold:?}"
        );
    }
}

#[test]
fn a_drip_pauses_within_writes_and_loses_no_byte() {
    let drip = Fault::SlowDrip {
        bytes: 4,
        every: ms(1),
    };
    assert_eq!(
        split(vec![Step::Send("abcdefgh!".into())], 4, Some(ms(1))).len(),
        5
    );
    let play = Play::answer(
        Answer::Stream(events()),
        &Behaviour::default(),
        Some(&drip),
        &mut StdRng::seed_from_u64(0),
    );
    let sent: Vec<u8> = play
        .body
        .iter()
        .filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.to_vec()),
            Step::Wait(_) | Step::Hold | Step::Hang(_) | Step::Cut => None,
        })
        .flatten()
        .collect();
    assert_eq!(sent, b"data: r\n\ndata: a\n\ndata: b\n\ndata: e\n\n");
}
