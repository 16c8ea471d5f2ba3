//! Programs that end with this one, however it ends.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::support::before;

/// Makes the system kill a program when this one is gone, so that nothing stays behind even if this one is
/// killed. Where `setpriv` (of util-linux) is missing, what drops its `Child` still does.
pub(crate) fn tied(command: Command) -> Command {
    static HAS_SETPRIV: OnceLock<bool> = OnceLock::new();
    let has_setpriv = HAS_SETPRIV.get_or_init(|| {
        let mut probe = Command::new("setpriv");
        probe.args(["--pdeathsig", "KILL", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    });
    match has_setpriv {
        true => before(&["setpriv", "--pdeathsig", "KILL"], &command),
        false => command,
    }
}
