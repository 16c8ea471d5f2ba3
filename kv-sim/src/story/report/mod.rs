//! A report of a run, for a person who wants to understand it: above all, why it failed.
//!
//! Takes a scenario and a seed and makes a [`Report`], which is written as a page for a browser, as
//! text for a terminal, or as JSON. The run is made twice: what matters is known when it has
//! failed, and then it is recorded. The same run gives the same bytes: nothing of the machine or
//! the day is in them.

mod details;
mod focus;
mod glossary;
mod injected;
mod model;
mod naming;
mod narrative;
mod page;
mod text;

use kv_core::types::{Key, NodeId, PartitionId};

use crate::checks::CheckVerdict;
use crate::checks::{CheckName, Names, OperationNumber, Subject};
use crate::cluster::client_ids::client_of;
use crate::cluster::world::World;
use crate::cluster::world_time::WorldTime;
use crate::runs::options::RunOptions;
use crate::runs::panics::PanicLog;
use crate::runs::run::run_by;
use crate::scenario::{NodeIndex, Scenario};
use crate::story::record::focus::{Focus, KEYS_MAX};
use crate::story::record::{Record, Recorder};
use crate::story::result::{OUTCOMES, RunDigest, RunResult};

use focus::Leftovers;
use naming::WriteNames;

pub use page::PAGE_BYTES_MAX;

/// The version of the JSON format. It is raised when a name in it is taken away or changes its
/// meaning.
pub const FORMAT: u32 = 1;

/// The order for a report.
#[derive(Clone, Debug)]
pub struct ReportPlan<'a> {
    /// The scenario that is run.
    pub scenario: &'a Scenario,
    /// The seed of the run.
    pub seed: u64,
    /// The keys to be followed beside those that something was violated about.
    pub keys: &'a [Key],
    /// The command that makes the report again.
    pub again: &'a str,
    /// True if the invariants of nodes are checked ([`RunOptions::paranoid`]).
    pub paranoid: bool,
    /// The log in which the places of panics are written down.
    pub panics: Option<PanicLog>,
}

/// A run, looked at closely.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    plan: ReportPlan<'a>,
    /// The result of the run that was recorded.
    result: RunResult,
    /// The digest of the run before; the same, unless something decides that is not in the seed.
    first: RunDigest,
    /// The broken promises, in the order of time.
    violations: Vec<BrokenPromise>,
    record: Record,
    /// The names of the nodes.
    names: Names,
    /// The names of the writes of followed keys.
    write_names: WriteNames,
    /// The owners of each followed key.
    owners: Vec<Vec<NodeIndex>>,
    /// The partition of each followed key.
    partitions: Vec<PartitionId>,
    ended: WorldTime,
}

/// A promise that was broken.
#[derive(Clone, Debug, Default)]
struct BrokenPromise {
    check: String,
    /// The time at which the violation was noticed.
    at: WorldTime,
    /// The subject of the violation, if it has one.
    subject: Option<Subject>,
    /// The keys that it is about beside that, or if it has none.
    other_keys: Vec<Key>,
    /// The operations that the violation names, each by its client and number.
    operations: Vec<(u32, u32)>,
    /// The story that the check tells.
    story: String,
    /// What it is about in detail, where the story says only how much there is.
    details: Vec<String>,
}

impl<'a> Report<'a> {
    /// Runs the scenario twice, and keeps the facts that matter of the second run.
    pub fn make(plan: ReportPlan<'a>) -> Self {
        let options = options(&plan);
        let ReportPlan { scenario, .. } = &plan;
        let (mut noticed, nodes) = (Vec::new(), scenario.cluster.nodes.len());
        let (first, mut world) = run_by(scenario, &options, |world| {
            world.record(Recorder::new(Focus::default(), nodes));
            watch(world, &mut noticed);
        });
        let record = world.as_mut().and_then(World::take_record);
        let mut violations = violations(&first, world.as_ref(), &noticed);
        for violation in &mut violations {
            find_keys(violation, (scenario, &first), world.as_ref(), record.as_ref());
        }
        let focus = focus::of(&violations, plan.keys, world.as_ref(), record.as_ref());
        drop(world);
        Self::look(plan, first.digest, violations, focus)
    }

    /// Runs the scenario once more, with a recorder that knows what matters.
    fn look(
        plan: ReportPlan<'a>,
        first: RunDigest,
        violations: Vec<BrokenPromise>,
        focus: Focus,
    ) -> Self {
        let options = options(&plan);
        let ReportPlan { scenario, .. } = &plan;
        let nodes = scenario.cluster.nodes.len();
        let (result, mut world) = run_by(scenario, &options, |world| {
            world.record(Recorder::new(focus.clone(), nodes));
            world.run();
        });
        let ended = world.as_ref().map_or(WorldTime(0), |world| world.scene.now);
        let names = world.as_ref().map(names).unwrap_or_default();
        let owners = world.as_ref().map(|world| owners(world, &focus.keys)).unwrap_or_default();
        let partitions = world.as_ref().map(|world| partitions(world, &focus.keys));
        let record = world.as_mut().and_then(World::take_record);
        let record = record.unwrap_or_else(|| Recorder::new(focus, nodes).finish(ended));
        let write_names = WriteNames::of(&record);
        let partitions = partitions.unwrap_or_default();
        let mut report = Self {
            plan,
            result,
            first,
            violations,
            record,
            names,
            write_names,
            owners,
            partitions,
            ended,
        };
        report.add_details(world.as_ref());
        report
    }

    /// The result of the run.
    pub const fn result(&self) -> &RunResult {
        &self.result
    }

    /// True if the run was the same each time.
    pub fn is_deterministic(&self) -> bool {
        self.first == self.result.digest
    }
}

fn options(plan: &ReportPlan<'_>) -> RunOptions {
    let options = RunOptions { panics: plan.panics.clone(), ..RunOptions::seeded(plan.seed) };
    options.paranoid_if(plan.paranoid)
}

/// Runs a world, and notes when each check finds its first violation.
fn watch(world: &mut World, noticed: &mut Vec<(CheckName, WorldTime)>) {
    loop {
        let goes_on = world.step();
        for &check in CheckName::ALL {
            let is_violated = |checks: &crate::checks::Checks| checks.findings(check).is_violated();
            if world.checks().is_some_and(is_violated)
                && noticed.iter().all(|&(other, _)| other != check)
            {
                noticed.push((check, world.scene.now));
            }
        }
        if !goes_on {
            return;
        }
    }
}

fn violations(
    result: &RunResult,
    world: Option<&World>,
    noticed: &[(CheckName, WorldTime)],
) -> Vec<BrokenPromise> {
    let ended = world.map_or(WorldTime(0), |world| world.scene.now);
    let failed = result.checks.iter().filter(|(_, found)| found.verdict == CheckVerdict::Fail);
    let mut violations: Vec<_> = failed
        .map(|(name, found)| {
            let check = noticed.iter().find(|(check, _)| check.name() == name);
            let findings = check.and_then(|&(check, _)| Some(world?.checks()?.findings(check)));
            let subject = findings.and_then(|findings| findings.subject().cloned());
            let operations = subject.iter().flat_map(|subject| &subject.operations);
            let number =
                |&OperationNumber(number)| client_of(kv_core::types::ClientRequest(number));
            BrokenPromise {
                check: name.clone(),
                at: check.map_or(ended, |&(_, at)| at),
                operations: operations.map(number).collect(),
                subject,
                story: found.violation.clone().unwrap_or_default(),
                ..BrokenPromise::default()
            }
        })
        .collect();
    violations.sort_by_key(|violation| violation.at);
    violations
}

/// Finds the keys and operations that a violation without a subject is about.
fn find_keys(
    violation: &mut BrokenPromise,
    (scenario, result): (&Scenario, &RunResult),
    world: Option<&World>,
    record: Option<&Record>,
) {
    match (violation.check.as_str(), world, record) {
        (OUTCOMES, _, Some(record)) => {
            let blamed = details::to_blame(record, result.outcomes, &scenario.expect.outcomes);
            for operation in blamed {
                let key = &operation.key;
                if violation.other_keys.len() < KEYS_MAX && !violation.other_keys.contains(key) {
                    violation.other_keys.push(key.clone());
                }
                if violation.other_keys.first() == Some(key) {
                    violation.operations.push((operation.client, operation.number));
                }
            }
        }
        ("convergence", Some(world), _) if violation.subject.is_none() => {
            violation.other_keys = Leftovers::of(&world.scene).keys();
        }
        _ => {}
    }
}

fn names(world: &World) -> Names {
    let name = |node: NodeIndex| (world.scene.node(node).id, world.scene.name(node).to_owned());
    world.scene.cluster.indices().map(name).collect()
}

fn owners(world: &World, keys: &[Key]) -> Vec<Vec<NodeIndex>> {
    use crate::checks::Disks as _;
    let index = |&owner: &NodeId| world.scene.index_of(owner);
    keys.iter().map(|key| world.scene.owners(key).iter().map(index).collect()).collect()
}

fn partitions(world: &World, keys: &[Key]) -> Vec<PartitionId> {
    use crate::checks::Disks as _;
    keys.iter().map(|key| world.scene.partition_of(key)).collect()
}

#[cfg(test)]
mod tests;
