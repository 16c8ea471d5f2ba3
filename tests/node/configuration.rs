//! Configurations that make no sense as a whole, though each key does by itself: refused before anything
//! is begun, all problems at once.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::kv_node;

/// How a command ended: its code, and what it said to standard output and standard error.
fn ended(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// The default configuration with some replacements, in a file of its own.
fn configuration(test: &str, changes: &[(&str, &str)]) -> PathBuf {
    let (_, mut text, _) = ended(kv_node().args(["config", "default"]));
    for (from, to) in changes {
        assert!(text.contains(from), "the default configuration holds {from:?}");
        text = text.replacen(from, to, 1);
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}.toml"));
    std::fs::write(&path, text).expect("a new file");
    path
}

fn check(path: &Path) -> (Option<i32>, String, String) {
    ended(kv_node().args(["config", "check"]).arg(path))
}

/// A start that must refuse: what it says, without the lines that its drawing is broken into.
fn refusal(mut command: Command) -> String {
    let (code, _, error) = ended(&mut command);
    assert_eq!(code, Some(2), "{error}");
    error.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ")
}

/// A flag or a name, what is replaced in the file by what, and a part of what is said.
type Change<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

#[test]
fn keys_that_contradict_each_other_are_refused_by_check_and_by_start() {
    let changes: &[Change<'_>] = &[
        ("one-address", &[("127.0.0.1:7103", "127.0.0.1:7102")], "`n2` and `n3` have one address"),
        ("one-address-by-name", &[("127.0.0.1:7103", "LOCALHOST:7102")], "have one address"),
        (
            "one-port",
            &[("http = \"127.0.0.1:7201\"", "http = \"127.0.0.1:7001\"")],
            "`redis` and `http` both listen on 127.0.0.1:7001",
        ),
        (
            "one-port-everywhere",
            &[("http = \"127.0.0.1:7201\"", "http = \"0.0.0.0:7101\"")],
            "`peer` and `http` both listen on",
        ),
        (
            "strict",
            &[("mode = \"sloppy\"", "mode = \"strict\""), ("read_quorum = 2", "read_quorum = 1")],
            "with R = 1 and W = 2 of N = 3 copies it need not meet one",
        ),
        (
            "hedge",
            &[("hedge_ms = 100", "hedge_ms = 1000")],
            "hedge_ms = 1000 is not below timeout_ms = 1000",
        ),
        (
            "hedge-2",
            &[("timeout_ms = 1000", "timeout_ms = 50")],
            "hedge_ms = 100 is not below timeout_ms = 50",
        ),
        ("no-data-dir", &[("data_dir = \"data/n1\"", "data_dir = \"\"")], "`data_dir` is empty"),
        (
            "tilde",
            &[("data_dir = \"data/n1\"", "data_dir = \"~/n1\"")],
            "only a shell knows what ~ is",
        ),
        ("scheme", &[("127.0.0.1:7102", "http://n2:7101")], "leave out `http://`: write n2:7101"),
        ("brackets", &[("127.0.0.1:7102", "fe80::2:7101")], "write HOST:PORT, and brackets"),
        ("no-port", &[("127.0.0.1:7102", "n2:0")], "peers must know the port"),
        ("nobody", &[("127.0.0.1:7102", "0.0.0.0:7102")], "nobody is reached there"),
        (
            "frame",
            &[("peer_frame_bytes = 134217728", "peer_frame_bytes = 1048576")],
            "peer_frame_bytes = 1048576 is too little",
        ),
        (
            "large-values",
            &[("value_bytes_max = 1048576", "value_bytes_max = 67108864")],
            "would be acknowledged and never reach other nodes",
        ),
        (
            "reply",
            &[("reply_bytes = 134217728", "reply_bytes = 1048576")],
            "could be written and never read",
        ),
        (
            "clients",
            &[("client_bytes = 268435456", "client_bytes = 16777216")],
            "held_bytes = 134217728 is more than 14680064",
        ),
        (
            "hints",
            &[("hint_bytes_total = 1073741824", "hint_bytes_total = 1024")],
            "hint_bytes_total = 1024 is too little",
        ),
        (
            "buckets",
            &[(
                "buckets = []",
                "buckets = [{ prefix = \"a\", resolve = \"lww\" }, { prefix = \"a\", resolve = \"siblings\" }]",
            )],
            "two buckets have the prefix `a`",
        ),
    ];
    for (name, changes, expected) in changes {
        let path = configuration(&format!("contradiction-{name}"), changes);
        let mut check = kv_node();
        check.args(["config", "check"]).arg(&path);
        let mut start = Command::new("timeout");
        start.args(["--signal=KILL", "20"]).arg(kv_node().get_program());
        start.args(["start", "--config"]).arg(&path);
        for command in [check, start] {
            let said = refusal(command);
            assert!(said.contains(expected), "{name}: {said}");
        }
    }
}

#[test]
fn all_problems_are_named_at_once_each_where_it_stands() {
    let path = configuration(
        "all-at-once",
        &[
            ("name = \"kv\"", "name = \"\""),
            ("n = 3", "n = 99"),
            ("127.0.0.1:7102", "n2"),
            ("127.0.0.1:7103", "tcp://n3:7103"),
            ("redis = \"127.0.0.1:7001\"", "redis = \"localhost\""),
            ("http = \"127.0.0.1:7201\"", "htp = \"127.0.0.1:7201\""),
            ("read_quorum = 2", "read_quorum = 0"),
            ("gossip_fanout = 3", "gossip_fanuot = 3"),
            ("hedge_ms = 100", "hedge_ms = 5000"),
            ("pipeline = 1024", "pipeline = 0"),
            ("stop_ms = 5000", "stop_ms = -1"),
        ],
    );
    let mut command = kv_node();
    command.args(["config", "check"]).arg(&path).env("KV_NODE_DATADIR", "/data");
    let said = refusal(command);
    for expected in [
        "the cluster has an empty name",
        "n = 99 is out of range",
        "`n2` is no address of a peer",
        "`tcp://n3:7103` is no address of a peer",
        "found string \"localhost\"",
        "unknown key `htp`",
        "it is not said what `http` is",
        "read_quorum = 0 is out of range",
        "unknown key `gossip_fanuot`",
        "hedge_ms = 5000 is not below timeout_ms = 1000",
        "pipeline = 0 is out of range",
        "found integer `-1`",
        "unknown environment variable KV_NODE_DATADIR",
        "did you mean KV_NODE_DATA_DIR?",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

#[test]
fn an_unknown_variable_of_the_environment_stops_a_start_too() {
    let path = configuration("unknown-variable", &[]);
    let mut start = Command::new("timeout");
    start.args(["--signal=KILL", "20"]).arg(kv_node().get_program());
    start.args(["start", "--config"]).arg(&path).env("KV_NODE_DURABLITY", "never");
    let said = refusal(start);
    assert!(said.contains("did you mean KV_NODE_DURABILITY?"), "{said}");
}

#[test]
fn what_is_probably_not_meant_is_a_warning_and_no_refusal() {
    let path = configuration(
        "warnings",
        &[
            ("peer = \"127.0.0.1:7101\"", "peer = \"127.0.0.1:7999\""),
            ("127.0.0.1:7103", "n3.example:7103"),
            ("peer_queue_bytes = 134217728", "peer_queue_bytes = 65536"),
            ("cache_bytes = 67108864", "cache_bytes = 1099511627776"),
        ],
    );
    let (code, printed, said) = check(&path);
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("is sound, with warnings"), "{printed}");
    let said = said.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    for expected in [
        "this node listens for peers on port 7999, and they look for it at 127.0.0.1:7101",
        "`n1` is reached on its own machine only",
        "peer_queue_bytes = 65536 is less than peer_frame_bytes",
        "MiB of memory",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

#[test]
fn a_check_says_where_the_data_will_lie() {
    let path = configuration("data-dir", &[]);
    let (code, printed, said) = check(&path);
    assert_eq!((code, &*said), (Some(0), ""));
    let expected = path.parent().expect("it has one").join("data/n1");
    assert!(printed.contains(&format!("data       {}\n", expected.display())), "{printed}");
}
