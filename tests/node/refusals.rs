//! What a client is refused: nothing that depended on it is executed, and the words say what is
//! missing and what to use.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use crate::support::{Answer, Client, Cluster, Process, command, free_ports, wait_for};

/// The answer to each of these lines, sent in one write.
fn pipelined(client: &mut Client, lines: &[&str]) -> Vec<Answer> {
    let words = |line: &&str| command(&line.split(' ').collect::<Vec<_>>());
    client.send(&lines.iter().flat_map(words).collect::<Vec<_>>());
    lines.iter().map(|_| client.answer()).collect()
}

/// The answer to each of these lines, each sent when the one before it was answered.
fn one_by_one(client: &mut Client, lines: &[&str]) -> Vec<Answer> {
    lines.iter().map(|line| client.ask(&line.split(' ').collect::<Vec<_>>())).collect()
}

fn error(answer: &Answer) -> &str {
    match answer {
        Answer::Error(text) => text,
        other => panic!("expected an error, got {other:?}"),
    }
}

fn words(answer: Answer) -> String {
    match answer {
        Answer::Bulk(Some(text)) => String::from_utf8(text).expect("text"),
        other => panic!("expected a text, got {other:?}"),
    }
}

#[test]
fn nothing_is_executed_that_depended_on_a_refused_command() {
    let cluster = Cluster::new("refusals", 3);
    let nodes = cluster.start_all();
    let mut other = nodes[1].client();
    let cases: [(&[&str], usize); 9] = [
        (&["MULTI", "SET bal 0", "DISCARD"], 2),
        (&["MULTI", "SET bal 0", "EXEC"], 3),
        (&["MULTI now", "SET bal 0", "DEL bal", "EXEC"], 4),
        (&["WATCH bal", "MULTI", "SET bal 0", "EXEC"], 4),
        (&["SELECT 1", "SET bal 0", "MSET bal 0 x 1"], 3),
        (&["AUTH bob secret", "SET bal 0", "GET bal"], 3),
        (&["HELLO 3 AUTH bob secret", "SET bal 0", "KV.PUT bal 0"], 3),
        (&["KV.OPTIONS W all MODE strct", "SET bal 0"], 2),
        (&["MONITOR", "SET bal 0"], 2),
    ];
    for (lines, refused) in cases {
        for send in [pipelined, one_by_one] {
            assert_eq!(other.ask(&["SET", "bal", "100"]), Answer::ok());
            let mut client = nodes[0].client();
            let answers = send(&mut client, lines);
            let errors = answers.iter().filter(|answer| matches!(answer, Answer::Error(_)));
            assert_eq!(errors.count(), refused, "{lines:?}: {answers:?}");
            assert_eq!(other.ask(&["GET", "bal"]), Answer::bulk("100"), "{lines:?}");
            assert_eq!(client.ask(&["RESET"]), Answer::Simple("RESET".to_owned()));
            assert_eq!(client.ask(&["SET", "free", "1"]), Answer::ok(), "{lines:?}");
        }
    }

    let mut client = nodes[0].client();
    let answers = pipelined(&mut client, &["MULTI", "SET bal 0", "EXEC"]);
    assert!(error(&answers[0]).contains("Redis has it, this store does not"), "{answers:?}");
    assert!(error(&answers[1]).contains("MULTI was refused before it. Send EXEC or DISCARD"));
    assert!(error(&answers[2]).starts_with("EXECABORT "), "{answers:?}");
    let answers = pipelined(&mut client, &["SELECT 1", "SET bal 0"]);
    assert!(error(&answers[1]).contains("Send SELECT 0 or RESET"), "{answers:?}");
    assert_eq!(client.ask(&["SELECT", "0"]), Answer::ok());
    assert_eq!(client.ask(&["SET", "bal", "1"]), Answer::ok());

    // What people type.
    let (host, port) = nodes[0].redis.split_once(':').expect("HOST:PORT");
    let said = Command::new("redis-cli")
        .args(["-h", host, "-p", port, "-n", "1", "set", "bal", "0"])
        .output()
        .expect("tests/setup.sh installs redis-cli");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("'SET' was not executed: SELECT or SWAPDB was refused"), "{said}");
    assert_eq!(other.ask(&["GET", "bal"]), Answer::bulk("1"));
}

#[test]
fn replies_that_a_client_turned_off_are_not_sent() {
    let cluster = Cluster::new("reply-off", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    for words in [&["CLIENT", "REPLY", "OFF"][..], &["SET", "k", "v"], &["NONSENSE"], &["GET", "k"]]
    {
        client.send(&command(words));
    }
    assert_eq!(client.ask(&["CLIENT", "REPLY", "ON"]), Answer::ok());
    client.send(&command(&["CLIENT", "REPLY", "SKIP"]));
    client.send(&command(&["GET", "nothing"]));
    assert_eq!(client.ask(&["GET", "k"]), Answer::bulk("v"));
    assert!(error(&client.ask(&["CLIENT", "REPLY", "MAYBE"])).contains("the connection is closed"));
    assert!(client.is_closed());
}

#[test]
fn a_command_of_as_many_arguments_as_redis_takes_is_taken_and_of_more_refused_in_words() {
    const MAX: usize = 1_048_576;
    let cluster = Cluster::new("arguments", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    let ask = |client: &mut Client, name: &str, arguments: usize| {
        let mut bytes = format!("*{arguments}\r\n${}\r\n{name}\r\n", name.len()).into_bytes();
        bytes.extend(b"$4\r\nnone\r\n".repeat(arguments - 1));
        client.send(&bytes);
        client.answer()
    };
    let refused = ask(&mut client, "MULTI", MAX + 1);
    assert!(
        error(&refused).contains("1048577 arguments; at most 1048576 are taken"),
        "{refused:?}"
    );
    let after = client.ask(&["SET", "k", "v"]);
    assert!(error(&after).contains("MULTI was refused before it"), "{after:?}");
    assert_eq!(client.ask(&["DISCARD"]), Answer::ok());
    let taken = ask(&mut client, "PING", MAX);
    assert!(error(&taken).starts_with("ERR wrong number of arguments for 'ping'"), "{taken:?}");
    assert_eq!(client.ask(&["SET", "k", "v"]), Answer::ok());
}

/// A Redis without data. Killed when it is dropped.
struct Redis {
    child: Child,
    address: String,
}

impl Redis {
    fn start() -> Self {
        let port = free_ports(1)[0].to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"]);
        let child = command.stdout(Stdio::null()).spawn();
        let child = child.expect("tests/setup.sh installs redis-server");
        let redis = Self { child, address: format!("127.0.0.1:{port}") };
        wait_for("Redis", || Client::try_connect(&redis.address).ok());
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn every_command_of_redis_is_there_or_is_said_to_be_missing_and_what_to_use() {
    let redis = Redis::start();
    let Answer::Array(names) = Client::connect(&redis.address).ask(&["COMMAND", "LIST"]) else {
        panic!("Redis lists its commands")
    };
    assert!(names.len() > 200);
    let cluster = Cluster::new("absent", 1);
    let node = cluster.start(0);
    for name in names.into_iter().map(words) {
        // A connection for each: some change what the next one means.
        let parts: Vec<_> = name.split('|').collect();
        if let Answer::Error(text) = node.client().ask(&parts) {
            let is_there = text.contains("wrong number of arguments")
                || text.contains("without MULTI")
                || text.contains("CLIENT REPLY takes")
                || text.contains("CLIENT TRACKING is not supported");
            assert!(
                is_there || text.contains("Redis has it, this store does not"),
                "{name}: {text}"
            );
            assert!(!text.contains("did you mean"), "{name}: {text}");
        }
    }
    for (words, expected) in [
        (&["HSET", "k", "f", "v"][..], "Hashes are not there"),
        (&["GETSET", "k", "v"], "KV.GET, then KV.PUT"),
        (&["CLIENT", "KILL", "1"], "none is stopped by another one"),
        (&["GTE", "k"], "did you mean GET?"),
        (&["HSETT", "k"], "did you mean HSET? Redis has it, this store does not"),
    ] {
        let answer = node.client().ask(words);
        assert!(error(&answer).contains(expected), "{answer:?}");
    }
}

/// The value of a line of `INFO`.
fn fact(client: &mut Client, name: &str) -> String {
    let info = words(client.ask(&["INFO"]));
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_else(|| panic!("no {name} in {info}")).to_owned()
}

#[test]
fn what_tools_read_of_a_node_is_there_and_true() {
    let cluster = Cluster::new("facts", 1);
    let node = cluster.start(0);
    let mut client = node.client();
    let number = |client: &mut Client, name: &str| {
        fact(client, name).parse::<u64>().unwrap_or_else(|error| panic!("{name}: {error}"))
    };
    let before = number(&mut client, "total_commands_processed");
    assert_eq!(client.ask(&["SET", "k", "v"]), Answer::ok());
    assert_eq!(client.ask(&["GET", "k"]), Answer::bulk("v"));
    assert_eq!(client.ask(&["GET", "nothing"]), Answer::Bulk(None));
    // A read batch is counted when it has been executed.
    assert_eq!(number(&mut client, "total_commands_processed"), before + 4);
    assert_eq!(number(&mut client, "keyspace_hits"), 1);
    assert_eq!(number(&mut client, "keyspace_misses"), 1);
    assert_eq!(number(&mut client, "connected_clients"), 1);
    assert_eq!(number(&mut client, "total_connections_received"), 1);
    assert!(number(&mut client, "used_memory") > 1_000_000);
    assert!(number(&mut client, "used_memory_peak") >= number(&mut client, "used_memory"));
    assert!(number(&mut client, "total_net_input_bytes") > 0);

    client.ask(&["CLIENT", "SETNAME", "first"]);
    let mut second = node.client();
    let list = words(second.ask(&["CLIENT", "LIST"]));
    let line = list.lines().find(|line| line.contains(" name=first ")).expect("it is connected");
    for field in
        [" cmd=client|setname ", " age=", " idle=", " flags=N ", " multi=-1 ", " tot-cmds="]
    {
        assert!(line.contains(field), "{field}: {line}");
    }
    assert_eq!(list.lines().count(), 2);

    for (name, value) in [("save", ""), ("maxmemory", "0"), ("databases", "1")] {
        let shown = client.ask(&["CONFIG", "GET", name]);
        assert_eq!(shown, Answer::Array(vec![Answer::bulk(name), Answer::bulk(value)]));
    }
    redis_cli_shows_what_happens(&node);
}

/// `redis-cli --stat` shows no number that is none. Into a pipe it writes many rows at once.
fn redis_cli_shows_what_happens(node: &Process) {
    let (host, port) = node.redis.split_once(':').expect("HOST:PORT");
    let mut child = Command::new("redis-cli")
        .args(["-h", host, "-p", port, "--stat", "-i", "0.01"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/setup.sh installs redis-cli");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let lines: Vec<_> = lines.take(6).map(|line| line.expect("text")).collect();
    child.kill().expect("it runs until it is killed");
    child.wait().expect("it has ended");
    let rows: Vec<Vec<&str>> = lines
        .iter()
        .map(|line| line.split_ascii_whitespace().collect())
        .filter(|row: &Vec<_>| row.first().is_some_and(|first| first.parse::<u64>().is_ok()))
        .collect();
    assert!(!rows.is_empty(), "{lines:?}");
    for row in rows {
        // keys, memory, clients, blocked, requests, connections
        assert!(row[1].ends_with(['M', 'G']), "{row:?}");
        assert!(row[2].parse::<u32>().is_ok_and(|clients| clients > 0), "{row:?}");
        assert_eq!(row[3], "0", "{row:?}");
        assert!(row[4].parse::<u32>().is_ok_and(|requests| requests > 0), "{row:?}");
    }
    assert!(!lines.concat().contains("-9223372036854775808"), "{lines:?}");
}

#[test]
fn a_node_says_how_durable_it_is() {
    let cases = [
        (&["--durability", "always"][..], "always", "always"),
        (&["--durability", "interval", "--sync-interval-ms", "500"], "everysec", "interval 500 ms"),
        (&["--durability", "interval", "--sync-interval-ms", "9000"], "no", "interval 9000 ms"),
        (&["--durability", "never"], "no", "never"),
    ];
    for (arguments, in_redis, own) in cases {
        let cluster = Cluster::new("durability", 1);
        let mut command = cluster.command(0);
        command.args(arguments);
        let node = cluster.start_as(0, command);
        let mut client = node.client();
        let shown = client.ask(&["CONFIG", "GET", "appendfsync"]);
        assert_eq!(shown, Answer::Array(vec![Answer::bulk("appendfsync"), Answer::bulk(in_redis)]));
        assert_eq!(fact(&mut client, "kv_durability"), own);
    }
}
