//! Durations as people write them (`200ms`, `1.5s`, `2m`) and distributions of them.
//!
//! A distribution is data and [`Latency::sample`] takes the generator, so that a script with a seed gives the same
//! waits every time. Nothing here waits.

use std::fmt;
use std::time::Duration;

use rand::{Rng, RngExt};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The longest wait a sample may have: a lognormal tail must not stop a script for days.
const LONGEST: Duration = Duration::from_secs(3600);

/// How long something takes.
///
/// In a script: a plain duration (`200ms`), `{fixed: 200ms}`, `{uniform: {from: 50ms, to: 80ms}}` or
/// `{lognormal: {median: 300ms, sigma: 0.5}}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", rename_all = "snake_case", deny_unknown_fields)]
pub enum Latency {
    /// Always the same.
    Fixed(#[serde(with = "text")] Duration),
    /// Evenly between two bounds; where `to` is below `from`, always `from`.
    Uniform {
        /// Shortest.
        #[serde(with = "text")]
        from: Duration,
        /// Longest.
        #[serde(with = "text")]
        to: Duration,
    },
    /// As real services are: most answers near the median, a long tail.
    Lognormal {
        /// Half of the samples are below.
        #[serde(with = "text")]
        median: Duration,
        /// Spread of the logarithm; 0.5 is usual, 1 is wild.
        sigma: f64,
    },
}

impl Latency {
    /// No wait at all.
    pub const ZERO: Self = Self::Fixed(Duration::ZERO);

    /// One wait, at most an hour.
    #[must_use]
    pub fn sample(&self, rng: &mut impl Rng) -> Duration {
        match *self {
            Self::Fixed(duration) => duration,
            Self::Uniform { from, to } => {
                from + to.saturating_sub(from).mul_f64(rng.random::<f64>())
            }
            Self::Lognormal { median, sigma } => {
                // Box-Muller: two even numbers make one normal number. 1 - u is never zero.
                let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * rng.random::<f64>()).cos();
                let seconds = median.as_secs_f64() * (sigma * normal).exp();
                Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST)
            }
        }
        .min(LONGEST)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::ZERO
    }
}

impl From<Duration> for Latency {
    fn from(duration: Duration) -> Self {
        Self::Fixed(duration)
    }
}

impl Serialize for Latency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(duration) => text::serialize(duration, serializer),
            Self::Uniform { .. } | Self::Lognormal { .. } => Self::serialize(self, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Latency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrMap;

        impl<'de> Visitor<'de> for TextOrMap {
            type Value = Latency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 200ms, or one of fixed, uniform, lognormal")
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Latency, E> {
                text::parse(value).map(Latency::Fixed).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Latency, A::Error> {
                Latency::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_any(TextOrMap)
    }
}

/// A duration as text, for `#[serde(with = ..)]`.
pub(crate) mod text {
    use super::{Deserialize, Deserializer, Duration, Serializer, de};

    /// Reads `200ms`, `1.5s`, `2m`; `0` needs no unit.
    pub(crate) fn parse(value: &str) -> Result<Duration, String> {
        let value = value.trim();
        let digits = value
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(value.len());
        let (number, unit) = value.split_at(digits);
        let seconds = match unit.trim() {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" if number == "0" => 0.0,
            _ => return Err(format!("{value:?} is no duration: write 200ms, 1.5s or 2m")),
        };
        number
            .parse::<f64>()
            .ok()
            .and_then(|number| Duration::try_from_secs_f64(number * seconds).ok())
            .ok_or_else(|| format!("{value:?} is no duration: write 200ms, 1.5s or 2m"))
    }

    /// Writes the shortest of the forms that [`parse`] reads.
    pub(crate) fn show(duration: Duration) -> String {
        let micros = duration.as_micros();
        if micros.is_multiple_of(1_000_000) {
            format!("{}s", micros / 1_000_000)
        } else if micros.is_multiple_of(1_000) {
            format!("{}ms", micros / 1_000)
        } else {
            format!("{micros}us")
        }
    }

    pub(crate) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&show(*duration))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }

    /// The same where the key may be missing.
    pub(crate) mod optional {
        use super::{Deserialize, Deserializer, Duration, Serializer, de, parse, show};

        #[expect(clippy::ref_option, reason = "the signature serde calls")]
        pub(crate) fn serialize<S: Serializer>(
            duration: &Option<Duration>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match duration {
                Some(duration) => serializer.serialize_str(&show(*duration)),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Duration>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| parse(&text).map_err(de::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn durations_are_read_and_written_back() {
        for (written, duration, shown) in [
            ("200ms", Duration::from_millis(200), "200ms"),
            ("1.5s", Duration::from_millis(1500), "1500ms"),
            ("2m", Duration::from_secs(120), "120s"),
            ("0", Duration::ZERO, "0s"),
            ("250us", Duration::from_micros(250), "250us"),
        ] {
            assert_eq!(text::parse(written), Ok(duration), "{written}");
            assert_eq!(text::show(duration), shown);
        }
        for wrong in ["", "5", "fast", "1.2.3s", "-1s", "5 parsecs"] {
            assert!(text::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_latency_is_a_duration_or_a_distribution() {
        let read = |json: &str| serde_json::from_str::<Latency>(json);
        assert_eq!(
            read(r#""5ms""#).ok(),
            Some(Latency::Fixed(Duration::from_millis(5)))
        );
        assert_eq!(
            read(r#"{"uniform":{"from":"1s","to":"2s"}}"#).ok(),
            Some(Latency::Uniform {
                from: Duration::from_secs(1),
                to: Duration::from_secs(2)
            })
        );
        let error = read(r#"{"normal":{}}"#)
            .expect_err("no such distribution")
            .to_string();
        assert!(error.contains("lognormal"), "{error}");
    }

    #[test]
    fn samples_keep_to_their_distribution() {
        let mut rng = StdRng::seed_from_u64(1);
        let uniform = Latency::Uniform {
            from: Duration::from_millis(10),
            to: Duration::from_millis(20),
        };
        let lognormal = Latency::Lognormal {
            median: Duration::from_millis(100),
            sigma: 0.5,
        };
        let mut below = 0;
        for _ in 0..1000 {
            let sample = uniform.sample(&mut rng);
            assert!((Duration::from_millis(10)..=Duration::from_millis(20)).contains(&sample));
            below += usize::from(lognormal.sample(&mut rng) < Duration::from_millis(100));
        }
        assert!(
            (400..600).contains(&below),
            "{below} of 1000 below the median"
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_samples() {
        let latency = Latency::Lognormal {
            median: Duration::from_secs(1),
            sigma: 1.0,
        };
        let draw = || {
            let mut rng = StdRng::seed_from_u64(9);
            (0..10)
                .map(|_| latency.sample(&mut rng))
                .collect::<Vec<_>>()
        };
        assert_eq!(draw(), draw());
    }
}
