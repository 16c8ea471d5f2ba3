//! The ways by which owners that are behind are brought up to date: all of them, or, to see that
//! each would do alone, some of them. A write brings its owners up to date as well, in that key: what
//! is to show something must not be written again.

use kv_core::message::{HandoffKind, Kind, RepairKind};
use serde::Deserialize;
use toml::Spanned;

use super::error::Problem;
use super::workload::Workload;
use crate::faults::Kinds;

/// The ways by which owners that are behind are brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RepairBy {
    /// True if reads repair the owners that they find behind. Without, nobody reads.
    pub reads: bool,
    /// True if hints are delivered. Without, they are kept, and every delivery is lost.
    pub hints: bool,
    /// True if owners are compared. Without, every comparison is lost.
    pub comparison: bool,
}

/// A way, as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RepairWay {
    Reads,
    Hints,
    Comparison,
}

impl Default for RepairBy {
    fn default() -> Self {
        Self { reads: true, hints: true, comparison: true }
    }
}

impl RepairBy {
    /// The kinds of messages that are lost for the whole run.
    pub fn off(self) -> Kinds {
        let hints = (!self.hints).then_some(Kind::Handoff(HandoffKind::Deliver));
        let comparison = (!self.comparison).then_some(Kind::Repair(RepairKind::Compare));
        let kinds: Vec<_> = hints.into_iter().chain(comparison).collect();
        Kinds::of(&kinds)
    }
}

/// Parses the ways that the key `repair_by` names; all of them, if it is not there. If reads are not
/// among them, nobody may read, as a read that finds an owner behind always repairs it.
pub(super) fn parse(
    ways: Option<&Spanned<Vec<RepairWay>>>,
    workloads: &[Workload],
) -> Result<RepairBy, Problem> {
    let Some(ways) = ways else { return Ok(RepairBy::default()) };
    if ways.get_ref().is_empty() {
        return Err(Problem::at(ways.span(), "nothing would bring owners up to date")
            .label("name at least one way")
            .help(
                "repair_by = [\"reads\", \"hints\", \"comparison\"] names all, and is the default",
            ));
    }
    let names = |way| ways.get_ref().contains(&way);
    let repair_by = RepairBy {
        reads: names(RepairWay::Reads),
        hints: names(RepairWay::Hints),
        comparison: names(RepairWay::Comparison),
    };
    if !repair_by.reads && workloads.iter().any(Workload::reads) {
        let message = "a workload reads, and what it finds behind is repaired";
        return Err(Problem::at(ways.span(), message).label("`reads` is not among these").help(
            "read_share = 0 lets the clients of blind-put, put-get and put-get-delete only write",
        ));
    }
    Ok(repair_by)
}
