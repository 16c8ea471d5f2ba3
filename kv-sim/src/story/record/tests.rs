use kv_core::message::{CoordinatorKind, HandoffKind, Kind};
use kv_core::time::{Time, WallTime};

use super::fact::MessageContent;
use super::questions::QuestionNumber;
use super::*;

fn focus() -> Focus {
    Focus {
        keys: vec![Key::from("k1"), Key::from("k2")],
        foremost: 1,
        dots: Vec::new(),
        moments: vec![WorldTime(500_000_000)],
    }
}

fn message(at: u64, request: u128) -> RecordedMessage {
    RecordedMessage {
        from: NodeIndex(0),
        to: NodeIndex(1),
        kind: Kind::Coordinator(CoordinatorKind::Acked),
        request: RequestId(request),
        sent: WorldTime(at),
        ended: WorldTime(at + 10),
        lost: None,
        key: None,
        content: MessageContent::default(),
    }
}

fn get(at: u64, client: u32, key: &str) -> RecordedOperation {
    RecordedOperation::begun(
        WorldTime(at),
        (client, 1),
        NodeIndex(0),
        Key::from(key),
        (ClientVerb::Get, None),
    )
}

#[test]
fn of_a_million_events_everything_about_the_violated_key_is_kept_and_of_the_rest_a_part() {
    let mut recorder = Recorder::new(focus(), 3);
    for number in 0..1_000_000_u64 {
        let key = if number % 500 == 0 { "k1" } else { "another" };
        recorder.on_message(message(number * 1_000, 0), [&Key::from(key)]);
    }
    let record = recorder.finish(WorldTime(1_000_000_000));
    let (kept, of) = (record.messages.kept.len(), record.messages.of);
    assert_eq!(of, 1_000_000);
    assert!(kept <= MESSAGES.about + MESSAGES.near + MESSAGES.rest, "{kept}");
    let about = record.messages.iter().filter(|message| message.key == Some("k1".into())).count();
    assert_eq!(about, 2_000, "none of these is missing");
    let near = record.messages.kept.iter().filter(|kept| kept.weight == Weight::Near).count();
    assert!((1_900..=2_100).contains(&near), "two seconds around the failure: {near}");
    let received: u32 = record.traffic.slices.iter().map(|slice| slice.received).sum();
    assert_eq!(received, 1_000_000, "all are counted");
}

#[test]
fn a_message_that_names_no_key_is_about_that_of_its_request() {
    let mut recorder = Recorder::new(focus(), 3);
    recorder.on_begun(get(0, 7, "k2"), Some(RequestId(5)));
    recorder.on_message(message(1, 5), []);
    recorder.on_message(message(2, 6), []);
    let record = recorder.finish(WorldTime(3));
    let keys: Vec<_> = record.messages.iter().map(|message| message.key.clone()).collect();
    assert_eq!(keys, [Some(Key::from("k2")), None]);
}

#[test]
fn of_several_keys_of_a_message_the_one_that_is_followed_counts() {
    let mut recorder = Recorder::new(focus(), 3);
    recorder.on_message(message(1, 0), [&Key::from("x"), &Key::from("k2"), &Key::from("y")]);
    let record = recorder.finish(WorldTime(2));
    let keys: Vec<_> = record.messages.iter().map(|message| message.key.clone()).collect();
    assert_eq!(keys, [Some(Key::from("k2"))]);
}

#[test]
fn an_answer_that_names_no_key_is_about_what_it_answers() {
    let mut recorder = Recorder::new(focus(), 3);
    let number = QuestionNumber::Delivery(7);
    let saying = |kind, role| {
        let content = MessageContent { role: Some(role), ..MessageContent::default() };
        RecordedMessage { kind: Kind::Handoff(kind), content, ..message(1, 0) }
    };
    let asked = saying(HandoffKind::Deliver, MessageRole::Asks(number));
    let answer = saying(HandoffKind::Delivered, MessageRole::Answers(number));
    let back = RecordedMessage { from: asked.to, to: asked.from, ..answer };
    recorder.on_message(asked, [&Key::from("x"), &Key::from("k2"), &Key::from("k1")]);
    recorder.on_message(back, []);
    let record = recorder.finish(WorldTime(9));
    let answer = record.messages.iter().next_back().expect("it is kept");
    assert_eq!(answer.key, Some(Key::from("k1")));
    let question = answer.content.answered.as_ref().expect("it is known");
    assert_eq!(question.kind, Kind::Handoff(HandoffKind::Deliver));
}

#[test]
fn an_operation_that_never_ends_is_kept_as_such() {
    let mut recorder = Recorder::new(focus(), 3);
    recorder.on_begun(get(5, 1, "k1"), None);
    recorder.on_begun(get(6, 2, "k1"), None);
    recorder.on_ended(WorldTime(9), 2, RecordedEnding::Unknown { heard: vec![] });
    let record = recorder.finish(WorldTime(20));
    let endings: Vec<_> =
        record.operations.iter().map(|operation| (operation.client, &operation.ending)).collect();
    assert_eq!(
        endings,
        [(2, &RecordedEnding::Unknown { heard: vec![] }), (1, &RecordedEnding::Never)]
    );
}

#[test]
fn a_copy_is_kept_when_it_changes_and_not_when_it_is_only_looked_at() {
    let mut recorder = Recorder::new(focus(), 3);
    let change = |at, knows| CopyChange {
        at: WorldTime(at),
        node: NodeIndex(1),
        key: 0,
        copy: Copy { knows, ..Copy::default() },
    };
    for (at, knows) in [(1, 0), (2, 1), (3, 1), (4, 0)] {
        recorder.on_copy(change(at, knows));
    }
    let record = recorder.finish(WorldTime(5));
    let times: Vec<_> = record.copies.iter().map(|change| change.at.0).collect();
    assert_eq!(times, [2, 4], "at first nothing is held");
}

#[test]
fn a_node_that_is_down_twice_over_is_down_until_it_starts() {
    let mut recorder = Recorder::new(focus(), 3);
    let node = NodeIndex(2);
    recorder.on_outage(WorldTime(1), node, "down");
    recorder.on_outage(WorldTime(2), node, "down");
    recorder.on_outage_ended(WorldTime(5), node, None);
    recorder.on_outage(WorldTime(7), node, "paused");
    let record = recorder.finish(WorldTime(9));
    let outages: Vec<_> = record
        .outages
        .iter()
        .map(|outage| (outage.how, outage.from.0, outage.until.map(|until| until.0)))
        .collect();
    assert_eq!(outages, [("down", 1, Some(5)), ("paused", 7, None)]);
}

#[test]
fn clocks_are_measured_against_the_true_time() {
    let mut recorder = Recorder::new(focus(), 1);
    let now = |monotonic, wall| Now { monotonic: Time(monotonic), wall: WallTime(EPOCH.0 + wall) };
    recorder.on_clocks(WorldTime(0), NodeIndex(0), now(77, 40));
    recorder.on_clocks(WorldTime(100), NodeIndex(0), now(187, 90));
    let record = recorder.finish(WorldTime(100));
    let ahead: Vec<_> =
        record.clocks[0].iter().map(|point| (point.wall_us, point.monotonic_us)).collect();
    assert_eq!(ahead, [(40, 0), (-10, 10)]);
}
