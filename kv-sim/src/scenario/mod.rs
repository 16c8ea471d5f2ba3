//! Scenarios: a cluster, a workload, faults, and what must hold, in one TOML file.
//!
//! Takes a text and makes a [`Scenario`] of it, which exists only if everything in it makes sense
//! (parse, don't validate), or a [`ScenarioError`] with every problem that was found, each at its
//! line.
//!
//! One concept is one file here: its value, its keys as they stand in the text (`…ScenarioKeys`), and the
//! way from the keys to the value. Units are in the names of keys; values carry them in types.

mod cluster;
mod distances;
pub mod draft;
mod environment;
mod error;
mod expect;
mod fault;
pub mod former_names;
mod init;
mod key_choice;
pub(crate) mod key_doc;
mod lookup;
mod node;
pub(crate) mod quantity;
mod quorum;
mod reachable;
mod repair_by;
pub mod schema;
mod source;
mod swarm;
#[cfg(test)]
mod tests;
mod untidiness;
mod workload;

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use kv_core::config::Config;
use serde::Deserialize;
use serde::de::{IgnoredAny, IntoDeserializer};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::checks::CheckName;
use crate::cluster::probes::Reachable;
use crate::random::address::Aspect;
use crate::random::draws::Decision;

pub use cluster::{Cluster, NODES_MAX, NodeIndex, Place};
pub use distances::{Distances, LinkDelay};
pub(crate) use environment::DRIFT_PPM_MAX;
pub use environment::{Clocks, DiskSettings, NetworkSettings};
pub use error::{Colour, Problem, ScenarioError};
pub use expect::{Bound, Expect, OutcomeBounds};
pub use fault::{Fault, Occurrence};
pub use init::Init;
pub use key_choice::KeyChoice;
pub use key_doc::{DefaultDoc, KeyDoc, MS_MAX, SectionDoc, ValueDoc};
pub use lookup::{all, find, load};
pub use quantity::PPM;
pub use quorum::{Quorum, REPLICAS_MAX, level_words};
pub use repair_by::RepairBy;
pub use source::Source;
pub use swarm::Swarm;
pub(crate) use swarm::{Dice, DrawnCluster, integer};
pub use untidiness::{Misuse, Untidiness};
pub use workload::{ClientPace, Workload, WorkloadKind};

use error::Problems;

/// A cluster, the faults and clients that act on it, and what must hold. Made by
/// [`Scenario::parse`] only.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The point that the scenario shows, in one line; never empty.
    pub title: String,
    /// The reason why it matters, in prose.
    pub about: Option<String>,
    /// The seed that is taken when the command line gives none. Default 1.
    pub seed: u64,
    /// True if a sweep over many seeds includes the scenario. Default true; large ones set it to
    /// false.
    pub sweep: bool,
    /// The nodes and the ring.
    pub cluster: Cluster,
    /// The copies of a key, and the answers that requests wait for.
    pub quorum: Quorum,
    /// The links between nodes.
    pub network: NetworkSettings,
    /// The disks of nodes.
    pub disk: DiskSettings,
    /// The clocks of nodes.
    pub clocks: Clocks,
    /// The configuration of every node. R, W and the mode agree with `quorum`.
    pub node: Config,
    /// The ways by which owners that are behind are brought up to date.
    pub repair_by: RepairBy,
    /// The orders to found the cluster, which is new then. Empty if it exists.
    pub inits: Vec<Init>,
    /// The groups of clients. Empty for an idle cluster.
    pub workloads: Vec<Workload>,
    /// The faults of the run.
    pub faults: Vec<Fault>,
    /// The expectations that the run is judged by.
    pub expect: Expect,
    /// The rare branches that a sweep over enough seeds must reach.
    pub reachable: Vec<Reachable>,
    /// The aspects that are not left to chance but take their plainest value: delays their mean,
    /// misfortunes never, of several the first.
    pub nominal: BTreeSet<Aspect>,
    /// The choices that are forced, where the seed would have chosen otherwise.
    pub decisions: Vec<Decision>,
    /// The name of the scenario: the file without folder and extension.
    name: String,
    /// The path of the file as it was given.
    path: String,
    text: Arc<str>,
}

impl Scenario {
    /// Parses the scenario that a text describes. `path` is only a name: nothing is read.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], with every problem that could be found.
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        parse(path, text).map_err(|problems| ScenarioError::Invalid {
            path: path.to_owned(),
            text: text.into(),
            problems,
        })
    }

    /// The same scenario, which demands these checks as well that no level promises. They stand in
    /// its text.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], if one of them is promised.
    pub fn demanding(&self, unpromised: &[CheckName]) -> Result<Self, ScenarioError> {
        let mut table: toml::Table = toml::from_str(&self.text).expect("it was parsed");
        expect::demand(&mut table, unpromised);
        Self::parse(&self.path, &draft::to_text(&table))
    }

    /// The name of the scenario: the file without folder and extension.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of the file as it was given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The text that the scenario was made from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The time at which the last fault has ended, since the chaos phase began; zero if there is
    /// none.
    pub fn faults_end(&self) -> kv_core::time::Span {
        self.faults.iter().map(Fault::end).max().unwrap_or_default()
    }

    /// True if there is no fault, and no message has a misfortune.
    pub fn is_untroubled(&self) -> bool {
        let NetworkSettings { loss_ppm, duplicate_ppm, reorder_ppm, .. } = self.network;
        let has_misfortunes = loss_ppm > 0 || duplicate_ppm > 0 || reorder_ppm > 0;
        self.faults.is_empty() && self.inits.is_empty() && !has_misfortunes
    }

    /// True if a fault gives a disk back what it held earlier, so that this must be remembered.
    pub fn rolls_disks_back(&self) -> bool {
        self.faults.iter().any(|fault| fault.kind.word().needs_past)
    }
}

/// The top of the file. `[node]`, `[probes]` and `[[fault]]` are taken out before, as they need
/// their tables as they stand; they are fields here so that serde knows them when it lists the
/// keys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioKeys {
    title: Spanned<String>,
    about: Option<String>,
    seed: Option<u64>,
    sweep: Option<bool>,
    nodes: Spanned<cluster::NodesKey>,
    partitions: Option<Spanned<u64>>,
    layouts: Option<Spanned<u64>>,
    #[serde(default)]
    quorum: quorum::QuorumKeys,
    #[serde(default)]
    network: environment::NetworkKeys,
    #[serde(default)]
    disk: environment::DiskKeys,
    #[serde(default)]
    clocks: environment::ClocksKeys,
    #[serde(default)]
    nominal: Vec<Spanned<String>>,
    repair_by: Option<Spanned<Vec<repair_by::RepairWay>>>,
    #[serde(rename = "node")]
    _node: Option<IgnoredAny>,
    #[serde(default)]
    init: Vec<init::InitKeys>,
    #[serde(default)]
    workload: Vec<workload::WorkloadKeys>,
    #[serde(rename = "fault")]
    _fault: Option<IgnoredAny>,
    #[serde(default)]
    expect: expect::ExpectKeys,
    #[serde(rename = "probes")]
    _probes: Option<IgnoredAny>,
    #[serde(default)]
    decision: Vec<DecisionKeys>,
}

/// A table `[[decision]]` as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionKeys {
    at: String,
    value: u64,
}

fn parse(path: &str, text: &str) -> Result<Scenario, Vec<Problem>> {
    let whole = 0..text.len();
    let mut document = DeTable::parse(text)
        .map_err(|error| vec![Problem::from_toml(&error, whole.clone(), &[])])?
        .into_inner();
    rename_former_keys(&mut document).map_err(|problem| vec![problem])?;
    let node = document.remove("node");
    let faults = document.remove("fault");
    let probes = document.remove("probes");

    let mut problems = Problems::default();
    let node = problems.keep(node::shape(node));
    let faults = problems.keep(tables(faults));
    let reachable = problems.keep(reachable::parse(probes));
    let keys = problems.keep(top(document, whole));
    let (Some(keys), Some(faults)) = (keys, faults) else {
        problems.into_result()?;
        unreachable!("what is missing has a problem");
    };
    if keys.title.get_ref().trim().is_empty() {
        let empty = Problem::at(keys.title.span(), "the title is empty")
            .label("say in one line what the scenario shows");
        problems.keep(Err::<(), _>(empty));
    }
    let network = problems.keep(environment::network(&keys.network));
    let disk = problems.keep(environment::disk(&keys.disk));
    let clocks = problems.keep(environment::clocks(&keys.clocks));
    let expect = problems.keep(expect::parse(&keys.expect));
    let nominal = problems.keep(keys.nominal.iter().map(aspect).collect());
    let cluster =
        problems.keep(cluster::parse(&keys.nodes, keys.partitions.as_ref(), keys.layouts.as_ref()));
    let Some(cluster) = cluster else {
        problems.into_result()?;
        unreachable!("what is missing has a problem");
    };
    let network = network.and_then(|network| {
        problems.keep(environment::with_distances(network, &keys.network, &cluster))
    });
    let inits = problems.keep(keys.init.iter().map(|keys| init::parse(keys, &cluster)).collect());
    let faults: Vec<_> = faults
        .into_iter()
        .filter_map(|table| problems.keep(fault::parse(table, &cluster)))
        .collect();
    let plan = node.and_then(|node| {
        problems.keep(node::parse(node, &keys.quorum, &cluster, keys.nodes.span()))
    });
    let workloads: Vec<_> = plan
        .iter()
        .flat_map(|(config, quorum)| {
            keys.workload.iter().map(|table| workload::parse(table, &cluster, quorum, config))
        })
        .collect();
    let workloads: Vec<_> = workloads.into_iter().filter_map(|made| problems.keep(made)).collect();
    let repair_by = problems.keep(repair_by::parse(keys.repair_by.as_ref(), &workloads));

    problems.into_result()?;
    let (Some((node, quorum)), Some(network), Some(disk), Some(clocks)) =
        (plan, network, disk, clocks)
    else {
        unreachable!("what is missing has a problem");
    };
    let (Some(mut expect), Some(reachable), Some(nominal), Some(inits), Some(repair_by)) =
        (expect, reachable, nominal, inits, repair_by)
    else {
        unreachable!("what is missing has a problem");
    };
    if !keys.expect.bounds_convergence() {
        expect.converged_within = environment::converged_within(&network, &disk, &node);
    }
    Ok(Scenario {
        title: keys.title.into_inner(),
        about: keys.about,
        seed: keys.seed.unwrap_or(1),
        sweep: keys.sweep.unwrap_or(true),
        cluster,
        quorum,
        network,
        disk,
        clocks,
        node,
        repair_by,
        inits,
        workloads,
        faults,
        expect,
        reachable,
        nominal,
        decisions: keys.decision.into_iter().map(DecisionKeys::into_decision).collect(),
        name: file_name(path),
        path: path.to_owned(),
        text: text.into(),
    })
}

/// The name of the thing that a file describes: the file without folder and extension.
fn file_name(path: &str) -> String {
    let stem = Path::new(path).file_stem();
    stem.map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

/// Takes the tables of `[[fault]]` apart.
fn tables(faults: Option<Spanned<DeValue<'_>>>) -> Result<Vec<Spanned<DeValue<'_>>>, Problem> {
    let Some(faults) = faults else {
        return Ok(Vec::new());
    };
    let span = faults.span();
    match faults.into_inner() {
        DeValue::Array(tables) => Ok(tables.into_iter().collect()),
        _ => Err(Problem::at(span, "`fault` is a list of tables")
            .label("write [[fault]], with two brackets")),
    }
}

/// Gives keys at the top their present names.
fn rename_former_keys(document: &mut DeTable<'_>) -> Result<(), Problem> {
    for (former, present) in former_names::KEYS {
        let Some((key, value)) = document.remove_entry(former) else { continue };
        let span = key.span();
        if document.insert(Spanned::new(span.clone(), present.into()), value).is_some() {
            let message =
                format!("`{former}` is the former name of `{present}`, which is there too");
            return Err(Problem::at(span, message).label("remove this"));
        }
    }
    Ok(())
}

fn top(document: DeTable<'_>, whole: Range<usize>) -> Result<ScenarioKeys, Problem> {
    ScenarioKeys::deserialize(
        Spanned::new(whole.clone(), DeValue::Table(document)).into_deserializer(),
    )
    .map_err(|error| Problem::from_toml(&error, whole, &[]))
}

/// Parses an aspect of choices that can be nominal.
fn aspect(word: &Spanned<String>) -> Result<Aspect, Problem> {
    let known: Vec<_> = Aspect::THAT_CAN_BE_NOMINAL.iter().map(|aspect| aspect.name()).collect();
    let name = former_names::aspect(word.get_ref());
    let found = Aspect::THAT_CAN_BE_NOMINAL.iter().find(|aspect| aspect.name() == name);
    let unknown = || Problem::unknown_word(word.span(), "choice", word.get_ref(), &known);
    found.copied().ok_or_else(unknown)
}

impl DecisionKeys {
    fn into_decision(self) -> Decision {
        Decision { at: self.at, value: self.value }
    }
}
