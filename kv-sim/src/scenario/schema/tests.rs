use std::collections::BTreeSet;
use std::{env, fs};

use toml::{Table, Value};

use super::*;
use crate::random::address::Aspect;
use crate::scenario::draft;
use crate::scenario::key_doc::DefaultDoc;
use crate::scenario::{DrawnCluster, Problem, Scenario, ScenarioError, Source};

/// A scenario that has each table, with no more than it needs.
const SMALL: &str = r#"
title = "t"
nodes = [{ name = "n1" }, { name = "n2" }, { name = "n3" }, { name = "n4" }]
quorum = { n = 3 }
network = { between = [{ from = "dc1", to = "dc1" }] }
disk = {}
clocks = {}
[node]
buckets = [{ prefix = "k", resolve = "lww" }]
[[init]]
at_ms = 0
node = "n1"
[[workload]]
kind = "put-get"
clients = 1
operations = 1
[expect.outcomes]
[[decision]]
at = "client 0 1 0 key"
value = 0
"#;

/// The ways to the tables of [`SMALL`], by their heads.
const WAYS: &[(&str, &[&str])] = &[
    ("", &[]),
    ("[[nodes]]", &["nodes"]),
    ("quorum", &["quorum"]),
    ("network", &["network"]),
    ("network.between", &["network", "between"]),
    ("disk", &["disk"]),
    ("clocks", &["clocks"]),
    ("[node]", &["node"]),
    ("node.buckets", &["node", "buckets"]),
    ("[[init]]", &["init"]),
    ("[[workload]]", &["workload"]),
    ("[expect]", &["expect"]),
    ("[expect.outcomes]", &["expect", "outcomes"]),
    ("[[decision]]", &["decision"]),
];

/// [`SMALL`] with one more key in one table.
fn with(way: &[&str], key: &str, value: Value) -> String {
    let mut text: Table = toml::from_str(SMALL).expect("it is TOML");
    let mut table = &mut text;
    for step in way {
        table = match table.get_mut(*step).expect("each table is there") {
            Value::Table(table) => table,
            Value::Array(tables) => tables[0].as_table_mut().expect("a list of tables"),
            other => panic!("{step} is no table: {other}"),
        };
    }
    table.insert(key.to_owned(), value);
    draft::to_text(&text)
}

fn problems(text: &str) -> Vec<Problem> {
    match Source::parse("test.toml", text) {
        Ok(_) => Vec::new(),
        Err(ScenarioError::Invalid { problems, .. }) => problems,
        Err(other) => panic!("{other}"),
    }
}

/// The keys that the parser lists when it meets one that it does not know.
fn known_to_the_parser(text: &str) -> BTreeSet<String> {
    let problems = problems(text);
    let unknown = |problem: &&Problem| problem.message == "unknown key `surely_unknown`";
    let problem = problems.iter().find(unknown).unwrap_or_else(|| panic!("{problems:?}\n{text}"));
    let help = problem.help.as_deref().unwrap_or_default();
    let list = help.strip_prefix("known here: ").expect("a list");
    list.split(", ").map(ToOwned::to_owned).collect()
}

fn section(head: &str) -> SectionDoc {
    let found = sections().into_iter().find(|section| section.head == head);
    found.unwrap_or_else(|| panic!("there is no section {head}"))
}

fn names(keys: &[KeyDoc]) -> BTreeSet<String> {
    keys.iter().map(|key| key.name.to_owned()).collect()
}

#[test]
fn every_table_lists_exactly_the_keys_that_the_parser_knows() {
    for (head, way) in WAYS {
        let known = known_to_the_parser(&with(way, "surely_unknown", 1.into()));
        assert_eq!(names(&section(head).keys), known, "{head}");
    }
    let known = known_to_the_parser("title = \"t\"\n[swarm]\nsurely_unknown = 1\n");
    assert_eq!(names(&section("[swarm]").keys), known);
}

#[test]
fn every_kind_of_fault_lists_exactly_the_keys_that_the_parser_knows() {
    for word in FAULTS {
        let fault = format!("[[fault]]\nkind = \"{}\"\nfrom_ms = 0\nuntil_ms = 1\n", word.name);
        let known = known_to_the_parser(&format!("{SMALL}{fault}surely_unknown = 1\n"));
        let own = names(&section(&format!("kind = \"{}\"", word.name)).keys);
        let shared = names(&section("[[fault]]").keys);
        assert_eq!(own.intersection(&shared).count(), 0, "{}", word.name);
        assert_eq!(own.union(&shared).cloned().collect::<BTreeSet<_>>(), known, "{}", word.name);
    }
}

#[test]
fn no_table_is_left_out() {
    let ways = WAYS.iter().map(|(head, _)| (*head).to_owned());
    let others = ["[swarm]", "[[fault]]", "[probes]"].map(ToOwned::to_owned);
    let kinds = FAULTS.iter().map(|word| format!("kind = \"{}\"", word.name));
    let tested: BTreeSet<_> = ways.chain(others).chain(kinds).collect();
    let sections = sections();
    let listed: BTreeSet<_> = sections.iter().map(|section| section.head.clone()).collect();
    assert_eq!(listed, tested);
    for key in sections.iter().flat_map(|section| &section.keys) {
        if let ValueDoc::Table(head) = key.value {
            assert!(listed.contains(head), "{} leads to {head}", key.name);
        }
    }
}

/// The values at the bounds of a key, and those just beyond.
fn bounds(key: &KeyDoc) -> Option<([Value; 2], Vec<Value>)> {
    match key.value {
        ValueDoc::Whole(min, max) => {
            let max = i64::try_from(max).expect("it can stand in a file");
            let beyond = [min.checked_sub(1), max.checked_add(1)];
            Some((
                [min.into(), max.into()],
                beyond.into_iter().flatten().map(Value::from).collect(),
            ))
        }
        ValueDoc::WholeOrRange(min, max) => {
            let (min, max) = (min as i64, max as i64);
            Some(([min.into(), max.into()], vec![(min - 1).into(), (max + 1).into()]))
        }
        ValueDoc::Decimal(min, max) => {
            Some(([min.into(), max.into()], vec![(min - 0.5).into(), (max + 1.0).into()]))
        }
        ValueDoc::Probability => Some(([0.0.into(), 1.0.into()], vec![(-0.1).into(), 1.1.into()])),
        _ => None,
    }
}

/// Keys whose value must fit that of another one, so that a bound alone may be refused.
const TOGETHER: &[&str] = &[
    "misuses",
    "exponent",
    "hot_keys",
    "hot_share",
    "partitions",
    "sync_us_mean",
    "read_quorum",
    "write_quorum",
];

#[test]
fn bounds_are_those_of_the_parser() {
    for (head, way) in WAYS {
        for key in section(head).keys {
            let Some((within, beyond)) = bounds(&key) else { continue };
            let is_alone = !TOGETHER.contains(&key.name);
            for value in within.into_iter().filter(|_| is_alone) {
                let mut text = with(way, key.name, value.clone());
                if key.name == "value_bytes" {
                    text = text.replace("[node]\n", "[node]\nvalue_bytes_max = 67108864\n");
                }
                let problems = problems(&text);
                assert!(problems.is_empty(), "{head} {} = {value}: {problems:?}", key.name);
            }
            for value in beyond {
                let text = with(way, key.name, value.clone());
                assert!(!problems(&text).is_empty(), "{head} {} = {value} is taken", key.name);
            }
        }
    }
}

#[test]
fn defaults_are_those_of_the_parser() {
    let parse = |text: &str| {
        let scenario = Scenario::parse("test.toml", text);
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}\n{text}"));
        // All but the text itself.
        let shown = format!("{scenario:?}");
        shown.split(", text: ").next().expect("a beginning").to_owned()
    };
    let small = parse(&with(&[], "seed", 1.into()));
    for (head, way) in WAYS {
        for key in section(head).keys {
            let text = match key.default {
                DefaultDoc::Value("{}" | "[]") => continue,
                DefaultDoc::Value(text) => text.to_owned(),
                DefaultDoc::Number(number) => number.to_string(),
                DefaultDoc::Required | DefaultDoc::Nothing | DefaultDoc::Words(_) => continue,
            };
            let line: Table = toml::from_str(&format!("it = {text}")).expect("it is TOML");
            // R, W and the mode stand in `quorum` or here.
            let given = parse(&with(way, key.name, line["it"].clone()));
            assert_eq!(given, small, "{head} {} = {text}", key.name);
        }
    }
}

#[test]
fn words_are_those_of_the_parser() {
    let tables = WAYS.iter().map(|(head, way)| (section(head), *way));
    for (SectionDoc { head, keys, .. }, way) in tables {
        for key in &keys {
            let (words, is_list) = match key.value {
                ValueDoc::Word(words) => (words, false),
                ValueDoc::Words(words) => (words, true),
                _ => continue,
            };
            for word in words.iter().filter(|_| !TOGETHER.contains(&key.name)) {
                let value = if is_list { vec![*word].into() } else { Value::from(*word) };
                let problems = problems(&with(way, key.name, value));
                assert!(problems.is_empty(), "{head} {} = {word}: {problems:?}", key.name);
            }
            let wrong = Value::from("surely unknown");
            let problems = problems(&with(way, key.name, wrong));
            let help = problems.iter().find_map(|problem| problem.help.as_deref());
            if let Some(list) = help.and_then(|help| help.strip_prefix("known here: ")) {
                assert_eq!(list, words.join(", "), "{head} {}", key.name);
            }
        }
    }
    let misuses = crate::scenario::Misuse::ALL.iter().map(|misuse| misuse.name());
    let documented = section("[[workload]]").keys;
    let documented = documented.iter().find(|key| key.name == "misuses").expect("it is there");
    assert_eq!(documented.value, ValueDoc::Words(&misuses.collect::<Vec<_>>().leak()[..]));
}

#[test]
fn drawn_faults_stay_within_what_is_said_of_their_keys() {
    use crate::scenario::Dice;
    for (seed, word) in (0..40).flat_map(|seed| FAULTS.iter().map(move |word| (seed, word))) {
        let dice = Dice::new(seed).of(word.name);
        let cluster = DrawnCluster::draw(dice.of("cluster"), (4, 6));
        let mut keys = Table::new();
        (word.draw)(dice, &cluster, &mut keys);
        for (name, value) in keys {
            let key = word.keys.iter().find(|key| key.name == name);
            let key = key.unwrap_or_else(|| panic!("{}: {name} is not listed", word.name));
            let fits = match (key.value, &value) {
                (ValueDoc::Whole(min, max), Value::Integer(n)) => {
                    *n >= min && (*n < 0 || *n as u64 <= max)
                }
                (ValueDoc::Decimal(min, max), Value::Float(x)) => (min..=max).contains(x),
                (ValueDoc::Decimal(min, max), Value::Integer(n)) => {
                    (min..=max).contains(&(*n as f64))
                }
                (ValueDoc::Probability, Value::Float(x)) => (0.0..=1.0).contains(x),
                (ValueDoc::Word(words), Value::String(word)) => words.contains(&word.as_str()),
                (ValueDoc::Words(words), Value::Array(list)) => {
                    list.iter().all(|word| word.as_str().is_some_and(|word| words.contains(&word)))
                }
                (ValueDoc::Nodes | ValueDoc::Other(_), Value::Array(_) | Value::String(_))
                | (ValueDoc::Node | ValueDoc::Text, Value::String(_))
                | (ValueDoc::Flag, Value::Boolean(_)) => true,
                _ => false,
            };
            assert!(fits, "{}: {name} = {value} is not {:?}", word.name, key.value);
        }
    }
}

#[test]
fn what_can_be_nominal_is_taken_by_the_parser() {
    let words: Vec<_> = Aspect::THAT_CAN_BE_NOMINAL.iter().map(|aspect| aspect.name()).collect();
    assert!(problems(&with(&[], "nominal", words.into())).is_empty());
}

#[test]
fn the_page_is_what_is_printed() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/scenario-keys.md");
    let page = to_markdown();
    if env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(path, &page).expect("the page can be written");
    }
    let committed = fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == page,
        "{path} is not what `kv-sim schema` prints: read what has changed, then accept it with \
         INSTA_UPDATE=always cargo test -p kv-sim --lib schema"
    );
}

#[test]
fn the_json_schema_has_every_table_and_every_kind_of_fault() {
    let schema = to_json();
    let properties = &schema["properties"];
    let kinds = properties["fault"]["items"]["oneOf"].as_array().expect("a list of kinds");
    assert_eq!(kinds.len(), FAULTS.len());
    assert!(kinds.iter().all(|kind| kind["properties"]["from_ms"].is_object()));
    let workload = &properties["workload"]["items"];
    assert_eq!(workload["required"], serde_json::json!(["kind", "clients", "operations"]));
    assert_eq!(workload["properties"]["clients"]["maximum"], 100_000);
    assert_eq!(workload["properties"]["keys"]["default"], 32);
    let between = &properties["network"]["properties"]["between"]["items"];
    assert!(between["properties"]["from"].is_object(), "{between}");
    assert_eq!(properties["expect"]["properties"]["outcomes"]["type"], "object");
    assert_eq!(properties["swarm"]["properties"]["nodes"]["minItems"], 2);
}
