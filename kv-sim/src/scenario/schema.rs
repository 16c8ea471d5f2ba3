//! The reference of all keys of scenarios: which tables there are, and what may stand in each.
//!
//! It is put together from what is said beside the definitions that parse the keys. Tests hold it
//! against the parser: a key that one of the two does not know, a bound or a default that is not the
//! parser's, fails them.

mod json;
mod markdown;

use kv_core::config::{Config, Knob};

use super::key_doc::{DefaultDoc, KeyDoc, SectionDoc, ValueDoc};
use super::{cluster, distances, environment, expect, fault, init, quorum, swarm, workload};
use crate::faults::FAULTS;

pub use json::to_json;
pub use markdown::to_markdown;

/// All tables of scenarios with their keys, in the order in which people read them.
pub fn sections() -> Vec<SectionDoc> {
    let section = |head: &str, about: &str, keys: &[KeyDoc]| SectionDoc {
        head: head.to_owned(),
        about: about.to_owned(),
        keys: keys.to_vec(),
    };
    let mut sections = vec![
        section("", "The top of the file.", TOP_DOC),
        section(
            "[[nodes]]",
            "A node. `nodes = 5` at the top makes five, `n1` to `n5`, each on a machine of its own.",
            cluster::KEYS_DOC,
        ),
        section(
            "quorum",
            "The copies of a key, and the answers that requests wait for.",
            quorum::KEYS_DOC,
        ),
        section(
            "network",
            "The links between nodes when nothing is broken.",
            environment::NETWORK_DOC,
        ),
        section(
            "network.between",
            "The delays between two places, as an element of a list. Of several that fit two nodes the \
             one that names more racks counts, and of these the last.",
            distances::KEYS_DOC,
        ),
        section("disk", "The disks of the nodes.", environment::DISK_DOC),
        section("clocks", "How wrong the clocks of the nodes are.", environment::CLOCKS_DOC),
        SectionDoc {
            head: "[node]".to_owned(),
            about: "The configuration of every node: that of `kv-node`, under the same names."
                .to_owned(),
            keys: Config::KNOBS.iter().map(knob).chain(NODE_DOC.iter().copied()).collect(),
        },
        section(
            "node.buckets",
            "A bucket, as an element of a list: the keys of one prefix, the longest match first.",
            BUCKET_DOC,
        ),
        section(
            "[[init]]",
            "An operator's order to found the cluster, which is new then. Without one it exists.",
            init::KEYS_DOC,
        ),
        section("[[workload]]", "A group of clients that do the same.", workload::KEYS_DOC),
        section(
            "[[fault]]",
            "Something that is broken on purpose. The keys that a kind takes beside these are listed \
             by kind.",
            fault::KEYS_DOC,
        ),
    ];
    sections.extend(FAULTS.iter().map(|word| SectionDoc {
        head: format!("kind = \"{}\"", word.name),
        about: format!("{}.", capitalised(word.about)),
        keys: word.keys.to_vec(),
    }));
    sections.extend([
        section("[expect]", "What the run is judged by.", expect::KEYS_DOC),
        section("[expect.outcomes]", "Bounds on what clients see, over the whole run.", expect::OUTCOMES_DOC),
        section(
            "[probes]",
            "Rare branches that a sweep must reach: `read-repair = 50` means at least once within 50 \
             seeds. `kv-sim list probes` shows their names.",
            &[],
        ),
        section(
            "[swarm]",
            "With this table, the file describes as many scenarios as there are seeds: what it does not \
             give is drawn.",
            swarm::KEYS_DOC,
        ),
        section(
            "[[decision]]",
            "A choice that is forced, where the seed would have chosen otherwise. Saved failures are \
             made of these.",
            DECISION_DOC,
        ),
    ]);
    sections
}

/// The keys at the top of the file.
const TOP_DOC: &[KeyDoc] = &[
    KeyDoc::new("title", ValueDoc::Text, "the point that the scenario shows, in one line"),
    KeyDoc::new("about", ValueDoc::Text, "the reason why it matters, in prose").optional(),
    KeyDoc::new(
        "seed",
        ValueDoc::Whole(0, i64::MAX as u64),
        "the seed that is taken when the command line gives none",
    )
    .or("1"),
    KeyDoc::new("sweep", ValueDoc::Flag, "whether a sweep over many scenarios includes this one")
        .or("true"),
    KeyDoc::new(
        "nodes",
        ValueDoc::Other("a whole number 1 to 10000, or tables `[[nodes]]`"),
        "the nodes of the cluster",
    ),
    KeyDoc::new(
        "partitions",
        ValueDoc::Whole(1, cluster::PARTITIONS_MAX),
        "slices that the ring is cut into; a power of two",
    )
    .or("64"),
    KeyDoc::new(
        "layouts",
        ValueDoc::Whole(1, cluster::LAYOUTS_MAX),
        "layouts that are live at once, all of one content",
    )
    .or("1"),
    KeyDoc::new("quorum", ValueDoc::Table("quorum"), "copies and answers").or("{}"),
    KeyDoc::new("network", ValueDoc::Table("network"), "the links").or("{}"),
    KeyDoc::new("disk", ValueDoc::Table("disk"), "the disks").or("{}"),
    KeyDoc::new("clocks", ValueDoc::Table("clocks"), "the clocks").or("{}"),
    KeyDoc::new(
        "nominal",
        ValueDoc::Other("a list of kinds of choices, such as `[\"delay\", \"loss\"]`"),
        "choices that are not left to chance but take their plainest value: delays their mean, \
         misfortunes never, of several the first",
    )
    .or("[]"),
    KeyDoc::new(
        "repair_by",
        ValueDoc::Other("a list of `reads`, `hints` and `comparison`"),
        "the ways by which owners that are behind are brought up to date; without `reads` nobody may \
         read",
    )
    .or("[\"reads\", \"hints\", \"comparison\"]"),
    KeyDoc::new("node", ValueDoc::Table("[node]"), "the configuration of every node").or("{}"),
    KeyDoc::new("init", ValueDoc::Table("[[init]]"), "orders to found the cluster").or("[]"),
    KeyDoc::new("workload", ValueDoc::Table("[[workload]]"), "groups of clients").or("[]"),
    KeyDoc::new("fault", ValueDoc::Table("[[fault]]"), "faults").or("[]"),
    KeyDoc::new("expect", ValueDoc::Table("[expect]"), "what the run is judged by").or("{}"),
    KeyDoc::new("probes", ValueDoc::Table("[probes]"), "rare branches that a sweep must reach")
        .or("{}"),
    KeyDoc::new("decision", ValueDoc::Table("[[decision]]"), "choices that are forced").or("[]"),
];

/// The keys of `[node]` that are no numbers.
const NODE_DOC: &[KeyDoc] = &[
    KeyDoc::new(
        "mode",
        quorum::MODE,
        "whose answers count when a request does not say; or give it in `quorum`",
    )
    .or("\"sloppy\""),
    KeyDoc::new(
        "monotonic_reads",
        ValueDoc::Flag,
        "whether a read makes its answer stand on enough owners before it replies",
    )
    .or("false"),
    KeyDoc::new(
        "buckets",
        ValueDoc::Table("node.buckets"),
        "how siblings are resolved, by key prefix",
    )
    .or("[]"),
];

/// The keys of a bucket.
const BUCKET_DOC: &[KeyDoc] = &[
    KeyDoc::new("prefix", ValueDoc::Text, "how the names of its keys begin"),
    KeyDoc::new(
        "resolve",
        ValueDoc::Word(&["siblings", "lww"]),
        "what a reader is shown: all siblings, or the one with the greatest time",
    ),
];

/// The keys of a table `[[decision]]`.
const DECISION_DOC: &[KeyDoc] = &[
    KeyDoc::new("at", ValueDoc::Text, "the address of the choice, such as `client 0 2 0 key`"),
    KeyDoc::new("value", ValueDoc::Whole(0, i64::MAX as u64), "the value that is chosen"),
];

/// The description of a number of the configuration.
fn knob(knob: &'static Knob) -> KeyDoc {
    KeyDoc {
        name: knob.name,
        value: ValueDoc::Whole(knob.min as i64, knob.max),
        default: DefaultDoc::Number(knob.default),
        about: knob.about,
    }
}

/// A text with a large first letter.
fn capitalised(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests;
