//! One row of the table: a way to ask one store.

use serde::Serialize;

use super::figures::Figures;
use crate::load::Request;
use crate::peers::{StorageWork, Variant};

/// What is asked of every store alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) value_bytes: usize,
    pub(super) connections: usize,
    pub(super) request: Request,
    pub(super) depth: usize,
}

/// A way to ask one store, and what came of it.
pub(super) struct Case {
    pub(super) kind: Kind,
    /// Which of the stores.
    pub(super) store: usize,
    pub(super) variant: Variant,
    pub(super) rounds: Vec<Figures>,
    pub(super) operations: u64,
    pub(super) seconds: f64,
    pub(super) storage: Option<StorageWork>,
    /// What went otherwise than it should, in words.
    pub(super) shortcomings: Vec<String>,
}

/// The figures of a case, beside those of the first of its kind, which is ours as it is by default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Compared {
    #[serde(flatten)]
    pub(super) medians: Figures,
    pub(super) rate_to_ours: f64,
    pub(super) server_cpu_to_ours: f64,
}

impl Case {
    pub(super) fn new(kind: Kind, store: usize, variant: Variant) -> Self {
        let (rounds, shortcomings) = (Vec::new(), Vec::new());
        Self {
            kind,
            store,
            variant,
            rounds,
            operations: 0,
            seconds: 0.0,
            storage: None,
            shortcomings,
        }
    }

    /// Its medians and their ratios.
    pub(super) fn compared(&self, all: &[Self]) -> Compared {
        let medians = Figures::medians(&self.rounds);
        let first = all.iter().find(|other| other.kind == self.kind);
        let ours = first.map_or(medians, |first| Figures::medians(&first.rounds));
        Compared {
            medians,
            rate_to_ours: medians.operations_per_second / ours.operations_per_second,
            server_cpu_to_ours: medians.server_cpu_us / ours.server_cpu_us,
        }
    }

    /// What it is, in words.
    pub(super) fn words(&self) -> String {
        let Kind { value_bytes, connections, request, depth } = self.kind;
        let name = &self.variant.name;
        let verb = request.verb();
        format!("{name}: {verb}, {value_bytes} bytes, {connections} connections, pipeline {depth}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Protocol;

    #[test]
    fn a_case_is_held_against_the_first_of_its_kind() {
        let case = |store, value_bytes, operations_per_second, server_cpu_us| {
            let protocol = Protocol::Resp { greeting: None, wait: None };
            let variant = Variant { name: String::new(), protocol, promise: "" };
            let kind = Kind { value_bytes, connections: 1, request: Request::Get, depth: 1 };
            let mut case = Case::new(kind, store, variant);
            case.rounds =
                vec![Figures { operations_per_second, server_cpu_us, ..Figures::default() }];
            case
        };
        let all = [case(0, 1, 100.0, 8.0), case(0, 2, 50.0, 8.0), case(1, 2, 25.0, 12.0)];
        let ratios = all.iter().map(|case| {
            let Compared { rate_to_ours, server_cpu_to_ours, .. } = case.compared(&all);
            (rate_to_ours, server_cpu_to_ours)
        });
        assert_eq!(Vec::from_iter(ratios), [(1.0, 1.0), (1.0, 1.0), (0.5, 1.5)]);
    }
}
