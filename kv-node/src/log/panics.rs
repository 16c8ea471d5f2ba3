//! Panics in the log: each is a line like any other, so that it blocks nobody and is found where
//! everything else is.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, PanicHookInfo};
use std::thread;
use std::time::Duration;

use super::Sink;

/// The time for which a thread that panics waits for its line: a second panic would end the
/// process.
const FLUSH: Duration = Duration::from_millis(200);

/// Logs panics from now on.
pub(super) fn log(sink: Sink) {
    panic::set_hook(Box::new(move |info| {
        tell(info);
        sink.flush(FLUSH);
    }));
}

fn tell(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let (thread, message) = (thread.name().unwrap_or("without a name"), message(info));
    let at = info.location().map(ToString::to_string);
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(thread, at, backtrace, "panic: {message}");
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("a value that is no text")
}
