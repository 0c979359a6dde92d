//! The ledger's series.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// Handles of the ledger, which only a process that keeps one has.
#[derive(Debug, Clone)]
pub struct LedgerMeters {
    pub(super) records: Counter,
    pub(super) unwritten: Gauge,
    pub(super) lost: Counter,
    pub(super) late: Counter,
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
