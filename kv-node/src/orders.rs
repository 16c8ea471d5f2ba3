//! `kv-node init` and `kv-node accept-loss`: orders for a running node, over its HTTP interface.

use std::io::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::admin_client::{self, HttpAddress, HttpAnswer};
use crate::admin_targets::AdminTargets;

/// How a new cluster is founded.
#[derive(Clone, Debug, clap::Args)]
pub struct InitArguments {
    #[command(flatten)]
    target: AdminTargets,
    /// Members that need not be there, by name: they copy from the others when they come
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    without: Vec<String>,
}

/// Which losses are accepted.
#[derive(Clone, Debug, clap::Args)]
pub struct AcceptLossArguments {
    #[command(flatten)]
    target: AdminTargets,
    /// The partitions whose loss is accepted, by number; without it and --all they are only listed
    #[arg(long, value_name = "NUMBER", value_delimiter = ',')]
    partition: Vec<u32>,
    /// Accept the loss of every partition that the node can never copy
    #[arg(long, conflicts_with = "partition")]
    all: bool,
}

/// The end of a command, with its text.
enum OrderEnd {
    Done(String),
    Failed(String),
    Usage(String),
}

/// Founds a new cluster through one of its members.
pub fn init(arguments: InitArguments) -> ExitCode {
    let InitArguments { target, without } = arguments;
    run(target, async |address| {
        let body = json!({ "without": without }).to_string();
        match admin_client::post(address, "/admin/init", body).await {
            Ok(HttpAnswer { status, body }) if status.is_success() => {
                let founding = text(&body, "founding");
                OrderEnd::Done(format!("the cluster is founded ({founding}); its members serve"))
            }
            Ok(HttpAnswer { body, .. }) => OrderEnd::Failed(text(&body, "problem")),
            Err(error) => OrderEnd::Failed(error.to_string()),
        }
    })
}

/// Accepts the loss of partitions that a node can never copy, or lists them.
pub fn accept_loss(arguments: AcceptLossArguments) -> ExitCode {
    let AcceptLossArguments { target, partition, all } = arguments;
    run(target, async |address| {
        let partitions = if partition.is_empty() {
            match losses(address).await {
                Ok(partitions) if all && !partitions.is_empty() => partitions,
                Ok(partitions) => return OrderEnd::Done(listed(&partitions)),
                Err(end) => return end,
            }
        } else {
            partition
        };
        let body = json!({ "partitions": partitions }).to_string();
        match admin_client::post(address, "/admin/accept-loss", body).await {
            Ok(HttpAnswer { status, .. }) if status.is_success() => {
                OrderEnd::Done(format!("accepted, durably: {} partitions", partitions.len()))
            }
            Ok(HttpAnswer { body, .. }) => OrderEnd::Failed(body.trim_end().to_owned()),
            Err(error) => OrderEnd::Failed(error.to_string()),
        }
    })
}

async fn losses(address: &HttpAddress) -> Result<Vec<u32>, OrderEnd> {
    let answer = admin_client::get(address, "/admin/losses").await;
    let HttpAnswer { status, body } =
        answer.map_err(|error| OrderEnd::Failed(error.to_string()))?;
    if !status.is_success() {
        return Err(OrderEnd::Failed(text(&body, "problem")));
    }
    let value: Value = serde_json::from_str(&body).unwrap_or_default();
    let numbers = value["partitions"].as_array().into_iter().flatten().filter_map(Value::as_u64);
    Ok(numbers.filter_map(|number| u32::try_from(number).ok()).collect())
}

fn listed(partitions: &[u32]) -> String {
    if partitions.is_empty() {
        return "this node can copy all that it must hold, or holds it: there is no loss to accept"
            .to_owned();
    }
    let numbers: Vec<_> = partitions.iter().map(u32::to_string).collect();
    format!(
        "this node can never copy enough of {} partitions, as too few of their owners are complete: {}\n\
         First try to bring back the other owners with their data. What only they held is given up \
         for good with --all, or --partition NUMBER",
        partitions.len(),
        numbers.join(", ")
    )
}

/// Returns one field of an answer, or all of it.
fn text(body: &str, field: &str) -> String {
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    value[field].as_str().map_or_else(|| body.trim_end().to_owned(), str::to_owned)
}

fn run(target: AdminTargets, order: impl AsyncFnOnce(&HttpAddress) -> OrderEnd) -> ExitCode {
    let ended = match target.addresses().as_deref() {
        Ok([address]) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(order(address)),
                Err(error) => OrderEnd::Failed(format!("the system refused: {error}")),
            }
        }
        Ok(_) => OrderEnd::Usage("an order is given to one node: name one address".to_owned()),
        Err(error) => OrderEnd::Usage(error.to_string()),
    };
    // Whoever closed the pipe has read enough.
    match ended {
        OrderEnd::Done(text) => {
            let _closed = writeln!(std::io::stdout(), "{text}");
            ExitCode::SUCCESS
        }
        OrderEnd::Failed(text) => {
            let _closed = writeln!(std::io::stderr(), "kv-node: {text}");
            ExitCode::FAILURE
        }
        OrderEnd::Usage(text) => {
            let _closed = writeln!(std::io::stderr(), "kv-node: {text}");
            ExitCode::from(2)
        }
    }
}
