//! Tokens, what they cost, and what is counted of both.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Money in pico-dollars (10⁻¹² US dollars): prices per token are whole numbers in it, and sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub u64);

impl Cost {
    /// Pico-dollars in a dollar.
    pub const PER_DOLLAR: u64 = 1_000_000_000_000;

    /// `dollars` rounded to the nearest pico-dollar; `None` if negative, not a number, or beyond 18 million dollars.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "range checked"
    )]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        let pico = (dollars * Self::PER_DOLLAR as f64).round();
        (pico >= 0.0 && pico < u64::MAX as f64).then_some(Self(pico as u64))
    }

    /// For people to read; not for adding up.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "display only")]
    pub fn as_dollars(self) -> f64 {
        self.0 as f64 / Self::PER_DOLLAR as f64
    }
}

/// What one token of each bucket costs. Zero is a price.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    /// Per input token of no other bucket.
    pub input: Cost,
    /// Per output token of no other bucket.
    pub output: Cost,
    /// Per input token read from the provider's prompt cache; `input` where not given.
    pub cached_input: Option<Cost>,
    /// Per input token written into the provider's prompt cache; `input` where not given.
    pub cache_write: Option<Cost>,
    /// Per output token spent on reasoning; `output` where not given.
    pub reasoning: Option<Cost>,
    /// Per input token of audio; `input` where not given.
    pub audio_input: Option<Cost>,
    /// Per output token of audio; `output` where not given.
    pub audio_output: Option<Cost>,
    /// Per input token of images; `input` where not given.
    pub image_input: Option<Cost>,
}

impl Rates {
    /// What a token of each bucket costs, in the order of [`TokenBuckets::ALL`].
    #[must_use]
    pub fn each(&self) -> [Cost; 8] {
        let input = |own: Option<Cost>| own.unwrap_or(self.input);
        let output = |own: Option<Cost>| own.unwrap_or(self.output);
        [
            self.input,
            input(self.cached_input),
            input(self.cache_write),
            self.output,
            output(self.reasoning),
            input(self.audio_input),
            output(self.audio_output),
            input(self.image_input),
        ]
    }
}

/// What a deployment charges. A deployment without a known price has no `Price` at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Price {
    /// Per token.
    pub rates: Rates,
    /// Instead of those, of the whole request, if its input has more tokens than that.
    pub above: Option<(u64, Rates)>,
    /// Per request that was answered, besides its tokens.
    pub request: Cost,
}

impl Price {
    /// A price of input and output alone.
    #[must_use]
    pub fn of_tokens(input: Cost, output: Cost) -> Self {
        Self {
            rates: Rates {
                input,
                output,
                ..Rates::default()
            },
            ..Self::default()
        }
    }

    /// The cost of `usage`: each token is charged once, by the rate of its bucket. Nothing used, nothing charged.
    #[must_use]
    pub fn of(&self, usage: &TokenUsage) -> Cost {
        if usage.total() == 0 {
            return Cost(0);
        }
        let rates = self.rates_of(usage);
        // Mostly there is nothing to tell apart, and picks by price ask this of every deployment.
        if !usage.has_parts() {
            let input = usage.input.saturating_mul(rates.input.0);
            let output = usage.output.saturating_mul(rates.output.0);
            return Cost(self.request.0.saturating_add(input).saturating_add(output));
        }
        let parts = usage.buckets();
        let tokens = TokenBuckets::ALL.iter().map(|(_, of)| of(&parts));
        let costs = rates.each().into_iter().zip(tokens);
        Cost(costs.fold(self.request.0, |sum, (rate, tokens)| {
            sum.saturating_add(tokens.saturating_mul(rate.0))
        }))
    }

    /// The rates that hold for `usage`.
    #[must_use]
    pub const fn rates_of(&self, usage: &TokenUsage) -> &Rates {
        match &self.above {
            Some((threshold, rates)) if usage.input > *threshold => rates,
            _ => &self.rates,
        }
    }
}

/// A price and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Priced {
    /// What is charged.
    pub price: Price,
    /// The version of the table it is from, as in records: `list 2026-11`, `file 3f9a2c71`, `config`.
    pub version: Arc<str>,
}

impl From<Price> for Priced {
    /// As the configuration says.
    fn from(price: Price) -> Self {
        Self {
            price,
            version: "config".into(),
        }
    }
}

/// Who counted tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provenance {
    /// Nobody: the provider did not say, and there was nothing to count.
    #[default]
    Unknown,
    /// The provider reported them.
    Reported,
    /// We did, from what was sent and delivered: an estimate.
    Counted,
}

/// Tokens of one attempt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenUsage {
    /// Input tokens, those of the further kinds included.
    pub input: u64,
    /// Output tokens, those of the further kinds included.
    pub output: u64,
    /// Input tokens the provider read from its prompt cache.
    pub cached_input: u64,
    /// Input tokens the provider wrote into its prompt cache.
    pub cache_write: u64,
    /// Output tokens spent on reasoning.
    pub reasoning: u64,
    /// Input tokens of audio.
    pub audio_input: u64,
    /// Output tokens of audio.
    pub audio_output: u64,
    /// Input tokens of images.
    pub image_input: u64,
    /// Who counted them.
    pub provenance: Provenance,
}

impl TokenUsage {
    /// Input plus output.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// Whether any token is of one of the further kinds.
    pub const fn has_parts(&self) -> bool {
        self.cached_input
            | self.cache_write
            | self.reasoning
            | self.audio_input
            | self.audio_output
            | self.image_input
            != 0
    }

    /// The same, each token in one bucket. What a provider reports of parts beyond their whole is cut.
    #[must_use]
    pub fn buckets(&self) -> TokenBuckets {
        let mut input = self.input;
        let mut output = self.output;
        let take = |from: &mut u64, wanted: u64| {
            let taken = wanted.min(*from);
            *from -= taken;
            taken
        };
        let cached_input = take(&mut input, self.cached_input);
        let cache_write = take(&mut input, self.cache_write);
        let audio_input = take(&mut input, self.audio_input);
        let image_input = take(&mut input, self.image_input);
        let reasoning = take(&mut output, self.reasoning);
        let audio_output = take(&mut output, self.audio_output);
        TokenBuckets {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            audio_input,
            audio_output,
            image_input,
        }
    }
}

/// Tokens in disjoint buckets: their sum is [`TokenUsage::total`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenBuckets {
    /// Input of no other bucket.
    pub input: u64,
    /// Input read from the provider's prompt cache.
    pub cached_input: u64,
    /// Input written into the provider's prompt cache.
    pub cache_write: u64,
    /// Output of no other bucket.
    pub output: u64,
    /// Output spent on reasoning.
    pub reasoning: u64,
    /// Input of audio.
    pub audio_input: u64,
    /// Output of audio.
    pub audio_output: u64,
    /// Input of images.
    pub image_input: u64,
}

/// A bucket's name, as in records and tables, and what gives it.
pub type Bucket = (&'static str, fn(&TokenBuckets) -> u64);

impl TokenBuckets {
    /// Each of them once.
    pub const ALL: [Bucket; 8] = [
        ("input", |b| b.input),
        ("cached_input", |b| b.cached_input),
        ("cache_write", |b| b.cache_write),
        ("output", |b| b.output),
        ("reasoning", |b| b.reasoning),
        ("audio_input", |b| b.audio_input),
        ("audio_output", |b| b.audio_output),
        ("image_input", |b| b.image_input),
    ];

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        Self::ALL
            .iter()
            .fold(0, |sum, (_, of)| sum.saturating_add(of(self)))
    }
}

/// Requests and tokens of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Requests begun.
    pub requests: u64,
    /// Tokens used or reserved.
    pub tokens: u64,
}

#[cfg(test)]
mod tests;
