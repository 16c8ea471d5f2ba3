//! Directories that are opened, and the errors of those that are refused.

use std::time::Duration;

use kv_core::layout::Layout;

use super::*;

const NODE: NodeId = NodeId(7);

fn at(seconds: u64) -> WallTime {
    WallTime(seconds * 1_000_000)
}

fn pinned(cluster: &str, partitions: u32) -> Pinned {
    let layout = Layout::single_datacenter(partitions, 1, [(NODE, "n7".to_owned())]);
    Pinned::of(cluster, &layout)
}

/// Opens a directory that nobody holds. A process that another test has just begun may hold its
/// lock until it has become another program.
fn open(path: &Path) -> Result<Directory, DirectoryError> {
    for _ in 0..1_000 {
        match Directory::open(path) {
            Err(DirectoryError::InUse { .. }) => std::thread::sleep(Duration::from_millis(10)),
            opened => return opened,
        }
    }
    panic!("nobody holds {}", path.display());
}

fn claim(path: &Path, now: WallTime) -> Result<Generation, DirectoryError> {
    open(path)?.claim(NODE, &pinned("blue", 64), now)
}

fn refusal(path: &Path) -> String {
    claim(path, at(100)).expect_err("it is refused").to_string()
}

#[test]
fn generations_rise_whatever_the_clock_does() {
    let home = tempfile::tempdir().expect("there is room");
    let path = home.path().join("not/yet/there");
    let claimed = |seconds| claim(&path, at(seconds)).expect("it is its own").0;
    assert_eq!([claimed(100), claimed(90), claimed(100), claimed(200)], [100, 101, 102, 200]);
}

#[test]
fn a_second_process_is_refused_and_told_who_has_it() {
    let home = tempfile::tempdir().expect("there is room");
    let held = Directory::open(home.path()).expect("it is free");
    let refusal = Directory::open(home.path()).expect_err("it is held").to_string();
    assert!(refusal.contains(&format!("in use by process {}", std::process::id())), "{refusal}");
    drop(held);
    assert!(claim(home.path(), at(100)).is_ok());
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    let mut directory = open(home.path()).expect("it is free");
    let error = directory.claim(NodeId(8), &pinned("blue", 64), at(100)).expect_err("another node");
    assert!(matches!(error, DirectoryError::OtherNode { owner: NODE, .. }), "{error}");
    let error = directory.claim(NODE, &pinned("green", 64), at(100)).expect_err("another cluster");
    assert!(error.to_string().contains("belongs to cluster `blue`"), "{error}");
    let stored = directory.identity().expect("somebody lives there");
    assert_eq!(stored.generation, Generation(100), "a refusal changes nothing");
}

#[test]
fn a_corrupt_identity_is_refused_with_advice_and_left_as_it_is() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    let file = home.path().join("identity");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let corrupt = text.replace("blue", "blvd");
    std::fs::write(&file, &corrupt).expect("it can be written");
    let refusal = refusal(home.path());
    assert!(refusal.contains("is corrupt") && refusal.contains("restore it"), "{refusal}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), corrupt);
}

#[test]
fn a_file_of_another_format_is_refused_in_words() {
    let home = tempfile::tempdir().expect("there is room");
    for (file, known) in [("identity", 2), ("pinned", 1)] {
        let path = home.path().join(file);
        std::fs::write(&path, "format = 9\n").expect("it can be written");
        let newer = refusal(home.path());
        let formats = format!("has format 9, and this kv-node knows format {known} only");
        assert!(newer.contains(&formats) && newer.contains("a later one"), "{newer}");
        std::fs::remove_file(&path).expect("it is there");
    }
    std::fs::write(home.path().join("identity"), "format = 1\n").expect("it can be written");
    let older = refusal(home.path());
    assert!(older.contains("has format 1") && older.contains("found the cluster anew"), "{older}");
}

#[test]
fn a_path_that_cannot_be_written_is_refused() {
    let home = tempfile::tempdir().expect("there is room");
    let file = home.path().join("file");
    std::fs::write(&file, "").expect("it can be written");
    let refusal = refusal(&file.join("below"));
    assert!(refusal.starts_with("cannot make"), "{refusal}");
}

#[test]
fn data_without_an_identity_belongs_to_nobody() {
    let home = tempfile::tempdir().expect("there is room");
    std::fs::create_dir(home.path().join("data")).expect("it can be written");
    let refusal = refusal(home.path());
    assert!(refusal.contains("holds data but no identity file"), "{refusal}");
}

#[test]
fn a_wrong_clock_at_one_start_does_not_outlive_it() {
    const RIGHT: u64 = 1_800_000_000;
    let home = tempfile::tempdir().expect("there is room");
    let claimed = |seconds| claim(home.path(), at(seconds)).expect("it is its own").0;
    let two_years = 2 * 365 * 24 * 3_600;
    assert_eq!(claimed(RIGHT), RIGHT);
    assert_eq!(claimed(RIGHT + two_years), RIGHT + two_years);
    assert_eq!(claimed(RIGHT + 60), RIGHT + 60, "as if nothing had been");
    assert_eq!(claimed(0), RIGHT + 61, "a lost date undoes nothing");
    assert_eq!(claimed(RIGHT + 120), RIGHT + 120);
}

#[test]
fn what_must_not_change_is_compared_at_each_start_and_survives_a_wipe() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    std::fs::create_dir(home.path().join("data")).expect("it can be written");
    let other = || open(home.path())?.claim(NODE, &pinned("blue", 32), at(100));
    for _ in 0..2 {
        let refusal = other().expect_err("it would find nothing").to_string();
        let both = "partitions: the data was made with 64, the configuration says 32";
        assert!(refusal.contains(both), "{refusal}");
        claim(home.path(), at(100)).expect("a refusal changes nothing");
        let _gone = std::fs::remove_dir(home.path().join("data"));
    }
}

#[test]
fn a_corrupt_or_missing_record_of_what_must_not_change_is_refused_with_advice() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    let file = home.path().join("pinned");
    let text = std::fs::read_to_string(&file).expect("it was written");
    std::fs::write(&file, text.replace("64", "32")).expect("it can be written");
    let corrupt = refusal(home.path());
    assert!(corrupt.contains("is corrupt") && corrupt.contains("another node"), "{corrupt}");
    std::fs::remove_file(&file).expect("it is there");
    let missing = refusal(home.path());
    assert!(missing.contains("has no file `pinned`"), "{missing}");
    std::fs::write(&file, text).expect("it can be written");
    claim(home.path(), at(100)).expect("it was restored");
}
