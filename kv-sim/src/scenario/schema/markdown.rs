//! The reference of all keys as a page.

use std::fmt::Write as _;

use super::{capitalised, sections};
use crate::scenario::key_doc::{DefaultDoc, KeyDoc, SectionDoc, ValueDoc};

/// The words that stand before the first table.
const INTRODUCTION: &str = "\
# Keys of scenarios

Every key that may stand in a file in `scenarios/`, with the kind of its value, its bounds, its default and its meaning. This page is
what `kv-sim schema` prints. A test compares the two, and others hold both against the parser; `INSTA_UPDATE=always cargo test -p kv-sim
--lib schema` writes the page anew. `kv-sim schema --json` prints a JSON Schema, for editors.

An unknown key is refused with the nearest known one. Times are since the chaos phase began: the nodes have had a second to get to know
each other by then.
";

/// Writes the reference of all keys.
pub fn to_markdown() -> String {
    let mut page = INTRODUCTION.to_owned();
    for SectionDoc { head, about, keys } in sections() {
        let head = if head.is_empty() { "At the top".to_owned() } else { format!("`{head}`") };
        let _ = write!(page, "\n## {head}\n\n{about}\n");
        if keys.is_empty() {
            continue;
        }
        page.push_str("\n| key | value | default | meaning |\n|---|---|---|---|\n");
        for key in &keys {
            let (value, default) = (value(key), default(key));
            let _ = writeln!(page, "| `{}` | {value} | {default} | {} |", key.name, meaning(key));
        }
    }
    page
}

fn value(key: &KeyDoc) -> String {
    let unit = key.unit();
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    match key.value {
        ValueDoc::Whole(min, max) if max == i64::MAX as u64 => {
            format!("a whole number from {min} on{unit}")
        }
        ValueDoc::Whole(min, max) => format!("a whole number {min} to {max}{unit}"),
        ValueDoc::WholeOrRange(min, max) => {
            format!(
                "a whole number {min} to {max}{unit}, or a list of the smallest and the largest"
            )
        }
        ValueDoc::Range(min, max) => {
            format!("a list of the smallest and the largest, {min} to {max}{unit}")
        }
        ValueDoc::Decimal(min, max) => format!("a number {min} to {max}{unit}"),
        ValueDoc::Probability => "a probability 0 to 1".to_owned(),
        ValueDoc::Flag => "`true` or `false`".to_owned(),
        ValueDoc::Text => "text".to_owned(),
        ValueDoc::Word(words) => {
            words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ")
        }
        ValueDoc::Words(words) => {
            let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
            format!("a list of some of {}", words.join(", "))
        }
        ValueDoc::Node => "a node".to_owned(),
        ValueDoc::Nodes => "a list of nodes".to_owned(),
        ValueDoc::Table(section) => format!("`{section}`"),
        ValueDoc::Other(words) => words.to_owned(),
    }
}

fn default(key: &KeyDoc) -> String {
    match key.default {
        DefaultDoc::Required => "**required**".to_owned(),
        DefaultDoc::Nothing => "none".to_owned(),
        DefaultDoc::Value(value) => format!("`{value}`"),
        DefaultDoc::Number(number) => format!("`{number}`"),
        DefaultDoc::Words(words) => words.to_owned(),
    }
}

fn meaning(key: &KeyDoc) -> String {
    let words = capitalised(key.about);
    if words.ends_with('.') { words } else { format!("{words}.") }
}
