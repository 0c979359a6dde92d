//! Both sides beside each other, and what their differences usually mean.

use std::collections::{BTreeMap, BTreeSet};

use super::{Each, Key, Ledger, Measure, Own, number};

/// By how much the ledger may be off from what the export says, in millionths of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance(pub u64);

impl Tolerance {
    /// `0.5%`
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let percent = number::parse(text.trim().strip_suffix('%')?)?;
        let millionths = number::whole(percent, 10_000);
        u64::try_from(millionths).ok().map(Self)
    }

    /// Whether a difference is beyond it.
    fn is_beyond(self, export: i128, ledger: i128, rounding: i128) -> bool {
        let difference = (ledger.saturating_sub(export).saturating_abs() - rounding).max(0);
        difference.saturating_mul(1_000_000) > export.saturating_abs().saturating_mul(self.0.into())
    }
}

/// Both sides of one measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Of what.
    pub measure: Measure,
    /// What the provider says.
    pub export: i128,
    /// What the ledger says.
    pub ledger: i128,
    /// Whether they are further apart than is allowed.
    pub beyond: bool,
}

impl Cell {
    /// By how much more the ledger says.
    #[must_use]
    pub const fn difference(&self) -> i128 {
        self.ledger.saturating_sub(self.export)
    }

    /// The same in millionths of what the export says; none if that is nothing.
    #[must_use]
    pub const fn millionths(&self) -> Option<i128> {
        match self.export.saturating_abs() {
            0 => None,
            export => Some(self.difference().saturating_mul(1_000_000) / export),
        }
    }
}

/// How both sides of a row are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Within tolerance.
    Agrees,
    /// Not within it.
    Differs,
    /// The ledger has nothing of it.
    OnlyExport,
    /// The export has nothing of it.
    OnlyLedger,
}

impl State {
    /// In words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Differs => "differs",
            Self::OnlyExport => "only in the export",
            Self::OnlyLedger => "only in the ledger",
        }
    }
}

/// A day and a model.
#[derive(Clone, Debug)]
pub struct Row {
    /// Of what.
    pub key: Key,
    /// How the sides are to each other.
    pub state: State,
    /// Each measure the export speaks of and that either side has something of.
    pub cells: Vec<Cell>,
    /// What the ledger says of its own numbers.
    pub own: Own,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Compared {
    /// By day, then model.
    pub rows: Vec<Row>,
    /// Over all rows.
    pub total: Vec<Cell>,
    /// Whether all rows agree.
    pub agrees: bool,
    /// What the differences usually mean; empty if there are none.
    pub hints: Vec<String>,
}

/// Holds `ledger` beside the export it was made for.
#[must_use]
pub fn compare(ledger: &Ledger<'_>, tolerance: Tolerance) -> Compared {
    let export = ledger.export;
    let keys: BTreeSet<&Key> = export.rows.keys().chain(ledger.rows.keys()).collect();
    let cells = |theirs: &Each<i128>, own: &Each<i128>, rounding: i128| -> Vec<Cell> {
        let told = Measure::ALL.into_iter().filter(|m| export.tells[*m]);
        told.map(|measure| {
            let rounding = if measure == Measure::Cost {
                rounding
            } else {
                0
            };
            let (export, ledger) = (theirs[measure], own[measure]);
            Cell {
                measure,
                export,
                ledger,
                beyond: tolerance.is_beyond(export, ledger, rounding),
            }
        })
        .filter(|cell| cell.export != 0 || cell.ledger != 0)
        .collect()
    };
    let mut rows = Vec::new();
    let (mut theirs, mut own, mut rounding) = (Each::default(), Own::default(), 0);
    for key in keys {
        let one = export.rows.get(key).copied().unwrap_or_default();
        let other = ledger.rows.get(key).copied().unwrap_or_default();
        let off = export.rounding.get(key).copied().unwrap_or(0);
        theirs.add(&one);
        own.amounts.add(&other.amounts);
        own.counted += other.counted;
        own.unknown += other.unknown;
        own.unpriced += other.unpriced;
        rounding += off;
        let cells = cells(&one, &other.amounts, off);
        let beyond = cells.iter().any(|cell| cell.beyond);
        let state = match (
            beyond,
            cells.iter().all(|c| c.ledger == 0),
            cells.iter().all(|c| c.export == 0),
        ) {
            (false, ..) => State::Agrees,
            (_, true, _) => State::OnlyExport,
            (_, _, true) => State::OnlyLedger,
            _ => State::Differs,
        };
        if !cells.is_empty() {
            rows.push(Row {
                key: key.clone(),
                state,
                cells,
                own: other,
            });
        }
    }
    let total = cells(&theirs, &own.amounts, rounding);
    let agrees = rows.iter().all(|row| row.state == State::Agrees);
    let hints = if agrees {
        Vec::new()
    } else {
        hints(&rows, &total, &own, tolerance)
    };
    Compared {
        rows,
        total,
        agrees,
        hints,
    }
}

/// What the pattern of differences usually means, the likeliest first.
fn hints(rows: &[Row], total: &[Cell], own: &Own, tolerance: Tolerance) -> Vec<String> {
    let mut hints = Vec::new();
    let mut say = |hint: &str| hints.push(hint.to_owned());
    let differing = || rows.iter().filter(|row| row.state != State::Agrees);
    if days_alone_differ(rows, tolerance) {
        say(
            "Over all days together each model agrees, only its days do not: the export's days are of another time zone than UTC, \
             or requests around midnight are counted when they end.",
        );
        return hints;
    }
    if differing().any(|row| only_kinds_of_input_differ(row, tolerance)) {
        say(
            "All input tokens together agree, cached and other ones do not: an export that does not tell cached tokens apart, \
             or counts them inside the others.",
        );
    }
    let tokens_agree = |row: &&Row| {
        let cost = |cell: &&Cell| cell.measure == Measure::Cost;
        row.cells.iter().any(|cell| cell.measure != Measure::Cost)
            && row.cells.iter().all(|cell| cost(&cell) == cell.beyond)
    };
    if differing().any(|row| tokens_agree(&row)) {
        say(
            "Tokens agree where cost does not: the account pays another price than the ledger knows (a discount, another tier or \
             region, a changed list). `waypost prices` shows what is known, a deployment's own price overrides it.",
        );
    }
    let one_sided = |state| differing().any(|row| row.state == state);
    if one_sided(State::OnlyExport) && one_sided(State::OnlyLedger) {
        say("Models with other names on both sides may be the same: --same NAME=NAME says so.");
    }
    let more = |sign: i128| {
        let beyond = |cell: &Cell| cell.beyond && cell.difference().signum() == sign;
        total.iter().any(beyond) || differing().any(|row| row.cells.iter().any(beyond))
    };
    if more(-1) {
        say(
            "The provider counts more: requests of the same account that did not go through Waypost, or through a replica whose \
             ledger is not this one.",
        );
    }
    if more(1) {
        say(
            "The ledger counts more: the export is not complete yet (providers are hours behind), is of one project or key only, \
             or deployments here use several accounts.",
        );
    }
    if own.counted > 0 {
        say(&format!(
            "Tokens of {} were not reported but counted by Waypost: estimates.",
            attempts(own.counted)
        ));
    }
    if own.unknown > 0 {
        say(&format!(
            "Of {} nobody reported tokens (broken off, failed or timed out); a provider may charge for them all the same.",
            attempts(own.unknown)
        ));
    }
    if own.unpriced > 0 && total.iter().any(|cell| cell.measure == Measure::Cost) {
        say(&format!(
            "{} tokens have no known price in the ledger; their cost is missing on its side.",
            own.unpriced
        ));
    }
    hints
}

fn attempts(n: u64) -> String {
    format!("{n} attempt{}", if n == 1 { "" } else { "s" })
}

/// Whether each model agrees over all days.
fn days_alone_differ(rows: &[Row], tolerance: Tolerance) -> bool {
    let mut models: BTreeMap<&str, Each<(i128, i128)>> = BTreeMap::new();
    let mut days = BTreeSet::new();
    for row in rows {
        days.insert(row.key.0);
        let model = models.entry(&row.key.1).or_default();
        for cell in &row.cells {
            let (export, ledger) = &mut model[cell.measure];
            *export += cell.export;
            *ledger += cell.ledger;
        }
    }
    let agrees = |model: &Each<(i128, i128)>| {
        Measure::ALL.into_iter().all(|measure| {
            let (export, ledger) = model[measure];
            !tolerance.is_beyond(export, ledger, 0)
        })
    };
    days.len() > 1 && models.values().all(agrees)
}

/// Whether the input agrees in all, and its kinds do not.
fn only_kinds_of_input_differ(row: &Row, tolerance: Tolerance) -> bool {
    let kinds = [Measure::Input, Measure::CachedInput, Measure::CacheWrite];
    let input = || {
        row.cells
            .iter()
            .filter(|cell| kinds.contains(&cell.measure))
    };
    let sum = |of: fn(&Cell) -> i128| input().map(of).sum();
    input().any(|cell| cell.beyond) && !tolerance.is_beyond(sum(|c| c.export), sum(|c| c.ledger), 0)
}

#[cfg(test)]
mod tests;
