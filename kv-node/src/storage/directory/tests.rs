//! Whom a directory lets in, and what it says to the others.

use super::*;

const NODE: NodeId = NodeId(7);

fn at(seconds: u64) -> WallTime {
    WallTime(seconds * 1_000_000)
}

fn claim(path: &Path, now: WallTime) -> Result<Generation, DirectoryError> {
    Directory::open(path)?.claim(NODE, "blue", now)
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
    let refusal = refusal(home.path());
    assert!(refusal.contains(&format!("in use by process {}", std::process::id())), "{refusal}");
    drop(held);
    assert!(claim(home.path(), at(100)).is_ok());
}

#[test]
fn the_directory_of_another_node_or_cluster_is_refused() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    let mut directory = Directory::open(home.path()).expect("it is free");
    let error = directory.claim(NodeId(8), "blue", at(100)).expect_err("another node");
    assert!(matches!(error, DirectoryError::OtherNode { owner: NODE, .. }), "{error}");
    let error = directory.claim(NODE, "green", at(100)).expect_err("another cluster");
    assert!(error.to_string().contains("belongs to cluster `blue`"), "{error}");
    let stored = directory.identity().expect("somebody lives there");
    assert_eq!(stored.generation, Generation(100), "a refusal changes nothing");
}

#[test]
fn a_damaged_identity_is_refused_with_advice_and_left_as_it_is() {
    let home = tempfile::tempdir().expect("there is room");
    claim(home.path(), at(100)).expect("it is free");
    let file = home.path().join("identity");
    let text = std::fs::read_to_string(&file).expect("it was written");
    let damaged = text.replace("blue", "blvd");
    std::fs::write(&file, &damaged).expect("it can be written");
    let refusal = refusal(home.path());
    assert!(refusal.contains("is damaged") && refusal.contains("restore it"), "{refusal}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), damaged);
}

#[test]
fn a_newer_format_is_refused() {
    let home = tempfile::tempdir().expect("there is room");
    std::fs::write(home.path().join("identity"), "format = 9\n").expect("it can be written");
    let refusal = refusal(home.path());
    assert!(refusal.contains("has format 9, and this kv-node knows 1"), "{refusal}");
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
fn a_node_whose_generation_its_peers_would_refuse_does_not_start() {
    let home = tempfile::tempdir().expect("there is room");
    let wrong = at(100 + AHEAD_SECONDS_MAX + 1);
    claim(home.path(), wrong).expect("it is free");
    let refusal = refusal(home.path());
    assert!(refusal.contains("set the clock"), "{refusal}");
}
