//! A sandbox for what changes the network: namespaces of this program's own, made by starting it again.
//!
//! Inside, the program is the first process of a process namespace, in a network and a mount namespace of its
//! own. It is root there, also where it is not outside. All that it makes (interfaces, further namespaces,
//! processes) exists in there only, and goes with it, however it ends: the system sees to that. If the program
//! outside ends, the one inside does too, as a pipe between them closes.

use std::ffi::OsStr;
use std::io::{ErrorKind, Read as _};
use std::process::{Command, ExitStatus, Stdio};

/// Tells the program that it was started in a sandbox.
const INSIDE: &str = "KV_TRIAL_SANDBOX";

/// What the system must allow and have; what the trial does is of these kinds.
const PROBE: &str = "set -e
    mount -t tmpfs tmpfs /run
    ip link set lo up
    ip link add hub type bridge
    ip netns add probe
    ip link add v0 type veth peer name eth0 netns probe
    ip netns exec probe nft 'add table inet trial; add chain inet trial in { type filter hook input priority 0; }; \
    add rule inet trial in numgen random mod 100 < 30 drop'";

/// Where the program is.
pub(crate) enum Place {
    /// In the sandbox: the trial is to be made.
    Inside,
    /// Outside: the program has been in the sandbox, and ended like this.
    Outside(ExitStatus),
    /// There can be no sandbox here, for this reason.
    NotAllowed(String),
}

/// Starts this program again in a sandbox, with these arguments, and waits for its end; or says that this is the
/// one inside.
///
/// # Panics
/// If the program cannot be started again although a sandbox is allowed.
pub(crate) fn enter(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Place {
    // The name alone could be set by mistake, and then the network of this machine would be changed.
    if std::env::var_os(INSIDE).is_some() && std::process::id() == 1 {
        end_with_the_program_outside();
        return Place::Inside;
    }
    let mut reason = String::new();
    for user in [&[][..], &["--user", "--map-root-user"]] {
        match probe(user) {
            Ok(()) => {
                let program = std::env::current_exe().expect("the program knows its file");
                let mut again = unshared(user);
                again.arg(program).args(arguments).env(INSIDE, "1").stdin(Stdio::piped());
                let mut child = again.spawn().expect("it was just started");
                // `wait` would close the pipe at once.
                let pipe = child.stdin.take();
                let status = child.wait().expect("it is our child");
                drop(pipe);
                return Place::Outside(status);
            }
            Err(why) => reason = why,
        }
    }
    Place::NotAllowed(reason)
}

/// Whether the system allows such a sandbox, and has what is used in it.
fn probe(user: &[&str]) -> Result<(), String> {
    let probed = unshared(user).args(["sh", "-c", PROBE]).stdin(Stdio::null()).output();
    let output = probed.map_err(|error| match error.kind() {
        ErrorKind::NotFound => "there is no `unshare` here".to_owned(),
        _ => error.to_string(),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("it ended without a word").trim().to_owned())
}

/// What starts a command in namespaces of its own.
fn unshared(user: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(user).args(["--net", "--mount", "--pid", "--fork", "--kill-child=KILL"]);
    command.args(["--mount-proc", "--"]);
    // Where `ip` and `nft` are is not on the path of everybody.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command
}

/// Ends this program as soon as the one outside is gone, and with it all that is in the sandbox.
fn end_with_the_program_outside() {
    std::thread::spawn(|| {
        let mut nothing = [0];
        // Nobody writes into the pipe: it can only close.
        while let Ok(1..) = std::io::stdin().read(&mut nothing) {}
        std::process::exit(1);
    });
}
