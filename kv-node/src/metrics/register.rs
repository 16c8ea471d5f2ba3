//! The registration of metrics under their names.

use kv_core::message::Kind;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::labels::{Direction, RequestOutcome, RequestVerb};

/// One label: its name and its value.
pub(super) type Label = [(&'static str, &'static str); 1];
/// Two labels.
pub(super) type Labels = [(&'static str, &'static str); 2];

/// The count and the time of the requests of one verb with one outcome.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    pub(super) count: Counter,
    pub(super) seconds: Histogram,
}

/// Creates a histogram from 64 µs to 8 s, in powers of two.
pub(super) fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(64e-6, 2.0, 18))
}

/// Creates a histogram from 1 to 65,536, in powers of two.
pub(super) fn counts() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 17))
}

/// A registry to which metrics are added under their names.
pub(super) struct Register(pub(super) Registry);

impl Register {
    pub(super) fn counter(&mut self, name: &'static str, help: &'static str) -> Counter {
        let counter = Counter::default();
        self.0.register(name, help, counter.clone());
        counter
    }

    pub(super) fn gauge(&mut self, name: &'static str, help: &'static str) -> Gauge {
        let gauge = Gauge::default();
        self.0.register(name, help, gauge.clone());
        gauge
    }

    /// Registers one counter for each value of a label.
    pub(super) fn counters<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> [Counter; N] {
        let family = Family::<Label, Counter>::default();
        self.0.register(name, help, family.clone());
        values.map(|value| family.get_or_create_owned(&[(label, value)]))
    }

    pub(super) fn gauges<const N: usize>(
        &mut self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        values: [&'static str; N],
    ) -> [Gauge; N] {
        let family = Family::<Label, Gauge>::default();
        self.0.register(name, help, family.clone());
        values.map(|value| family.get_or_create_owned(&[(label, value)]))
    }

    pub(super) fn requests(
        &mut self,
    ) -> [[Requests; RequestOutcome::ALL.len()]; RequestVerb::ALL.len()] {
        let count = Family::<Labels, Counter>::default();
        self.0.register("requests", "Requests of clients, by verb and outcome", count.clone());
        let time = Family::<Labels, Histogram>::new_with_constructor(seconds);
        self.0.register_with_unit(
            "request_duration",
            "Time from reading a request to having its reply, by verb and outcome",
            Unit::Seconds,
            time.clone(),
        );
        RequestVerb::ALL.map(|verb| {
            RequestOutcome::ALL.map(|outcome| {
                let labels = [("verb", verb.name()), ("outcome", outcome.name())];
                Requests {
                    count: count.get_or_create_owned(&labels),
                    seconds: time.get_or_create_owned(&labels),
                }
            })
        })
    }

    pub(super) fn messages(&mut self) -> [Vec<Counter>; 2] {
        let family = Family::<Labels, Counter>::default();
        self.0.register("peer_messages", "Messages of peers and to them, by kind", family.clone());
        Direction::ALL.map(|direction| {
            let counter = |kind: &Kind| {
                let labels = [("direction", direction.name()), ("kind", kind.name())];
                family.get_or_create_owned(&labels)
            };
            Kind::ALL.iter().map(counter).collect()
        })
    }
}
