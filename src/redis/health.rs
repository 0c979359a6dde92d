//! How a Redis is doing, by what was heard from it. Knows no clock and does no I/O.

use std::time::Duration;

use super::{State, Urgency};

/// Answers in a row that requests waited for in vain, after which they ask no more.
const LATE: u8 = 3;
/// Quick answers in a row, after which requests ask again.
const QUICK: u8 = 2;

/// What came of asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer, after that long.
    Answer(Duration),
    /// None in time.
    Nothing,
}

/// One Redis, as far as is known.
#[derive(Debug)]
pub(super) struct Health {
    state: State,
    /// The longest a request waits.
    timeout: Duration,
    late: u8,
    quick: u8,
}

impl Health {
    /// Nothing is known, and there is no connection.
    pub(super) const fn new(timeout: Duration) -> Self {
        Self {
            state: State::Down,
            timeout,
            late: 0,
            quick: 0,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// There is a connection, whose first answer took that long.
    pub(super) fn connected(&mut self, took: Duration) {
        if took > self.timeout {
            self.enter(State::Slow);
        } else {
            self.enter(State::Up);
        }
    }

    /// There is no connection any more.
    pub(super) fn lost(&mut self) {
        self.enter(State::Down);
    }

    /// It was asked. What is in the background and is not answered at all ends the connection.
    pub(super) fn heard(&mut self, urgency: Urgency, heard: Heard) {
        use Urgency::{Background, Bulk, Request};
        match (self.state, urgency, heard) {
            (State::Down, _, _) | (_, Bulk, _) | (State::Slow, Request, _) => {}
            (_, Background, Heard::Nothing) => self.enter(State::Down),
            (State::Up, Request, Heard::Answer(_)) => self.late = 0,
            (State::Up, Request, Heard::Nothing) => {
                self.late += 1;
                if self.late == LATE {
                    self.enter(State::Slow);
                }
            }
            (State::Up, Background, Heard::Answer(took)) => {
                if took > self.timeout {
                    self.enter(State::Slow);
                }
            }
            (State::Slow, Background, Heard::Answer(took)) => {
                self.quick = if took < self.timeout / 2 {
                    self.quick + 1
                } else {
                    0
                };
                if self.quick == QUICK {
                    self.enter(State::Up);
                }
            }
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.late = 0;
        self.quick = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    /// What happens: `c`onnected and `C`onnected slowly, `l`ost, `r`equest answered, `R`equest in vain, in the background
    /// answered `q`uickly, in time (`b`), late (`s`), or not (`B`).
    fn after(events: &str) -> State {
        let mut health = Health::new(TIMEOUT);
        for event in events.chars() {
            happen(&mut health, event);
        }
        health.state()
    }

    fn happen(health: &mut Health, event: char) {
        let answer = |ms| Heard::Answer(Duration::from_millis(ms));
        match event {
            'c' => health.connected(Duration::from_millis(100)),
            'C' => health.connected(Duration::from_millis(101)),
            'l' => health.lost(),
            'r' => health.heard(Urgency::Request, answer(99)),
            'R' => health.heard(Urgency::Request, Heard::Nothing),
            'q' => health.heard(Urgency::Background, answer(49)),
            'b' => health.heard(Urgency::Background, answer(100)),
            's' => health.heard(Urgency::Background, answer(101)),
            'B' => health.heard(Urgency::Background, Heard::Nothing),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn what_is_heard_decides() {
        use State::{Down, Slow, Up};
        for (events, state) in [
            ("", Down),
            ("rqbsRB", Down),
            ("c", Up),
            ("C", Slow),
            ("cl", Down),
            ("clc", Up),
            // Requests in vain, in a row.
            ("cRR", Up),
            ("cRRR", Slow),
            ("cRRrRR", Up),
            ("cRRrRRR", Slow),
            ("cRRqRR", Slow),
            // Counted anew with each connection.
            ("cRRlcRR", Up),
            // Late in the background.
            ("cb", Up),
            ("cs", Slow),
            ("cB", Down),
            ("CB", Down),
            // Quick answers in the background, in a row; requests are not asked meanwhile.
            ("csq", Slow),
            ("csqq", Up),
            ("csqbq", Slow),
            ("csqbqq", Up),
            ("csrrr", Slow),
            ("csqRq", Up),
            ("csqqRR", Up),
        ] {
            assert_eq!(after(events), state, "{events}");
        }
    }

    proptest! {
        /// Only a connection ends being down, and only being lost or asking in the background in vain begins it.
        #[test]
        fn down_is_without_connection(events in "[cClrRqbsB]{0,40}") {
            let mut health = Health::new(TIMEOUT);
            for event in events.chars() {
                let before = health.state();
                happen(&mut health, event);
                let after = health.state();
                match event {
                    'c' => prop_assert_eq!(after, State::Up),
                    'C' => prop_assert_eq!(after, State::Slow),
                    'l' | 'B' => prop_assert_eq!(after, State::Down),
                    _ => prop_assert_eq!(before == State::Down, after == State::Down),
                }
            }
        }

        /// However it went before, steady answers decide in the end.
        #[test]
        fn it_settles(events in "[cClrRqbsB]{0,40}") {
            let up = after(&format!("{events}cqq"));
            prop_assert_eq!(up, State::Up);
            let slow = after(&format!("{events}cs"));
            prop_assert_eq!(slow, State::Slow);
        }
    }
}
