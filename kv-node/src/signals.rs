//! The signals of the process: two end it, and most others must not.
//!
//! | signal | what happens |
//! |---|---|
//! | SIGTERM, SIGINT (ctrl-C) | the node stops; a second one ends it at once |
//! | SIGHUP | is logged: there is nothing to reload |
//! | SIGUSR1, SIGUSR2, timers, limits, real-time signals | are logged and ignored; by default each of them ends a process |
//! | SIGPIPE | is ignored, as in every Rust program: a write says that the pipe is broken |
//! | SIGQUIT, SIGABRT and those of faults | end the process with a core dump, if the system keeps any |
//! | SIGTSTP, SIGSTOP, SIGCONT | stop the process and let it go on |

use std::io;
use std::task::{Context, Poll};

use rustix::process::Signal as Number;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end a node.
const ENDING: &[(Number, &str)] = &[(Number::TERM, "SIGTERM"), (Number::INT, "ctrl-C")];

/// The signals that would end a process that does not listen to them.
const IGNORED: &[(Number, &str)] = &[
    (Number::HUP, "SIGHUP"),
    (Number::USR1, "SIGUSR1"),
    (Number::USR2, "SIGUSR2"),
    (Number::ALARM, "SIGALRM"),
    (Number::VTALARM, "SIGVTALRM"),
    (Number::PROF, "SIGPROF"),
    // A file has reached the limit of its size: the write fails too, and says so.
    (Number::XFSZ, "SIGXFSZ"),
    (Number::XCPU, "SIGXCPU"),
    #[cfg(target_os = "linux")]
    (Number::IO, "SIGIO"),
    #[cfg(target_os = "linux")]
    (Number::POWER, "SIGPWR"),
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    (Number::STKFLT, "SIGSTKFLT"),
];

/// The real-time signals: they mean what programs agree upon, and none does with this one. The C
/// library keeps those below for itself.
#[cfg(target_os = "linux")]
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

/// A listener for all signals whose default is replaced.
#[derive(Debug)]
pub struct Signals {
    ending: Vec<(&'static str, Signal)>,
    ignored: Vec<(&'static str, Signal)>,
}

impl Signals {
    /// Begins to listen: from now on no such signal ends the process by itself.
    ///
    /// # Errors
    /// The system refuses.
    pub fn listen() -> io::Result<Self> {
        let mut ignored = listen_to(IGNORED)?;
        #[cfg(target_os = "linux")]
        for number in REAL_TIME {
            ignored.push(("a real-time signal", signal(SignalKind::from_raw(number))?));
        }
        Ok(Self { ending: listen_to(ENDING)?, ignored })
    }

    /// Returns the name of the next signal that ends the node.
    pub async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<&'static str> {
        for (name, signal) in &mut self.ignored {
            while signal.poll_recv(context).is_ready() {
                log_ignored(name);
            }
        }
        for (name, signal) in &mut self.ending {
            if signal.poll_recv(context).is_ready() {
                return Poll::Ready(name);
            }
        }
        Poll::Pending
    }
}

fn listen_to(signals: &[(Number, &'static str)]) -> io::Result<Vec<(&'static str, Signal)>> {
    let listen = |&(number, name): &(Number, &'static str)| {
        Ok((name, signal(SignalKind::from_raw(number.as_raw()))?))
    };
    signals.iter().map(listen).collect()
}

fn log_ignored(name: &str) {
    if name == "SIGHUP" {
        tracing::info!(
            "{name}: there is nothing to reload; a changed configuration needs a restart"
        );
    } else {
        tracing::info!("{name}: ignored; SIGTERM stops this node");
    }
}
