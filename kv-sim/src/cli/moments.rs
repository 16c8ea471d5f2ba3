//! `kv-sim replay --at`: the state of a run at some moments, in any order, or one after another as
//! they are asked for.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use clap::Args;
use kv_core::types::Key;
use kv_sim::runs::options::RunOptions;
use kv_sim::runs::timeline::{Spacing, Timeline, moment};
use kv_sim::scenario::Scenario;
use kv_sim::story::state::StateFocus;
use serde_json::json;

use super::output::{self, Exit};

/// The word for times that are read from standard input.
const FROM_INPUT: &str = "-";

#[derive(Args)]
pub(crate) struct Moments {
    /// Show the state at this time of the world instead: 3.25 or 3250ms, as violations and traces
    /// show it. (Times of a scenario, and those under "What was injected", begin 1 s later.) May be
    /// given several times, in any order; `-` reads times from standard input, one a line, and
    /// answers each.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    at: Vec<String>,
    /// Show only this node, and what touches it. May be given several times.
    #[arg(long, value_name = "NAME", requires = "at")]
    node: Vec<String>,
    /// Show only what is held of this key. May be given several times.
    #[arg(long, value_name = "KEY", requires = "at")]
    key: Vec<String>,
    /// Print each state as one line of JSON.
    #[arg(long, requires = "at")]
    json: bool,
}

impl Moments {
    /// True if moments are to be shown at all.
    pub(crate) const fn are_asked_for(&self) -> bool {
        !self.at.is_empty()
    }
}

/// Shows the moments that were asked for.
pub(crate) fn show(
    arguments: &Moments,
    scenario: &Scenario,
    options: &RunOptions,
) -> Result<Exit, Exit> {
    let complain = |problem: &str| {
        output::complain(&format!("error: {problem}\n"));
        Exit::Usage
    };
    let nodes = arguments.node.iter().map(|name| scenario.cluster.find(name));
    let nodes: BTreeSet<_> =
        nodes.collect::<Result<_, _>>().map_err(|problem| complain(&problem))?;
    let keys = arguments.key.iter().map(|key| Key::from(key.as_str())).collect();
    let timeline = Timeline::new(scenario, options, Spacing::default())
        .map_err(|error| complain(&error.to_string()))?;
    let mut viewer = Viewer { timeline, focus: StateFocus { nodes, keys }, json: arguments.json };
    let mut exit = Exit::Passed;
    for at in &arguments.at {
        if at == FROM_INPUT {
            viewer.answer_input()?;
        } else if !viewer.answer(at)? {
            exit = Exit::Usage;
        }
    }
    Ok(exit)
}

/// A viewer that answers one question after another.
struct Viewer {
    timeline: Timeline,
    focus: StateFocus,
    json: bool,
}

impl Viewer {
    /// Answers each line of standard input, with an error for one that makes no sense.
    fn answer_input(&mut self) -> Result<(), Exit> {
        for line in io::stdin().lock().lines() {
            let line = line.map_err(|error| {
                output::complain(&format!("error: standard input cannot be read: {error}\n"));
                Exit::Usage
            })?;
            if !line.trim().is_empty() {
                self.answer(&line)?;
            }
        }
        Ok(())
    }

    /// Shows the state at the time that a text names. Returns whether there is one.
    fn answer(&mut self, text: &str) -> Result<bool, Exit> {
        let state = moment(text).and_then(|at| {
            let world = self.timeline.seek(at).map_err(|error| error.to_string())?;
            Ok(world.state(at, &self.focus))
        });
        match (state, self.json) {
            (Ok(state), true) => output::say_line(&state)?,
            (Ok(state), false) => output::say(&format!("{state}\n"))?,
            (Err(problem), true) => {
                output::say_line(&json!({ "error": problem }))?;
                return Ok(false);
            }
            (Err(problem), false) => {
                output::complain(&format!("error: {problem}\n"));
                return Ok(false);
            }
        }
        Ok(true)
    }
}
