//! What was measured, round by round, and what is said of it: medians, and ratios and differences within a round.

use serde_json::{Value, json};

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    series: Vec<Series>,
}

/// One quantity of one gateway in one case, a value per round; void rounds are `None`.
#[derive(Debug)]
struct Series {
    metric: &'static str,
    case: String,
    gateway: String,
    rounds: Vec<Option<f64>>,
}

/// A median with the lowest and the highest round.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) lowest: f64,
    pub(crate) highest: f64,
}

impl Figures {
    /// The next round's value.
    pub(crate) fn push(
        &mut self,
        metric: &'static str,
        case: &str,
        gateway: &str,
        value: Option<f64>,
    ) {
        let known = self
            .series
            .iter_mut()
            .find(|s| (s.metric, s.case.as_str(), s.gateway.as_str()) == (metric, case, gateway));
        match known {
            Some(series) => series.rounds.push(value),
            None => self.series.push(Series {
                metric,
                case: case.into(),
                gateway: gateway.into(),
                rounds: vec![value],
            }),
        }
    }

    /// The rounds of one series; none if there is no such series.
    fn rounds(&self, metric: &str, case: &str, gateway: &str) -> &[Option<f64>] {
        let series = self
            .series
            .iter()
            .find(|s| (s.metric, s.case.as_str(), s.gateway.as_str()) == (metric, case, gateway));
        series.map_or(&[], |series| &series.rounds)
    }

    /// The median of the rounds that count.
    pub(crate) fn median(&self, metric: &str, case: &str, gateway: &str) -> Option<f64> {
        spread(self.rounds(metric, case, gateway).iter().copied()).map(|s| s.median)
    }

    /// How many rounds are void.
    pub(crate) fn void(&self, metric: &str, case: &str, gateway: &str) -> usize {
        let rounds = self.rounds(metric, case, gateway);
        rounds.iter().filter(|round| round.is_none()).count()
    }

    /// A gateway's rounds over those of another, round by round.
    pub(crate) fn ratio(
        &self,
        metric: &str,
        case: &str,
        gateway: &str,
        base: &str,
    ) -> Option<Spread> {
        self.paired(metric, (case, gateway), (case, base), |a, b| a / b)
    }

    /// What a gateway's rounds are above those of another, round by round.
    pub(crate) fn added(
        &self,
        metric: &str,
        case: &str,
        gateway: &str,
        base: &str,
    ) -> Option<Spread> {
        self.paired(metric, (case, gateway), (case, base), |a, b| a - b)
    }

    /// A gateway in one case over the same in another.
    pub(crate) fn growth(
        &self,
        metric: &str,
        gateway: &str,
        case: &str,
        base: &str,
    ) -> Option<Spread> {
        self.paired(metric, (case, gateway), (base, gateway), |a, b| a / b)
    }

    fn paired(
        &self,
        metric: &str,
        of: (&str, &str),
        base: (&str, &str),
        with: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let base = self.rounds(metric, base.0, base.1);
        let pairs = self.rounds(metric, of.0, of.1).iter().zip(base);
        spread(pairs.map(|(of, base)| Some(with((*of)?, (*base)?))))
    }

    /// The cases that have a metric, in the order in which they were measured.
    pub(crate) fn cases(&self, metric: &str) -> Vec<&str> {
        self.names(metric, |series| &series.case)
    }

    /// The gateways that have a metric, likewise.
    pub(crate) fn gateways(&self, metric: &str) -> Vec<&str> {
        let mut names = self.names(metric, |series| &series.gateway);
        // Rounds begin with another gateway each; tables and plots have them in one order.
        let known = ["direct", "floor", "nginx", "waypost"];
        names.sort_by_key(|name| known.iter().position(|k| k == name).unwrap_or(known.len()));
        names
    }

    fn names<'a>(&'a self, metric: &str, name: impl Fn(&'a Series) -> &'a String) -> Vec<&'a str> {
        let mut names: Vec<&str> = Vec::new();
        for series in self.series.iter().filter(|s| s.metric == metric) {
            let name = name(series).as_str();
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Everything, raw.
    pub(crate) fn json(&self) -> Value {
        let series = self.series.iter().map(|s| {
            json!({"metric": s.metric, "case": s.case, "gateway": s.gateway, "rounds": s.rounds})
        });
        series.collect()
    }
}

fn spread(values: impl Iterator<Item = Option<f64>>) -> Option<Spread> {
    let mut values: Vec<f64> = values.flatten().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let median = match values.len() {
        0 => return None,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    };
    Some(Spread {
        median,
        lowest: values[0],
        highest: values[values.len() - 1],
    })
}
