//! `kv-sim schema`: the reference of all keys of scenarios.

use clap::Args;
use kv_sim::scenario::schema;

use super::output::{self, Exit};

#[derive(Args)]
pub(crate) struct SchemaArguments {
    /// Print a JSON Schema, for editors.
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(arguments: &SchemaArguments) -> Exit {
    let said = if arguments.json {
        output::say_json(&schema::to_json())
    } else {
        output::say(&schema::to_markdown())
    };
    said.map_or_else(|exit| exit, |()| Exit::Passed)
}
