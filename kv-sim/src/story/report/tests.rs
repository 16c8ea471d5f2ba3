use kv_core::message::{CoordinatorKind, HandoffKind, Kind, ReplicaKind};
use kv_core::time::{Span, Time};
use serde_json::Value;

use super::*;
use crate::story::record::fact::{
    Copy, MessageContent, Note, NoteSort, RecordedMessage, WriteContext,
};
use crate::story::record::reservoir::{Kept, Weight};
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
        operations: Vec::new(),
    };
    let violations = vec![BrokenPromise {
        check: "durability".to_owned(),
        at: held.ended,
        subject: Some(subject),
        story: "a write is lost\n  write:    this one".to_owned(),
        ..BrokenPromise::default()
    }];
    let focus = focus::of(&violations, &[], None, None);
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
fn the_line_in_which_a_node_claims_what_its_disk_does_not_hold_is_marked() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    assert!(report.narrative().iter().all(|line| line.lie.is_none()), "all told the truth");

    // As if it had been acknowledged a moment after it had been stored.
    let write = report.record.writes.iter().next().expect("there is a write").clone();
    let acked = Kind::Coordinator(CoordinatorKind::Acked);
    let mut messages = report.record.messages.kept.iter_mut().map(|kept| &mut kept.fact);
    let ack = messages
        .find(|message| (message.request, message.kind) == (write.request, acked))
        .expect("it was acknowledged");
    ack.sent = WorldTime(write.at.0);
    let (node, at) = (report.plan.scenario.cluster.name(ack.from).to_owned(), ack.sent);
    let story = report.narrative();
    let lies: Vec<_> = story.iter().filter(|line| line.lie.is_some()).collect();
    let [line] = lies[..] else { panic!("{lies:?}") };
    assert_eq!(line.at_us, at.0);
    assert!(line.text.contains(&format!("{node} tells ")), "{line:?}");
    let truth = line.lie.as_deref().unwrap_or_default();
    assert!(truth.starts_with(&format!("{node} does not hold it durably before")), "{truth}");
    assert!(plain(&report).contains(&format!("> not true:   {truth}")), "{}", plain(&report));
}

#[test]
fn a_page_opens_at_the_span_from_the_request_to_the_violation() {
    let scenario = scenario(SMALL);
    let report = as_if_lost(&scenario);
    let write = report.record.writes.iter().next().expect("there is a write");
    let asked = report.record.operations.iter().find(|operation| {
        Some((operation.client, operation.number))
            == crate::cluster::client_ids::requester_of(write.request)
    });
    let json: Value = serde_json::from_str(&report.json().expect("plain data")).expect("JSON");
    let opens = |which: &str| json["opens"][which].as_u64();
    assert!(opens("from_us") <= asked.map(|operation| operation.begun.0), "{}", json["opens"]);
    assert_eq!(opens("until_us"), Some(report.ended.0));
    assert_eq!(opens("at_us"), Some(report.ended.0), "there is no lie");
}

#[test]
fn a_page_opens_around_the_line_that_is_not_true() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    let write = report.record.writes.iter().next().expect("there is a write").clone();
    let ack = report.record.messages.kept.iter_mut().map(|kept| &mut kept.fact).find(|message| {
        (message.request, message.kind)
            == (write.request, Kind::Coordinator(CoordinatorKind::Acked))
    });
    ack.expect("it was acknowledged").sent = write.at;
    let json: Value = serde_json::from_str(&report.json().expect("plain data")).expect("JSON");
    let opens = |which: &str| json["opens"][which].as_u64().expect("a time");
    assert_eq!(opens("at_us"), write.at.0);
    assert!(opens("from_us") + 20_000 >= write.at.0 && opens("from_us") < write.at.0);
    assert_eq!(opens("until_us"), write.at.0 + 30_000, "the violation is much later");
}

#[test]
fn an_answer_that_names_no_key_is_told_with_what_it_answers_and_held_against_the_disk() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    // As if what n3 was handed were the write in question, and n3 said so before it had stored it.
    let dot = report.record.focus.dots[0];
    let delivered = Kind::Handoff(HandoffKind::Delivered);
    let mut messages = report.record.messages.kept.iter_mut().map(|kept| &mut kept.fact);
    let answer = messages.find(|message| message.kind == delivered).expect("a hint is delivered");
    assert_eq!(answer.key, Some(Key::from("k0")), "that of the delivery");
    let asked = answer.content.answered.as_mut().expect("the delivery");
    (asked.siblings, asked.knows) = (Some(vec![dot]), 1);
    answer.sent = WorldTime(0);
    let story = report.narrative();
    let line = story.iter().find(|line| line.lie.is_some()).expect("it is not true");
    assert!(line.text.contains("n3 tells n2 that it holds \"c1#2\" durably"), "{line:?}");
    let truth = line.lie.as_deref().unwrap_or_default();
    assert!(truth.starts_with("n3 does not hold it durably before"), "{truth}");
}

#[test]
fn a_context_that_lacks_what_the_client_had_seen_is_marked() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    let mint = Kind::Replica(ReplicaKind::Mint);
    let is_next = |message: &&mut RecordedMessage| {
        message.kind == mint && message.requester() == Some((1, 3))
    };
    let mut messages = report.record.messages.kept.iter_mut().map(|kept| &mut kept.fact);
    let asks = messages.find(is_next).expect("client 1 has seen its write, and overwrites it");
    let context = asks.content.context.clone().expect("a mint has one");
    assert!(context.covers(report.record.focus.dots[0]), "{context:?}");
    asks.content.context = Some(WriteContext::Nothing);
    let story = report.narrative();
    // Nothing else tells of the request: it is about another write.
    assert!(story.iter().all(|line| line.lie.is_none()), "{story:?}");
    report.violations[0].operations.push((1, 3));
    let story = report.narrative();
    let line = story.iter().find(|line| line.lie.is_some()).expect("it is not true");
    assert!(line.text.contains("in place of nothing: its context is empty"), "{line:?}");
    assert!(line.lie.as_deref().unwrap_or_default().starts_with("client 1 has seen \"c1#2\""));
}

#[test]
fn a_copy_that_knows_of_a_write_and_does_not_hold_it_is_told_so() {
    let scenario = scenario(SMALL);
    let report = as_if_lost(&scenario);
    let dot = report.record.focus.dots[0];
    let knowing = |knows, live| report.known_only(&Copy { knows, live, ..Copy::default() });
    assert_eq!(knowing(1, vec![]), [dot]);
    assert_eq!(knowing(1, vec![dot]), []);
    assert_eq!(knowing(0, vec![]), []);
    assert!(plain(&report).contains("; it knows of \"c1#2\", and does not hold it"));
}

#[test]
fn a_message_that_the_network_lost_is_among_what_was_injected() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    let before = report.moments_told().0;
    let merge = Kind::Replica(ReplicaKind::Merge);
    let mut messages = report.record.messages.kept.iter_mut().map(|kept| &mut kept.fact);
    let lost = messages.find(|message| message.kind == merge).expect("there are merges");
    lost.lost = Some("is lost");
    let after = report.moments_told().0;
    let added: Vec<_> = after.into_iter().filter(|moment| !before.contains(moment)).collect();
    let [(_, what)] = &added[..] else { panic!("{added:?}") };
    assert!(what.starts_with("the network loses a merge from n"), "{what}");
    assert!(what.ends_with(" about \"k0\": \"c1#2\""), "{what}");
}

#[test]
fn what_a_node_sends_to_itself_is_recorded_with_what_it_says() {
    let scenario = scenario(SMALL);
    let report = Report::make(plan(&scenario));
    let own: Vec<_> =
        report.record.messages.iter().filter(|message| message.from == message.to).collect();
    let kinds: std::collections::BTreeSet<_> =
        own.iter().map(|message| message.kind.name()).collect();
    for kind in ["mint", "minted", "acked", "read", "read-reply"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let answer = own.into_iter().rfind(|message| message.content.siblings.is_some());
    let said = report.content(answer.expect("a node read from its own disk"));
    assert!(said.starts_with(": \"c"), "{said}");
}

#[test]
fn too_many_outcomes_of_a_kind_are_named_one_by_one() {
    let bounded = format!("{SMALL}[expect.outcomes]\nrefused_max = 0\nunknown_max = 0\n");
    let scenario = scenario(&bounded);
    let report = Report::make(plan(&scenario));
    let [violation] = &report.violations[..] else { panic!("{:?}", report.violations) };
    assert_eq!(violation.check, "outcomes");
    let [detail] = &violation.details[..] else { panic!("{:?}", violation.details) };
    let expected = "operation #3 of client 0, from ";
    assert!(detail.starts_with(expected) && detail.contains("nobody listens there"), "{detail}");
    assert!(plain(&report).contains(detail), "{}", plain(&report));
    assert_eq!(violation.keys().collect::<Vec<_>>(), [&Key::from("k0")]);
    let asked = report.narrative().into_iter().find(|line| line.text.contains("its operation #3"));
    assert!(asked.is_some(), "the story is about it");
}

#[test]
fn what_has_not_converged_is_named_by_key_and_node() {
    // The hints are still on their way when convergence is demanded.
    let slow = r#"
        nodes = 3
        quorum = { n = 3, r = 2, w = 2 }
        network = { delay_ms_mean = 100 }

        [[workload]]
        kind = "put-get"
        clients = 3
        operations = 12
        keys = 4

        [[fault]]
        kind = "partition"
        groups = [["n1", "n3"], ["n2"]]
        from_ms = 10
        until_ms = 900

        [expect]
        checks = ["convergence"]
        converged_within_ms = 1
    "#;
    let scenario = scenario(slow);
    let report = Report::make(plan(&scenario));
    let details = &report.violations[0].details;
    let different = details.iter().filter(|detail| detail.starts_with("the owners of \"k"));
    assert!(different.clone().count() > 0, "{details:?}");
    assert!(different.clone().all(|detail| detail.contains("n2 holds")), "{details:?}");
}

#[test]
fn the_work_of_an_idle_cluster_is_named_message_by_message() {
    let scenario = scenario(SMALL);
    let mut report = as_if_lost(&scenario);
    let (since, ended) = (report.ended, report.ended + Span::from_ms(10));
    report.record.phases.push((since, "check"));
    report.violations[0].check = "quiescence".to_owned();
    let message = |kind, words: &str| {
        let content = MessageContent { words: words.to_owned(), ..MessageContent::default() };
        let (from, to) = (NodeIndex(0), NodeIndex(2));
        let request = kv_core::types::RequestId(1);
        let (sent, lost, key) = (since, None, None);
        let fact = RecordedMessage { from, to, kind, request, sent, ended, lost, key, content };
        Kept { weight: Weight::Near, fact }
    };
    let kinds = [
        (Kind::Gossip(kv_core::message::GossipKind::Syn), ""),
        (Kind::Repair(kv_core::message::RepairKind::Leaves), "partition 7"),
    ];
    report.record.messages.kept.extend(kinds.map(|(kind, words)| message(kind, words)));
    report.add_details(None);
    let expected = format!("at {since} n1 sends n3 repair-leaves, partition 7");
    assert_eq!(report.violations[0].details, [expected]);
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
            partition: None,
            sort: NoteSort::Other,
        });
        let message = RecordedMessage {
            from: NodeIndex(0),
            to: NodeIndex(1),
            kind: Kind::Replica(ReplicaKind::Merge),
            request: kv_core::types::RequestId(number.into()),
            sent: at,
            ended: at + Span(9),
            lost: None,
            key: None,
            content: MessageContent::default(),
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
