//! The surroundings of a process that bear on its configuration: variables of the environment, and
//! the memory.

use std::collections::BTreeSet;

use super::problem::ConfigProblem;
use crate::nearest::nearest;

/// The prefix of all variables of ours.
const PREFIX: &str = "KV_NODE_";

/// The facts about the surroundings of a process.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The names of variables that are set and begin like ours, but are unknown.
    strangers: Vec<String>,
    /// The names of the variables that are known.
    known: Vec<String>,
    /// The number of bytes of memory that the process may use, as far as that is known.
    pub(super) memory_bytes: Option<u64>,
}

impl Surroundings {
    /// Examines the surroundings: `known` are the variables that kv-node reads, `set` those that
    /// are set.
    pub fn look(
        known: impl IntoIterator<Item = String>,
        set: impl IntoIterator<Item = (String, String)>,
        memory_bytes: Option<u64>,
    ) -> Self {
        let known: BTreeSet<String> = known.into_iter().collect();
        let ours = set.into_iter().filter(|(name, _)| name.starts_with(PREFIX));
        let strangers: BTreeSet<String> = ours
            .filter(|(name, value)| !known.contains(name) && !is_link(name, value))
            .map(|(name, _)| name)
            .collect();
        let (strangers, known) = (strangers.into_iter().collect(), known.into_iter().collect());
        Self { strangers, known, memory_bytes }
    }

    /// Lists the problems of the environment.
    pub(super) fn problems(&self) -> Vec<ConfigProblem> {
        let known = || self.known.iter().map(String::as_str);
        let problem = |name: &String| {
            let meant = match nearest(name, known()) {
                Some(nearest) => format!("did you mean {nearest}? Known are "),
                None => "known are ".to_owned(),
            };
            let known = known().collect::<Vec<_>>().join(", ");
            ConfigProblem::at(None, format!("unknown environment variable {name}"), "")
                .help(format!("{meant}{known}"))
        };
        self.strangers.iter().map(problem).collect()
    }
}

/// Tells whether Kubernetes sets this variable by itself, for a service that is called `kv-node` or
/// begins so: `KV_NODE_SERVICE_HOST`, `KV_NODE_PORT`, `KV_NODE_0_PORT_7001_TCP_ADDR`.
fn is_link(name: &str, value: &str) -> bool {
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    if name.ends_with("_SERVICE_HOST") || name.contains("_SERVICE_PORT") {
        return true;
    }
    let Some((_, after)) = name.split_once("_PORT_") else {
        return name.ends_with("_PORT") && value.contains("://");
    };
    match &*after.split('_').collect::<Vec<_>>() {
        [port, "TCP" | "UDP" | "SCTP"]
        | [port, "TCP" | "UDP" | "SCTP", "PROTO" | "PORT" | "ADDR"] => is_number(port),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers(set: &[&str]) -> Vec<String> {
        let known = ["KV_NODE_REDIS", "KV_NODE_DATA_DIR"].map(str::to_owned);
        let set = set.iter().map(|&name| (name.to_owned(), "tcp://10.0.0.1:7001".to_owned()));
        Surroundings::look(known, set, None).strangers
    }

    #[test]
    fn variables_of_ours_and_of_others_are_no_strangers() {
        assert_eq!(strangers(&["KV_NODE_REDIS", "PATH", "KV_NODES", "kv_node_x"]), [""; 0]);
    }

    #[test]
    fn what_begins_like_ours_and_is_none_is_a_stranger_and_the_nearest_is_offered() {
        assert_eq!(strangers(&["KV_NODE_RADIS", "KV_NODE_"]), ["KV_NODE_", "KV_NODE_RADIS"]);
        let known = ["KV_NODE_REDIS".to_owned()];
        let around = Surroundings::look(known, [("KV_NODE_RADIS".to_owned(), String::new())], None);
        let help = around.problems()[0].help.clone().expect("it helps");
        assert!(help.contains("did you mean KV_NODE_REDIS?"), "{help}");
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_of_this_name_is_no_stranger() {
        let links = [
            "KV_NODE_SERVICE_HOST",
            "KV_NODE_SERVICE_PORT",
            "KV_NODE_SERVICE_PORT_REDIS",
            "KV_NODE_PORT",
            "KV_NODE_PORT_7001_TCP",
            "KV_NODE_PORT_7001_TCP_PROTO",
            "KV_NODE_PORT_7001_TCP_PORT",
            "KV_NODE_PORT_7001_TCP_ADDR",
            "KV_NODE_0_PORT_7001_UDP_ADDR",
        ];
        assert_eq!(strangers(&links), [""; 0]);
        assert_eq!(strangers(&["KV_NODE_PORT_REDIS"]), ["KV_NODE_PORT_REDIS"]);
        let port = ("KV_NODE_REDIS_PORT".to_owned(), "7001".to_owned());
        assert_eq!(Surroundings::look([], [port], None).strangers, ["KV_NODE_REDIS_PORT"]);
    }
}
