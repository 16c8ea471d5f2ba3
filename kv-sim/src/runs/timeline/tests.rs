//! Going back and forth gives the same as going forth alone, and costs little.

use proptest::prelude::*;

use super::*;
use crate::story::state::StateFocus;
use crate::testing::scenario;

/// A workload under faults of every part: links, nodes, clocks, disks.
const TROUBLED: &str = "
nodes = 5
network = { loss = 0.01, duplicate = 0.01, reorder = 0.05 }
[[workload]]
kind = \"put-get-delete\"
clients = 4
operations = 300
keys = 8
[[fault]]
kind = \"partition\"
from_ms = 200
until_ms = 6000
groups = [[\"n1\", \"n2\"], [\"n3\", \"n4\", \"n5\"]]
[[fault]]
kind = \"wipe\"
nodes = [\"n4\"]
from_ms = 500
until_ms = 900
[[fault]]
kind = \"pause\"
nodes = [\"n1\"]
from_ms = 600
until_ms = 2400
[[fault]]
kind = \"lost-sync\"
nodes = [\"n2\"]
from_ms = 100
until_ms = 3000
[[fault]]
kind = \"bit-rot\"
nodes = [\"n3\"]
from_ms = 1200
records = 4
[[fault]]
kind = \"clock-freeze\"
nodes = [\"n5\"]
clock = \"monotonic\"
from_ms = 1400
until_ms = 1900
[[fault]]
kind = \"clog\"
from = [\"n3\"]
from_ms = 300
until_ms = 700
[expect]
checks = [\"convergence\"]
";

const CLOSE: Spacing = Spacing { steps: 64, checkpoints_max: 8 };

fn timeline(spacing: Spacing) -> Timeline {
    Timeline::new(&scenario(TROUBLED), &RunOptions::seeded(3), spacing).expect("it is a world")
}

/// Everything that can be seen of a moment: the digest of the run up to there, the text and the
/// JSON.
fn seen(world: &World, at: WorldTime) -> (u128, String, String) {
    let state = world.state(at, &StateFocus::default());
    let json = serde_json::to_string(&state).expect("it is plain data");
    (world.digest(), state.to_string(), json)
}

/// Everything that can be seen of a moment in a world that was run from its beginning.
fn seen_from_zero(at: WorldTime) -> (u128, String, String) {
    let options = RunOptions::seeded(3);
    let mut world = World::new(&scenario(TROUBLED), &options).expect("it is a world");
    while world.next_at().is_some_and(|next| next <= at) && world.step() {}
    seen(&world, at)
}

/// The time at which the run ends.
fn end(timeline: &mut Timeline) -> WorldTime {
    timeline.seek(WorldTime(u64::MAX)).map(drop).expect_err("no run goes on for ever").end.at
}

#[test]
fn a_moment_is_the_same_however_one_gets_there() {
    let mut timeline = timeline(CLOSE);
    let end = end(&mut timeline).0;
    // Back and forth over the whole run, its beginning and its end among them.
    for part in [64, 0, 40, 41, 3, 63, 1, 20, 19, 21, 7, 64, 33] {
        let at = WorldTime(end * part / 64);
        let world = timeline.seek(at).expect("it lies in the run");
        assert_eq!(seen(world, at), seen_from_zero(at), "at {at} s");
    }
}

#[test]
fn going_back_costs_no_more_than_the_way_from_a_checkpoint() {
    let mut timeline = timeline(CLOSE);
    let end = end(&mut timeline).0;
    let whole = timeline.steps_taken();
    assert!(timeline.checkpoints() <= CLOSE.checkpoints_max, "{}", timeline.checkpoints());
    assert!(timeline.spacing() > CLOSE.steps, "the run is long enough for this test");
    assert!(timeline.spacing() * 3 < whole, "checkpoints lie within the run");
    let mut longest = 0;
    for part in (0..64).rev() {
        let before = timeline.steps_taken();
        timeline.seek(WorldTime(end * part / 64)).expect("it lies in the run");
        longest = longest.max(timeline.steps_taken() - before);
    }
    assert!(longest <= timeline.spacing(), "{longest} steps, {} apart", timeline.spacing());
}

#[test]
fn going_on_from_where_one_is_costs_only_the_way() {
    let mut timeline = timeline(Spacing { steps: 1 << 40, checkpoints_max: 2 });
    let at = WorldTime(2_000_000);
    timeline.seek(at).expect("it lies in the run");
    let before = timeline.steps_taken();
    timeline.seek(at).expect("it lies in the run");
    assert_eq!(timeline.steps_taken(), before);
}

#[test]
fn after_the_end_there_is_no_moment_and_before_it_there_is() {
    let mut timeline = timeline(Spacing::default());
    let end = end(&mut timeline);
    let error = timeline.seek(WorldTime(end.0 + 1)).map(drop).expect_err("it is over");
    assert_eq!((error.asked, error.end.at), (WorldTime(end.0 + 1), end));
    assert!(error.to_string().starts_with("the run ended at "), "{error}");
    let last = timeline.seek(end).expect("the end is a moment");
    assert_eq!(*last.phase(), Phase::Over);
    let first = timeline.seek(WorldTime(0)).expect("so is the beginning");
    assert_eq!(*first.phase(), Phase::Setup);
}

#[test]
fn a_run_that_panics_can_be_looked_at_up_to_there() {
    let mut timeline = timeline(CLOSE);
    let (before, at) = (WorldTime(2_499_000), WorldTime(2_500_000));
    for point in timeline.checkpoints.iter_mut().chain([&mut timeline.here]) {
        point.world.plan_panic(at);
    }
    let error = timeline.seek(WorldTime(9_000_000)).map(drop).expect_err("it has panicked");
    assert_eq!(error.end.at, at);
    assert!(error.to_string().contains("a panic: internal error"), "{error}");
    // The world that panicked is gone: the one just before is shown.
    let last = seen(timeline.seek(at).expect("the moment of the panic"), at);
    for part in [WorldTime(0), before, WorldTime(1_200_000), before] {
        assert_eq!(seen(timeline.seek(part).expect("before it"), part), seen_from_zero(part));
    }
    assert_eq!(seen(timeline.seek(at).expect("again"), at), last);
    timeline.seek(WorldTime(at.0 + 1)).map(drop).expect_err("there is nothing after it");
}

#[test]
fn the_deadlines_that_are_told_are_those_that_count() {
    let mut timeline = timeline(Spacing::default());
    let end = end(&mut timeline).0;
    let mut met = std::collections::BTreeSet::new();
    for part in 0..512 {
        let at = WorldTime(end * part / 512);
        let world = timeline.seek(at).expect("it lies in the run");
        for node in &world.scene.nodes {
            let Some(process) = node.process() else { continue };
            let now = node.clock.now(at).monotonic;
            let told = process.core.inspect(now).deadlines;
            let first = told.first().map(|deadline| deadline.at);
            assert_eq!(first, process.core.next_deadline(), "at {at} s: {told:?}");
        }
        let state = world.state(at, &StateFocus::default());
        let cores = state.nodes.iter().filter_map(|node| node.core.as_ref());
        met.extend(cores.flat_map(|core| core.deadlines.iter().map(|deadline| deadline.reason)));
    }
    // Every deadline but that of a second look, which lasts for a moment, was seen.
    for reason in ["hedge", "expiry", "gossip-turn", "hint-timeout", "repair-round", "conviction"] {
        assert!(met.contains(reason), "no {reason} among {met:?}");
    }
}

#[test]
fn a_moment_in_the_middle_of_trouble_reads_well() {
    let mut timeline = timeline(Spacing::default());
    let at = WorldTime(2_300_000);
    let world = timeline.seek(at).expect("it lies in the run");
    let text = world.state(at, &StateFocus::default()).to_string();
    insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
}

#[test]
fn a_focus_shows_what_was_asked_for_and_nothing_else() {
    let mut timeline = timeline(Spacing::default());
    let at = WorldTime(1_500_000);
    let world = timeline.seek(at).expect("it lies in the run");
    let n3 = world.scene.cluster.find("n3").expect("there is one");
    let focus = StateFocus { nodes: [n3].into(), keys: ["k1".into(), "never".into()].into() };
    let state = world.state(at, &focus);
    assert_eq!(state.nodes.iter().map(|node| &node.node).collect::<Vec<_>>(), ["n3"]);
    assert!(state.links.iter().all(|link| link.from == "n3" || link.to == "n3"));
    assert!(state.clients.iter().all(|client| client.node == "n3"));
    let keys: Vec<_> = state.keys.iter().map(|key| key.key.as_str()).collect();
    assert_eq!(keys, ["k1", "never"]);
    let mut copies = state.keys.iter().flat_map(|key| &key.copies);
    assert!(copies.all(|copy| copy.node == "n3"));
    assert!(world.scene.cluster.find("n33").is_err_and(|error| error.contains("n1, n2")));
}

#[test]
fn a_moment_is_written_in_seconds_or_with_a_unit() {
    let us = |text: &str| moment(text).map(|at| at.0);
    for text in ["3.25", " 3.25s ", "3250ms", "3250000us", "3.250000", "3250 ms"] {
        assert_eq!(us(text), Ok(3_250_000), "{text}");
    }
    assert_eq!(
        (us("0"), us(".5"), us("7."), us("1.5ms")),
        (Ok(0), Ok(500_000), Ok(7_000_000), Ok(1_500))
    );
    for (text, problem) in [
        ("-1", "begins at 0"),
        ("", "is no moment"),
        (".", "is no moment"),
        ("ms", "is no moment"),
        ("1.2.3", "is no moment"),
        ("1e3", "is no moment"),
        ("3m", "is no moment"),
        ("soon", "is no moment"),
        ("1.2345678", "finer than a microsecond"),
        ("0.5us", "finer than a microsecond"),
        ("99999999999999", "too late"),
        ("99999999999999999999999", "too late"),
    ] {
        assert!(us(text).is_err_and(|error| error.contains(problem)), "{text}");
    }
}

proptest! {
    #[test]
    fn what_is_shown_of_a_time_names_it(us in 0_u64..1 << 50) {
        prop_assert_eq!(moment(&WorldTime(us).to_string()), Ok(WorldTime(us)));
    }

    #[test]
    fn no_text_is_too_strange_to_be_a_moment(text: String) {
        let _ = moment(&text);
    }
}
