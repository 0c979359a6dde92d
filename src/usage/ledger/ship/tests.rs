use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::*;
use crate::usage::ledger::entry::tests::line;

type Totals = BTreeMap<(Day, Account, &'static str), u64>;

/// What `ship.lua` does. That it does is held against a real Redis by `tests/it/ledger_shipping.rs`.
#[derive(Debug, Clone, Default)]
struct Model {
    positions: HashMap<Arc<str>, u64>,
    totals: Totals,
}

impl Model {
    fn ship(&mut self, shipment: &Shipment) -> u64 {
        let last = self.positions.get(&shipment.ledger).copied().unwrap_or(0);
        let Shipment { from, to, .. } = *shipment;
        if from <= last || (from > last + 1 && !shipment.is_first) {
            return last;
        }
        for Sum { day, account, sums } in shipment.sums() {
            for (name, amount) in sums.numbers() {
                *self.totals.entry((day, account.clone(), name)).or_default() += amount;
            }
        }
        self.positions.insert(Arc::clone(&shipment.ledger), to);
        to
    }
}

/// A ledger whose records differ in all that sums are made by.
fn ledger(name: &str, records: u64) -> Vec<Line> {
    (1..=records)
        .map(|number| {
            let mut line = line(number);
            line.ledger = name.into();
            line.entry.began_ms += number % 3 * 86_400_000;
            line.entry.deployment = format!("chat/{}", number % 2).into();
            line.entry.attempt = 1 + u32::from(number.is_multiple_of(5));
            line.entry.tokens.input = number;
            line.entry.cost_pico = (!number.is_multiple_of(4)).then_some(number << 40);
            line
        })
        .collect()
}

/// What is to come out: every record once.
fn whole(ledgers: &[Vec<Line>]) -> Totals {
    let mut model = Model::default();
    for line in ledgers.iter().flatten() {
        model.ship(&Shipment::of(line, line.number == 1));
    }
    model.totals
}

/// The records of a ledger behind `last`, at most so many.
fn next(ledger: &[Line], last: u64, most: usize) -> Option<Shipment> {
    let mut lines = ledger.iter().filter(|line| line.number > last).take(most);
    let first = lines.next()?;
    let mut shipment = Shipment::of(first, first.number == 1);
    for line in lines {
        assert!(shipment.add(line), "numbers have no gaps");
    }
    Some(shipment)
}

#[test]
fn only_what_follows_is_taken_in() {
    let lines = ledger("l", 3);
    let mut shipment = Shipment::of(&lines[0], true);
    assert!(!shipment.add(&lines[2]));
    assert!(shipment.add(&lines[1]) && shipment.add(&lines[2]));
    assert!(!shipment.add(&ledger("another", 4)[3]));
    assert_eq!((shipment.from, shipment.to), (1, 3));
}

#[test]
fn fields_are_read_as_they_are_written() {
    let mut account = Shipment::of(&line(1), true)
        .sums()
        .next()
        .expect("one")
        .account;
    account.group = "a \"b\"\n|é".into();
    for key in [None, Some("team\n".into())] {
        let account = Account {
            key,
            ..account.clone()
        };
        assert_eq!(
            read_field(&field(&account, "input")),
            Some((account, "input"))
        );
    }
    assert_eq!(read_field("no json\ninput"), None);
}

proptest! {
    /// Whatever is lost, repeated or late on the way, and whatever Redis loses: in the end each record is added once.
    #[test]
    fn each_record_is_added_once(
        steps in prop::collection::vec((0u8..8, 0usize..2, 1usize..5), 0..80),
        records in prop::array::uniform2(0u64..30),
    ) {
        let ledgers = [ledger("a", records[0]), ledger("b", records[1])];
        let mut redis = Model::default();
        let mut before = Model::default();
        // What each shipper believes, and what is still on its way somewhere.
        let (mut believed, mut late) = ([0, 0], Vec::new());
        for (step, who, most) in steps {
            let shipment = next(&ledgers[who], believed[who], most);
            match (step, shipment) {
                (0 | 1, Some(shipment)) => believed[who] = redis.ship(&shipment),
                (2, Some(shipment)) => _ = redis.ship(&shipment), // the answer is lost
                (3, Some(shipment)) => late.push(shipment),       // nothing comes of it yet
                (4, _) if !late.is_empty() => _ = redis.ship(&late.remove(most % late.len())),
                (5, _) => before = redis.clone(),
                (6, _) => redis = before.clone(), // a failover to a replica that is behind
                (7, _) if most == 1 => redis = Model::default(),
                _ => {}
            }
        }
        for who in 0..2 {
            // A shipper that has nothing to send asks how far it is.
            believed[who] = redis.positions.get(&*ledgers[who].first().map_or("".into(), |l| Arc::clone(&l.ledger))).copied().unwrap_or(0);
            while let Some(shipment) = next(&ledgers[who], believed[who], 7) {
                believed[who] = redis.ship(&shipment);
            }
        }
        for shipment in late {
            redis.ship(&shipment);
        }
        prop_assert_eq!(redis.totals, whole(&ledgers));
    }
}
