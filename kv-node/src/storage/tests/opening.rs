//! The data that storage finds when it opens: after a clean end, after a wipe, after its process
//! was killed, and where some of it is corrupt or another node's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use kv_core::store::ForeignData;
use kv_core::time::WallTime;

use super::*;

const CLUSTER: &str = "test";
const CACHE_BYTES: u64 = 1 << 20;

fn open(path: &Path) -> (Driven<DiskEngine>, Recovered) {
    let (report, heard) = reports();
    let mut directory = Directory::open(path).expect("it is free");
    let pinned = Pinned::of(CLUSTER, ring().layout());
    directory.claim(NODE, &pinned, WallTime(1_000_000)).expect("it is its own");
    let (storage, recovered) = opening(StorageOptions::default(), |opening| {
        Storage::open(directory, CACHE_BYTES, opening, Arc::default(), report).expect("it opens")
    });
    (Driven::new(storage, heard), recovered)
}

/// The engine of a node that does not run.
fn engine(home: &Path) -> DiskEngine {
    let terms = disk_engine::Terms {
        node: NODE,
        run: LogRun(0),
        segment_bytes: SegmentBytes::DEFAULT,
        reserve_bytes: 0,
        tables: TableTerms {
            cache_bytes: CACHE_BYTES,
            log_limiter: Arc::default(),
            has_others: false,
        },
    };
    DiskEngine::open(&home.join("data"), &terms).expect("it opens")
}

/// What a member of a cluster of so many finds, with a stretch of its hints that cannot be read.
fn recovered_in(members: u64, engine: MemoryEngine) -> Recovered {
    let torn = Arc::new(Hooked { corrupt: b"h", ..Hooked::new(engine, || {}) });
    let names = (1..=members).map(|member| (NodeId(member), format!("n{member}")));
    let layout = Layout::single_datacenter(1, members as u8, names);
    let ring = Ring::new(layout).expect("as many copies as members");
    opening(StorageOptions::default(), |opening| {
        let opening = Opening { ring: &ring, ..*opening };
        recovery::recover(&torn, &opening).expect("it opens").recovered
    })
}

#[test]
fn what_is_corrupt_at_start_costs_the_markers_where_others_hold_what_it_was() {
    let disk = MemoryDisk::default();
    founded(disk.start());
    assert_eq!(recovered_in(1, disk.start()).complete, [PartitionId(0)], "nobody else does");
    assert!(recovered_in(2, disk.start()).complete.is_empty());
    let later = opening(StorageOptions::default(), |opening| {
        recovery::recover(&Arc::new(disk.start()), opening)
    });
    assert!(later.expect("it opens").recovered.complete.is_empty(), "also ever after");
}

#[test]
fn a_node_does_not_start_on_the_data_of_another() {
    let disk = MemoryDisk::default();
    let recover = |node| {
        opening(StorageOptions::default(), |opening| {
            let opening = Opening { node, ..*opening };
            recovery::recover(&Arc::new(disk.start()), &opening).map(|_| ())
        })
    };
    founded(disk.start());
    assert_eq!(recover(NODE), Ok(()));
    let refused = recover(NodeId(77)).expect_err("it is another's");
    assert_eq!(refused, RecoveryError::Foreign(ForeignData { owner: NODE }));
    assert!(refused.to_string().contains("move this data away"), "{refused}");
    assert_eq!(recover(NODE), Ok(()), "its own node is not harmed");
}

#[tokio::test]
async fn a_reopened_directory_holds_all_and_a_wiped_one_is_not_believed() {
    let home = tempfile::tempdir().expect("there is room");
    let (driven, recovered) = open(home.path());
    assert_eq!(recovered, nothing(&recovered), "it is new");
    driven.close().await;
    drop(founded(engine(home.path())));
    let (mut driven, recovered) = open(home.path());
    assert_eq!(recovered.complete, [PartitionId(0)], "a founder holds all that there is");
    driven.submit(mints(1..100));
    assert_eq!(driven.execute().len(), 99);
    assert!(Directory::open(home.path()).is_err(), "it is in use");
    driven.close().await;

    let (mut driven, recovered) = open(home.path());
    assert_eq!((recovered.complete.len(), recovered.roots.len()), (1, 1));
    driven.submit((1..100).map(read));
    for CommandDone { outcome, .. } in driven.execute() {
        let Ok(ReplicaDone::Read(container)) = done(&outcome) else { panic!("it reads") };
        assert_eq!(container.siblings().len(), 1);
    }
    driven.close().await;

    std::fs::remove_dir_all(home.path().join("data")).expect("it is there");
    let (driven, recovered) = open(home.path());
    assert_eq!(recovered, nothing(&recovered), "nothing is there, and nothing is believed");
    driven.close().await;
    let directory = Directory::open(home.path()).expect("it is free");
    let identity = directory.identity().expect("a wipe does not take it");
    assert_eq!((identity.node, identity.generation.0), (NODE, 4));
}

/// What a store says that holds nothing: its log has a beginning all the same.
fn nothing(found: &Recovered) -> Recovered {
    Recovered { log: found.log, ..Recovered::default() }
}

/// The variable that names the child's directory. Without it, the process is no child.
const CHILD: &str = "KV_NODE_STORAGE_TEST_CHILD";

/// Not a test of its own: writes until it is killed, and prints what is durable.
#[tokio::test]
async fn child_of_a_process_that_is_killed() {
    let Some(path) = std::env::var_os(CHILD) else { return };
    let (mut driven, _) = open(Path::new(&path));
    let first = std::env::var("FIRST").expect("it is given").parse::<u64>().expect("a number");
    let mut out = std::io::stdout().lock();
    for at in (first..).step_by(64) {
        driven.submit(mints(at..at + 64));
        driven.execute();
        driven.wait_durable(driven.newest).await;
        writeln!(out, "durable {}", at + 63).expect("somebody listens");
    }
}

#[test]
fn what_was_durable_is_there_after_kill_9() {
    let home = tempfile::tempdir().expect("there is room");
    let mut durable = 0;
    for round in 0..5_u64 {
        let mut child = Command::new(std::env::current_exe().expect("it is running"))
            .args([
                "--exact",
                "storage::tests::opening::child_of_a_process_that_is_killed",
                "--nocapture",
            ])
            .env(CHILD, home.path())
            .env("FIRST", (durable + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the system has room for a process");
        let before = durable;
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let mut heard = || {
            let line = lines.next()?.expect("it is text");
            Some(line.rsplit_once("durable ").and_then(|(_, n)| n.parse::<u64>().ok()))
        };
        while durable < before + 64 * (5 + 7 * round) {
            durable = heard().expect("the child writes").unwrap_or(durable);
        }
        child.kill().expect("it runs");
        child.wait().expect("it was ours");
        while let Some(line) = heard() {
            durable = line.unwrap_or(durable);
        }
        assert!(durable > before);
        let store = found(engine(home.path()));
        let lost: Vec<_> = (1..=durable).filter(|&n| !holds(&store, n)).collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
    }
}
