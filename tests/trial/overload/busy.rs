//! Processes that take all of a core that they get.

use std::path::Path;
use std::process::Command;

use crate::peers::RunningServer;

/// Starts so many of them. They end when they are dropped.
pub(super) fn busy_processes(count: u16, folder: &Path) -> Vec<RunningServer> {
    let start = |_| {
        let mut command = Command::new("sh");
        command.args(["-c", "while :; do :; done"]);
        RunningServer::start(command, &folder.join("busy.log"))
    };
    (0..count).map(start).collect()
}
