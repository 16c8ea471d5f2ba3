//! A file's content: one scenario, or a swarm of them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::error::ScenarioError;
use super::swarm::Swarm;
use super::{Scenario, file_name};
use crate::checks::CheckName;
use crate::cluster::probes::Reachable;

/// A file that describes runs.
#[derive(Clone, Debug)]
pub enum Source {
    /// One scenario, whose choices come from the seed.
    One(Box<Scenario>),
    /// A swarm, which has a scenario for each seed.
    Swarm(Box<Swarm>),
}

impl Source {
    /// Parses the scenario or swarm that a text describes. `path` is only a name: nothing is read.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], with every problem that could be found.
    pub fn parse(path: &str, text: &str) -> Result<Self, ScenarioError> {
        if Swarm::is_meant_by(text) {
            return Swarm::parse(path, text).map(|swarm| Self::Swarm(Box::new(swarm)));
        }
        Scenario::parse(path, text).map(|scenario| Self::One(Box::new(scenario)))
    }

    /// The same source, whose scenarios demand these checks as well that no level promises.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`], if one of them is promised.
    pub fn demanding(self, unpromised: &[CheckName]) -> Result<Self, ScenarioError> {
        match self {
            _ if unpromised.is_empty() => Ok(self),
            Self::One(scenario) => {
                scenario.demanding(unpromised).map(|scenario| Self::One(Box::new(scenario)))
            }
            Self::Swarm(swarm) => {
                swarm.demanding(unpromised).map(|swarm| Self::Swarm(Box::new(swarm)))
            }
        }
    }

    /// The scenario that is run with a seed.
    ///
    /// # Errors
    /// [`ScenarioError::Invalid`] if what a swarm fixes does not fit what it drew.
    pub fn scenario(&self, seed: u64) -> Result<Cow<'_, Scenario>, ScenarioError> {
        match self {
            Self::One(scenario) => Ok(Cow::Borrowed(scenario)),
            Self::Swarm(swarm) => swarm.scenario(seed).map(Cow::Owned),
        }
    }

    /// The name of the scenario or swarm: the file without folder and extension.
    pub fn name(&self) -> String {
        file_name(self.path())
    }

    /// The path of the file as it was given.
    pub fn path(&self) -> &str {
        match self {
            Self::One(scenario) => scenario.path(),
            Self::Swarm(swarm) => swarm.path(),
        }
    }

    /// The title, in one line.
    pub fn title(&self) -> &str {
        match self {
            Self::One(scenario) => &scenario.title,
            Self::Swarm(swarm) => &swarm.title,
        }
    }

    /// The seed that is taken when the command line gives none.
    pub fn seed(&self) -> u64 {
        match self {
            Self::One(scenario) => scenario.seed,
            Self::Swarm(swarm) => swarm.seed,
        }
    }

    /// The rare branches that a sweep over enough seeds must reach.
    pub fn reachable(&self) -> &[Reachable] {
        match self {
            Self::One(scenario) => &scenario.reachable,
            Self::Swarm(swarm) => &swarm.reachable,
        }
    }

    /// The checks that the file names, and that must therefore have something to look at.
    pub fn named_checks(&self) -> &BTreeSet<CheckName> {
        match self {
            Self::One(scenario) => &scenario.expect.named,
            Self::Swarm(swarm) => &swarm.named_checks,
        }
    }

    /// True if a sweep over many seeds includes the file.
    pub fn is_swept(&self) -> bool {
        match self {
            Self::One(scenario) => scenario.sweep,
            Self::Swarm(swarm) => swarm.sweep,
        }
    }
}
