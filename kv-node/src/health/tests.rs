//! Verdicts on nodes of which one thing is wrong, or several.

use kv_core::coordinator::OutOfReach;
use kv_core::types::NodeId;

use super::*;
use crate::inspection::{DefaultQuorums, TurnCounts};

fn peer(id: u64) -> PeerState {
    PeerState {
        node: NodeId(id),
        name: format!("n{id}"),
        seems_up: true,
        is_connected: true,
        silent_ms: Some(300),
        refused: None,
    }
}

fn inspection() -> Inspection {
    Inspection {
        counts: TurnCounts {
            partitions_owned: 64,
            partitions_complete: 64,
            peers: 2,
            ..TurnCounts::default()
        },
        is_founded: true,
        partitions: 64,
        quorums: DefaultQuorums { read: 2, write: 2, mode: "sloppy" },
        out_of_reach: OutOfReach::default(),
        partitions_loss_undecided: 0,
        corrupt_keys: 0,
        storage: StorageFact::Writable,
        heard_within_ms: 10_000,
        peers: vec![peer(2), peer(3)],
    }
}

/// Returns the facts about a healthy node after a change.
fn facts(change: impl FnOnce(&mut Inspection)) -> Facts {
    let mut inspection = inspection();
    change(&mut inspection);
    let (stage, core) = (ServingStage::Running, Some(inspection));
    Facts { stage, core, log_lines_lost: 0 }
}

/// Returns the codes of the problems, with their severities, and the status.
fn judged(facts: &Facts) -> (Vec<(&'static str, &'static str)>, &'static str) {
    let verdict = Verdict::of(facts);
    let codes = verdict.problems().iter();
    let codes = codes.map(|problem| (problem.code.word(), problem.severity.word())).collect();
    (codes, verdict.status().word())
}

fn changed(
    change: impl FnOnce(&mut Inspection),
) -> (Vec<(&'static str, &'static str)>, &'static str) {
    judged(&facts(change))
}

#[test]
fn a_node_of_which_nothing_is_wrong_is_ready() {
    assert_eq!(changed(|_| {}), (vec![], "ready"));
    let alone = changed(|node| node.peers.clear());
    assert_eq!(alone, (vec![], "ready"), "a cluster of one has nobody to hear");
}

#[test]
fn a_node_that_is_not_there_yet_or_no_more_is_not_ready() {
    let at = |stage, core| Facts { stage, core, ..facts(|_| {}) };
    let (starting, stopping) = (at(ServingStage::Starting, None), at(ServingStage::Stopping, None));
    assert_eq!(judged(&starting), (vec![("starting", "not-ready")], "not-ready"));
    assert_eq!(judged(&stopping), (vec![("stopping", "not-ready")], "not-ready"));
    let still_answers = at(ServingStage::Stopping, Some(inspection()));
    assert_eq!(judged(&still_answers), (vec![("stopping", "not-ready")], "not-ready"));
    let silent = at(ServingStage::Running, None);
    assert_eq!(judged(&silent), (vec![("core-silent", "not-ready")], "not-ready"));
}

#[test]
fn before_its_cluster_is_founded_a_node_is_not_judged_by_its_partitions() {
    let waiting = changed(|node| {
        node.is_founded = false;
        node.counts.partitions_complete = 0;
        node.out_of_reach = OutOfReach { reads: 64, writes: 64 };
    });
    assert_eq!(waiting, (vec![("waiting-to-be-founded", "not-ready")], "not-ready"));
}

#[test]
fn a_storage_that_takes_no_writes_makes_a_node_not_ready() {
    let full = changed(|node| node.storage = StorageFact::Full);
    assert_eq!(full, (vec![("disk-full", "not-ready")], "not-ready"));
    let short = changed(|node| node.storage = StorageFact::OutOfFiles);
    assert_eq!(short, (vec![("out-of-files", "not-ready")], "not-ready"));
    let failed = changed(|node| node.storage = StorageFact::Failed);
    assert_eq!(failed, (vec![("storage-failed", "not-ready")], "not-ready"));
}

#[test]
fn what_concerns_half_of_the_partitions_makes_a_node_not_ready_and_less_is_a_warning() {
    let complete = |complete| changed(|node| node.counts.partitions_complete = complete).0;
    assert_eq!(complete(63), [("incomplete", "warning")]);
    assert_eq!(complete(33), [("incomplete", "warning")]);
    assert_eq!(complete(32), [("incomplete", "not-ready")]);
    assert_eq!(complete(0), [("incomplete", "not-ready")]);
    let reach = |reads, writes| changed(|node| node.out_of_reach = OutOfReach { reads, writes }).0;
    assert_eq!(reach(1, 0), [("no-quorum", "warning")]);
    assert_eq!(reach(0, 31), [("no-quorum", "warning")]);
    assert_eq!(reach(0, 32), [("no-quorum", "not-ready")]);
    assert_eq!(reach(64, 0), [("no-quorum", "not-ready")]);
    let undecided = |undecided| changed(|node| node.partitions_loss_undecided = undecided).0;
    assert_eq!(undecided(1), [("loss-undecided", "warning")]);
    assert_eq!(undecided(64), [("loss-undecided", "not-ready")]);
}

#[test]
fn corrupt_records_are_a_warning_as_others_hold_them_too() {
    let corrupt = changed(|node| node.corrupt_keys = 3);
    assert_eq!(corrupt, (vec![("corrupt-keys", "warning")], "degraded"));
}

#[test]
fn a_node_that_owns_nothing_is_complete() {
    let owns_nothing = changed(|node| {
        node.counts.partitions_owned = 0;
        node.counts.partitions_complete = 0;
    });
    assert_eq!(owns_nothing, (vec![], "ready"));
}

#[test]
fn a_peer_that_cannot_be_asked_is_named_with_its_id() {
    for change in [
        (|peer| peer.seems_up = false) as fn(&mut PeerState),
        |peer| peer.is_connected = false,
        |peer| peer.silent_ms = None,
    ] {
        let facts = facts(|node| change(&mut node.peers[1]));
        assert_eq!(judged(&facts), (vec![("peers-down", "warning")], "degraded"));
        let verdict = Verdict::of(&facts);
        let message = &verdict.problems()[0].message;
        assert!(message.starts_with("n3 (0000000000000003) "), "{message}");
        assert!(!message.contains("n2"), "{message}");
    }
}

#[test]
fn a_node_that_hears_nobody_is_not_ready() {
    let silent = |silent_ms| {
        changed(|node| node.peers.iter_mut().for_each(|peer| peer.silent_ms = silent_ms)).0
    };
    assert_eq!(silent(Some(10_000)), []);
    assert_eq!(silent(Some(10_001)), [("no-peer-heard", "not-ready")]);
    assert_eq!(silent(None), [("no-peer-heard", "not-ready"), ("peers-down", "warning")]);
    let one = changed(|node| node.peers[0].silent_ms = Some(99_000));
    assert_eq!(one, (vec![], "ready"), "one peer is heard");
}

#[test]
fn members_of_another_layout_are_told_apart_from_other_refusals() {
    let refused = |reasons: [Option<&'static str>; 2]| {
        changed(|node| {
            for (peer, reason) in node.peers.iter_mut().zip(reasons) {
                peer.refused = reason;
                peer.silent_ms = Some(1);
            }
        })
    };
    assert_eq!(refused([Some("layout"), None]).0, [("layout-refused", "warning")]);
    assert_eq!(
        refused([Some("layout"), Some("cluster")]).0,
        [("layout-refused", "warning"), ("peer-refused", "warning")]
    );
}

#[test]
fn many_names_are_counted() {
    let facts = facts(|node| {
        node.peers = (2..=20).map(|id| PeerState { seems_up: false, ..peer(id) }).collect();
    });
    let verdict = Verdict::of(&facts);
    let message = &verdict.problems()[0].message;
    assert!(message.contains("n11 (000000000000000b) and 9 more"), "{message}");
}

#[test]
fn the_worst_comes_first_and_everything_is_said() {
    let facts = Facts {
        log_lines_lost: 7,
        ..facts(|node| {
            node.counts.partitions_complete = 63;
            node.storage = StorageFact::Full;
            node.out_of_reach = OutOfReach { reads: 0, writes: 64 };
            node.peers[0].seems_up = false;
        })
    };
    let (codes, status) = judged(&facts);
    assert_eq!(
        codes,
        [
            ("disk-full", "not-ready"),
            ("no-quorum", "not-ready"),
            ("incomplete", "warning"),
            ("peers-down", "warning"),
            ("log-lines-lost", "warning"),
        ]
    );
    assert_eq!(status, "not-ready");
}

#[test]
fn every_code_has_a_word_of_its_own_that_the_operators_page_explains() {
    let page = include_str!("../../docs/operating.md");
    let mut words: Vec<_> = Code::ALL.iter().map(|code| code.word()).collect();
    for word in &words {
        assert!(page.contains(&format!("| `{word}` |")), "operating.md has no row for {word}");
    }
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Code::ALL.len());
}
