//! What a node compares with its directory when it starts, and what it does not hold against it for ever.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Answer, Cluster, Process, kv_node, wait_for};

/// How a command ended: its code, and what it said to standard error.
fn ended(command: &mut Command) -> (Option<i32>, String) {
    let Output { status, stderr, .. } = command.output().expect("the program starts");
    (status.code(), String::from_utf8(stderr).expect("text"))
}

/// Changes the configuration of a cluster, which must hold `from`.
fn change(cluster: &Cluster, from: &str, to: &str) {
    let text = std::fs::read_to_string(cluster.config()).expect("it was written");
    assert!(text.contains(from), "{from:?} in {text}");
    std::fs::write(cluster.config(), text.replace(from, to)).expect("the file is ours");
}

/// Starts a node that must refuse, and returns why.
fn refusal(cluster: &Cluster, index: usize) -> String {
    let command = cluster.command(index);
    // A node that does not refuse would run for ever.
    let mut bounded = Command::new("timeout");
    bounded.args(["--signal=KILL", "20"]).arg(command.get_program()).args(command.get_args());
    bounded.env("RUST_LOG", "warn");
    let (code, error) = ended(&mut bounded);
    assert_eq!(code, Some(1), "{error}");
    error
}

#[test]
fn what_decides_where_data_lies_cannot_be_changed_under_it() {
    let cluster = Cluster::new("pinned", 3);
    let nodes = cluster.start_all();
    let mut client = nodes[0].client();
    for key in 0..20 {
        assert_eq!(client.ask(&["SET", &format!("key-{key}"), "kept"]), Answer::ok());
    }
    for node in nodes {
        assert_eq!(node.signal("TERM").code(), Some(0));
    }
    let text = std::fs::read_to_string(cluster.config()).expect("it was written");
    let changes = [
        ("partitions = 64", "partitions = 32", "made with 64, the configuration says 32"),
        ("partitions = 64", "partitions = 128", "made with 64, the configuration says 128"),
        (
            "\nn = 3",
            "\nn = 2",
            "n of data center `dc1`: the data was made with 3, the configuration says 2",
        ),
        (
            "name = \"n2\"",
            "name = \"n2\"\nweight = 3",
            "weight of `n2`: the data was made with 1, the configuration says 3",
        ),
        (
            "name = \"n3\"",
            "name = \"n3\"\nmachine = \"n1\"\nid = \"0000000000000007\"",
            "machine of `n3`",
        ),
        (
            "name = \"n3\"",
            "name = \"n3\"\nrack = \"r\"",
            "rack of `n3`: the data was made with n3, the configuration says r",
        ),
        ("name = \"n3\"", "name = \"n4\"", "member `n4`: the data was made without it"),
    ];
    for (from, to, both) in changes {
        change(&cluster, from, to);
        if from == "name = \"n3\"" && to.contains("machine") {
            change(&cluster, "\nn = 3", "\nn = 2");
        }
        for index in [0, 1] {
            let error = refusal(&cluster, index);
            assert!(error.contains(both), "{error}");
        }
        std::fs::write(cluster.config(), &text).expect("the file is ours");
    }
    change(&cluster, "partitions = 64", "partitions = 32");
    change(&cluster, "name = \"n2\"", "name = \"n2\"\nweight = 3");
    let error = refusal(&cluster, 0);
    assert!(error.contains("partitions: ") && error.contains("weight of `n2`: "), "{error}");
    assert!(error.contains("undo these changes"), "{error}");

    // A wipe takes the data alone: what it was made under is still compared.
    std::fs::remove_dir_all(cluster.data_dir(0).join("data")).expect("it is there");
    assert!(refusal(&cluster, 0).contains("made with 64, the configuration says 32"));

    std::fs::write(cluster.config(), &text).expect("the file is ours");
    let nodes = cluster.start_all();
    let mut client = nodes[1].client();
    for key in 0..20 {
        assert_eq!(client.ask(&["GET", &format!("key-{key}")]), Answer::bulk("kept"), "{key}");
    }
}

#[test]
fn peers_may_move_to_other_addresses() {
    let mut cluster = Cluster::new("moved", 2);
    for node in cluster.start_all() {
        assert_eq!(node.signal("TERM").code(), Some(0));
    }
    cluster.move_away();
    drop(cluster.start_all());
}

#[test]
fn a_lost_record_of_what_must_not_change_is_refused_and_can_be_copied_from_another_node() {
    let cluster = Cluster::new("unpinned", 2);
    for node in cluster.start_all() {
        assert_eq!(node.signal("TERM").code(), Some(0));
    }
    let pinned = |index: usize| cluster.data_dir(index).join("pinned");
    std::fs::remove_file(pinned(0)).expect("it was written");
    let error = refusal(&cluster, 0);
    assert!(error.contains("has no file `pinned`") && error.contains("another node"), "{error}");
    std::fs::write(pinned(0), "format = 9\n").expect("it can be written");
    assert!(refusal(&cluster, 0).contains("has format 9, and this kv-node knows format 1 only"));
    std::fs::write(pinned(0), "").expect("it can be written");
    assert!(refusal(&cluster, 0).contains("is corrupt"));
    std::fs::copy(pinned(1), pinned(0)).expect("it is there");
    drop(cluster.start_all());
}

#[test]
fn a_relative_data_directory_is_the_same_from_whichever_folder_a_node_is_started() {
    let cluster = Cluster::new("relative", 1);
    change(&cluster, "[self]\n", "[self]\ndata_dir = \"store/n1\"\n");
    let folder = cluster.config().parent().expect("it has one").to_owned();
    let elsewhere = folder.join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("the folder is ours");
    let start_in = |at: &Path| {
        let mut command = kv_node();
        command.args(["start", "--name", "n1", "--peer", &cluster.peer(0), "--config"]);
        command.arg(cluster.config()).current_dir(at);
        cluster.start_as(0, command)
    };
    let node = start_in(&folder);
    node.found();
    assert_eq!(node.client().ask(&["SET", "mine", "kept"]), Answer::ok());
    assert_eq!(node.signal("TERM").code(), Some(0));
    let node = start_in(&elsewhere);
    assert_eq!(node.client().ask(&["GET", "mine"]), Answer::bulk("kept"));
    assert!(folder.join("store/n1/identity").exists());
    assert!(!elsewhere.join("store").exists());
}

/// What a start under a clock two years ahead leaves in a directory. Returns the generation.
fn start_two_years_ahead(directory: &Path) -> u64 {
    const TWO_YEARS: u64 = 2 * 365 * 24 * 3_600;
    let path = directory.join("identity");
    let text = std::fs::read_to_string(&path).expect("it was written");
    let (before, rest) = text.split_once("generation = ").expect("it has one");
    let (generation, after) = rest.split_once('\n').expect("a line");
    let ahead = generation.parse::<u64>().expect("a number") + TWO_YEARS;
    let changed = format!("{before}generation = {ahead}\n{after}");
    let seal = if changed.contains("# checksum ") { "# checksum " } else { "checksum = " };
    let (sealed, old) = changed.rsplit_once(seal).expect("it is sealed");
    let sum = format!("{:08x}", crc32fast::hash(sealed.as_bytes()));
    let quoted = if old.starts_with('"') { format!("\"{sum}\"") } else { sum };
    std::fs::write(&path, format!("{sealed}{seal}{quoted}\n")).expect("the file is ours");
    ahead
}

#[test]
fn a_node_that_once_started_under_a_clock_two_years_ahead_starts_again_and_is_heard() {
    let cluster = Cluster::new("two-years-ahead", 3);
    let mut nodes = cluster.start_all();
    let mut client = nodes[0].client();
    assert_eq!(client.ask(&["SET", "before", "kept"]), Answer::ok());
    assert_eq!(nodes.remove(2).signal("TERM").code(), Some(0));
    start_two_years_ahead(&cluster.data_dir(2));

    let returned = cluster.start(2);
    nodes.push(returned);
    wait_for("everybody to hear everybody", || {
        let hears_all = |node: &Process| node.http("/health/ready").1.contains("\"peers_down\":0");
        nodes.iter().all(hears_all).then_some(())
    });
    assert_eq!(nodes[2].client().ask(&["GET", "before"]), Answer::bulk("kept"));
    let log = std::fs::read_to_string(cluster.log(2)).expect("it logs");
    assert!(log.contains("more than a year ahead of this machine's clock"), "{log}");
}
