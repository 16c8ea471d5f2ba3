//! Swarm: scenarios that are drawn from the seed, each an ordinary one.
//!
//! A file with a table `[swarm]` describes as many scenarios as there are seeds. What the file
//! gives beside that table is fixed, and the rest is drawn: the cluster, its quorums and knobs,
//! what clients do, which families of faults are on at all and how they overlap. That some are off
//! matters as much as that others are on: what is always there hides what it masks (Groce and
//! others, "Swarm Testing", 2012).
//!
//! A drawn scenario is a text. So what a person reads, saves, shrinks and commits is what has run.

mod cluster;
mod dice;
mod faults;
mod knobs;
mod lasting;
mod long_lives;
mod pairs;
mod workloads;

use std::collections::BTreeSet;

use kv_core::time::Span;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::de::DeTable;
use toml::{Spanned, Table, Value};

use super::error::{Problem, ScenarioError};
use super::key_doc::{KeyDoc, ValueDoc};
use super::quantity::{count, milliseconds};
use super::{Scenario, draft, expect, file_name, reachable};
use crate::checks::CheckName;
use crate::cluster::probes::Reachable;
use crate::faults::FaultWord;
use crate::scenario::former_names;

pub(crate) use cluster::DrawnCluster;
pub(crate) use dice::{Dice, integer};

/// Scenarios that are drawn from the seed. Made by [`Swarm::parse`] only.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// The purpose of the scenarios, in one line.
    pub title: String,
    /// True if a sweep over many seeds includes the swarm. Default true.
    pub sweep: bool,
    /// The seed that is taken when the command line gives none. Default 1.
    pub seed: u64,
    /// The rare branches that a sweep over enough seeds must reach.
    pub reachable: Vec<Reachable>,
    /// The checks that the file names.
    pub(super) named_checks: BTreeSet<CheckName>,
    ranges: SwarmRanges,
    /// The keys that are not drawn, as they stand in the file.
    fixed: Table,
    path: String,
}

/// The ranges from which scenarios are drawn.
#[derive(Clone, Debug)]
struct SwarmRanges {
    /// The number of nodes. Default 3 to 6.
    nodes: (u64, u64),
    /// The length of the time in which faults come and go. Default 1 to 4 s.
    chaos: (Span, Span),
    /// The length of that time in long runs, in which most faults last. Default 10 to 40 s.
    long_chaos: (Span, Span),
    /// The chance of a run to be a long one, in percent. Default 0.
    long_percent: u64,
    /// The number of operations of all clients together. Default 60 to 300.
    operations: (u64, u64),
    /// The families of faults that may be on. Default all.
    faults: Vec<&'static str>,
    /// The chance of each such family to be on, in percent. Default 25.
    fault_percent: u64,
    /// The chance of a scenario to have a large cluster, in percent. Default 0.
    large_percent: u64,
    /// The number of nodes of a large cluster. Default 12 to 40.
    large_nodes: (u64, u64),
    /// The number of operations in a large cluster, or in a long life. Default 20 to 80.
    few_operations: (u64, u64),
    /// The chance of a scenario to last for minutes, in percent. Default 0.
    life_percent: u64,
    /// The length of the time in which faults come and go in such a scenario. Default 1 to 5
    /// minutes.
    life: (Span, Span),
}

/// The length of the time in which faults of a drawn scenario come and go.
#[derive(Clone, Copy, Debug)]
struct ChaosLength {
    /// The length in milliseconds.
    ms: u64,
    /// True if most faults last for a large part of it, and clients ask all the while.
    is_long: bool,
}

/// The keys of `[swarm]`.
pub(super) const KEYS_DOC: &[KeyDoc] = &[
    KeyDoc::new("nodes", ValueDoc::Range(1, 100), "the number of nodes").or("[3, 6]"),
    KeyDoc::new("chaos_ms", ValueDoc::Range(1, 600_000), "how long faults come and go")
        .or("[1000, 4000]"),
    KeyDoc::new(
        "long_chaos_ms",
        ValueDoc::Range(1, 600_000),
        "how long in a long run, in which most faults last",
    )
    .or("[10000, 40000]"),
    KeyDoc::new("long_percent", ValueDoc::Whole(0, 100), "the chance of a long run").or("0"),
    KeyDoc::new("operations", ValueDoc::Range(1, 1_000_000), "operations of all clients together")
        .or("[60, 300]"),
    KeyDoc::new("faults", ValueDoc::Other("a list of kinds of faults"), "the kinds that may be on")
        .or_else("all"),
    KeyDoc::new("fault_percent", ValueDoc::Whole(0, 100), "the chance of each such kind to be on")
        .or("25"),
    KeyDoc::new("large_percent", ValueDoc::Whole(0, 100), "the chance of a large cluster").or("0"),
    KeyDoc::new("large_nodes", ValueDoc::Range(1, 100), "the number of nodes of a large cluster")
        .or("[12, 40]"),
    KeyDoc::new("life_percent", ValueDoc::Whole(0, 100), "the chance of a run of minutes").or("0"),
    KeyDoc::new(
        "life_ms",
        ValueDoc::Range(1, 600_000),
        "how long faults come and go in such a run",
    )
    .or("[60000, 300000]"),
    KeyDoc::new(
        "few_operations",
        ValueDoc::Range(1, 1_000_000),
        "operations of all clients together, in a large cluster or in a run of minutes",
    )
    .or("[20, 80]"),
];

/// `[swarm]` as it stands in the file.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SwarmKeys {
    nodes: Option<Spanned<[Spanned<u64>; 2]>>,
    chaos_ms: Option<Spanned<[Spanned<u64>; 2]>>,
    long_chaos_ms: Option<Spanned<[Spanned<u64>; 2]>>,
    long_percent: Option<Spanned<u64>>,
    operations: Option<Spanned<[Spanned<u64>; 2]>>,
    faults: Option<Vec<Spanned<String>>>,
    fault_percent: Option<Spanned<u64>>,
    large_percent: Option<Spanned<u64>>,
    large_nodes: Option<Spanned<[Spanned<u64>; 2]>>,
    few_operations: Option<Spanned<[Spanned<u64>; 2]>>,
    life_percent: Option<Spanned<u64>>,
    life_ms: Option<Spanned<[Spanned<u64>; 2]>>,
}

impl Swarm {
    /// Tells whether a text describes a swarm and not one scenario.
    pub(super) fn is_meant_by(text: &str) -> bool {
        DeTable::parse(text).is_ok_and(|table| table.get_ref().contains_key("swarm"))
    }

    /// Parses the swarm that a text describes. `path` is only a name: nothing is read.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], with the problem of the text, or of the scenarios that it leads
    /// to.
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        let invalid = |problem| ScenarioError::Invalid {
            path: path.to_owned(),
            text: text.into(),
            problems: vec![problem],
        };
        let Parsed { ranges, reachable, fixed } = parse(text).map_err(invalid)?;
        let title = fixed.get("title").and_then(Value::as_str).unwrap_or_default().to_owned();
        let sweep = fixed.get("sweep").and_then(Value::as_bool).unwrap_or(true);
        let seed = fixed.get("seed").and_then(Value::as_integer);
        let seed = seed.and_then(|seed| u64::try_from(seed).ok()).unwrap_or(1);
        let path = path.to_owned();
        let named_checks = BTreeSet::new();
        Self { title, sweep, seed, reachable, named_checks, ranges, fixed, path }.tried()
    }

    /// The same swarm, all of whose scenarios demand these checks as well that no level promises.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], if one of them is promised.
    pub fn demanding(&self, unpromised: &[CheckName]) -> Result<Self, ScenarioError> {
        let mut swarm = self.clone();
        expect::demand(&mut swarm.fixed, unpromised);
        swarm.tried()
    }

    /// Draws some scenarios. The fixed keys may not fit the drawn ones: most such files are found out
    /// here. Checks are never drawn: every scenario names the same.
    fn tried(mut self) -> Result<Self, ScenarioError> {
        for seed in 0..16 {
            self.named_checks = self.scenario(seed)?.expect.named;
        }
        Ok(self)
    }

    /// The name of the swarm: the file without folder and extension.
    pub fn name(&self) -> String {
        file_name(&self.path)
    }

    /// The path of the file as it was given.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Draws the scenario of a seed.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] if what the file fixes does not fit what was drawn.
    pub fn scenario(&self, seed: u64) -> Result<Scenario, ScenarioError> {
        let dice = Dice::new(seed);
        let ranges = &self.ranges;
        let is_large = dice.chance("a large cluster", ranges.large_percent);
        let lives_long = dice.chance("a long life", ranges.life_percent);
        let cluster = if is_large {
            let nodes = dice.of("large").magnitude("nodes", ranges.large_nodes);
            DrawnCluster::draw(dice.of("cluster"), (nodes, nodes))
        } else {
            DrawnCluster::draw(dice.of("cluster"), ranges.nodes)
        };
        let chaos = if lives_long {
            let (from, until) = ranges.life;
            let ms = dice.between("chaos", (from.as_ms(), until.as_ms()));
            ChaosLength { ms, is_long: false }
        } else {
            self.chaos(dice)
        };
        let is_few = is_large || lives_long;
        let operations = if is_few { ranges.few_operations } else { ranges.operations };
        let operations = dice.between("operations", operations);

        let mut drawn = cluster.table(dice.of("cluster"));
        drawn.insert("network".to_owned(), knobs::network(dice.of("network")).into());
        drawn.insert("disk".to_owned(), knobs::disk(dice.of("disk")).into());
        drawn.insert("clocks".to_owned(), knobs::clocks(dice.of("clocks")).into());
        let mut node = knobs::node(dice.of("node"));
        let mut workloads = workloads::draw(dice.of("workload"), operations, chaos, &cluster);
        if is_few {
            knobs::calm_down(&mut node);
        }
        if lives_long {
            long_lives::spread(&mut workloads, chaos.ms);
        }
        drawn.insert("node".to_owned(), node.into());
        drawn.insert("workload".to_owned(), workloads.into());
        let SwarmRanges { faults, fault_percent, .. } = ranges;
        let faults = faults::draw(dice.of("fault"), &cluster, chaos, faults, *fault_percent);
        drawn.insert("fault".to_owned(), faults.into());

        for (key, value) in &self.fixed {
            drawn.insert(key.clone(), value.clone());
        }
        drawn.remove("about");
        drawn.insert("seed".to_owned(), dice::integer(seed));
        Scenario::parse(&self.path, &draft::to_text(&drawn))
    }

    /// Draws the time in which faults come and go.
    fn chaos(&self, dice: Dice) -> ChaosLength {
        let SwarmRanges { chaos, long_chaos, long_percent, .. } = &self.ranges;
        let is_long = dice.chance("long", *long_percent);
        let (question, (from, until)) =
            if is_long { ("long chaos", long_chaos) } else { ("chaos", chaos) };
        ChaosLength { is_long, ms: dice.between(question, (from.as_ms(), until.as_ms())) }
    }
}

/// The parts of a swarm's text: its own table, its probes, and the fixed keys.
struct Parsed {
    ranges: SwarmRanges,
    reachable: Vec<Reachable>,
    fixed: Table,
}

fn parse(text: &str) -> Result<Parsed, Problem> {
    let whole = 0..text.len();
    let toml = |error: toml::de::Error| Problem::from_toml(&error, whole.clone(), &[]);
    let mut document = DeTable::parse(text).map_err(toml)?.into_inner();
    super::rename_former_keys(&mut document)?;
    let mut fixed: Table = toml::from_str(text).map_err(toml)?;
    for (former, present) in former_names::KEYS {
        if let Some(value) = fixed.remove(former) {
            fixed.insert(present.to_owned(), value);
        }
    }
    // A sweep is judged by the probes, and not each scenario that is drawn.
    fixed.remove("swarm");
    fixed.remove("probes");
    let reachable = reachable::parse(document.remove("probes"))?;
    if let Some(nodes) = document.get("nodes") {
        return Err(Problem::at(
            nodes.span(),
            "the nodes of a swarm are drawn, and so are their names",
        )
        .label("not here")
        .help("under [swarm], nodes = [5, 5] makes every cluster one of five nodes"));
    }
    let keys = match document.remove("swarm") {
        None => SwarmKeys::default(),
        Some(table) => {
            let span = table.span();
            SwarmKeys::deserialize(table.into_deserializer())
                .map_err(|error| Problem::from_toml(&error, span, &[]))?
        }
    };
    let bounds = |key: &Option<Spanned<[Spanned<u64>; 2]>>, name, range, default| match key {
        None => Ok(default),
        Some(bounds) => within(bounds, name, range),
    };
    let spans = |key: &Option<Spanned<[Spanned<u64>; 2]>>, name, (from, until)| match key {
        None => Ok((Span::from_ms(from), Span::from_ms(until))),
        Some(bounds) => {
            within(bounds, name, 1..=600_000)?;
            let [from, until] = bounds.get_ref();
            Ok((milliseconds(from)?, milliseconds(until)?))
        }
    };
    let percent = |key: &Option<Spanned<u64>>, name, default| match key {
        None => Ok(default),
        Some(percent) => count(percent, name, 0..=100),
    };
    let ranges = SwarmRanges {
        nodes: bounds(&keys.nodes, "nodes", 1..=100, (3, 6))?,
        chaos: spans(&keys.chaos_ms, "chaos_ms", (1_000, 4_000))?,
        long_chaos: spans(&keys.long_chaos_ms, "long_chaos_ms", (10_000, 40_000))?,
        long_percent: percent(&keys.long_percent, "long_percent", 0)?,
        operations: bounds(&keys.operations, "operations", 1..=1_000_000, (60, 300))?,
        faults: match &keys.faults {
            None => FaultWord::names(),
            Some(words) => words.iter().map(family).collect::<Result<_, _>>()?,
        },
        fault_percent: percent(&keys.fault_percent, "fault_percent", 25)?,
        large_percent: percent(&keys.large_percent, "large_percent", 0)?,
        large_nodes: bounds(&keys.large_nodes, "large_nodes", 1..=100, (12, 40))?,
        few_operations: bounds(&keys.few_operations, "few_operations", 1..=1_000_000, (20, 80))?,
        life_percent: percent(&keys.life_percent, "life_percent", 0)?,
        life: spans(&keys.life_ms, "life_ms", (60_000, 300_000))?,
    };
    Ok(Parsed { ranges, reachable, fixed })
}

fn within(
    bounds: &Spanned<[Spanned<u64>; 2]>,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<(u64, u64), Problem> {
    let [min, max] = bounds.get_ref();
    let (from, until) = (count(min, name, range.clone())?, count(max, name, range)?);
    if from > until {
        return Err(Problem::at(bounds.span(), format!("no number is in {from}..={until}"))
            .label("the smaller one stands first"));
    }
    Ok((from, until))
}

fn family(word: &Spanned<String>) -> Result<&'static str, Problem> {
    let found = FaultWord::find(word.get_ref()).map(|fault| fault.name);
    found.ok_or_else(|| {
        Problem::unknown_word(word.span(), "fault", word.get_ref(), &FaultWord::names())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kv_core::quorum::Level;

    use super::*;
    use crate::faults::{FAULTS, Victims};
    use crate::scenario::{ClientPace, Fault, Quorum, Workload};

    const EVERYTHING: &str = "title = \"t\"\n[swarm]\n";

    /// The mean time between two operations of one client.
    fn pause(workload: &Workload) -> Span {
        match workload.pace {
            ClientPace::Thinks(mean) | ClientPace::Arrives(mean) => mean,
        }
    }

    fn scenarios(text: &str, seeds: u64) -> Vec<Scenario> {
        let swarm = Swarm::parse("swarm.toml", text).expect("it is valid");
        (0..seeds).map(|seed| swarm.scenario(seed).expect("it fits")).collect()
    }

    #[test]
    fn every_seed_gives_a_valid_scenario_and_the_same_one_each_time() {
        let once = scenarios(EVERYTHING, 500);
        let again = scenarios(EVERYTHING, 500);
        for (one, other) in once.iter().zip(&again) {
            assert_eq!(one.text(), other.text());
        }
        let texts: BTreeSet<_> = once.iter().map(Scenario::text).collect();
        assert_eq!(texts.len(), 500);
    }

    #[test]
    fn every_family_of_faults_is_on_in_some_and_off_in_most() {
        let scenarios = scenarios(EVERYTHING, 400);
        for word in FAULTS {
            let is_on = |scenario: &&Scenario| {
                scenario.faults.iter().any(|fault| fault.kind.name() == word.name)
            };
            let on = scenarios.iter().filter(is_on).count();
            assert!((8..200).contains(&on), "{} is on in {on} of 400", word.name);
        }
    }

    #[test]
    fn a_run_may_be_long_with_faults_that_last_and_clients_that_go_on_asking() {
        let usual = scenarios(EVERYTHING, 60);
        let text = |percent| format!("title = \"t\"\n[swarm]\nlong_percent = {percent}\n");
        let some = scenarios(&text(50), 60);
        let long: Vec<_> =
            some.iter().zip(&usual).filter(|(some, usual)| some.text() != usual.text()).collect();
        assert!(
            (10..50).contains(&long.len()),
            "{} of 60 are long, and no other moves",
            long.len()
        );
        let lasts = |scenario: &Scenario| {
            scenario.faults.iter().filter_map(Fault::lasts).max().unwrap_or_default()
        };
        let last_long = long.iter().filter(|(some, _)| lasts(some) >= Span::from_ms(5_000)).count();
        assert!(last_long * 3 > long.len() * 2, "{last_long} of {}", long.len());
        for (scenario, _) in long {
            for workload in &scenario.workloads {
                let each = workload.operations / u64::from(workload.clients);
                let span = pause(workload).times(each.max(1));
                assert!(span >= Span::from_ms(4_000), "{} asks for {span:?}", scenario.text());
                assert!(lasts(scenario) <= Span::from_ms(40_000));
            }
        }
    }

    #[test]
    fn some_clusters_are_large_and_some_lives_are_long_if_the_file_says_so() {
        let text = "title = \"t\"\n[swarm]\nlarge_percent = 30\nlife_percent = 30\n";
        let scenarios = scenarios(text, 200);
        let is_large = |scenario: &&Scenario| scenario.cluster.nodes.len() >= 12;
        let is_long = |scenario: &&Scenario| {
            let work = scenario.workloads.iter().map(|workload| {
                let each = workload.operations / u64::from(workload.clients);
                pause(workload).times(each).as_ms()
            });
            work.max().is_some_and(|ms| ms > 20_000)
        };
        let (large, long) =
            (scenarios.iter().filter(is_large).count(), scenarios.iter().filter(is_long).count());
        assert!((30..100).contains(&large) && (30..100).contains(&long), "{large}, {long}");
        let operations = |scenario: &Scenario| {
            scenario.workloads.iter().map(|workload| workload.operations).sum::<u64>()
        };
        let few = scenarios.iter().filter(|scenario| is_large(scenario));
        assert!(few.map(operations).all(|operations| operations <= 80));
    }

    #[test]
    fn some_faults_meet_at_one_node_and_some_never_end() {
        let scenarios = scenarios(EVERYTHING, 400);
        let lasts = |scenario: &&Scenario| scenario.faults.iter().any(Fault::is_lasting);
        let lasting: Vec<_> = scenarios.iter().filter(lasts).collect();
        assert!((8..60).contains(&lasting.len()), "{} of 400", lasting.len());
        for scenario in lasting {
            let nodes = scenario.cluster.nodes.len();
            for fault in scenario.faults.iter().filter(|fault| fault.is_lasting()) {
                if let Some(Victims::These(victims)) = fault.kind.victims() {
                    assert!(2 * victims.len() < nodes, "{} of {nodes} are gone", victims.len());
                }
            }
        }
        // Only pairs name the nodes of their kills, and end.
        let is_pair = |fault: &Fault| {
            let named = matches!(fault.kind.victims(), Some(Victims::These(_)));
            named && fault.kind.name() == "kill" && !fault.is_lasting()
        };
        let paired = scenarios.iter().filter(|scenario| scenario.faults.iter().any(is_pair));
        assert!((8..60).contains(&paired.count()));
    }

    #[test]
    fn some_quorums_lie_in_a_corner() {
        let scenarios = scenarios(EVERYTHING, 400);
        let counts = |scenario: &Scenario| {
            let Quorum { read, write, .. } = scenario.quorum;
            (scenario.quorum.owners(), read, write)
        };
        let single =
            |scenario: &&Scenario| counts(scenario) == (1, Level::Count(1), Level::Count(1));
        let one_all =
            |scenario: &&Scenario| counts(scenario) == (5, Level::Count(1), Level::Count(5));
        assert!(scenarios.iter().filter(single).count() > 4);
        assert!(scenarios.iter().any(|scenario| one_all(&scenario)));
    }

    #[test]
    fn what_the_file_fixes_is_not_drawn() {
        let text = "title = \"t\"\nnetwork = { loss = 0.5 }\n\
                    [swarm]\nnodes = [4, 4]\nfaults = [\"kill\"]\nfault_percent = 100\n";
        for scenario in scenarios(text, 50) {
            assert_eq!(scenario.cluster.nodes.len(), 4);
            assert_eq!(scenario.network.loss_ppm, 500_000);
            assert!(scenario.faults.iter().all(|fault| fault.kind.name() == "kill"));
            assert!(!scenario.faults.is_empty());
        }
    }

    #[test]
    fn a_sweep_is_judged_by_the_probes_and_no_drawn_scenario_names_them() {
        let text = "title = \"t\"\n[swarm]\n[probes]\nread-repair = 50\n";
        let swarm = Swarm::parse("swarm.toml", text).expect("it is valid");
        let declared: Vec<_> =
            swarm.reachable.iter().map(|one| (one.branch.name(), one.within)).collect();
        assert_eq!(declared, [("read-repair", 50)]);
        let drawn = swarm.scenario(1).expect("it fits");
        assert!(drawn.reachable.is_empty() && !drawn.text().contains("probes"), "{}", drawn.text());
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        let refused = |text: &str| {
            let error = Swarm::parse("swarm.toml", text).expect_err(text);
            error.render(super::super::Colour::Plain)
        };
        let text = refused("title = \"t\"\n[swarm]\nnodes = [5, 3]\n");
        assert!(text.contains("no number is in 5..=3"), "{text}");
        let text = refused("title = \"t\"\n[swarm]\nfaults = [\"kil\"]\n");
        assert!(text.contains("kill"), "{text}");
        let text = refused("title = \"t\"\n[swarm]\nfault_share = 1\n");
        assert!(text.contains("fault_share"), "{text}");
        let text = refused("title = \"t\"\n[swarm]\n[probes]\nread-repare = 1\n");
        assert!(text.contains("did you mean `read-repair`?"), "{text}");
        let text = refused("title = \"t\"\nnodez = 3\n[swarm]\n");
        assert!(text.contains("nodez"), "{text}");
        let text = refused("title = \"t\"\nnodes = 3\n[swarm]\n");
        assert!(text.contains("nodes = [5, 5]"), "{text}");
        let text = refused("title = \"t\"\nquorum = { r = 9 }\n[swarm]\n");
        assert!(text.contains("r = 9 can never be reached"), "{text}");
    }
}
