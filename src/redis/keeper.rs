//! What connects, watches, and connects again; and what it says of that.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::connect::{self, Connected, Guide, Link};
use super::trouble::Trouble;
use super::{Redis, State, Urgency, within};

/// Without an answer for that long it is asked, for nothing but the answer; and the sentinel is asked where the master is.
const PULSE: Duration = Duration::from_secs(1);

impl Redis {
    /// Connects, and connects again whenever the connection is lost. Never ends.
    pub async fn keep(&self) {
        let mut outage = Outage::of(self.target().place());
        let mut pause = Pause::default();
        loop {
            match connect::connect(self.target()).await {
                Ok(Connected { link, took, guide }) => {
                    let began = Instant::now();
                    let refused = self.publish(link, took);
                    let slow = self.state() == State::Slow;
                    tracing::info!("{}", outage.over(began, refused, slow));
                    let trouble = self.watch(guide).await;
                    let ended = Instant::now();
                    tracing::warn!("{}", outage.begin(ended, &trouble));
                    // What holds only for a moment must not become a loop.
                    if ended - began > Pause::LONGEST {
                        pause = Pause::default();
                        continue;
                    }
                }
                Err(trouble) => match outage.goes_on(Instant::now(), &trouble) {
                    Some(line) => tracing::warn!("{line}"),
                    None => tracing::debug!("{} tried again: {trouble}", outage.place),
                },
            }
            let jitter = rand::rng().random();
            tokio::time::sleep(pause.next(jitter)).await;
        }
    }

    /// Until the connection is lost.
    async fn watch(&self, guide: Option<Guide>) -> Trouble {
        let moved = async {
            match guide {
                Some(mut guide) => guide.moved(PULSE).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            trouble = self.pulse() => trouble,
            trouble = moved => {
                self.leave(&trouble);
                trouble
            }
        }
    }

    async fn pulse(&self) -> Trouble {
        loop {
            tokio::select! {
                // Lost, or in doubt.
                () = self.0.look.notified() => {}
                () = tokio::time::sleep_until(self.last_heard() + PULSE) => {}
            }
            if let Some(trouble) = self.lost() {
                return trouble;
            }
            let ping = ::redis::cmd("PING");
            let pinged = self.ask(
                Urgency::Background,
                async |mut link: Link, limit| within(limit, ping.exec_async(&mut link)).await,
                |()| None,
            );
            if let Err(error) = pinged.await
                && let Some(trouble) = Trouble::losing(&error)
            {
                self.leave(&trouble);
            }
            if let Some(trouble) = self.lost() {
                return trouble;
            }
        }
    }
}

/// How long to wait before trying again.
#[derive(Debug, Default)]
struct Pause(u32);

impl Pause {
    const SHORTEST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(2);

    /// Doubles each time; `jitter` in 0..1 takes up to a half of it away, so that many replicas do not come at once.
    fn next(&mut self, jitter: f64) -> Duration {
        let full = Self::SHORTEST * 2_u32.pow(self.0);
        if full < Self::LONGEST {
            self.0 += 1;
        }
        full.min(Self::LONGEST).mul_f64(1.0 - jitter / 2.0)
    }
}

/// What has been said of the time without a connection.
struct Outage {
    place: String,
    began: Option<Instant>,
    said: Vec<String>,
}

impl Outage {
    fn of(place: String) -> Self {
        Self {
            place,
            began: None,
            said: Vec::new(),
        }
    }

    /// It is lost.
    fn begin(&mut self, now: Instant, trouble: &Trouble) -> String {
        self.began = Some(now);
        let trouble = trouble.to_string();
        let line = format!(
            "Redis at {} is lost: {trouble}; requests go on without it until it is back",
            self.place
        );
        self.said = vec![trouble];
        line
    }

    /// It could not be connected to: said at the start, and later if it is news that somebody has to see to.
    fn goes_on(&mut self, now: Instant, trouble: &Trouble) -> Option<String> {
        let first = self.said.is_empty();
        self.began.get_or_insert(now);
        let text = trouble.to_string();
        if !first && (!trouble.lasting || self.said.contains(&text)) {
            return None;
        }
        let line = format!(
            "Redis at {} can't be used: {text}; requests go on without it, and it is tried again",
            self.place
        );
        self.said.push(text);
        Some(line)
    }

    /// It is connected to.
    fn over(&mut self, now: Instant, refused: u64, slow: bool) -> String {
        self.said.clear();
        let place = &self.place;
        let but = if slow {
            "; it answers late, so requests go on without it"
        } else {
            ""
        };
        match self.began.take() {
            Some(began) => {
                let after = (now - began).as_secs_f64();
                format!(
                    "Redis at {place} is there after {after:.1} s; {refused} calls went without it{but}"
                )
            }
            None => format!("Redis at {place} is there{but}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_are_bounded() {
        let mut pause = Pause::default();
        let all: Vec<_> = (0..8).map(|_| pause.next(0.0).as_millis()).collect();
        assert_eq!(all, [50, 100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(pause.next(1.0).as_millis(), 1000);
        for _ in 0..100 {
            pause.next(0.5);
        }
    }

    #[test]
    fn little_is_said_of_a_long_outage() {
        let mut outage = Outage::of("h:1".to_owned());
        let began = Instant::now();
        let refused = Trouble::passing("nobody listens there");
        let wrong = Trouble::lasting("the password is wrong");
        let hangs = Trouble::passing("it does not answer");
        let lines: Vec<_> = [&refused, &refused, &hangs, &wrong, &refused, &wrong]
            .iter()
            .filter_map(|trouble| outage.goes_on(began, trouble))
            .collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("h:1") && lines[0].contains("nobody listens"));
        assert!(lines[1].contains("the password is wrong"));
        let now = began + Duration::from_secs(3);
        let over = outage.over(now, 7, false);
        assert!(over.contains("3.0 s") && over.contains("7 calls"), "{over}");
        assert!(outage.begin(now, &hangs).contains("does not answer"));
        assert_eq!(outage.goes_on(now, &refused), None);
        assert!(outage.goes_on(now, &wrong).is_some());
        assert!(outage.over(now, 0, true).contains("answers late"));
        assert_eq!(outage.over(now, 0, false), "Redis at h:1 is there");
    }
}
