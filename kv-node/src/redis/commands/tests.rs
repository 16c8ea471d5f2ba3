use kv_core::config::{Bucket, Config, Resolve};
use kv_core::quorum::{Level, Mode};
use kv_core::types::RequestId;

use super::*;
use crate::redis::settings::RedisSettings;
use crate::redis::testing::{OneReplica, TestClient};

fn client() -> (TestClient, OneReplica) {
    let buckets = vec![Bucket { prefix: "lww/".to_owned(), resolve: Resolve::Lww }];
    let config = Config { buckets, value_bytes_max: 100, ..Config::default() };
    (TestClient::new(RedisSettings { config, ..RedisSettings::default() }), OneReplica::default())
}

/// Sends the lines one after the other on one connection, and compares the replies.
fn converse(lines: &[(&str, &str)]) {
    let (mut client, mut core) = client();
    for (line, expected) in lines {
        assert_eq!(client.ask(&mut core, line), *expected, "{line}");
    }
}

/// Sends each line on a new connection, and expects an error that begins like this.
fn refuse(lines: &[(&str, &str)]) {
    for (line, expected) in lines {
        let (mut client, mut core) = client();
        let reply = client.ask(&mut core, line);
        assert!(reply.starts_with(&format!("-{expected}")), "{line}: {reply}");
        assert!(reply.ends_with(r"\r\n") && reply.matches(r"\r\n").count() == 1, "{reply}");
    }
}

/// Returns the value behind a name in a flat map.
fn field<'a>(reply: &'a str, name: &str) -> &'a str {
    let mut lines = reply.split(r"\r\n").skip_while(|line| *line != name);
    lines.nth(2).unwrap_or_else(|| panic!("no {name} in {reply}"))
}

#[test]
fn a_client_and_a_node_greet_each_other() {
    converse(&[
        ("PING", r"+PONG\r\n"),
        ("ping hello", r"$5\r\nhello\r\n"),
        ("ECHO hello", r"$5\r\nhello\r\n"),
        ("SELECT 0", r"+OK\r\n"),
        ("READONLY", r"+OK\r\n"),
        ("READWRITE", r"+OK\r\n"),
        ("ASKING", r"+OK\r\n"),
        ("AUTH default anything", r"+OK\r\n"),
        ("UNWATCH", r"+OK\r\n"),
        ("RESET", r"+RESET\r\n"),
        ("QUIT", r"+OK\r\n"),
        ("PING", ""),
    ]);
    refuse(&[
        ("PING a b", "ERR wrong number of arguments for 'ping' command"),
        ("ECHO", "ERR wrong number of arguments for 'echo' command"),
        ("SELECT 1", "ERR DB index is out of range: there is one database, 0"),
        ("AUTH secret", "ERR AUTH <password> called without any password configured"),
        ("AUTH bob secret", "WRONGPASS invalid username-password pair or user is disabled."),
        ("AUTH", "ERR wrong number of arguments for 'auth' command"),
        ("AUTH a b c", "ERR syntax error"),
    ]);
}

#[test]
fn hello_chooses_the_protocol_of_its_own_reply_and_of_those_after_it() {
    let body = |proto: u8| {
        format!(
            r"$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.2.0\r\n$5\r\nproto\r\n:{proto}\r\n"
        ) + r"$2\r\nid\r\n:1\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
            + r"$7\r\nmodules\r\n*0\r\n"
    };
    converse(&[
        ("HELLO", &(r"*14\r\n".to_owned() + &body(2))),
        ("GET nothing", r"$-1\r\n"),
        ("HELLO 3 AUTH default any SETNAME me", &(r"%7\r\n".to_owned() + &body(3))),
        ("GET nothing", r"_\r\n"),
        ("CLIENT GETNAME", r"$2\r\nme\r\n"),
        ("HELLO 2", &(r"*14\r\n".to_owned() + &body(2))),
        ("GET nothing", r"$-1\r\n"),
    ]);
    refuse(&[
        ("HELLO 4", "NOPROTO unsupported protocol version: use 2 or 3"),
        ("HELLO x", "NOPROTO"),
        ("HELLO 3 AUTH user secret", "WRONGPASS"),
        ("HELLO 3 AUTH user", "ERR wrong number of arguments for 'hello' command"),
        ("HELLO 3 SETNAME", "ERR wrong number of arguments for 'hello' command"),
        ("HELLO 3 NAME x", "ERR syntax error: 'hello' has no option 'NAME'"),
    ]);
}

#[test]
fn a_hello_that_is_refused_changes_nothing() {
    let (mut client, mut core) = client();
    client.ask(&mut core, "HELLO 3 SETNAME me AUTH default any NAME");
    client.ask(&mut core, "AUTH default any");
    assert_eq!(client.ask(&mut core, "GET k"), r"$-1\r\n");
    assert_eq!(client.ask(&mut core, "CLIENT GETNAME"), r"$-1\r\n");
}

#[test]
fn a_connection_says_who_it_is() {
    let line = |command: &str| {
        format!(
            "id=1 addr=10.0.0.1:5000 laddr=10.0.0.2:7001 name=me age=7 idle=0 flags=N db=0 sub=0 \
             psub=0 ssub=0 multi=-1 watch=0 qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 obl=0 oll=0 \
             omem=0 tot-mem={} events=r cmd={command} user=default redir=-1 resp=2 lib-name=lib \
             lib-ver=1.0 tot-net-in=0 tot-net-out=0 tot-cmds=3\n",
            size_of::<Connection>()
        )
    };
    let bulk = |text: &str| format!(r"${}\r\n{}\r\n", text.len(), text.as_bytes().escape_ascii());
    let info = bulk(&line("client|info"));
    let (own, other) = (line("client|list"), "id=2 addr=other\n");
    let (list, own, other) = (bulk(&(own.clone() + other)), bulk(&own), bulk(other));
    converse(&[
        ("CLIENT GETNAME", r"$-1\r\n"),
        ("CLIENT SETNAME me", r"+OK\r\n"),
        ("CLIENT GETNAME", r"$2\r\nme\r\n"),
        ("CLIENT SETINFO LIB-NAME lib", r"+OK\r\n"),
        ("CLIENT SETINFO lib-ver 1.0", r"+OK\r\n"),
        ("CLIENT ID", r":1\r\n"),
        ("CLIENT INFO", &info),
        ("client list", &list),
        ("CLIENT LIST TYPE normal", &list),
        ("CLIENT LIST TYPE pubsub", r"$0\r\n\r\n"),
        ("CLIENT LIST ID 2 3", &other),
        ("CLIENT LIST ID 1", &own),
        ("CLIENT NO-EVICT on", r"+OK\r\n"),
        ("CLIENT NO-TOUCH off", r"+OK\r\n"),
        ("CLIENT SETNAME \"\"", r"+OK\r\n"),
        ("CLIENT GETNAME", r"$-1\r\n"),
    ]);
    refuse(&[
        ("CLIENT SETNAME \"a b\"", "ERR Client names cannot contain spaces"),
        ("CLIENT SETNAME", "ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT SETINFO LIB x", "ERR syntax error: CLIENT SETINFO takes LIB-NAME or LIB-VER"),
        ("CLIENT NO-EVICT maybe", "ERR syntax error: this is switched ON or OFF"),
        ("CLIENT KILL 1", "ERR unknown subcommand 'KILL' of 'CLIENT': Redis has it, this store"),
        ("CLIENT KIL 1", "ERR unknown subcommand 'KIL' of 'CLIENT'. Try: SETNAME, GETNAME"),
        ("CLIENT LIST TYPE some", "ERR syntax error: CLIENT LIST takes nothing, or TYPE normal"),
        ("CLIENT LIST ID x", "ERR syntax error: CLIENT LIST ID takes numbers"),
    ]);
}

#[test]
fn the_commands_are_described_as_clients_expect() {
    let get = r"*10\r\n$3\r\nget\r\n:2\r\n*2\r\n+readonly\r\n+fast\r\n:1\r\n:1\r\n:1\r\n*0\r\n*0\r\n*0\r\n*0\r\n";
    converse(&[
        ("COMMAND INFO GET nothing", &format!(r"*2\r\n{get}$-1\r\n")),
        ("COMMAND COUNT", &format!(r":{}\r\n", all().count())),
        (
            "COMMAND DOCS ping",
            concat!(
                r"*2\r\n$4\r\nping\r\n*6\r\n$7\r\nsummary\r\n$29\r\nReturns PONG, or the message.\r\n",
                r"$5\r\nsince\r\n$5\r\n0.1.0\r\n$5\r\ngroup\r\n$10\r\nconnection\r\n"
            ),
        ),
    ]);
    let (mut client, mut core) = client();
    let count = all().count();
    assert!(client.ask(&mut core, "COMMAND").starts_with(&format!(r"*{count}\r\n*10\r\n")));
    assert!(client.ask(&mut core, "COMMAND DOCS").starts_with(&format!(r"*{}\r\n", 2 * count)));
    assert!(client.ask(&mut core, "COMMAND LIST").starts_with(&format!(r"*{count}\r\n$3\r\nget")));
    refuse(&[
        ("COMMAND COUNT x", "ERR wrong number of arguments for 'command|count' command"),
        ("COMMAND GETKEYS get k", "ERR unknown subcommand 'GETKEYS' of 'COMMAND': Redis has it"),
        ("COMMAND NAMES", "ERR unknown subcommand 'NAMES' of 'COMMAND'. Try: COUNT, DOCS"),
    ]);
}

#[test]
fn no_two_commands_have_one_name_and_each_is_named_as_it_is_shown() {
    let names: Vec<_> = all().map(|spec| spec.name).collect();
    let mut unique = names.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), names.len());
    assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
}

#[test]
fn info_has_the_sections_that_are_asked_for() {
    let (mut client, mut core) = client();
    let server = "# Server\\r\\nredis_version:7.2.0\\r\\nredis_mode:standalone\\r\\nkv_version:0.1.0\
                  \\r\\ntcp_port:1\\r\\n";
    let clients = r"# Clients\r\nconnected_clients:1\r\n";
    let reply = |text: &str| {
        let length = text.len() - 2 * text.matches(r"\r\n").count();
        format!(r"${length}\r\n{text}\r\n")
    };
    assert_eq!(client.ask(&mut core, "INFO Clients"), reply(clients));
    assert_eq!(client.ask(&mut core, "INFO server"), reply(server));
    let everything = reply(&format!(r"{server}\r\n{clients}"));
    for line in ["INFO", "INFO all", "INFO default", "INFO server clients"] {
        assert_eq!(client.ask(&mut core, line), everything, "{line}");
    }
    assert_eq!(client.ask(&mut core, "INFO nothing"), r"$0\r\n\r\n");
}

#[test]
fn config_shows_what_benchmarks_ask_for_and_changes_nothing() {
    converse(&[
        ("CONFIG GET save", r"*2\r\n$4\r\nsave\r\n$0\r\n\r\n"),
        ("CONFIG GET appendonly", r"*2\r\n$10\r\nappendonly\r\n$3\r\nyes\r\n"),
        ("config get MAXMEMORY", r"*2\r\n$9\r\nmaxmemory\r\n$1\r\n0\r\n"),
        ("CONFIG GET nothing", r"*0\r\n"),
        (
            "CONFIG GET append* save nothing",
            concat!(
                r"*6\r\n$11\r\nappendfsync\r\n$8\r\neverysec\r\n$10\r\nappendonly\r\n",
                r"$3\r\nyes\r\n$4\r\nsave\r\n$0\r\n\r\n"
            ),
        ),
    ]);
    refuse(&[
        ("CONFIG GET", "ERR wrong number of arguments for 'config|get' command"),
        (
            "CONFIG SET save x",
            "ERR unknown subcommand 'SET' of 'CONFIG': Redis has it, this store does not; nothing \
             was done. Settings of a running node do not change",
        ),
        ("CONFIG x", "ERR unknown subcommand 'x' of 'CONFIG'. Try: GET, HELP"),
    ]);
}

#[test]
fn plain_values_are_set_read_and_deleted() {
    converse(&[
        ("GET k", r"$-1\r\n"),
        ("SET k value", r"+OK\r\n"),
        ("GET k", r"$5\r\nvalue\r\n"),
        ("STRLEN k", r":5\r\n"),
        ("STRLEN nothing", r":0\r\n"),
        ("SET k \"\"", r"+OK\r\n"),
        ("GET k", r"$0\r\n\r\n"),
        ("MSET a 1 b 2 a 3", r"+OK\r\n"),
        ("MGET a b nothing a", r"*4\r\n$1\r\n3\r\n$1\r\n2\r\n$-1\r\n$1\r\n3\r\n"),
        ("EXISTS a b nothing a", r":3\r\n"),
        ("DEL a a nothing", r":1\r\n"),
        ("DEL a", r":0\r\n"),
        ("EXISTS a b", r":1\r\n"),
        ("GET a", r"$-1\r\n"),
    ]);
    refuse(&[
        ("GET", "ERR wrong number of arguments for 'get' command"),
        ("GET a b", "ERR wrong number of arguments for 'get' command"),
        ("MSET a 1 b", "ERR wrong number of arguments for 'mset' command"),
    ]);
}

#[test]
fn options_of_set_that_are_not_there_yet_are_refused_and_nothing_is_stored() {
    for option in ["NX", "xx", "GET", "EX 10", "PX 10", "EXAT 10", "PXAT 10", "KEEPTTL", "IFEQ a"] {
        let (mut client, mut core) = client();
        let reply = client.ask(&mut core, &format!("SET k v {option}"));
        assert!(reply.contains("not supported by this store yet; nothing was done."), "{reply}");
        assert_eq!(core.value("k"), None);
    }
    refuse(&[(
        "SET k v KEPTTL",
        "ERR syntax error: 'set' has no option 'KEPTTL'; did you mean KEEPTTL?",
    )]);
}

#[test]
fn a_key_or_value_that_is_too_long_is_refused_before_anything_is_stored() {
    let (long_key, long_value) = ("k".repeat(65_537), "v".repeat(101));
    let cases = [
        (format!("GET {long_key}"), "-ERR a key has 1 to 65536 bytes; this one has 65537."),
        ("GET \"\"".to_owned(), "-ERR a key has 1 to 65536 bytes; this one has 0."),
        (format!("MSET a 1 {long_key} 2"), "-ERR a key has 1 to 65536 bytes"),
        (
            format!("MSET a 1 b {long_value}"),
            "-ERR a value has at most 100 bytes (value_bytes_max); this one has 101.",
        ),
        (format!("KV.PUT a {long_value}"), "-ERR a value has at most 100 bytes"),
    ];
    for (line, expected) in cases {
        let (mut client, mut core) = client();
        // As an array: a line is not so long.
        let words: Vec<_> = line.split(' ').map(|word| word.trim_matches('"')).collect();
        let mut array = format!("*{}\r\n", words.len());
        for word in words {
            array += &format!("${}\r\n{word}\r\n", word.len());
        }
        client.send(array);
        assert!(client.asks.is_empty());
        let reply = client.received();
        assert!(reply.starts_with(expected), "{reply}");
        assert_eq!(core.value("a"), None);
        assert_eq!(client.ask(&mut core, "PING"), r"+PONG\r\n");
    }
}

#[test]
fn a_client_that_passes_contexts_sees_siblings_and_resolves_them() {
    let (mut client, mut core) = client();
    let first = client.ask(&mut core, "KV.PUT k a NONE");
    assert!(first.contains(r"$8\r\nsiblings\r\n:1\r\n"), "{first}");
    let token = field(&first, "context").to_owned();
    let second = client.ask(&mut core, "KV.PUT k b NONE");
    assert!(second.contains(r"$8\r\nsiblings\r\n:2\r\n"), "{second}");

    let read = client.ask(&mut core, "KV.GET k");
    assert!(read.starts_with(
        r"*8\r\n$6\r\nvalues\r\n*2\r\n$1\r\na\r\n$1\r\nb\r\n$10\r\ntombstones\r\n:0\r\n"
    ));
    assert_eq!(client.ask(&mut core, "GET k"), r"$1\r\nb\r\n", "the latest of the siblings");

    let overwritten = client.ask(&mut core, &format!("KV.PUT k c CONTEXT {token}"));
    assert!(overwritten.contains(r"$8\r\nsiblings\r\n:2\r\n"), "b was not seen: {overwritten}");
    let token = field(&client.ask(&mut core, "KV.GET k"), "context").to_owned();
    let resolved = client.ask(&mut core, &format!("KV.PUT k d CONTEXT {token}"));
    assert!(resolved.contains(r"$8\r\nsiblings\r\n:1\r\n"), "{resolved}");
    assert_eq!(client.ask(&mut core, "GET k"), r"$1\r\nd\r\n");
}

#[test]
fn the_replies_of_our_own_commands_have_one_shape_in_both_protocols() {
    let node = |number: u8| format!(r"$16\r\n{number:016x}\r\n");
    let achieved = |map: &str| {
        format!(
            r"$8\r\nachieved\r\n{map}\r\n$6\r\nowners\r\n*2\r\n{}{}$9\r\nfallbacks\r\n*1\r\n{}$8\r\nmachines\r\n:3\r\n",
            node(1),
            node(2),
            node(9)
        )
    };
    for (hello, maps) in [("HELLO 2", ["*6", "*8", "*6"]), ("HELLO 3", ["%3", "%4", "%3"])] {
        let (mut client, mut core) = client();
        client.ask(&mut core, hello);
        let put = client.ask(&mut core, "KV.PUT k v");
        let token = field(&put, "context");
        let context = format!(r"$7\r\ncontext\r\n${}\r\n{token}\r\n", token.len());
        let expected =
            format!(r"{}\r\n{context}$8\r\nsiblings\r\n:1\r\n{}", maps[0], achieved(maps[2]));
        assert_eq!(put, expected);
        let expected = format!(
            r"{}\r\n$6\r\nvalues\r\n*1\r\n$1\r\nv\r\n$10\r\ntombstones\r\n:0\r\n{context}{}",
            maps[1],
            achieved(maps[2])
        );
        assert_eq!(client.ask(&mut core, "KV.GET k"), expected);
    }
}

#[test]
fn a_deletion_is_a_sibling_that_hides_a_value_only_where_the_last_write_wins() {
    for (key, shown) in [("k", r"$1\r\na\r\n"), ("lww/k", r"$-1\r\n")] {
        let (mut client, mut core) = client();
        client.ask(&mut core, &format!("KV.PUT {key} a NONE"));
        let deleted = client.ask(&mut core, &format!("KV.DEL {key} NONE"));
        assert!(deleted.contains(r"$8\r\nsiblings\r\n:2\r\n"), "{deleted}");
        assert_eq!(client.ask(&mut core, &format!("GET {key}")), shown);
        let read = client.ask(&mut core, &format!("KV.GET {key}"));
        assert!(read.contains(r"$10\r\ntombstones\r\n:1\r\n"), "{read}");
    }
    let (mut client, mut core) = client();
    client.ask(&mut core, "SET k v");
    client.ask(&mut core, "KV.DEL k");
    assert_eq!(client.ask(&mut core, "GET k"), r"$-1\r\n");
}

#[test]
fn a_token_of_another_key_is_refused() {
    let (mut client, mut core) = client();
    let token = field(&client.ask(&mut core, "KV.PUT k v"), "context").to_owned();
    let reply = client.ask(&mut core, &format!("KV.PUT other v CONTEXT {token}"));
    assert!(reply.starts_with("-CONTEXT the context token belongs to another key"), "{reply}");
    let reply = client.ask(&mut core, &format!("KV.PUT k v CONTEXT {}", &token[2..]));
    assert!(reply.starts_with("-CONTEXT the context token is corrupt"), "{reply}");
}

#[test]
fn options_of_a_command_go_with_it_and_those_of_the_connection_stand_behind() {
    let (mut client, mut core) = client();
    let shown = client.ask(&mut core, "KV.OPTIONS R one TIMEOUT 500");
    assert_eq!(
        shown,
        concat!(
            r"*8\r\n$1\r\nr\r\n$3\r\none\r\n$1\r\nw\r\n$1\r\n2\r\n",
            r"$4\r\nmode\r\n$6\r\nsloppy\r\n$7\r\ntimeout\r\n:500\r\n"
        )
    );
    client.ask(&mut core, "GET k");
    assert_eq!((core.options.read, core.options.timeout_ms), (Some(Level::One), Some(500)));
    client.ask(&mut core, "KV.GET k R 3 MODE strict MONOTONIC");
    assert_eq!(core.options.read, Some(Level::Count(3)));
    assert_eq!((core.options.mode, core.options.monotonic), (Some(Mode::Strict), Some(true)));
    assert_eq!(core.options.timeout_ms, Some(500));
    client.ask(&mut core, "KV.PUT k v W all REQUEST ff");
    assert_eq!(core.options.write, Some(Level::All));
    assert_eq!(core.options.request, Some(RequestId(255)));
    client.ask(&mut core, "SET k v");
    assert_eq!((core.options.write, core.options.request), (None, None));
    client.ask(&mut core, "KV.OPTIONS R DEFAULT");
    client.ask(&mut core, "GET k");
    assert_eq!((core.options.read, core.options.timeout_ms), (None, Some(500)));
    client.ask(&mut core, "RESET");
    client.ask(&mut core, "GET k");
    assert_eq!(core.options.timeout_ms, None);
}

#[test]
fn options_that_a_command_does_not_take_are_refused() {
    refuse(&[
        ("KV.GET k W 2", "ERR syntax error: 'kv.get' has no option 'W'"),
        ("KV.GET k REQUEST 1", "ERR syntax error: 'kv.get' has no option 'REQUEST'"),
        ("KV.PUT k v R 2", "ERR syntax error: 'kv.put' has no option 'R'"),
        ("KV.PUT k v W", "ERR syntax error: W is followed by a number of copies"),
        ("KV.DEL k MONOTONIC", "ERR syntax error: 'kv.del' has no option 'MONOTONIC'"),
        ("KV.OPTIONS R", "ERR syntax error: R is followed by"),
        ("KV.OPTIONS R 2 MODE loose", "ERR MODE takes sloppy or strict, not 'loose'"),
    ]);
}

#[test]
fn options_of_which_one_is_wrong_change_nothing() {
    let (mut client, mut core) = client();
    client.ask(&mut core, "KV.OPTIONS R 3 MODE loose");
    client.ask(&mut core, "KV.OPTIONS W 1");
    client.ask(&mut core, "GET k");
    assert_eq!((core.options.read, core.options.write), (None, Some(Level::Count(1))));
}

#[test]
fn a_slip_of_the_finger_is_answered_with_the_nearest_name_that_redis_or_this_store_knows() {
    refuse(&[
        (
            "GTE a b",
            "ERR unknown command 'GTE', with args beginning with: 'a' 'b'; did you mean GET?",
        ),
        (
            "KV.PUTT",
            "ERR unknown command 'KV.PUTT', with args beginning with: ; did you mean KV.PUT?",
        ),
        (
            "HGETAL a",
            "ERR unknown command 'HGETAL', with args beginning with: 'a'; did you mean HGETALL? \
             Redis has it, this store does not",
        ),
        ("FROBNICATE a", "ERR unknown command 'FROBNICATE', with args beginning with: 'a'\\r"),
        ("\"a\\r\\nb\"", r"ERR unknown command 'a\\r\\nb'"),
    ]);
}

#[test]
fn a_command_that_only_redis_has_is_not_taken_for_another_one() {
    refuse(&[
        (
            "HSET k f v",
            "ERR unknown command 'HSET': Redis has it, this store does not; nothing was done. \
             Hashes are not there.",
        ),
        ("getset k v", "ERR unknown command 'GETSET': Redis has it, this store does not"),
        ("JSON.SET k $ 1", "ERR unknown command 'JSON.SET': Redis has it, this store does not"),
        ("SUBSCRIBE a", "ERR unknown command 'SUBSCRIBE': Redis has it, this store does not"),
    ]);
    let (mut client, mut core) = client();
    for name in absent::names() {
        let reply = client.ask(&mut core, &format!("{name} a b"));
        assert!(reply.contains("Redis has it") || reply.contains("MULTI was refused"), "{reply}");
        assert!(!reply.contains("did you mean"), "{reply}");
        client.ask(&mut core, "RESET");
    }
}

#[test]
fn http_ends_the_connection_before_its_body_is_taken_for_commands() {
    for line in ["POST / HTTP/1.1", "Host: localhost"] {
        let (mut client, mut core) = client();
        let reply = client.ask(&mut core, &format!("{line}\r\nSET k v"));
        assert_eq!(reply, r"-ERR this port speaks the Redis protocol, not HTTP\r\n");
        assert!(client.pipeline.is_over());
        assert_eq!(core.value("k"), None);
    }
}
