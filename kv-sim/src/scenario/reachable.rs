//! The rare branches that a sweep must reach, and the number of seeds in which it must.

use serde::Deserialize;
use serde::de::IntoDeserializer;
use toml::Spanned;
use toml::de::DeValue;

use super::error::Problem;
use super::quantity::count;
use crate::cluster::probes::{Branch, Reachable};

/// The most seeds that may be given; nobody sweeps more.
const SEEDS_MAX: u64 = 1_000_000_000;

/// Parses `[probes]`: the number of seeds within which each branch is reached. In the order of the
/// branches.
pub(super) fn parse(table: Option<Spanned<DeValue<'_>>>) -> Result<Vec<Reachable>, Problem> {
    let Some(table) = table else { return Ok(Vec::new()) };
    let span = table.span();
    let DeValue::Table(table) = table.into_inner() else {
        return Err(Problem::at(span, "this must be a table").label("expected a table").help(
            "such as\n[probes]\nread-repair = 50    # reached at least once within 50 seeds",
        ));
    };
    let mut reachable = Vec::new();
    for (name, seeds) in table {
        let branch = Branch::named(name.get_ref()).ok_or_else(|| {
            let known: Vec<_> = Branch::all().map(Branch::name).collect();
            Problem::unknown_word(name.span(), "probe", name.get_ref(), &known)
                .help("`kv-sim list probes` shows them all")
        })?;
        let span = seeds.span();
        let seeds = Spanned::<u64>::deserialize(seeds.into_deserializer())
            .map_err(|error| Problem::from_toml(&error, span, &[]))?;
        reachable.push(Reachable { branch, within: count(&seeds, name.get_ref(), 1..=SEEDS_MAX)? });
    }
    reachable.sort_unstable();
    Ok(reachable)
}
