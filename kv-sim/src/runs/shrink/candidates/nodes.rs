//! Fewer nodes, and plainer names of those that are left.

use toml::{Table, Value};

use super::LISTS;

/// Takes a node out, with its name wherever it stands.
pub(super) fn without_node(table: &mut Table, number: usize) -> Option<()> {
    let name = match table.get_mut("nodes")? {
        Value::Integer(count) => {
            let name = format!("n{count}");
            *count -= 1;
            (number == 0).then_some(name)?
        }
        Value::Array(nodes) if number < nodes.len() => {
            let node = nodes.remove(number);
            node.get("name")?.as_str()?.to_owned()
        }
        _ => return None,
    };
    for (key, value) in table.iter_mut().filter(|(key, _)| *key != "nodes") {
        if LISTS.contains(&key.as_str()) {
            forget(value, &name);
        }
    }
    Some(())
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
