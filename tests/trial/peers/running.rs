//! A server of somebody else's, running.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::support::{send, wait_for};
use crate::tied::tied;

/// A running server. Killed when it is dropped.
pub(crate) struct RunningServer(Child);

impl RunningServer {
    /// Starts a server whose program is installed; what it says goes to a file.
    pub(crate) fn start(command: Command, log: &Path) -> Self {
        let log = OpenOptions::new().create(true).append(true).open(log);
        let log = log.expect("the folder is ours");
        let also = log.try_clone().expect("a file can be opened twice");
        let mut command = tied(command);
        command.stdin(Stdio::null()).stdout(log).stderr(also);
        Self(command.spawn().expect("it is installed"))
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().expect("it is our child").is_none()
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> ExitStatus {
        send(&self.0, "TERM");
        wait_for("the end of a server", || self.0.try_wait().expect("it is our child"))
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for RunningServer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.0.kill();
        let _ended = self.0.wait();
    }
}
