use kv_core::message::ReplicaKind;
use kv_core::time::{Span, Time};
use serde_json::Value;

use super::*;
use crate::story::record::fact::{Note, RecordedMessage};
use crate::story::result::Verdict;
use crate::testing::scenario;

/// Three nodes, two clients and one key, with as little left to chance as possible.
const SMALL: &str = r#"
nodes = 3
nominal = ["loss", "duplicate", "reorder", "hold", "answer", "clock-offset", "clock-drift"]
quorum = { n = 3, r = 2, w = 2 }

[[workload]]
kind = "put-get"
clients = 2
operations = 8
keys = 1
think_ms_mean = 20

[[fault]]
kind = "kill"
nodes = ["n3"]
from_ms = 40
until_ms = 300

[expect]
checks = ["durability"]
"#;

/// A scenario that is checked before it can have come to rest: a node has lost everything just
/// before.
const RESTLESS: &str = r#"
nodes = 3
quorum = { n = 3, r = 2, w = 2 }

[[workload]]
kind = "put-get"
clients = 3
operations = 120
keys = 4

[[fault]]
kind = "partition"
groups = [["n1", "n2"], ["n3"]]
from_ms = 10
until_ms = 900

[[fault]]
kind = "wipe"
nodes = ["n2"]
from_ms = 700
until_ms = 950

[expect]
checks = ["convergence"]
converged_within_ms = 1
"#;

fn plan(scenario: &Scenario) -> ReportPlan<'_> {
    ReportPlan {
        scenario,
        seed: 1,
        keys: &[],
        again: "kv-sim report test.toml -o -",
        paranoid: false,
        panics: None,
    }
}

fn plain(report: &Report<'_>) -> String {
    anstream::adapter::strip_str(&report.to_string()).to_string()
}

/// A report of a broken promise that in truth was kept: it claims that the first write of the run
/// is lost in the end.
fn as_if_lost(scenario: &Scenario) -> Report<'_> {
    let held = Report::make(plan(scenario));
    let write = held.record.writes.iter().next().expect("there is a write").clone();
    let subject = Subject {
        key: held.record.focus.keys[write.key].clone(),
        dots: vec![write.dot],
        since: Some(Time(write.at.0)),
    };
    let violations = vec![BrokenPromise {
        check: "durability".to_owned(),
        at: held.ended,
        subject: Some(subject),
        story: "a write is lost\n  write:    this one".to_owned(),
    }];
    let focus = focus(&violations, &[], None);
    Report::look(plan(scenario), held.first, violations, focus)
}

#[test]
fn the_story_of_a_lost_write_tells_who_promised_what_and_where_each_copy_was() {
    let scenario = scenario(SMALL);
    insta::assert_snapshot!(plain(&as_if_lost(&scenario)));
}

#[test]
fn a_run_that_passed_gives_a_report_that_says_so() {
    let scenario = scenario(SMALL);
    let report = Report::make(plan(&scenario));
    assert_eq!((report.verdict(), report.is_deterministic()), (Verdict::Pass, true));
    assert!(report.narrative().is_empty());
    let text = plain(&report);
    assert!(text.contains("Everything held") && text.ends_with("PASSED\n"), "{text}");
    assert!(report.page().expect("it is plain data").contains("data-verdict=\"pass\""));
}

#[test]
fn a_violation_is_marked_when_it_is_noticed_and_with_what_it_is_about() {
    let scenario = scenario(RESTLESS);
    let report = Report::make(plan(&scenario));
    assert_eq!(report.result().verdict, Verdict::Fail);
    let [violation] = &report.violations[..] else { panic!("{:?}", report.violations) };
    assert_eq!((&*violation.check, violation.at), ("convergence", report.ended));
    let last = report.narrative().pop().expect("there is a story");
    assert_eq!((last.at_us, last.sort), (report.ended.0, narrative::Sort::Violated));
}

#[test]
fn recording_changes_nothing() {
    for text in [SMALL, RESTLESS] {
        let scenario = scenario(text);
        assert!(Report::make(plan(&scenario)).is_deterministic(), "{text}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let scenario = scenario(RESTLESS);
    let page = || Report::make(plan(&scenario)).page().expect("it is plain data");
    assert_eq!(page(), page());
}

#[test]
fn the_keys_that_are_asked_for_are_followed_after_those_that_failed() {
    let scenario = scenario(RESTLESS);
    let keys = [Key::from("k3"), Key::from("never written")];
    let report = Report::make(ReportPlan { keys: &keys, ..plan(&scenario) });
    assert_eq!(report.record.focus.keys[..2], keys);
    assert_eq!(report.record.focus.foremost, 2);
    assert_eq!(report.record.focus.keys.len(), 5, "the other keys are followed too");
}

#[test]
fn every_row_of_every_table_has_the_columns_that_it_names() {
    let scenario = scenario(RESTLESS);
    let report = Report::make(plan(&scenario));
    let json: Value = serde_json::from_str(&report.json().expect("plain data")).expect("JSON");
    for name in ["writes", "copies", "operations", "messages", "notes"] {
        let table = &json[name];
        let columns = table["columns"].as_array().expect("columns").len();
        let rows = table["rows"].as_array().expect("rows");
        assert!(!rows.is_empty() || name == "notes", "{name}");
        for row in rows {
            assert_eq!(row.as_array().map(Vec::len), Some(columns), "{name}: {row}");
        }
    }
    let keys = json["keys"].as_array().expect("a list").len() as u64;
    for row in json["messages"]["rows"].as_array().expect("rows") {
        assert!(row[5].is_null() || row[5].as_u64() < Some(keys), "{row}");
        assert!(row[0].as_u64() <= row[1].as_u64(), "{row}");
    }
}

#[test]
fn a_page_is_never_longer_than_it_may_be_however_much_happened() {
    let scenario = scenario(RESTLESS);
    let mut report = Report::make(plan(&scenario));
    let mut recorder = Recorder::new(report.record.focus.clone(), 3);
    for number in 0..300_000_u64 {
        let at = WorldTime(number * 100);
        let key = Key::from(format!("{number}{}", "<".repeat(300)).into_bytes());
        recorder.on_note(Note {
            at,
            node: None,
            text: "</script>".repeat(50),
            key: Some(key.clone()),
        });
        let message = RecordedMessage {
            from: NodeIndex(0),
            to: NodeIndex(1),
            kind: kv_core::message::Kind::Replica(ReplicaKind::Merge),
            request: kv_core::types::RequestId(number.into()),
            sent: at,
            ended: at + Span(9),
            lost: None,
            key: None,
        };
        recorder.on_message(message, [&key]);
    }
    report.record = recorder.finish(report.ended);
    let page = report.page().expect("it is plain data");
    assert!(page.len() <= PAGE_BYTES_MAX, "{}", page.len());
    assert!(page.len() > PAGE_BYTES_MAX / 3, "no more is left out than must be: {}", page.len());
}

#[test]
fn no_text_of_a_scenario_gets_out_of_its_place_in_the_page() {
    let text = SMALL.replace("nodes = 3\ncalm", "about = \"</script><script>x\"\nnodes = 3\ncalm");
    let scenario =
        Scenario::parse("</title><i>.toml", &format!("title = \"</script><b>'&\"\n{text}"));
    let scenario = scenario.expect("it is valid");
    let page = Report::make(plan(&scenario)).page().expect("it is plain data");
    assert_eq!(page.matches("</script").count(), 2, "those of the page itself");
    assert_eq!(page.matches("</title").count(), 1);
    assert!(page.contains("&lt;/script&gt;&lt;b&gt;&#39;&amp;"));
}

#[test]
fn a_page_loads_nothing_from_anywhere() {
    let scenario = scenario(SMALL);
    let page = Report::make(plan(&scenario)).page().expect("it is plain data");
    assert!(page.contains("default-src 'none'"));
    let addresses = page.match_indices("://").map(|(at, _)| &page[at - 4..at + 21]);
    assert_eq!(addresses.collect::<Vec<_>>(), ["http://www.w3.org/2000/sv"], "a name, not a place");
}
