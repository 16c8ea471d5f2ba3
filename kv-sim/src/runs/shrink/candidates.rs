//! Smaller scenarios: the parts that may be taken out of a table, or made less.
//!
//! A [`Pass`] is a numbered list of candidates, which are made only when they are asked for.
//! Whether a candidate makes sense is not judged here: the parser does that.

mod nodes;

use toml::{Table, Value};

use crate::faults::FaultWord;
use crate::random::address::Aspect;

use nodes::{renamed, without_node};

/// A kind of step. The large ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Takes out all checks but the one that is violated.
    OnlyTheCheck,
    /// Takes elements out of a list of tables, many at once and then one by one.
    Elements(&'static str),
    /// Makes the number of operations smaller.
    Operations,
    /// Takes out nodes, and their names wherever they stand.
    Nodes,
    /// Takes out keys, which then have their defaults.
    Keys,
    /// Calls nodes by their numbers.
    Names,
    /// Replaces chance by a decision for each misfortune of a message.
    PinMisfortunes,
    /// Lets faults begin earlier and last as long.
    Sooner,
    /// Makes numbers smaller.
    Numbers,
    /// Leaves less to chance.
    Nominal,
}

/// The numbers that are tried in place of one, as `(times, by, less)`: `number * times / by -
/// less`.
const FRACTIONS: &[(i64, i64, i64)] =
    &[(0, 1, 0), (0, 1, -1), (1, 8, 0), (1, 2, 0), (3, 4, 0), (1, 1, 1)];

/// The keys that give what is to be shown, or are shrunk in another way.
const KEPT: &[&str] = &["title", "seed", "nodes", "expect", "nominal"];

/// The lists of tables of which no element is there by default.
const LISTS: &[&str] = &["fault", "workload", "decision", "init"];

impl Pass {
    /// All passes, in the order in which they are tried.
    pub(super) const ALL: &[Self] = &[
        Self::OnlyTheCheck,
        Self::Elements("fault"),
        Self::Elements("workload"),
        Self::Operations,
        Self::Nodes,
        Self::Keys,
        Self::Names,
        Self::PinMisfortunes,
        Self::Elements("decision"),
        Self::Sooner,
        Self::Numbers,
        Self::Nominal,
    ];

    /// Makes the candidate with this number; none, if there are not so many. One that is equal to
    /// the table stands for none.
    pub(super) fn candidate(
        self,
        table: &Table,
        misfortunes: &[(String, u64)],
        number: usize,
    ) -> Option<Table> {
        let mut smaller = table.clone();
        match self {
            Self::OnlyTheCheck => only_the_check(&mut smaller, number)?,
            Self::Elements(list) => without_elements(&mut smaller, list, number)?,
            Self::Operations => {
                let is_it =
                    |path: &ValuePath| path.last().is_some_and(|step| step.is("operations"));
                less(&mut smaller, is_it, number)?;
            }
            Self::Nodes => without_node(&mut smaller, number)?,
            Self::Keys => without_key(&mut smaller, number)?,
            Self::Names => renamed(&mut smaller, number)?,
            Self::PinMisfortunes => pinned(&mut smaller, misfortunes, number)?,
            Self::Sooner => sooner(&mut smaller, number)?,
            Self::Numbers => less(&mut smaller, |_| true, number)?,
            Self::Nominal => more_nominal(&mut smaller, number)?,
        }
        Some(smaller)
    }
}

/// The way to a value, from the top of the table.
type ValuePath = Vec<PathStep>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum PathStep {
    Key(String),
    At(usize),
}

impl PathStep {
    fn is(&self, name: &str) -> bool {
        matches!(self, Self::Key(key) if key == name)
    }
}

fn only_the_check(table: &mut Table, number: usize) -> Option<()> {
    // The convergence that other checks wait for takes most of a run. The violated check is kept.
    let words = [
        &["crash"][..],
        &["durability"],
        &["causality"],
        &["freshness"],
        &["session"],
        &["deletion"],
        &["availability"],
        &["ownership"],
        &["bounds"],
        &["membership"],
        &["convergence"],
        &["convergence", "quiescence"],
    ];
    let checks: Vec<Value> = words.get(number)?.iter().map(|word| (*word).into()).collect();
    let is_narrow = |expect: &Table| {
        expect
            .get("checks")
            .and_then(Value::as_array)
            .is_some_and(|given| given.len() <= checks.len())
    };
    let expect = table.entry("expect").or_insert_with(|| Table::new().into()).as_table_mut()?;
    if !is_narrow(expect) {
        expect.insert("checks".to_owned(), checks.into());
    }
    Some(())
}

/// Takes the number-th run of elements out of a list: first all, then halves, and so on.
fn without_elements(table: &mut Table, list: &str, number: usize) -> Option<()> {
    let elements = table.get_mut(list)?.as_array_mut()?;
    let (from, until) = chunk(elements.len(), number)?;
    elements.drain(from..until);
    if elements.is_empty() {
        table.remove(list);
    }
    Some(())
}

/// The number-th piece of `0..length`: the whole, its halves, their halves, down to single ones.
fn chunk(length: usize, mut number: usize) -> Option<(usize, usize)> {
    let mut size = length;
    while size > 0 {
        let pieces = length.div_ceil(size);
        if number < pieces {
            return Some((number * size, ((number + 1) * size).min(length)));
        }
        number -= pieces;
        if size == 1 {
            return None;
        }
        size = size.div_ceil(2);
    }
    None
}

fn without_key(table: &mut Table, number: usize) -> Option<()> {
    let is_free = |path: &ValuePath| match path.as_slice() {
        [PathStep::Key(key)] => !KEPT.contains(&key.as_str()) && !LISTS.contains(&key.as_str()),
        [PathStep::Key(key), .., last] if key == "nodes" => !last.is("name"),
        [PathStep::Key(key), ..] => !KEPT.contains(&key.as_str()),
        _ => false,
    };
    let mut paths = Vec::new();
    keys(table, &mut Vec::new(), &mut paths);
    paths.retain(is_free);
    // Whole tables before their keys.
    paths.sort_by_key(Vec::len);
    let path = paths.get(number)?.clone();
    let (last, parents) = path.split_last()?;
    let PathStep::Key(key) = last else { return None };
    parent(table, parents)?.remove(key);
    Some(())
}

fn keys(table: &Table, here: &mut ValuePath, paths: &mut Vec<ValuePath>) {
    for (key, value) in table {
        here.push(PathStep::Key(key.clone()));
        paths.push(here.clone());
        match value {
            Value::Table(table) => keys(table, here, paths),
            Value::Array(items) => {
                for (at, item) in items.iter().enumerate() {
                    if let Value::Table(table) = item {
                        here.push(PathStep::At(at));
                        keys(table, here, paths);
                        here.pop();
                    }
                }
            }
            _ => {}
        }
        here.pop();
    }
}

fn parent<'a>(table: &'a mut Table, path: &[PathStep]) -> Option<&'a mut Table> {
    let mut here = table;
    let mut steps = path.iter();
    while let Some(step) = steps.next() {
        let PathStep::Key(key) = step else { return None };
        here = match here.get_mut(key)? {
            Value::Table(table) => table,
            Value::Array(items) => {
                let Some(PathStep::At(at)) = steps.next() else { return None };
                items.get_mut(*at)?.as_table_mut()?
            }
            _ => return None,
        };
    }
    Some(here)
}

/// Makes one of the numbers that are wanted less, in one of several ways.
fn less(table: &mut Table, is_wanted: impl Fn(&ValuePath) -> bool, number: usize) -> Option<()> {
    let mut paths = Vec::new();
    keys(table, &mut Vec::new(), &mut paths);
    let is_kept = |path: &ValuePath| {
        let fixed = ["seed", "expect", "decision"];
        path.first().is_some_and(|first| fixed.iter().any(|key| first.is(key)))
    };
    paths.retain(|path| !is_kept(path) && is_wanted(path));
    let numbers: Vec<_> = paths
        .into_iter()
        .filter(|path| {
            let Some((PathStep::Key(key), parents)) = path.split_last() else { return false };
            let value = parent(table, parents).and_then(|table| table.get(key).cloned());
            matches!(value, Some(Value::Integer(_) | Value::Float(_)))
        })
        .collect();
    let path = numbers.get(number / FRACTIONS.len())?;
    let (times, by, off) = FRACTIONS[number % FRACTIONS.len()];
    let (last, parents) = path.split_last()?;
    let PathStep::Key(key) = last else { return None };
    let value = parent(table, parents)?.get_mut(key)?;
    match value {
        Value::Integer(n) => {
            let smaller = *n / by * times + (*n % by) * times / by - off;
            if smaller.abs() < n.abs() {
                *n = smaller;
            }
        }
        Value::Float(x) if x.fract() == 0.0 && *x > 1.0 => {
            let smaller = (*x * times as f64 / by as f64).floor() - off as f64;
            if smaller.abs() < x.abs() {
                *x = smaller;
            }
        }
        _ => {}
    }
    Some(())
}

/// Adds a decision for each misfortune of a message, so that no other happens.
fn pinned(table: &mut Table, misfortunes: &[(String, u64)], number: usize) -> Option<()> {
    /// The keys of `network` that leave something to chance.
    const CHANCES: &[&str] = &["loss", "duplicate", "reorder"];
    /// The most misfortunes that are pinned: more could not be read, and would take long to be
    /// thinned out.
    const PINNED_MAX: usize = 400;
    if number > 0 || misfortunes.len() > PINNED_MAX {
        return None;
    }
    let is_chance = |fault: &Value| {
        let kind = fault.get("kind").and_then(Value::as_str);
        kind.and_then(FaultWord::find).is_some_and(|word| word.is_misfortune)
    };
    let mut was_any = false;
    if let Some(network) = table.get_mut("network").and_then(Value::as_table_mut) {
        for chance in CHANCES {
            was_any |= network.remove(*chance).is_some();
        }
    }
    if let Some(faults) = table.get_mut("fault").and_then(Value::as_array_mut) {
        let before = faults.len();
        faults.retain(|fault| !is_chance(fault));
        was_any |= faults.len() < before;
    }
    if !was_any {
        return None;
    }
    let decision = |(at, value): &(String, u64)| {
        let mut decision = Table::new();
        decision.insert("at".to_owned(), at.clone().into());
        decision
            .insert("value".to_owned(), Value::Integer(i64::try_from(*value).unwrap_or(i64::MAX)));
        Value::Table(decision)
    };
    let decisions: Vec<_> = misfortunes.iter().map(decision).collect();
    table.insert("decision".to_owned(), decisions.into());
    Some(())
}

/// Lets a fault begin earlier, and last as long.
fn sooner(table: &mut Table, number: usize) -> Option<()> {
    let faults = table.get_mut("fault")?.as_array_mut()?;
    let fault = faults.get_mut(number / 2)?.as_table_mut()?;
    let from = fault.get("from_ms")?.as_integer()?;
    let earlier = if number.is_multiple_of(2) { 0 } else { from / 2 };
    for key in ["from_ms", "until_ms"] {
        if let Some(Value::Integer(at)) = fault.get_mut(key) {
            *at -= from - earlier;
        }
    }
    Some(())
}

/// Takes one more aspect away from chance; first all of them.
fn more_nominal(table: &mut Table, number: usize) -> Option<()> {
    let words: Vec<_> = Aspect::THAT_CAN_BE_NOMINAL.iter().map(|aspect| aspect.name()).collect();
    let nominal =
        table.entry("nominal").or_insert_with(|| Value::Array(Vec::new())).as_array_mut()?;
    let mut add = |word: &str| {
        if !nominal.iter().any(|known| known.as_str() == Some(word)) {
            nominal.push(word.into());
        }
    };
    match number {
        0 => words.iter().copied().for_each(add),
        _ => add(words.get(number - 1)?),
    }
    Some(())
}

#[cfg(test)]
mod tests;
