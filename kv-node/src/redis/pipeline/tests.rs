use std::collections::BTreeMap;

use kv_core::client::{Achieved, PutContext, RequestRefusal, Verb};
use kv_core::version::Context;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::redis::settings::RedisSettings;
use crate::redis::testing::{OneReplica, TestClient};

fn client() -> (TestClient, OneReplica) {
    (TestClient::new(RedisSettings::default()), OneReplica::default())
}

/// Returns the keys about which the core is asked now.
fn asked(client: &TestClient) -> Vec<String> {
    client.asks.iter().map(|ask| ask.operation.key.to_string()).collect()
}

fn unknown(_: ClientOperation) -> Reply {
    Reply::Unknown { achieved: Achieved::default() }
}

fn busy(_: ClientOperation) -> Reply {
    Reply::Refused(RequestRefusal::Busy { max: 1 })
}

#[test]
fn replies_leave_in_the_order_of_their_commands() {
    let (mut client, mut core) = client();
    client.send("SET a 1\r\nSET b 2\r\nPING\r\nECHO x\r\n");
    assert_eq!(asked(&client), ["a", "b"]);
    client.answer(1, |operation| core.answer(operation));
    assert_eq!(client.received(), "");
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(client.received(), r"+OK\r\n+OK\r\n+PONG\r\n$1\r\nx\r\n");
}

#[test]
fn a_second_write_to_a_key_waits_until_the_session_knows_the_first() {
    let (mut client, mut core) = client();
    client.send("SET a 1\r\nSET a 2\r\nSET b 3\r\nSET a 4\r\n");
    assert_eq!(asked(&client), ["a", "b"], "b does not wait for a");
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(asked(&client), ["b", "a"]);
    let Verb::Put { context: PutContext::Latest(context), .. } = &client.asks[1].operation.verb
    else {
        panic!("a plain SET overwrites the latest");
    };
    assert_ne!(*context, Context::default());
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"+OK\r\n+OK\r\n+OK\r\n+OK\r\n");
    assert_eq!(core.value("a"), Some("4".into()));
}

#[test]
fn reads_wait_for_earlier_writes_and_writes_for_earlier_reads() {
    let (mut client, mut core) = client();
    client.send("GET a\r\nGET a\r\nSET a 1\r\nGET a\r\n");
    assert_eq!(asked(&client), ["a", "a"], "reads run side by side");
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"$-1\r\n$-1\r\n+OK\r\n$1\r\n1\r\n");
}

#[test]
fn a_deletion_reads_all_keys_before_it_writes_and_holds_them_meanwhile() {
    let (mut client, mut core) = client();
    client.ask(&mut core, "SET a 1");
    client.send("DEL a b\r\nSET a 2\r\n");
    assert!(client.asks.iter().all(|ask| ask.operation.verb == Verb::Get));
    client.answer(0, |operation| core.answer(operation));
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(asked(&client), ["a", "b"]);
    assert!(client.asks.iter().all(|ask| matches!(ask.operation.verb, Verb::Put { .. })));
    client.answer_all(&mut core);
    assert_eq!(client.received(), r":1\r\n+OK\r\n");
    assert_eq!(core.value("a"), Some("2".into()));
}

#[test]
fn a_deletion_whose_reads_fail_deletes_nothing() {
    let (mut client, mut core) = client();
    client.ask(&mut core, "SET a 1");
    client.send("DEL a b\r\n");
    client.answer(1, unknown);
    client.answer(0, |operation| core.answer(operation));
    assert!(client.asks.is_empty());
    let reply = client.received();
    assert!(reply.starts_with("-TIMEOUT too few replicas answered in time (0 owners"), "{reply}");
    assert_eq!(core.value("a"), Some("1".into()));
}

#[test]
fn a_write_of_unknown_outcome_says_so_and_the_next_one_goes_on() {
    let (mut client, mut core) = client();
    client.send("SET a 1\r\nSET a 2\r\nGET a\r\n");
    client.answer(0, unknown);
    let reply = client.received();
    assert!(
        reply.starts_with("-TIMEOUT the write may stand or not, now or later (0 own"),
        "{reply}"
    );
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"+OK\r\n$1\r\n2\r\n");
}

#[test]
fn writing_several_keys_says_how_many_stand_if_one_fails() {
    let (mut client, mut core) = client();
    client.send("MSET a 1 b 2 c 3\r\n");
    client.answer(1, busy);
    client.answer_all(&mut core);
    let reply = client.received();
    assert!(reply.starts_with("-BUSY 1 requests are in flight"), "{reply}");
    assert!(reply.contains("Of 3 keys 2 are known to be written"), "{reply}");
}

#[test]
fn a_command_of_many_keys_asks_for_a_few_at_a_time_and_stops_when_it_fails() {
    let settings = RedisSettings { operations_max: 2, ..RedisSettings::default() };
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.send("MGET a b c d e\r\nGET f\r\n");
    for _ in 0..6 {
        assert!(client.asks.len() <= 2);
        client.answer(0, |operation| core.answer(operation));
    }
    assert_eq!(client.received(), r"*5\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n");
    client.send("MGET a b c d e\r\nGET f\r\n");
    client.answer(0, unknown);
    assert_eq!(asked(&client), ["b", "f"]);
    client.answer_all(&mut core);
    let reply = client.received();
    assert!(reply.starts_with("-TIMEOUT") && reply.ends_with(r"$-1\r\n"), "{reply}");
}

#[test]
fn a_reply_that_would_be_too_long_is_an_error() {
    let settings = RedisSettings { reply_bytes_max: 5, ..RedisSettings::default() };
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.ask(&mut core, "MSET a 123 b 456");
    assert_eq!(client.ask(&mut core, "MGET a"), r"*1\r\n$3\r\n123\r\n");
    let reply = client.ask(&mut core, "MGET a b");
    assert!(reply.starts_with("-ERR the reply would have more than 5 bytes"), "{reply}");
}

#[test]
fn a_reply_for_which_the_node_has_no_room_is_an_error_and_nothing_of_it_is_kept() {
    let (mut client, mut core) = client();
    client.ask(&mut core, "MSET a 123 b 456");
    for line in ["MGET a b", "GET a", "KV.GET a"] {
        client.room = 2;
        client.send(format!("{line}\r\n"));
        client.answer_all(&mut core);
        assert_eq!(client.pipeline.held_bytes, 0, "{line}");
        let reply = client.received();
        assert!(
            reply.starts_with("-BUSY this node holds as many bytes for its clients"),
            "{reply}"
        );
        client.room = 1_000;
        let reply = client.ask(&mut core, line);
        assert!(!reply.starts_with('-'), "{reply}");
    }
    client.room = 0;
    assert_eq!(client.ask(&mut core, "EXISTS a b nothing"), r":2\r\n", "it keeps nothing");
    assert_eq!(client.ask(&mut core, "STRLEN a"), r":3\r\n", "nor does this");
    assert_eq!(client.ask(&mut core, "MSET a 1 b 2"), r"+OK\r\n");
}

#[test]
fn what_is_gathered_is_counted_until_the_reply_is_written() {
    let (mut client, mut core) = client();
    client.ask(&mut core, &format!("MSET a {} b 2", "v".repeat(5_000)));
    client.send("MGET a b\r\n");
    let asked = client.pipeline.held_bytes;
    client.answer(0, |operation| core.answer(operation));
    assert!(client.pipeline.held_bytes >= asked + 5_000);
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(client.pipeline.held_bytes, 0);
    assert!(client.pipeline.ready().held_bytes() >= 5_000);
    client.received();
    assert_eq!(client.pipeline.ready().held_bytes(), 0);
}

#[test]
fn a_connection_that_holds_all_it_may_goes_on_with_its_first_command_alone() {
    let settings =
        RedisSettings { operations_max: 2, held_bytes_max: 3_000, ..RedisSettings::default() };
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.ask(&mut core, &format!("SET a {}", "v".repeat(2_000)));
    client.send("MGET a a a\r\nMGET a b\r\nGET c\r\nGET d\r\n");
    assert_eq!(asked(&client), ["a", "a"]);
    client.answer(0, |operation| core.answer(operation));
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(asked(&client), ["a"], "the others wait until the first has left");
    client.answer(0, |operation| core.answer(operation));
    assert_eq!(asked(&client), Vec::<String>::new(), "nothing is asked while nothing is taken");
    assert!(client.received().starts_with(r"*3\r\n$2000\r\n"));
    assert_eq!(asked(&client), ["a", "b"]);
    client.answer_all(&mut core);
    assert!(client.received().ends_with(r"$-1\r\n$-1\r\n$-1\r\n"));
    assert!(client.asks.is_empty() && client.pipeline.has_room());
}

#[test]
fn no_more_commands_are_read_than_the_connection_may_hold() {
    let settings = RedisSettings { commands_max: 3, ..RedisSettings::default() };
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.send("SET a 1\r\n".repeat(5));
    assert!(!client.pipeline.has_room() && client.has_input());
    client.answer(0, |operation| core.answer(operation));
    assert!(client.pipeline.has_room());
    client.take();
    client.answer_all(&mut core);
    client.take();
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"+OK\r\n".repeat(5));
}

#[test]
fn no_more_bytes_are_held_than_the_connection_may_hold() {
    let settings = RedisSettings { held_bytes_max: 2_000, ..RedisSettings::default() };
    let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
    client.send(format!("SET a {}\r\n", "v".repeat(1_500)).repeat(3));
    assert!(!client.pipeline.has_room() && client.has_input(), "commands that wait are counted");
    client.answer_all(&mut core);
    client.take();
    client.answer_all(&mut core);
    client.received();
    client.send("SET b 1\r\nGET a\r\nGET a\r\n");
    client.answer(2, |operation| core.answer(operation));
    client.answer(1, |operation| core.answer(operation));
    assert!(!client.pipeline.has_room(), "replies that wait are counted");
    client.answer_all(&mut core);
    assert!(!client.pipeline.has_room(), "bytes that are not written are counted");
    client.received();
    assert!(client.pipeline.has_room());
    assert_eq!(client.pipeline.held_bytes, 0);
}

#[test]
fn a_client_that_quits_gets_all_replies_and_nothing_behind_is_done() {
    let (mut client, mut core) = client();
    client.send("SET a 1\r\nQUIT\r\nSET a 2\r\n");
    assert!(!client.pipeline.is_over());
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"+OK\r\n+OK\r\n");
    assert!(client.pipeline.is_over());
    assert_eq!(core.value("a"), Some("1".into()));
}

#[test]
fn a_client_that_sends_no_more_still_gets_its_replies() {
    let (mut client, mut core) = client();
    client.send("GET a\r\nGET b\r\n");
    client.pipeline.on_end();
    assert!(!client.pipeline.is_over());
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"$-1\r\n$-1\r\n");
    assert!(client.pipeline.is_over());
}

#[test]
fn a_stream_without_sense_is_answered_in_its_place_and_ended() {
    let (mut client, mut core) = client();
    client.send("GET a\r\n*1\r\n*1\r\n");
    assert_eq!(client.received(), "");
    client.answer_all(&mut core);
    assert_eq!(client.received(), r"$-1\r\n-ERR Protocol error: expected '$', got '*'\r\n");
    assert!(client.pipeline.is_over());
}

#[test]
fn an_argument_that_is_too_long_is_answered_in_its_place_and_the_stream_goes_on() {
    let (mut client, mut core) = client();
    client.send("GET a\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000000\r\n");
    for _ in 0..9 {
        client.send(vec![b'v'; 1_000_000]);
    }
    client.send("\r\nPING\r\n");
    client.answer_all(&mut core);
    let reply = client.received();
    let expected = r"$-1\r\n-ERR argument 2 has 9000000 bytes; at most 1114112 are taken.";
    assert!(reply.starts_with(expected) && reply.ends_with(r"+PONG\r\n"), "{reply}");
}

#[test]
fn options_and_protocol_are_those_of_the_time_when_a_command_came() {
    let (mut client, mut core) = client();
    client
        .send("SET a 1\r\nGET a\r\nGET nothing\r\nKV.OPTIONS R all\r\nHELLO 3\r\nGET nothing\r\n");
    client.answer(0, |operation| core.answer(operation));
    let read = client.asks.iter().find(|ask| ask.operation.key.to_string() == "a");
    assert_eq!(read.expect("it waits no more").operation.options.read, None);
    client.answer_all(&mut core);
    let reply = client.received();
    assert!(reply.starts_with(r"+OK\r\n$1\r\n1\r\n$-1\r\n*8\r\n") && reply.ends_with(r"_\r\n"));
}

#[test]
fn a_pipeline_of_a_hundred_thousand_commands_is_answered_in_order() {
    let (mut client, mut core) = client();
    let commands: String = (0..100_000).map(|n| format!("SET key:{} {n}\r\n", n % 100)).collect();
    client.send(commands);
    let mut replies = String::new();
    while client.has_input() || !client.asks.is_empty() {
        let last = client.asks.len() - 1;
        client.answer(last, |operation| core.answer(operation));
        client.take();
        replies += &client.received();
    }
    assert_eq!(replies, r"+OK\r\n".repeat(100_000));
    for n in 0..100 {
        let last = Some((99_900 + n).to_string().into());
        assert_eq!(core.value(&format!("key:{n}")), last);
    }
}

/// A command of a plain client, on a few keys.
#[derive(Clone, Debug)]
enum Plain {
    Get(u8),
    Set(u8, u16),
    Del(Vec<u8>),
    Exists(Vec<u8>),
    Mget(Vec<u8>),
    Mset(Vec<(u8, u16)>),
}

impl Plain {
    fn line(&self) -> String {
        let list = |keys: &[u8]| keys.iter().map(|key| format!(" k{key}")).collect::<String>();
        match self {
            Self::Get(key) => format!("GET k{key}\r\n"),
            Self::Set(key, value) => format!("SET k{key} {value}\r\n"),
            Self::Del(keys) => format!("DEL{}\r\n", list(keys)),
            Self::Exists(keys) => format!("EXISTS{}\r\n", list(keys)),
            Self::Mget(keys) => format!("MGET{}\r\n", list(keys)),
            Self::Mset(pairs) => {
                let pair = |(key, value): &(u8, u16)| format!(" k{key} {value}");
                format!("MSET{}\r\n", pairs.iter().map(pair).collect::<String>())
            }
        }
    }

    /// Executes the command on the reference model, a map, and returns the reply.
    fn run(&self, map: &mut BTreeMap<u8, u16>) -> String {
        let bulk = |value: Option<&u16>| match value {
            Some(value) => format!(r"${}\r\n{value}\r\n", value.to_string().len()),
            None => r"$-1\r\n".to_owned(),
        };
        match self {
            Self::Get(key) => bulk(map.get(key)),
            Self::Set(key, value) => {
                map.insert(*key, *value);
                r"+OK\r\n".to_owned()
            }
            Self::Del(keys) => {
                let deleted = keys.iter().filter(|key| map.remove(key).is_some()).count();
                format!(r":{deleted}\r\n")
            }
            Self::Exists(keys) => {
                format!(r":{}\r\n", keys.iter().filter(|key| map.contains_key(key)).count())
            }
            Self::Mget(keys) => {
                let values: String = keys.iter().map(|key| bulk(map.get(key))).collect();
                format!(r"*{}\r\n{values}", keys.len())
            }
            Self::Mset(pairs) => {
                map.extend(pairs.iter().copied());
                r"+OK\r\n".to_owned()
            }
        }
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let key = || 0_u8..4;
    let keys = || vec(key(), 1..4);
    prop_oneof![
        3 => key().prop_map(Plain::Get),
        3 => (key(), any::<u16>()).prop_map(|(key, value)| Plain::Set(key, value)),
        1 => keys().prop_map(Plain::Del),
        1 => keys().prop_map(Plain::Exists),
        1 => keys().prop_map(Plain::Mget),
        1 => vec((key(), any::<u16>()), 1..4).prop_map(Plain::Mset),
    ]
}

proptest! {
    /// The core does each operation when it answers it, and it answers in any order.
    #[test]
    fn a_pipeline_says_what_its_commands_say_one_after_the_other(
        commands in vec(plain(), 1..40),
        choices in vec(any::<prop::sample::Index>(), 300),
        (commands_max, operations_max) in (1_usize..20, 1_usize..8),
    ) {
        let settings = RedisSettings { commands_max, operations_max, ..RedisSettings::default() };
        let (mut client, mut core) = (TestClient::new(settings), OneReplica::default());
        client.send(commands.iter().map(Plain::line).collect::<String>());
        let mut choices = choices.iter();
        while client.has_input() || !client.asks.is_empty() {
            prop_assert!(client.asks.len() <= operations_max);
            let at = choices.next().expect("each command asks for a few").index(client.asks.len());
            client.answer(at, |operation| core.answer(operation));
            client.take();
        }
        let mut map = BTreeMap::new();
        let expected: String = commands.iter().map(|command| command.run(&mut map)).collect();
        prop_assert_eq!(client.received(), expected);
        prop_assert!(client.pipeline.key_locks.is_empty());
        prop_assert_eq!(client.pipeline.held_bytes, 0);
    }

    #[test]
    fn garbage_never_panics(garbage in vec(any::<u8>(), 0..300), cut in 1_usize..50) {
        let (mut client, mut core) = client();
        for piece in garbage.chunks(cut) {
            client.send(piece);
            client.answer_all(&mut core);
        }
    }

    #[test]
    fn commands_of_any_arguments_never_panic(
        commands in vec((0_usize..40, vec(word(), 0..8)), 1..10),
    ) {
        let (mut client, mut core) = client();
        for (number, words) in commands {
            let names: Vec<_> = crate::redis::commands::names().collect();
            let mut line = names[number % names.len()].to_owned();
            for word in words {
                line += " ";
                line += &word;
            }
            let reply = client.ask(&mut core, &line);
            let over = client.pipeline.is_over();
            prop_assert!(over || reply.ends_with(r"\r\n"), "{} {}", line, reply);
        }
    }
}

/// Words that commands know, and others.
fn word() -> impl Strategy<Value = String> {
    let known = "R|W|MODE|TIMEOUT|CONTEXT|NONE|REQUEST|MONOTONIC|1|2|strict|DEFAULT|GET|INFO|DOCS|LIST|SETNAME|AUTH|0|3";
    prop_oneof![3 => known, 1 => "[a-z0-9]{1,5}"]
}
