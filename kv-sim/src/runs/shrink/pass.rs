//! Smaller scenarios: the parts that may be taken out of a table, or made less.
//!
//! A [`Pass`] is a kind of step, and a [`Walk`] goes through its candidates, which are made only when
//! they are asked for. Where there are many of a kind, the walk takes large steps first, and learns
//! from each attempt how to go on. Whether a candidate makes sense is not judged here: the parser
//! does that.

mod chunks;
mod nodes;
mod numbers;

use toml::{Table, Value};

use crate::faults::FaultWord;
use crate::random::address::Aspect;

use chunks::Chunks;
use nodes::{count, renamed, without_nodes};
use numbers::Descent;

/// A kind of step. The large ones come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// Takes out all checks but the one that is violated.
    OnlyTheCheck,
    /// Takes elements out of a list of tables.
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

    /// True if a step makes so much of another run that the failure may need another seed. A number
    /// that is made smaller is often made so once more.
    pub(super) const fn is_large(self) -> bool {
        !matches!(self, Self::Numbers | Self::Sooner | Self::Names)
    }
}

/// The way through the candidates of a pass.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pass: Pass,
    /// The number of the candidate, or of the number that is made smaller.
    at: usize,
    chunks: Chunks,
    descent: Descent,
}

impl Walk {
    /// Creates the way through the candidates of a pass, before the first.
    pub(super) fn new(pass: Pass) -> Self {
        Self { pass, at: 0, chunks: Chunks::default(), descent: Descent::default() }
    }

    /// Makes the next candidate; none, if there are no more. It differs from the table.
    /// [`Walk::took`] or [`Walk::left`] must be told of it before the one after it.
    pub(super) fn candidate(
        &mut self,
        table: &Table,
        misfortunes: &[(String, u64)],
    ) -> Option<Table> {
        loop {
            let mut smaller = table.clone();
            self.change(&mut smaller, misfortunes)?;
            if smaller != *table {
                return Some(smaller);
            }
            self.left();
        }
    }

    /// Goes on after a candidate that fails as it should, and is the table from now on.
    pub(super) fn took(&mut self) {
        match self.pass {
            Pass::Operations | Pass::Numbers if !self.descent.goes_on() => self.next_number(),
            // The same place is another step now.
            Pass::Operations
            | Pass::Numbers
            | Pass::Elements(_)
            | Pass::Nodes
            | Pass::OnlyTheCheck
            | Pass::Keys
            | Pass::Names
            | Pass::PinMisfortunes
            | Pass::Sooner
            | Pass::Nominal => {}
        }
    }

    /// Goes on after a candidate that is left as it is.
    pub(super) fn left(&mut self) {
        match self.pass {
            Pass::Elements(_) | Pass::Nodes => self.chunks.skip(),
            Pass::Operations | Pass::Numbers => {
                if !self.descent.fails() {
                    self.next_number();
                }
            }
            Pass::OnlyTheCheck
            | Pass::Keys
            | Pass::Names
            | Pass::PinMisfortunes
            | Pass::Sooner
            | Pass::Nominal => self.at += 1,
        }
    }

    fn next_number(&mut self) {
        self.at += 1;
        self.descent = Descent::default();
    }

    fn change(&mut self, table: &mut Table, misfortunes: &[(String, u64)]) -> Option<()> {
        let at = self.at;
        match self.pass {
            Pass::OnlyTheCheck => only_the_check(table, at),
            Pass::Elements(list) => {
                let elements = table.get_mut(list)?.as_array_mut()?;
                elements.drain(self.chunks.next(elements.len())?);
                if elements.is_empty() {
                    table.remove(list);
                }
                Some(())
            }
            Pass::Operations => {
                let is_it =
                    |path: &ValuePath| path.last().is_some_and(|step| step.is("operations"));
                self.less(table, is_it)
            }
            Pass::Nodes => {
                let nodes = self.chunks.next(count(table)?)?;
                without_nodes(table, nodes)
            }
            Pass::Keys => without_key(table, at),
            Pass::Names => renamed(table, at),
            Pass::PinMisfortunes => pinned(table, misfortunes, at),
            Pass::Sooner => sooner(table, at),
            Pass::Numbers => self.less(table, |_| true),
            Pass::Nominal => more_nominal(table, at),
        }
    }

    /// Makes one of the numbers that are wanted less.
    fn less(&mut self, table: &mut Table, is_wanted: impl Fn(&ValuePath) -> bool) -> Option<()> {
        let paths = numbers(table, is_wanted);
        loop {
            let value = number_at(table, paths.get(self.at)?)?;
            let number = match *value {
                Value::Integer(number) => Some(number),
                Value::Float(number) if number.fract() == 0.0 => Some(number as i64),
                _ => None,
            };
            let Some(smaller) = number.and_then(|number| self.descent.next(number)) else {
                self.next_number();
                continue;
            };
            match value {
                Value::Float(number) => *number = smaller as f64,
                _ => *value = Value::Integer(smaller),
            }
            return Some(());
        }
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

/// The places of the numbers that are wanted and may be made smaller.
fn numbers(table: &Table, is_wanted: impl Fn(&ValuePath) -> bool) -> Vec<ValuePath> {
    let mut paths = Vec::new();
    keys(table, &mut Vec::new(), &mut paths);
    let is_kept = |path: &ValuePath| {
        let fixed = ["seed", "expect", "decision"];
        path.first().is_some_and(|first| fixed.iter().any(|key| first.is(key)))
    };
    let mut table = table.clone();
    let mut is_number = |path: &ValuePath| {
        let value = number_at(&mut table, path);
        matches!(value, Some(Value::Integer(_) | Value::Float(_)))
    };
    paths.retain(|path| !is_kept(path) && is_wanted(path) && is_number(path));
    paths
}

fn number_at<'a>(table: &'a mut Table, path: &ValuePath) -> Option<&'a mut Value> {
    let (last, parents) = path.split_last()?;
    let PathStep::Key(key) = last else { return None };
    parent(table, parents)?.get_mut(key)
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
