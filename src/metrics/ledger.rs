//! The ledger's series.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Labels, Metrics};

/// What is shown of a ledger, if there is one.
#[derive(Debug, Default)]
pub(super) struct LedgerFamilies {
    records: Family<Labels, Counter>,
    unwritten: Family<Labels, Gauge>,
    lost: Family<Labels, Counter>,
    late: Family<Labels, Counter>,
}

impl LedgerFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "ledger_records",
            "Records written to the ledger",
            families.records.clone(),
        );
        registry.register(
            "ledger_unwritten",
            "Records that wait to be written to the ledger",
            families.unwritten.clone(),
        );
        registry.register(
            "ledger_lost",
            "Records the ledger lost, since it could not be written for too long",
            families.lost.clone(),
        );
        registry.register(
            "ledger_late",
            "Answers that were given away before their record was written, since the disk took too long",
            families.late.clone(),
        );
        families
    }
}

impl Metrics {
    /// The series of the ledger.
    #[must_use]
    pub fn ledger(&self) -> LedgerMeters {
        let none = Labels(Vec::new());
        let families = &self.ledger;
        LedgerMeters {
            records: families.records.get_or_create_owned(&none),
            unwritten: families.unwritten.get_or_create_owned(&none),
            lost: families.lost.get_or_create_owned(&none),
            late: families.late.get_or_create_owned(&none),
        }
    }
}

/// Handles of the ledger, which only a process that keeps one has.
#[derive(Debug, Clone)]
pub struct LedgerMeters {
    records: Counter,
    unwritten: Gauge,
    lost: Counter,
    late: Counter,
}

impl LedgerMeters {
    /// That many records were written.
    pub fn written(&self, records: u64) {
        self.records.inc_by(records);
    }

    /// So many records wait at this moment.
    pub fn set_unwritten(&self, records: u64) {
        self.unwritten
            .set(i64::try_from(records).unwrap_or(i64::MAX));
    }

    /// A record is lost.
    pub fn lost(&self) {
        self.lost.inc();
    }

    /// An answer did not wait for its record to the end.
    pub fn late(&self) {
        self.late.inc();
    }
}
