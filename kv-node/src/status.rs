//! `kv-node status`: asks running nodes for their health, and prints it for people or for scripts.
//!
//! Exit codes: 0 all are ready; 1 one is not, or does not answer; 2 the nodes to ask are not known.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde::Deserialize;

use crate::admin_client::{self, ClientError, HttpAddress};
use crate::admin_targets::{AdminTargets, AdminTargetsError};

/// Whom to ask, and how to say it.
#[derive(Clone, Debug, clap::Args)]
pub struct StatusArguments {
    #[command(flatten)]
    targets: AdminTargets,
    /// Print what the nodes answer as it is: one line of JSON for each
    #[arg(long)]
    json: bool,
    /// Take warnings for problems: exit code 0 only if nothing at all is wrong, as before the next step
    /// of a rolling restart
    #[arg(long)]
    strict: bool,
}

/// The parts of the answer of `/health/ready` that are shown. More may come with later versions.
#[derive(Debug, Deserialize)]
struct Health {
    node: String,
    id: String,
    cluster: String,
    version: String,
    status: String,
    ready: bool,
    problems: Vec<ShownProblem>,
    state: Option<NodeFigures>,
    disk: Option<Disk>,
}

#[derive(Debug, Deserialize)]
struct ShownProblem {
    code: String,
    severity: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct NodeFigures {
    partitions: u64,
    partitions_owned: u64,
    partitions_complete: u64,
    partitions_unreadable: u64,
    partitions_unwritable: u64,
    read_quorum: u64,
    write_quorum: u64,
    mode: String,
    hints_pending: u64,
    operations_in_flight: u64,
    storage: String,
    members: Vec<MemberRow>,
}

#[derive(Debug, Deserialize)]
struct MemberRow {
    name: String,
    id: String,
    seems_up: bool,
    connected: bool,
    silent_ms: Option<u64>,
    refused: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Disk {
    free_bytes: u64,
    total_bytes: u64,
}

/// The health of one node, as far as the exit code goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum StatusOutcome {
    Ready,
    Degraded,
    NotReady,
}

/// Executes the command.
pub fn main(arguments: StatusArguments) -> ExitCode {
    let StatusArguments { targets, json, strict } = arguments;
    let addresses = match targets.addresses() {
        Ok(addresses) => addresses,
        Err(AdminTargetsError::Config(error)) => {
            use std::io::IsTerminal as _;
            eprint!("{}", error.render(std::io::stderr().is_terminal()));
            return ExitCode::from(2);
        }
        Err(
            error @ (AdminTargetsError::Unnamed
            | AdminTargetsError::Environment(_)
            | AdminTargetsError::ChosenPort { .. }),
        ) => {
            eprintln!("kv-node: {error}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("kv-node: the system refused: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut worst = StatusOutcome::Ready;
    for (address, answer) in runtime.block_on(ask_all(addresses)) {
        let (text, outcome) = match answer {
            Ok(body) => told(&address, &body, json),
            Err(error) => {
                eprintln!("kv-node: {error}");
                (String::new(), StatusOutcome::NotReady)
            }
        };
        use std::io::Write as _;
        // Whoever closed the pipe has read enough.
        let _closed = std::io::stdout().write_all(text.as_bytes());
        worst = worst.max(outcome);
    }
    match worst {
        StatusOutcome::Ready => ExitCode::SUCCESS,
        StatusOutcome::Degraded if !strict => ExitCode::SUCCESS,
        StatusOutcome::Degraded | StatusOutcome::NotReady => ExitCode::FAILURE,
    }
}

/// Asks all nodes at once; the answers come in the order of the addresses.
async fn ask_all(addresses: Vec<HttpAddress>) -> Vec<(HttpAddress, Result<String, ClientError>)> {
    let ask = |address: HttpAddress| {
        tokio::spawn(async move {
            let answer = admin_client::get(&address, "/health/ready").await;
            (address, answer.map(|answer| answer.body))
        })
    };
    let asked: Vec<_> = addresses.into_iter().map(ask).collect();
    let mut answers = Vec::new();
    for answer in asked {
        answers.push(answer.await.expect("a request ends without a panic"));
    }
    answers
}

/// Returns the text for one answer, and the node's outcome.
fn told(address: &HttpAddress, body: &str, json: bool) -> (String, StatusOutcome) {
    let health: Health = match serde_json::from_str(body) {
        Ok(health) => health,
        Err(error) => {
            let text = format!(
                "{address}: does not answer as a node of this version does ({error}); it said: {}\n",
                body.chars().take(200).collect::<String>().escape_debug()
            );
            return (text, StatusOutcome::NotReady);
        }
    };
    let outcome = match (health.ready, health.problems.is_empty()) {
        (true, true) => StatusOutcome::Ready,
        (true, false) => StatusOutcome::Degraded,
        (false, _) => StatusOutcome::NotReady,
    };
    let text = if json { format!("{}\n", body.trim_end()) } else { page(address, &health) };
    (text, outcome)
}

fn page(address: &HttpAddress, health: &Health) -> String {
    let Health { node, id, cluster, version, status, ready: _, problems, state, disk } = health;
    let mut page = format!(
        "{node} ({id}) of cluster {cluster} at {address}, version {version}: {}\n",
        status.replace('-', " ")
    );
    let mut line = |name: &str, text: String| {
        writeln!(page, "  {name:<12}{text}").expect("a string takes every text");
    };
    for ShownProblem { code, severity, message } in problems {
        line(&severity.replace('-', " "), format!("{code}: {message}"));
    }
    if let Some(state) = state {
        line("partitions", partitions(state));
        line("members", state.members.iter().map(member).collect::<Vec<_>>().join(", "));
        let NodeFigures { hints_pending, operations_in_flight, storage, .. } = state;
        line(
            "now",
            format!(
                "storage {storage}, {hints_pending} hints for others, {operations_in_flight} operations in flight"
            ),
        );
    }
    if let Some(Disk { free_bytes, total_bytes }) = disk {
        let free = format!("{} free of {}", size(*free_bytes), size(*total_bytes));
        line("disk", free);
    }
    page
}

fn partitions(state: &NodeFigures) -> String {
    let NodeFigures {
        partitions,
        partitions_owned,
        partitions_complete,
        partitions_unreadable,
        partitions_unwritable,
        read_quorum,
        write_quorum,
        mode,
        ..
    } = state;
    format!(
        "{partitions_complete} complete of {partitions_owned} owned; of the {partitions} of the ring, \
         {partitions_unreadable} cannot be read with R = {read_quorum} and {partitions_unwritable} cannot be \
         written with W = {write_quorum} ({mode})"
    )
}

fn member(member: &MemberRow) -> String {
    let MemberRow { name, id, seems_up, connected, silent_ms, refused } = member;
    let how = match (refused, silent_ms) {
        (Some(reason), _) => format!("refused for its {reason}"),
        (None, None) => "not heard since this node started".to_owned(),
        (None, Some(ms)) => {
            let seconds = *ms as f64 / 1_000.0;
            let up = if *seems_up { "up" } else { "down" };
            let connected = if *connected { "" } else { ", not connected" };
            format!("{up}{connected}, heard {seconds:.1} s ago")
        }
    };
    format!("{name} ({id}) {how}")
}

/// Writes bytes in the unit that people read best.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1_024.0 && unit + 1 < units.len() {
        value /= 1_024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{value:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEGRADED: &str = r#"{"node":"n1","id":"0000000000000001","cluster":"kv","version":"0.1.0",
        "status":"degraded","ready":true,
        "problems":[{"code":"peers-down","severity":"warning","message":"n3 (0000000000000003) cannot be asked"}],
        "state":{"founded":true,"partitions":64,"partitions_owned":64,"partitions_complete":64,
            "partitions_loss_undecided":0,"partitions_unreadable":0,"partitions_unwritable":0,
            "read_quorum":2,"write_quorum":2,"mode":"sloppy","hints_pending":5,"operations_in_flight":1,
            "storage":"writable","peers":2,"peers_down":1,"members":[
                {"name":"n2","id":"0000000000000002","seems_up":true,"connected":true,"silent_ms":310,"refused":null},
                {"name":"n3","id":"0000000000000003","seems_up":false,"connected":false,"silent_ms":null,"refused":null}]},
        "disk":{"free_bytes":1610612736,"total_bytes":1023},"log_lines_lost":0}"#;

    fn address() -> HttpAddress {
        "127.0.0.1:7201".parse().expect("an address")
    }

    #[test]
    fn a_degraded_node_is_told_of_with_everything_that_matters() {
        let (text, outcome) = told(&address(), DEGRADED, false);
        assert_eq!(outcome, StatusOutcome::Degraded);
        for part in [
            "n1 (0000000000000001) of cluster kv at 127.0.0.1:7201, version 0.1.0: degraded\n",
            "  warning     peers-down: n3 (0000000000000003) cannot be asked\n",
            "64 complete of 64 owned",
            "n2 (0000000000000002) up, heard 0.3 s ago, n3 (0000000000000003) not heard",
            "5 hints for others, 1 operations",
            "1.5 GiB free of 1023 B",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn a_node_without_a_state_is_told_of_too() {
        let starting = r#"{"node":"n1","id":"1","cluster":"kv","version":"0.1.0","status":"not-ready","ready":false,
            "problems":[{"code":"starting","severity":"not-ready","message":"it starts"}],"state":null,"disk":null}"#;
        let (text, outcome) = told(&address(), starting, false);
        assert_eq!(outcome, StatusOutcome::NotReady);
        assert!(text.ends_with(": not ready\n  not ready   starting: it starts\n"), "{text}");
    }

    #[test]
    fn what_is_no_answer_of_a_node_is_not_ready() {
        for body in ["", "<html>hello</html>", "{}", "{\"ready\":true}"] {
            let (text, outcome) = told(&address(), body, true);
            assert_eq!(outcome, StatusOutcome::NotReady, "{body}");
            assert!(text.contains("127.0.0.1:7201: does not answer"), "{text}");
        }
    }
}
