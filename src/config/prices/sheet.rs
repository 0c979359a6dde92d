//! Prices as they are given, any of them missing: by LiteLLM's names in configurations and price files, by our own in
//! the built-in table.

use crate::types::{Cost, Price, Rates};

/// Thousands of input tokens above which the configuration may name other prices.
pub(in crate::config) const THRESHOLDS: [u64; 3] = [128, 200, 272];

const REQUEST: &str = "input_cost_per_request";

/// The rates: what we call them and what LiteLLM does, in the order of [`Given`].
const NAMES: [(&str, &str); 8] = [
    ("input", "input_cost_per_token"),
    ("output", "output_cost_per_token"),
    ("cached_input", "cache_read_input_token_cost"),
    ("cache_write", "cache_creation_input_token_cost"),
    ("reasoning", "output_cost_per_reasoning_token"),
    ("audio_input", "input_cost_per_audio_token"),
    ("audio_output", "output_cost_per_audio_token"),
    ("image_input", "input_cost_per_image_token"),
];

type Given = [Option<Cost>; NAMES.len()];

/// What is given of a price.
#[derive(Clone, Debug, Default)]
pub(in crate::config) struct Sheet {
    base: Given,
    request: Option<Cost>,
    above: Option<(u64, Given)>,
    /// Thresholds besides that one.
    more: bool,
    rounded: bool,
}

/// What a sheet comes to.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) struct Settled {
    pub(in crate::config) price: Price,
    /// Nothing says what input costs; it is 0 here.
    pub(in crate::config) no_input: bool,
    /// Nothing says what output costs; it is 0 here.
    pub(in crate::config) no_output: bool,
}

impl Sheet {
    /// What `get` has under LiteLLM's names, in dollars; with the rates above these thresholds, in thousands of tokens.
    pub(in crate::config) fn read(
        get: impl Fn(&str) -> Option<f64>,
        thresholds: impl IntoIterator<Item = u64>,
    ) -> Self {
        let mut sheet = Self::default();
        let cost = |name: &str, rounded: &mut bool| {
            let dollars = get(name)?;
            *rounded |= !is_whole(dollars);
            Cost::from_dollars(dollars)
        };
        for ((_, name), into) in NAMES.iter().zip(&mut sheet.base) {
            *into = cost(name, &mut sheet.rounded);
        }
        sheet.request = cost(REQUEST, &mut sheet.rounded);
        for thousands in thresholds {
            let mut given = Given::default();
            for ((_, name), into) in NAMES.iter().zip(&mut given) {
                let name = format!("{name}_above_{thousands}k_tokens");
                *into = cost(&name, &mut sheet.rounded);
            }
            let threshold = thousands.saturating_mul(1000);
            if given.iter().any(Option::is_some) {
                sheet.more |= sheet.above.is_some_and(|(other, _)| other != threshold);
                sheet.above = Some((threshold, given));
            }
        }
        sheet
    }

    /// Takes a word of the built-in table; `None` if it means nothing.
    pub(super) fn put(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "above" => self.above = Some((value.parse().ok()?, Given::default())),
            "request" => self.request = Some(Cost(decimal(value, 12)?)),
            _ => {
                let rate = NAMES.iter().position(|(ours, _)| *ours == name)?;
                let given = self
                    .above
                    .as_mut()
                    .map_or(&mut self.base, |(_, given)| given);
                given[rate] = Some(Cost(decimal(value, 6)?));
            }
        }
        Some(())
    }

    /// Whether anything is given.
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.request.is_none() && self.above.is_none() && self.base == Given::default()
    }

    /// Whether it says both what input and what output costs.
    pub(in crate::config) const fn is_whole(&self) -> bool {
        self.base[0].is_some() && self.base[1].is_some()
    }

    /// Whether it says what input or what output costs.
    pub(in crate::config) const fn has_half(&self) -> bool {
        self.base[0].is_some() || self.base[1].is_some()
    }

    /// Whether it says what input costs.
    pub(in crate::config) const fn has_input(&self) -> bool {
        self.base[0].is_some()
    }

    /// Whether rates above more than one threshold are given, of which there can only be one.
    pub(in crate::config) const fn has_several_thresholds(&self) -> bool {
        self.more
    }

    /// Whether something given is no whole number of pico-dollars.
    pub(in crate::config) const fn is_rounded(&self) -> bool {
        self.rounded
    }

    /// The price: what is given, and for the rest what is known already. Who says what input costs has said it of all
    /// kinds of input that they do not name, and so with output; and above a threshold everything costs what it does
    /// below, unless something else is given.
    pub(in crate::config) fn over(&self, known: Option<&Price>) -> Settled {
        let known_rates = known.map(|price| price.rates);
        let rates = rates(&over(&self.base, known_rates.as_ref()));
        let above = match (&self.above, known.and_then(|price| price.above)) {
            (Some((threshold, given)), _) => Some((*threshold, beyond(given, &rates))),
            (None, Some((threshold, known))) if self.base[0].or(self.base[1]).is_none() => {
                Some((threshold, beyond(&self.base, &known)))
            }
            _ => None,
        };
        Settled {
            price: Price {
                rates,
                above,
                request: self
                    .request
                    .or(known.map(|price| price.request))
                    .unwrap_or_default(),
            },
            no_input: self.base[0].is_none() && known.is_none(),
            no_output: self.base[1].is_none() && known.is_none(),
        }
    }
}

/// `_above_200k_tokens` at the end of a column's name: 200.
pub(super) fn threshold(column: &str) -> Option<u64> {
    let (name, rest) = column.split_once("_above_")?;
    NAMES.iter().find(|(_, theirs)| *theirs == name)?;
    rest.strip_suffix("k_tokens")?.parse().ok()
}

fn given(rates: &Rates) -> Given {
    [
        Some(rates.input),
        Some(rates.output),
        rates.cached_input,
        rates.cache_write,
        rates.reasoning,
        rates.audio_input,
        rates.audio_output,
        rates.image_input,
    ]
}

fn rates(given: &Given) -> Rates {
    let [
        input,
        output,
        cached_input,
        cache_write,
        reasoning,
        audio_input,
        audio_output,
        image_input,
    ] = *given;
    Rates {
        input: input.unwrap_or_default(),
        output: output.unwrap_or_default(),
        cached_input,
        cache_write,
        reasoning,
        audio_input,
        audio_output,
        image_input,
    }
}

fn over(own: &Given, known: Option<&Rates>) -> Given {
    let Some(known) = known.map(given) else {
        return *own;
    };
    std::array::from_fn(|rate| {
        let is_output = matches!(NAMES[rate].0, "output" | "reasoning" | "audio_output");
        let whole = own[usize::from(is_output)];
        own[rate].or(if whole.is_some() { None } else { known[rate] })
    })
}

fn beyond(own: &Given, below: &Rates) -> Rates {
    let below = given(below);
    rates(&std::array::from_fn(|rate| own[rate].or(below[rate])))
}

/// Whether it is a whole number of pico-dollars, but for what a binary fraction can't say.
fn is_whole(dollars: f64) -> bool {
    let pico = dollars * 1e12;
    (pico - pico.round()).abs() <= 1e-6_f64.max(pico.abs() * 1e-12)
}

/// A number with at most that many decimal places, in units of the last of them.
fn decimal(text: &str, places: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) || part.len() > places {
        return None;
    }
    format!("{whole}{part:0<places$}").parse().ok()
}
