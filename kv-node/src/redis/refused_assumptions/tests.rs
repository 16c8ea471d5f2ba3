use kv_core::config::Config;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::redis::settings::RedisSettings;
use crate::redis::testing::{OneReplica, TestClient};

fn client() -> (TestClient, OneReplica) {
    (TestClient::new(RedisSettings::default()), OneReplica::default())
}

/// The codes of the errors among replies, and a plus for everything else.
fn outline(replies: &str) -> Vec<String> {
    let lines = replies.split_terminator(r"\r\n");
    let code = |line: &str| match line.strip_prefix('-') {
        Some(error) => error.split(' ').next().unwrap_or_default().to_owned(),
        None => "+".to_owned(),
    };
    lines.map(code).collect()
}

#[test]
fn nothing_of_a_refused_transaction_is_executed_and_it_ends_as_redis_ends_a_broken_one() {
    for (end, after) in [("EXEC", "EXECABORT"), ("DISCARD", "+"), ("RESET", "+")] {
        for begin in ["MULTI", "multi", "MULTI now"] {
            let (mut client, mut core) = client();
            client.ask(&mut core, "SET bal 100");
            client.send(format!(
                "{begin}\r\nSET bal 0\r\nHELLO 3\r\nSELECT 1\r\nMULTI\r\nPING\r\nFOO\r\nEXEC x\r\n{end}\r\n\
                 SET after 1\r\n"
            ));
            client.answer_all(&mut core);
            let replies = outline(&client.received());
            assert_eq!(replies[..7], ["ERR"; 7], "{begin} … {end}");
            assert_eq!(replies[7..], ["ERR", after, "+"], "{begin} … {end}");
            assert_eq!(core.value("bal"), Some("100".into()));
            assert_eq!(core.value("after"), Some("1".into()));
        }
    }
}

#[test]
fn a_transaction_that_was_not_begun_has_no_end() {
    let (mut client, mut core) = client();
    for (line, expected) in
        [("EXEC", "-ERR EXEC without MULTI"), ("DISCARD", "-ERR DISCARD without MULTI")]
    {
        assert_eq!(client.ask(&mut core, line), format!(r"{expected}\r\n"));
    }
}

#[test]
fn what_depends_on_a_refused_command_is_refused_until_it_is_taken_or_reset() {
    let cases = [
        ("SELECT 1", "ERR", "SELECT 0"),
        ("SELECT one", "ERR", "SELECT 0"),
        ("SELECT", "ERR", "SELECT 0"),
        ("SELECT 0 0", "ERR", "SELECT 0"),
        ("SWAPDB 0 1", "ERR", "SELECT 0"),
        ("AUTH bob secret", "NOAUTH", "AUTH default any"),
        ("AUTH secret", "NOAUTH", "HELLO 2 AUTH default any"),
        ("AUTH", "NOAUTH", "AUTH default any"),
        ("HELLO 3 AUTH bob secret", "NOAUTH", "AUTH default any"),
        ("HELLO 9 SETNAME x AUTH default any", "NOAUTH", "AUTH default any"),
        ("CLIENT TRACKING ON", "ERR", "CLIENT TRACKING OFF"),
        ("CLIENT TRACKING", "ERR", "client tracking off"),
        ("KV.OPTIONS W all MODE strct", "ERR", "KV.OPTIONS W all MODE strict"),
        ("SUBSCRIBE news", "ERR", "RESET"),
        ("PSUBSCRIBE news*", "ERR", "RESET"),
        ("MONITOR", "ERR", "RESET"),
        ("PSYNC ? -1", "ERR", "RESET"),
    ];
    for (refused, code, taken) in cases {
        for way_out in [taken, "RESET"] {
            let (mut client, mut core) = client();
            client.ask(&mut core, "SET k old");
            let dependent = ["SET k new", "GET k", "DEL k", "KV.PUT k new", "MSET k new", "PING"];
            let mut lines = format!("{refused}\r\n");
            for line in dependent {
                lines += &format!("{line}\r\n");
            }
            client.send(lines);
            assert!(client.asks.is_empty(), "{refused}");
            let replies = client.received();
            let outline = outline(&replies);
            assert_eq!(outline.len(), 1 + dependent.len(), "{refused}: {replies}");
            assert_ne!(outline[0], "+", "{refused}: {replies}");
            assert!(outline[1..].iter().all(|other| other == code), "{refused}: {replies}");
            assert!(replies.contains("was not executed"), "{refused}: {replies}");
            assert_eq!(core.value("k"), Some("old".into()));

            assert!(!client.ask(&mut core, way_out).starts_with('-'), "{refused} … {way_out}");
            assert_eq!(client.ask(&mut core, "SET k new"), r"+OK\r\n", "{refused} … {way_out}");
        }
    }
}

#[test]
fn a_refused_command_on_which_nothing_depends_changes_nothing() {
    let refused = [
        "HSET k f v",
        "FOO",
        "WATCH k",
        "HELLO 9",
        "CLIENT SETNAME \"a b\"",
        "CLIENT KILL 1",
        "CONFIG SET save x",
        "EVAL x 0",
        "SET k v NX",
        "EXEC",
        "DISCARD",
    ];
    for line in refused {
        let (mut client, mut core) = client();
        assert!(client.ask(&mut core, line).starts_with('-'), "{line}");
        assert_eq!(client.ask(&mut core, "SET k v"), r"+OK\r\n", "{line}");
    }
    // In RESP3 Redis executes every command beside the messages of channels.
    let (mut client, mut core) = client();
    client.ask(&mut core, "HELLO 3");
    assert!(client.ask(&mut core, "SUBSCRIBE news").starts_with('-'));
    assert_eq!(client.ask(&mut core, "SET k v"), r"+OK\r\n");
}

#[test]
fn each_refused_assumption_is_left_by_its_own_way() {
    let (mut client, mut core) = client();
    for line in ["SELECT 1", "AUTH bob secret", "MULTI"] {
        client.ask(&mut core, line);
    }
    let refused = |reply: String, by: &str| assert!(reply.contains(by), "{by}: {reply}");
    refused(client.ask(&mut core, "SELECT 0"), "MULTI was refused before it");
    refused(client.ask(&mut core, "EXEC"), "EXECABORT");
    refused(client.ask(&mut core, "GET k"), "SELECT or SWAPDB was refused before it");
    assert_eq!(client.ask(&mut core, "SELECT 0"), r"+OK\r\n");
    refused(client.ask(&mut core, "GET k"), "AUTH was refused before it");
    assert_eq!(client.ask(&mut core, "AUTH default any"), r"+OK\r\n");
    assert_eq!(client.ask(&mut core, "GET k"), r"$-1\r\n");
}

#[test]
fn a_command_that_was_skipped_for_its_length_was_refused_like_any_other() {
    let long = "x".repeat(2 * 1024 * 1024);
    let cases = [
        (vec!["SELECT", &long], "SELECT or SWAPDB was refused"),
        (vec!["AUTH", &long], "AUTH was refused"),
        (vec!["HELLO", "3", "AUTH", "bob", &long], "AUTH was refused"),
        (vec!["MULTI", &long], "MULTI was refused"),
    ];
    for (words, by) in cases {
        let (mut client, mut core) = client();
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &format!("${}\r\n{word}\r\n", word.len());
        }
        client.send(command);
        client.answer_all(&mut core);
        assert!(client.received().starts_with("-ERR argument"), "{by}");
        let reply = client.ask(&mut core, "SET k v");
        assert!(reply.contains(by), "{by}: {reply}");
        assert_eq!(core.value("k"), None);
    }
}

#[test]
fn a_command_that_cannot_be_read_within_a_transaction_changes_nothing_about_its_end() {
    let config = Config { value_bytes_max: 10, ..Config::default() };
    let settings = RedisSettings { config, ..RedisSettings::default() };
    let max = settings.limits().argument_bytes_max;
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.send(format!("MULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n${}\r\n", max + 1));
    client.send("v".repeat(max + 1));
    client.send("\r\nSET k v\r\nEXEC\r\nSET k v\r\n");
    client.answer_all(&mut core);
    assert_eq!(outline(&client.received()), ["ERR", "ERR", "ERR", "EXECABORT", "+"]);
}

#[test]
fn a_client_that_turned_replies_off_reads_none_until_it_turns_them_on() {
    let (mut client, mut core) = client();
    assert_eq!(client.ask(&mut core, "CLIENT REPLY OFF"), "");
    for line in ["PING", "SET k v", "GET k", "FOO", "MULTI", "DISCARD", "*1\r\n$3\r\nFOO"] {
        assert_eq!(client.ask(&mut core, line), "", "{line}");
    }
    assert_eq!(core.value("k"), Some("v".into()), "it was done all the same");
    client.send("GET k\r\nCLIENT REPLY ON\r\nGET k\r\n");
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"+OK\r\n$1\r\nv\r\n");
    client.ask(&mut core, "CLIENT REPLY OFF");
    assert_eq!(client.ask(&mut core, "RESET"), r"+RESET\r\n");
    client.ask(&mut core, "CLIENT REPLY OFF");
    assert_eq!(client.ask(&mut core, "QUIT"), "");
    assert!(client.pipeline.is_over());
}

#[test]
fn a_client_that_skips_a_reply_misses_exactly_that_one() {
    let (mut client, mut core) = client();
    client.send(
        "CLIENT REPLY SKIP\r\nSET a 1\r\nGET a\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nFOO\r\n\
         ECHO x\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY ON\r\nCLIENT REPLY SKIP\r\nRESET\r\nPING\r\n",
    );
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"$1\r\n1\r\n$1\r\nx\r\n+OK\r\n+PONG\r\n");
}

#[test]
fn a_client_of_which_it_is_not_known_which_replies_it_expects_is_closed() {
    for line in ["CLIENT REPLY", "CLIENT REPLY MAYBE", "CLIENT REPLY OFF OFF"] {
        let (mut client, mut core) = client();
        client.send(format!("{line}\r\nSET k v\r\n"));
        client.answer_all(&mut core);
        assert!(client.received().starts_with("-ERR CLIENT REPLY takes ON, OFF or SKIP"), "{line}");
        assert!(client.pipeline.is_over());
        assert_eq!(core.value("k"), None);
    }
}

/// Commands that set up something, leave it, or depend on it.
fn line() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "MULTI",
        "EXEC",
        "DISCARD",
        "RESET",
        "SELECT 0",
        "SELECT 1",
        "SWAPDB 0 1",
        "AUTH bob x",
        "AUTH default x",
        "CLIENT TRACKING ON",
        "CLIENT TRACKING OFF",
        "MONITOR",
        "SET k v",
    ])
}

proptest! {
    /// The reference model keeps a flag for each assumption.
    #[test]
    fn a_write_is_executed_exactly_if_nothing_that_it_depends_on_was_refused(
        lines in vec(line(), 1..20),
    ) {
        let (mut client, mut core) = client();
        let (mut transaction, mut others) = (false, [false; 4]);
        for line in &lines {
            let reply = client.ask(&mut core, line);
            prop_assert_eq!(reply.matches(r"\r\n").count(), 1, "one reply for one command");
            match *line {
                "RESET" => (transaction, others) = (false, [false; 4]),
                "EXEC" | "DISCARD" => transaction = false,
                "SET k v" => {
                    let expected = !transaction && others == [false; 4];
                    prop_assert_eq!(reply == r"+OK\r\n", expected, "{:?}: {}", lines, reply);
                }
                _ if transaction => {}
                "MULTI" => transaction = true,
                "SELECT 0" => others[0] = false,
                "SELECT 1" | "SWAPDB 0 1" => others[0] = true,
                "AUTH default x" => others[1] = false,
                "AUTH bob x" => others[1] = true,
                "CLIENT TRACKING OFF" => others[2] = false,
                "CLIENT TRACKING ON" => others[2] = true,
                "MONITOR" => others[3] = true,
                other => unreachable!("{other} is none of the lines"),
            }
        }
    }
}
