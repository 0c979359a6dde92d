//! Series of what replicas exchange.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Labels, Metrics};

/// By group.
#[derive(Debug, Default)]
pub(super) struct SharingFamilies {
    age: Family<Labels, Gauge<f64, AtomicU64>>,
    replicas: Family<Labels, Gauge>,
}

impl SharingFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "sharing_age_seconds",
            "How old other replicas' numbers are, as of the last try to exchange them",
            families.age.clone(),
        );
        registry.register(
            "sharing_replicas",
            "Replicas that were alive at the last exchange",
            families.replicas.clone(),
        );
        families
    }
}

impl Metrics {
    /// How a group's numbers are shared: their age in seconds, and among how many replicas.
    pub fn sharing(&self, group: &Arc<str>, age: f64, replicas: u64) {
        let own = Labels(vec![("group", Arc::clone(group))]);
        self.sharing.age.get_or_create_owned(&own).set(age);
        let replicas = i64::try_from(replicas).unwrap_or(i64::MAX);
        let gauge = self.sharing.replicas.get_or_create_owned(&own);
        gauge.set(replicas);
    }
}
