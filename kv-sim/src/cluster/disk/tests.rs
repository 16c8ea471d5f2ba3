//! The effects of a kill at each point of a command's way. The command writes a data marker.

use kv_core::config::Config;
use kv_core::store::{AnswerFamily as _, FoundingCommand};
use kv_core::types::{FoundingId, NodeId, PartitionId};

use super::*;

const PARTITION: PartitionId = PartitionId(0);

/// The point that a command has reached when the node is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Point {
    Queued,
    Executed,
    Answered,
    SyncBegun,
    SyncEnded,
    Reported,
}

/// Brings a command to a point, and kills the node. Returns the answers that the node had heard,
/// and whether the write is there when it starts again.
fn killed_at(point: Point, lying: bool) -> (Vec<&'static str>, bool) {
    let mut disk = Disk::default();
    let (mut partitions, _) = open(&disk);
    let mut heard = Vec::new();
    let mut hear = |answer| {
        heard.push(match answer {
            DiskAnswer::Done { outcome, .. } => {
                assert_eq!(outcome.answer.refusal(), None);
                "done"
            }
            DiskAnswer::Durable { .. } => "durable",
            DiskAnswer::Failed => "failed",
        });
    };
    if lying {
        disk.afflict(Ailment::Lies, true);
    }
    let command =
        StoreCommand { partition: PARTITION, command: FoundingCommand::MarkComplete.into() };
    disk.push(Ticket(1), command, WorldTime(0));
    if point >= Point::Executed {
        let Executed { ticket, seq, outcome, .. } = disk.execute(&mut partitions);
        disk.answer(DiskAnswer::Done { ticket, seq, outcome }, WorldTime(1));
    }
    if point >= Point::Answered {
        hear(disk.deliver());
    }
    if point >= Point::SyncBegun {
        assert_eq!(disk.begin_sync(), Some(1));
    }
    if point >= Point::SyncEnded {
        let seq = disk.end_sync().expect("the disk is well");
        disk.answer(DiskAnswer::Durable { seq }, WorldTime(2));
    }
    if point >= Point::Reported {
        hear(disk.deliver());
    }
    let mut left = disk.image().clone();
    left.kill(0);
    disk.kill(left);
    assert_eq!((disk.next(), disk.begin_sync()), (None, None), "nothing is left to do");
    let (_, recovered) = open(&disk);
    (heard, recovered.complete == [PARTITION])
}

fn open(disk: &Disk) -> (Partitions, kv_core::store::Recovered) {
    let image = disk.image();
    let opened = storage::open(NodeId(1), &Config::default(), 1, image, image.log());
    opened.expect("the data is its own")
}

#[test]
fn a_kill_before_the_sync_ends_loses_the_write_and_after_it_nothing() {
    assert_eq!(killed_at(Point::Queued, false), (vec![], false));
    assert_eq!(killed_at(Point::Executed, false), (vec![], false));
    assert_eq!(killed_at(Point::Answered, false), (vec!["done"], false));
    assert_eq!(killed_at(Point::SyncBegun, false), (vec!["done"], false));
    assert_eq!(killed_at(Point::SyncEnded, false), (vec!["done"], true));
    assert_eq!(killed_at(Point::Reported, false), (vec!["done", "durable"], true));
}

#[test]
fn a_kill_after_a_lying_sync_loses_a_write_that_was_reported_durable() {
    assert_eq!(killed_at(Point::Reported, true), (vec!["done", "durable"], false));
}

#[test]
fn a_sync_covers_what_was_committed_when_it_began() {
    let mut disk = Disk::default();
    let (mut partitions, _) = open(&disk);
    let command =
        StoreCommand { partition: PARTITION, command: FoundingCommand::MarkComplete.into() };
    disk.push(Ticket(1), command.clone(), WorldTime(0));
    disk.execute(&mut partitions);
    assert_eq!(disk.begin_sync(), Some(1));
    storage::format(disk.image_mut(), NodeId(1), FoundingId(0), &[PartitionId(7)])
        .expect("the disk takes it");
    assert_eq!(disk.begin_sync(), None, "one at a time");
    assert_eq!(disk.end_sync(), Ok(Seq(1)));
    assert_eq!(disk.begin_sync(), Some(2), "the next one covers the rest");
    assert_eq!(disk.end_sync(), Ok(Seq(2)));
    assert_eq!(disk.begin_sync(), None);
}

#[test]
fn answers_are_delivered_in_the_order_in_which_they_were_given() {
    let mut disk = Disk::default();
    assert_eq!(disk.answer(DiskAnswer::Durable { seq: Seq(1) }, WorldTime(9)), WorldTime(9));
    assert_eq!(disk.answer(DiskAnswer::Durable { seq: Seq(2) }, WorldTime(5)), WorldTime(9));
    assert!(matches!(disk.deliver(), DiskAnswer::Durable { seq: Seq(1) }));
}

#[test]
fn a_slow_disk_takes_longer_and_is_as_fast_as_ever_when_the_fault_ends() {
    let slow = |factor, stalls| Slowness { sync_mean: None, factor, stalls };
    let mut disk = Disk::default();
    assert_eq!(disk.ends(WorldTime(10), Span(5)), WorldTime(15));
    disk.begin_slowness(slow(4, false), WorldTime(100));
    assert_eq!(disk.ends(WorldTime(10), Span(5)), WorldTime(30));
    assert_eq!(disk.ends(WorldTime(90), Span(5)), WorldTime(100), "it does not outlast the fault");
    assert!(!disk.is_well());
    disk.begin_slowness(slow(1, true), WorldTime(60));
    assert_eq!(disk.ends(WorldTime(10), Span(5)), WorldTime(60), "nothing ends while it stalls");
    disk.end_slowness(WorldTime(60));
    assert_eq!(disk.ends(WorldTime(60), Span(5)), WorldTime(80));
    disk.end_slowness(WorldTime(100));
    assert!(disk.is_well());
}

#[test]
fn a_sync_that_fails_says_so_and_the_next_one_does_not_make_good_for_it() {
    let mut disk = Disk::default();
    let (mut partitions, _) = open(&disk);
    let mark =
        || StoreCommand { partition: PARTITION, command: FoundingCommand::MarkComplete.into() };
    disk.push(Ticket(1), mark(), WorldTime(0));
    disk.execute(&mut partitions);
    disk.afflict(Ailment::FailsSyncs, true);
    disk.begin_sync();
    assert_eq!(disk.end_sync(), Err(StoreFault::Failed));
    disk.afflict(Ailment::FailsSyncs, false);
    assert_eq!(disk.begin_sync(), Some(2));
    assert_eq!(disk.end_sync(), Ok(Seq(1)), "it lies without knowing");
    let mut left = disk.image().clone();
    left.kill(0);
    disk.kill(left);
    assert!(open(&disk).1.complete.is_empty());
}
