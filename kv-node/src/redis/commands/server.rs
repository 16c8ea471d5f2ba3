//! Commands about the node itself: its commands, its state, its settings.

use bytes::{Bytes, BytesMut};

use super::{Call, NO_KEYS, Spec, all, named, subcommand, write_help, wrong_number_of};
use crate::redis::connection::{CommandStep, Connection};
use crate::redis::error::CommandError;
use crate::redis::node_info::Section;
use crate::resp::Encoder;

/// The server name in `HELLO`. Client libraries decide by it and the version what they may send;
/// `INFO` names this store.
pub(super) const IMITATED: &str = "redis";
/// The Redis version whose protocol is spoken.
pub(super) const IMITATED_VERSION: &str = "7.2.0";

pub(super) const COMMANDS: &[Spec] = &[
    Spec {
        name: "command",
        arity: -1,
        subcommands: &["COUNT", "DOCS", "INFO", "LIST", "HELP"],
        flags: &["loading", "stale"],
        keys: NO_KEYS,
        group: "server",
        summary: "Describes the commands.",
        run: command,
    },
    Spec {
        name: "info",
        arity: -1,
        subcommands: &[],
        flags: &["loading", "stale"],
        keys: NO_KEYS,
        group: "server",
        summary: "Returns the state of this node.",
        run: info,
    },
    Spec {
        name: "config",
        arity: -2,
        subcommands: &["GET", "HELP"],
        flags: &["admin", "noscript", "loading", "stale"],
        keys: NO_KEYS,
        group: "server",
        summary: "Returns settings that Redis clients ask for.",
        run: config,
    },
];

fn command(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let (subcommand, names) = match call.arguments {
        [] => ("INFO", &[][..]),
        [_, ..] => subcommand(call)?,
    };
    let mut encoder = connection.encoder(out);
    match (subcommand, names) {
        ("INFO", []) => {
            encoder.array(all().count());
            all().for_each(|spec| write_info(&mut encoder, spec));
        }
        ("INFO", names) => {
            encoder.array(names.len());
            for name in names {
                match named(name) {
                    Some(spec) => write_info(&mut encoder, spec),
                    None => encoder.null(),
                }
            }
        }
        ("COUNT", []) => encoder.count(all().count()),
        ("LIST", []) => {
            encoder.array(all().count());
            all().for_each(|spec| encoder.bulk(spec.name.as_bytes()));
        }
        ("DOCS", names) => {
            let is_wanted = |spec: &&Spec| {
                names.is_empty()
                    || names.iter().any(|name| spec.name.as_bytes().eq_ignore_ascii_case(name))
            };
            encoder.map(all().filter(is_wanted).count());
            all().filter(is_wanted).for_each(|spec| write_docs(&mut encoder, spec));
        }
        ("HELP", []) => write_help(&mut encoder, call.spec),
        _ => return Err(wrong_number_of(call, subcommand)),
    }
    Ok(CommandStep::Reply)
}

/// Writes one command as Redis 7 describes it; the last four parts, which Redis leaves empty where
/// there is nothing to say, are empty here.
fn write_info(encoder: &mut Encoder<'_>, spec: &Spec) {
    let Spec {
        name,
        arity,
        subcommands: _,
        flags,
        keys: (first, last, step),
        group: _,
        summary: _,
        run: _,
    } = spec;
    encoder.array(10);
    encoder.bulk(name.as_bytes());
    encoder.integer(*arity);
    encoder.array(flags.len());
    for flag in *flags {
        encoder.simple(flag);
    }
    for number in [first, last, step] {
        encoder.integer(*number);
    }
    for _ in ["categories", "tips", "key specifications", "subcommands"] {
        encoder.array(0);
    }
}

fn write_docs(encoder: &mut Encoder<'_>, spec: &Spec) {
    let Spec { name, summary, group, arity: _, subcommands: _, flags: _, keys: _, run: _ } = spec;
    encoder.bulk(name.as_bytes());
    encoder.map(3);
    for (field, text) in
        [("summary", *summary), ("since", env!("CARGO_PKG_VERSION")), ("group", *group)]
    {
        encoder.bulk(field.as_bytes());
        encoder.bulk(text.as_bytes());
    }
}

fn info(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    const EVERYTHING: [&[u8]; 3] = [b"all", b"default", b"everything"];
    let is_wanted = |section: &Section| {
        let names = |wanted: &Bytes| {
            wanted.eq_ignore_ascii_case(section.name.as_bytes())
                || EVERYTHING.iter().any(|everything| wanted.eq_ignore_ascii_case(everything))
        };
        call.arguments.is_empty() || call.arguments.iter().any(names)
    };
    let sections = completed(call.info.info());
    let texts: Vec<String> =
        sections.iter().filter(|section| is_wanted(section)).map(section_text).collect();
    connection.encoder(out).text(&texts.join("\r\n"));
    Ok(CommandStep::Reply)
}

/// Adds the fields that client libraries look for to the front of the section `server`.
fn completed(mut sections: Vec<Section>) -> Vec<Section> {
    let at = sections.iter().position(|section| section.name == "server").unwrap_or_else(|| {
        sections.insert(0, Section { name: "server", fields: Vec::new() });
        0
    });
    let imitated = [
        ("redis_version", IMITATED_VERSION.to_owned()),
        ("redis_mode", "standalone".to_owned()),
        ("kv_version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    sections[at].fields.splice(..0, imitated);
    sections
}

fn section_text(Section { name, fields }: &Section) -> String {
    let (first, rest) = name.split_at(name.len().min(1));
    let mut text = format!("# {}{rest}\r\n", first.to_ascii_uppercase());
    for (name, value) in fields {
        text += &format!("{name}:{value}\r\n");
    }
    text
}

fn config(
    connection: &mut Connection,
    call: &Call<'_>,
    out: &mut BytesMut,
) -> Result<CommandStep, CommandError> {
    let (subcommand, patterns) = subcommand(call)?;
    match (subcommand, patterns) {
        ("GET", [_, ..]) => {
            let settings = settings(connection, call);
            let is_wanted = |name: &str| {
                let name = name.as_bytes();
                patterns.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), name))
            };
            let wanted = || settings.iter().filter(|(name, _)| is_wanted(name));
            let mut encoder = connection.encoder(out);
            encoder.map(wanted().count());
            for (name, value) in wanted() {
                encoder.bulk(name.as_bytes());
                encoder.bulk(value.as_bytes());
            }
        }
        ("HELP", []) => write_help(&mut connection.encoder(out), call.spec),
        _ => return Err(wrong_number_of(call, subcommand)),
    }
    Ok(CommandStep::Reply)
}

/// Collects the settings that Redis clients and benchmarks ask for, in the words of Redis: those of
/// the node, and those that hold for every node. Nothing is evicted or expires, there is one
/// database and no password.
fn settings(connection: &Connection, call: &Call<'_>) -> Vec<(&'static str, String)> {
    let config = &connection.settings().config;
    let mut settings = call.info.settings();
    settings.extend(
        [
            ("cluster-enabled", "no"),
            ("databases", "1"),
            ("maxmemory", "0"),
            ("maxmemory-policy", "noeviction"),
            ("notify-keyspace-events", ""),
            ("proto-max-bulk-len", &config.value_bytes_max.to_string()),
            ("requirepass", ""),
            ("save", ""),
        ]
        .map(|(name, value)| (name, value.to_owned())),
    );
    settings.sort_unstable();
    settings
}

/// Tells whether a name matches a pattern with `*` and `?`. Takes at most as many steps as the
/// product of the two lengths, whatever the pattern.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut in_name) = (0, 0);
    // Where to go on if what follows the last star does not fit.
    let mut retry = None;
    while in_name < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, in_name));
                at += 1;
            }
            Some(&letter) if letter == b'?' || letter == name[in_name] => {
                at += 1;
                in_name += 1;
            }
            _ => {
                let Some((after_star, from)) = retry else { return false };
                (at, in_name) = (after_star, from + 1);
                retry = Some((after_star, from + 1));
            }
        }
    }
    pattern[at..].iter().all(|&letter| letter == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_a_shell() {
        let cases = [
            ("save", "save", true),
            ("save", "saved", false),
            ("*", "", true),
            ("max*", "maxmemory-policy", true),
            ("*memory", "maxmemory", true),
            ("*memory", "maxmemory-policy", false),
            ("m?x*o*y", "maxmemory-policy", true),
            ("?", "", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
