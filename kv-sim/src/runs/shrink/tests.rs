use std::thread;

use super::*;
use crate::testing::scenario;

/// Something fails in it for which a few operations of two clients are enough.
const SIBLINGS: &str = r#"
nodes = 5
quorum = { n = 3, r = 2, w = 2 }
network = { delay_ms_mean = 8, loss = 0.02 }

[[workload]]
kind = "put-get"
clients = 5
operations = 120
keys = 4

[[fault]]
kind = "kill"
random = 1
from_ms = 50
until_ms = 200
every_ms = 300
times = 3

[[fault]]
kind = "pause"
nodes = ["n2"]
from_ms = 100
until_ms = 400

[expect]
checks = ["crash"]
outcomes = { siblings_max = 0 }
"#;

fn plan(scenario: &Scenario) -> ShrinkPlan<'_> {
    ShrinkPlan {
        scenario,
        seed: scenario.seed,
        check: "outcomes",
        events_max: u64::MAX,
        paranoid: false,
        panics: None,
    }
}

fn shrunk(plan: &ShrinkPlan<'_>) -> Shrunk {
    shrink(plan, |_| ControlFlow::Continue(())).expect("it fails")
}

#[test]
fn what_is_left_fails_alike_and_is_much_smaller() {
    let scenario = scenario(SIBLINGS);
    let Shrunk { failing, work, end } = shrunk(&plan(&scenario));
    assert_eq!(end, ShrinkEnd::Fixpoint);
    assert!(artefact::fails(&failing.result, "outcomes"));
    let Size { operations, faults, nodes, clients } = failing.size;
    assert!(operations <= 8 && faults == 0 && nodes <= 3 && clients <= 3, "{:?}", failing.size);
    assert!(work.runs > 20 && work.events > failing.result.events, "{work:?}");
}

#[test]
fn the_same_plan_gives_the_same_result_whatever_else_the_machine_does() {
    let scenario = scenario(SIBLINGS);
    let alone = shrunk(&plan(&scenario));
    let together: Vec<_> = thread::scope(|scope| {
        let others: Vec<_> = (0..3).map(|_| scope.spawn(|| shrunk(&plan(&scenario)))).collect();
        others.into_iter().map(|other| other.join().expect("it ends")).collect()
    });
    for other in together {
        assert_eq!(other.failing.text, alone.failing.text);
        assert_eq!((other.work, other.end), (alone.work, alone.end));
    }
}

#[test]
fn what_was_shrunk_is_the_same_when_it_is_shrunk_again() {
    let scenario = scenario(SIBLINGS);
    let once = shrunk(&plan(&scenario));
    let small = Scenario::parse("small.toml", &once.failing.text).expect("it is valid");
    let again = shrunk(&plan(&small));
    assert_eq!(again.failing.text, once.failing.text);
    assert_eq!(again.end, ShrinkEnd::Fixpoint);
}

#[test]
fn a_budget_of_events_ends_it_with_what_has_been_reached() {
    let scenario = scenario(SIBLINGS);
    let whole = shrunk(&plan(&scenario));
    let events_max = whole.work.events / 4;
    let part = shrunk(&ShrinkPlan { events_max, ..plan(&scenario) });
    assert_eq!(part.end, ShrinkEnd::OutOfEvents);
    assert!(part.work.events >= events_max && part.work.events < whole.work.events);
    assert!(artefact::fails(&part.failing.result, "outcomes"));
}

#[test]
fn a_caller_who_stops_it_gets_what_has_been_reached() {
    let scenario = scenario(SIBLINGS);
    let mut calls = 0;
    let stopped = shrink(&plan(&scenario), |so_far| {
        calls += 1;
        assert!(so_far.work.runs > 1);
        if calls == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let stopped = stopped.expect("it fails");
    assert_eq!((calls, stopped.end), (3, ShrinkEnd::Stopped));
}

#[test]
fn what_holds_is_not_shrunk() {
    let scenario = scenario(SIBLINGS);
    let plan = ShrinkPlan { check: "crash", ..plan(&scenario) };
    let error = shrink(&plan, |_| ControlFlow::Continue(())).expect_err("nothing panics");
    assert_eq!(error, ShrinkError::Holds("crash".to_owned()));
}
