//! How real nodes come to be a cluster, and what they say of themselves when their data is gone.

use std::fs;
use std::process::Output;

use crate::support::{Answer, Client, Cluster, Process, kv_node, wait_for};

fn write(client: &mut Client, keys: std::ops::Range<u32>) {
    for key in keys {
        assert_eq!(client.ask(&["SET", &format!("key-{key}"), "kept"]), Answer::ok(), "key-{key}");
    }
}

/// Reads a key as a strict quorum does, or says why not.
fn strictly(client: &mut Client, key: u32) -> Result<Vec<Answer>, String> {
    let key = format!("key-{key}");
    let read = client.ask(&["KV.GET", &key, "R", "2", "MODE", "strict", "TIMEOUT", "500"]);
    match read {
        Answer::Array(mut fields) => match fields.swap_remove(1) {
            Answer::Array(values) => Ok(values),
            other => panic!("values are an array: {other:?}"),
        },
        Answer::Error(refusal) => Err(refusal),
        other => panic!("a map: {other:?}"),
    }
}

fn refusal(answer: Answer) -> String {
    match answer {
        Answer::Error(refusal) => refusal,
        other => panic!("a refusal: {other:?}"),
    }
}

/// Gives a node an order, as an operator does.
fn order(node: &Process, words: &[&str]) -> Output {
    let mut command = kv_node();
    command.args(words).args(["--http", node.http_address()]);
    command.output().expect("the program starts")
}

fn text(output: &Output) -> String {
    let both = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8(both).expect("it is text")
}

#[test]
fn new_nodes_serve_nobody_until_one_of_them_is_told_once() {
    let cluster = Cluster::new("waits-for-init", 3);
    let nodes = cluster.start_all_unfounded();
    for node in &nodes {
        for words in [&["SET", "a", "1"][..], &["GET", "a"]] {
            let refusal = refusal(node.client().ask(words));
            assert!(refusal.contains("kv-node init"), "{refusal}");
        }
    }
    let founded = order(&nodes[1], &["init"]);
    assert!(founded.status.success(), "{}", text(&founded));
    for node in &nodes {
        wait_for("a node that serves", || {
            (node.client().ask(&["SET", "a", "1"]) == Answer::ok()).then_some(())
        });
    }
    let again = order(&nodes[2], &["init"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again).contains("founded already"), "{}", text(&again));
}

#[test]
fn a_cluster_is_not_founded_without_a_member_unless_it_is_left_out() {
    let cluster = Cluster::new("init-without", 3);
    let mut nodes = vec![cluster.start_unfounded(0), cluster.start_unfounded(1)];
    let alone = order(&nodes[0], &["init"]);
    assert_eq!(alone.status.code(), Some(1));
    assert!(text(&alone).contains("not every member has answered: n3"), "{}", text(&alone));
    let unknown = order(&nodes[0], &["init", "--without", "n7"]);
    assert!(text(&unknown).contains("`n7` is no member"), "{}", text(&unknown));
    let founded = order(&nodes[0], &["init", "--without", "n3"]);
    assert!(founded.status.success(), "{}", text(&founded));
    wait_for("the other to hear of it", || strictly(&mut nodes[1].client(), 0).ok());
    write(&mut nodes[0].client(), 0..20);
    nodes.push(cluster.start_unfounded(2));
    wait_for("the late one to copy from both", || {
        nodes[2].http("/health/ready").1.contains("\"partitions_complete\":64").then_some(())
    });
    nodes.remove(0).kill();
    let values =
        wait_for("an answer of the two that are left", || strictly(&mut nodes[0].client(), 7).ok());
    assert_eq!(values, [Answer::bulk("kept")]);
}

#[test]
fn a_node_whose_directory_is_gone_never_reads_as_empty() {
    let cluster = Cluster::new("directory-gone", 3);
    let mut nodes = cluster.start_all();
    write(&mut nodes[0].client(), 0..10);
    nodes.remove(2).kill();
    fs::remove_dir_all(cluster.data_dir(2)).expect("it is there");
    let returned = cluster.start_unfounded(2);
    // One of those that still have the data dies as well.
    nodes.remove(0).kill();
    for key in 0..10 {
        if let Ok(values) = strictly(&mut returned.client(), key) {
            assert_eq!(values, [Answer::bulk("kept")], "key-{key} through the one that lost it");
        }
        if let Ok(values) = strictly(&mut nodes[0].client(), key) {
            assert_eq!(values, [Answer::bulk("kept")], "key-{key} through the one that has it");
        }
    }
}

#[test]
fn two_of_three_that_lost_their_data_say_so_until_an_operator_accepts_it() {
    let cluster = Cluster::new("two-lost", 3);
    let mut nodes = cluster.start_all();
    write(&mut nodes[0].client(), 0..30);
    for index in [2, 1] {
        nodes.remove(index).kill();
        fs::remove_dir_all(cluster.data_dir(index)).expect("it is there");
    }
    nodes.push(cluster.start_unfounded(1));
    nodes.push(cluster.start_unfounded(2));
    let lost = &nodes[1];
    wait_for("the node to know that it can never copy enough", || {
        let listed = text(&order(lost, &["accept-loss"]));
        listed.contains("can never copy enough of 64 partitions").then_some(())
    });
    wait_for("the node to log it", || {
        let log = fs::read_to_string(cluster.log(1)).expect("it logs");
        log.contains("acknowledged writes may be lost for good").then_some(())
    });
    assert!(strictly(&mut lost.client(), 3).is_err(), "two copies are lost");
    let accepted = order(lost, &["accept-loss", "--all"]);
    assert!(accepted.status.success(), "{}", text(&accepted));
    wait_for("strict reads", || {
        let values = strictly(&mut nodes[0].client(), 3).ok()?;
        assert_eq!(values, [Answer::bulk("kept")], "the third copy was never lost");
        Some(())
    });
    wait_for("the other to copy from both", || {
        text(&order(&nodes[2], &["accept-loss"])).contains("no loss to accept").then_some(())
    });
}
