//! Scenarios as tables, before they are parsed, as programs write and change them. The resulting
//! text reads as one that a person has written: the title first, then the cluster, and short tables
//! on one line.

use toml::{Table, Value};

/// The keys of a scenario in the order in which people read them. Others follow.
const ORDER: &[&str] = &[
    "title",
    "about",
    "seed",
    "sweep",
    "nodes",
    "partitions",
    "layouts",
    "quorum",
    "network",
    "disk",
    "clocks",
    "nominal",
    "repair_by",
    "node",
    "init",
    "workload",
    "fault",
    "expect",
    "probes",
    "decision",
];

/// The tables that are written on one line.
const INLINE: &[&str] = &["quorum", "network", "disk", "clocks"];

/// Writes the text of a scenario.
pub fn to_text(scenario: &Table) -> String {
    let mut text = String::new();
    let known = ORDER.iter().filter_map(|key| Some((*key, scenario.get(*key)?)));
    let others = scenario.iter().filter(|(key, _)| !ORDER.contains(&key.as_str()));
    let mut entries: Vec<(&str, &Value)> =
        known.chain(others.map(|(key, value)| (key.as_str(), value))).collect();
    // A key that follows the head of a table would belong to it.
    entries.sort_by_key(|(key, value)| is_section(key, value));
    for (key, value) in entries {
        match value {
            Value::Table(table) if is_section(key, value) => {
                section(&mut text, &format!("[{key}]"), table);
            }
            Value::Array(tables) if is_section(key, value) => {
                for table in tables.iter().filter_map(Value::as_table) {
                    section(&mut text, &format!("[[{key}]]"), table);
                }
            }
            Value::String(words) if words.contains('\n') => {
                text.push_str(&format!("{key} = \"\"\"\n{}\"\"\"\n", escaped(words)));
            }
            _ => text.push_str(&format!("{key} = {value}\n")),
        }
    }
    text
}

/// Tells whether a value has a head of its own. An empty list has none.
fn is_section(key: &str, value: &Value) -> bool {
    match value {
        Value::Table(_) => !INLINE.contains(&key),
        Value::Array(items) => items.first().is_some_and(Value::is_table),
        _ => false,
    }
}

fn section(text: &mut String, head: &str, table: &Table) {
    text.push_str(&format!("\n{head}\n"));
    for (key, value) in table {
        text.push_str(&format!("{key} = {value}\n"));
    }
}

/// Escapes a text to stand between triple quotes.
fn escaped(words: &str) -> String {
    words.replace('\\', "\\\\").replace("\"\"\"", "\\\"\\\"\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_back_as_the_same_table() {
        let text = "about = \"\"\"\ntwo \\\\ lines\nand \\\"\\\"\\\" quotes\"\"\"\nfault = []\n\
                    quorum = { n = { east = 1, west = 2 }, r = 1 }\ntitle = \"t\"\n\
                    [node]\nhedge_ms = 5\nbuckets = [{ prefix = \"l\", resolve = \"lww\" }]\n\
                    [[workload]]\nkind = \"put-get\"\nread_share = 0.25\n[[workload]]\nkind = \"x\"\n\
                    [expect]\nchecks = [\"crash\"]\n[expect.outcomes]\nunknown_max = 3\n";
        let table: Table = toml::from_str(text).expect("it is TOML");
        let written = to_text(&table);
        assert_eq!(toml::from_str::<Table>(&written).expect("it is TOML"), table, "{written}");
        assert!(written.starts_with("title = \"t\"\nabout"), "{written}");
    }
}
