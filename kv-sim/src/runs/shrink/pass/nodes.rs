//! Fewer nodes, and plainer names of those that are left.

use std::ops::Range;

use toml::{Table, Value};

use super::LISTS;

/// The number of nodes.
pub(super) fn count(table: &Table) -> Option<usize> {
    match table.get("nodes")? {
        Value::Integer(count) => usize::try_from(*count).ok(),
        Value::Array(nodes) => Some(nodes.len()),
        _ => None,
    }
}

/// Takes nodes out, with their names wherever they stand. Nodes that had no names but their numbers
/// have the numbers of their places again.
pub(super) fn without_nodes(table: &mut Table, which: Range<usize>) -> Option<()> {
    let counted = table.get("nodes")?.as_integer();
    if let Some(count) = counted {
        let node = |number: i64| {
            Value::Table(Table::from_iter([("name".to_owned(), format!("n{number}").into())]))
        };
        table.insert("nodes".to_owned(), (1..=count).map(node).collect::<Vec<_>>().into());
    }
    let gone = table.get_mut("nodes")?.as_array_mut()?.drain(which).collect::<Vec<_>>();
    for node in gone {
        let name = node.get("name")?.as_str()?.to_owned();
        for (key, value) in table.iter_mut().filter(|(key, _)| *key != "nodes") {
            if LISTS.contains(&key.as_str()) {
                forget(value, &name);
            }
        }
    }
    if counted.is_some() { renamed(table, 0) } else { Some(()) }
}

/// Calls the nodes of a list by their numbers. A list with nothing but names becomes a number.
pub(super) fn renamed(table: &mut Table, number: usize) -> Option<()> {
    let nodes = table.get("nodes")?.as_array()?.clone();
    let names: Vec<_> =
        nodes.iter().filter_map(|node| Some(node.get("name")?.as_str()?.to_owned())).collect();
    if number > 0 {
        return None;
    }
    // By way of names that nobody has, as old and new ones overlap.
    let (old, new) = (|at: usize| names[at].clone(), |at: usize| format!("n{}", at + 1));
    for (_, value) in table.iter_mut() {
        (0..names.len()).for_each(|at| rename(value, &old(at), &format!("\u{0}{at}")));
        (0..names.len()).for_each(|at| rename(value, &format!("\u{0}{at}"), &new(at)));
    }
    if nodes.iter().all(|node| node.as_table().is_some_and(|node| node.len() == 1)) {
        let count = i64::try_from(nodes.len()).ok()?;
        table.insert("nodes".to_owned(), Value::Integer(count));
    }
    Some(())
}

/// Replaces a word by another, wherever it stands alone or among others.
fn rename(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text.split(' ').any(|word| word == old) => {
            let words = text.split(' ').map(|word| if word == old { new } else { word });
            *text = words.collect::<Vec<_>>().join(" ");
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, old, new)),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| rename(value, old, new)),
        _ => {}
    }
}

/// Takes a name out of all lists of words.
fn forget(value: &mut Value, name: &str) {
    match value {
        Value::Array(items) => {
            items.retain(|item| item.as_str() != Some(name));
            items.iter_mut().for_each(|item| forget(item, name));
        }
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| forget(value, name)),
        _ => {}
    }
}
