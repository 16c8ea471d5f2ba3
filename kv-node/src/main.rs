//! The real node. It is not built yet: this binary says so instead of pretending.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!(
        "kv-node is not built yet. The same core already runs in the simulator:\n\n    \
         cargo run --release -p kv-sim -- --scenario partition.toml\n"
    );
    ExitCode::from(2)
}
