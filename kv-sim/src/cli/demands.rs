//! What is demanded of a run beyond what its scenario says: the same options of several commands.

use clap::Args;
use kv_sim::checks::CheckName;

use super::argument;

#[derive(Args, Clone, Default)]
pub(crate) struct Demands {
    /// Check the invariants of every node after each input: slower. A saved failure that was found so
    /// is run so by itself.
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Judge runs by this check too, which no level promises, to see how it is broken:
    /// linearizability.
    #[arg(long, value_name = "CHECK", value_parser = argument::unpromised)]
    pub(crate) also: Vec<CheckName>,
}

impl Demands {
    /// The options as they are typed, each with a space before it.
    pub(crate) fn flags(&self) -> String {
        let paranoid = if self.paranoid { " --paranoid" } else { "" };
        let also = self.also.iter().map(|check| format!(" --also {}", check.name()));
        paranoid.to_owned() + &also.collect::<String>()
    }
}
