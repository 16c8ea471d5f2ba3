//! The command line. Exit codes are a contract: 0 all went well, 1 it failed while it ran, 2 the
//! arguments or the configuration make no sense.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory as _, Parser, Subcommand};
use kv_core::quorum::Mode;

use crate::config::{self, ConfigError, Listen, Overrides, Settings, Surroundings};
use crate::descriptors;
use crate::dev;
use crate::log::{self, LogFormat, Sink};
use crate::memory;
use crate::orders;
use crate::start::{self, StartError};
use crate::status;

const AFTER_HELP: &str = "\
Exit codes: 0 all went well; 1 it failed while it ran; 2 the arguments or the configuration make no sense.

RUST_LOG chooses what is logged, such as RUST_LOG=debug or RUST_LOG=kv_node::peers=debug; without it, \
what an operator should know.";

/// A node of a leaderless key-value store that any Redis client can talk to.
#[derive(Parser)]
#[command(name = "kv-node", version, after_help = AFTER_HELP, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: CliCommand,
    /// In which form the log is written, to standard error
    #[arg(long, global = true, value_enum, default_value_t, env = "KV_NODE_LOG")]
    log: LogFormat,
}

#[derive(Subcommand)]
enum CliCommand {
    /// Run one node until SIGTERM or ctrl-C
    Start(StartArguments),
    /// Run a whole cluster on this machine, to try it or to build against it
    Dev(dev::DevArguments),
    /// Found a new cluster: said once, to one of its members, when all of them run and wait
    Init(orders::InitArguments),
    /// List what a node can never copy back, and accept its loss
    AcceptLoss(orders::AcceptLossArguments),
    /// Ask running nodes how they are: exit code 0 if all are ready, 1 if one is not or does not answer
    Status(status::StatusArguments),
    /// Look at configurations
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(clap::Args)]
struct StartArguments {
    /// The configuration; `kv-node config default` prints one to begin with
    #[arg(long, env = "KV_NODE_CONFIG", value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Say whether a configuration makes sense, and everything that is wrong with it
    Check {
        /// The configuration
        file: PathBuf,
        #[command(flatten)]
        overrides: Overrides,
    },
    /// Print a configuration with every key at its default, and what each of them means
    Default,
}

/// The failure with which the program ends.
enum Failure {
    Ran(StartError),
    Config(ConfigError),
    /// The output could not be printed.
    Print(io::Error),
}

/// The time for which the end of the program waits for its last lines to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// Executes the command line.
pub fn main() -> ExitCode {
    let Cli { command, log } = Cli::parse();
    let stderr = match Sink::stderr() {
        Ok(stderr) => stderr,
        // Without a thread or a descriptor there is nothing that could be run, and nobody to tell.
        Err(_) => return ExitCode::FAILURE,
    };
    let done = match command {
        CliCommand::Start(arguments) => {
            run(log, &stderr, async |out| start_node(arguments, out).await)
        }
        CliCommand::Dev(arguments) => {
            run(log, &stderr, async |out| dev::run(arguments, out).await.map_err(Failure::Ran))
        }
        CliCommand::Status(arguments) => return status::main(arguments),
        CliCommand::Init(arguments) => return orders::init(arguments),
        CliCommand::AcceptLoss(arguments) => return orders::accept_loss(arguments),
        CliCommand::Config(ConfigCommand::Check { file, overrides }) => {
            check(&file, &overrides, &stderr).and_then(|text| print(&text))
        }
        CliCommand::Config(ConfigCommand::Default) => print(config::DEFAULT),
    };
    let code = match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Ran(error)) => {
            stderr.line(format!("kv-node: {error}\n"));
            ExitCode::FAILURE
        }
        Err(Failure::Print(error)) => {
            stderr.line(format!("kv-node: cannot write to standard output: {error}\n"));
            ExitCode::FAILURE
        }
        Err(Failure::Config(error)) => {
            stderr.line(error.render(std::io::stderr().is_terminal()));
            ExitCode::from(2)
        }
    };
    stderr.flush(FLUSH);
    code
}

/// Runs nodes in one thread, with a log on `stderr`: sockets that are ready are read before the core
/// runs on all of it, and nothing is handed from thread to thread on its way. When the work is done,
/// nothing is waited for any more: threads that are still busy with a disk end with the process.
fn run(
    log: LogFormat,
    stderr: &Sink,
    work: impl AsyncFnOnce(&Sink) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let refused = |error| Failure::Ran(StartError::System(error));
    log::begin(log, stderr);
    let out = Sink::stdout().map_err(refused)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(refused)?;
    let done = runtime.block_on(work(&out));
    runtime.shutdown_background();
    out.flush(FLUSH);
    done
}

async fn start_node(arguments: StartArguments, out: &Sink) -> Result<(), Failure> {
    let StartArguments { config, overrides } = arguments;
    let settings = load(&config, &overrides)?;
    start::run(settings, out).await.map_err(Failure::Ran)
}

fn load(file: &Path, overrides: &Overrides) -> Result<Settings, Failure> {
    let set = std::env::vars_os().filter_map(|(name, value)| {
        Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
    });
    let known = variables(&Cli::command());
    let around = Surroundings::look(known, set, Some(memory::available_bytes()));
    Settings::load(file, overrides, &around).map_err(Failure::Config)
}

/// Lists the variables of the environment that a command or those below it read.
fn variables(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    let own = own.map(|name| name.to_string_lossy().into_owned());
    own.chain(command.get_subcommands().flat_map(variables)).collect()
}

/// Returns the lines for a valid configuration. Its warnings go to `stderr`.
fn check(file: &Path, overrides: &Overrides, stderr: &Sink) -> Result<String, Failure> {
    let settings = load(file, overrides)?;
    if !settings.warnings.is_empty() {
        stderr.line(settings.warnings.render(std::io::stderr().is_terminal()));
    }
    let (layout, core) = (settings.ring.layout(), &settings.core);
    let Listen { redis, peer, http } = settings.listen;
    let address = settings.addresses.get(&settings.node).map_or("", String::as_str);
    let mut text = format!(
        "{} is sound{}: node {} ({}) of cluster {}, which has {} members and keeps {} copies\n",
        file.display(),
        if settings.warnings.is_empty() { "" } else { ", with warnings" },
        settings.name,
        settings.node,
        settings.cluster,
        layout.members.len(),
        layout.copies(),
    );
    text += &format!(
        "  data       {}\n  redis      {redis}\n  peer       {peer}, known to peers as {address}\n  \
         http       {http}\n  quorum     R={} W={} of N={}, {}\n  partitions {}\n",
        settings.data_dir.display(),
        core.read_quorum,
        core.write_quorum,
        layout.copies(),
        match core.mode {
            Mode::Sloppy => "sloppy",
            Mode::Strict => "strict",
        },
        layout.partitions,
    );
    let peers = layout.members.len() - 1;
    let may = descriptors::raise();
    match descriptors::share(&settings.limits, peers, 1, may) {
        Ok(given) => {
            let lowered = descriptors::lowered(&settings.limits, &given);
            if !lowered.is_empty() {
                let lowered = lowered.join(", ");
                text += &format!("  files      {may} may be open here, which lowers {lowered}\n");
            }
        }
        Err(error) => text += &format!("  files      not here: {error}\n"),
    }
    Ok(text)
}

/// Prints a text, however long its reader takes.
fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(Failure::Print),
    }
}
