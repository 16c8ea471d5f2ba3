//! The filter that `RUST_LOG` sets.

use std::env;
use std::ffi::OsStr;

use tracing_subscriber::EnvFilter;

use crate::nearest::nearest;

const VARIABLE: &str = "RUST_LOG";

/// The level that is logged by default: the lines that an operator should know.
const DEFAULT: &str = "info";

const LEVELS: [&str; 6] = ["trace", "debug", "info", "warn", "error", "off"];

/// The filter, and the problem with the variable that should have set it.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) filter: EnvFilter,
    pub(super) problem: Option<String>,
}

impl Filter {
    /// Reads the filter from the environment.
    pub(super) fn from_env() -> Self {
        Self::new(env::var_os(VARIABLE).as_deref())
    }

    /// Reads a value; an empty variable counts as none.
    fn new(value: Option<&OsStr>) -> Self {
        let default = |problem| Self { filter: EnvFilter::new(DEFAULT), problem };
        match value.filter(|value| !value.is_empty()).map(parse) {
            None => default(None),
            Some(Ok(filter)) => Self { filter, problem: None },
            Some(Err(problem)) => default(Some(format!(
                "{VARIABLE} is not understood: {problem}; what is logged is `{DEFAULT}`"
            ))),
        }
    }
}

fn parse(value: &OsStr) -> Result<EnvFilter, String> {
    let value = value.to_str().ok_or("it is no text")?;
    for directive in value.split(',').map(str::trim) {
        check(directive)?;
    }
    EnvFilter::builder().parse(value).map_err(|error| format!("`{value}`: {error}"))
}

/// Refuses a word that would be taken for the name of a program part, of which everything is logged
/// and nothing else: `RUST_LOG=inof` would end the log without a word.
fn check(directive: &str) -> Result<(), String> {
    let is_level = |word: &str| {
        let is_number = word.len() == 1 && ("0"..="5").contains(&word);
        is_number || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word))
    };
    let is_plain = !directive.is_empty() && !directive.contains(['=', '[', ':']);
    if !is_plain || is_level(directive) || directive.starts_with("kv_") {
        return Ok(());
    }
    Err(match nearest(directive, LEVELS.into_iter()) {
        Some(level) => format!("`{directive}` is no level: did you mean `{level}`?"),
        None => format!(
            "`{directive}` is no level: give one of {}, or `{directive}=debug` for a part of the program",
            LEVELS.join(", ")
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(value: &str) -> Option<String> {
        Filter::new(Some(OsStr::new(value))).problem
    }

    #[test]
    fn levels_and_parts_of_the_program_are_understood() {
        for value in ["", "warn", "INFO", "3", "off", "kv_node::peers=debug,info", "kv_node", "a=0"]
        {
            assert_eq!(problem(value), None, "{value}");
        }
        assert_eq!(Filter::new(None).filter.to_string(), "info");
        assert_eq!(Filter::new(Some(OsStr::new(""))).filter.to_string(), "info");
    }

    #[test]
    fn garbage_is_told_and_the_default_is_logged() {
        for (value, word) in [
            ("inof", "did you mean `info`?"),
            ("garbage", "`garbage=debug`"),
            ("kv_node=lots", "kv_node=lots"),
            ("warn,verbose", "`verbose` is no level"),
        ] {
            let told = problem(value).unwrap_or_else(|| panic!("{value} is no garbage"));
            assert!(told.contains(word), "{told}");
            assert_eq!(Filter::new(Some(OsStr::new(value))).filter.to_string(), "info");
        }
    }
}
