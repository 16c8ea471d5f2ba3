//! Standard error and standard output, behind a bounded queue and a thread of its own: a writer
//! never waits for the reader, and never fails because there is none.
//!
//! ```text
//!   anybody ─► queue (bounded, never waits) ─► thread ─► the descriptor
//!                │ full: the line is lost             │ refused: the line is lost
//!                └────────► lines_lost() ◄────────────┘
//! ```
//! A pipe that is full and not read blocks this thread and nobody else. When lines can be written
//! again, one of them says how many were lost.
//!
//! This is not `tracing-appender`, because that counts no line that the system refused, can be
//! flushed only by ending it, and prints to standard output (a panic, if that is gone) when it ends
//! on a full queue.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// The number of lines that may wait to be written.
const LINES_MAX: usize = 8_192;

/// The number of bytes that may wait to be written.
const BYTES_MAX: usize = 4 << 20;

/// The time for which a line may wait for a descriptor that is full and does not block.
const FULL_MAX: Duration = Duration::from_secs(1);

/// The pause before a full descriptor is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(10);

/// The number of lines that this process could not write. Standard error belongs to the process,
/// and so does this count, however many nodes run in it.
static LINES_LOST: AtomicU64 = AtomicU64::new(0);

/// Returns the number of lines that this process could not write since it started.
pub fn lines_lost() -> u64 {
    LINES_LOST.load(Ordering::Relaxed)
}

/// A descriptor that is written to by a thread. Clones are the same.
#[derive(Clone, Debug)]
pub struct Sink(Arc<SharedSink>);

#[derive(Debug, Default)]
struct SharedSink {
    state: Mutex<SinkState>,
    /// A signal that a line waits to be written.
    filled: Condvar,
    /// A signal that all lines are written.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct SinkState {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    is_writing: bool,
}

impl Sink {
    /// Opens the standard error of this process. Reports in the log how many lines were lost.
    ///
    /// # Errors
    /// The system has no room for a thread or a descriptor.
    pub fn stderr() -> io::Result<Self> {
        Self::spawn("kv-stderr", duplicate(&io::stderr())?, || {
            let mut told = 0;
            move || {
                let lost = lines_lost();
                if lost > told {
                    let lines = lost - told;
                    tracing::warn!(lines, "lines were lost: standard error did not take them");
                    told = lost;
                }
            }
        })
    }

    /// Opens the standard output of this process.
    ///
    /// # Errors
    /// The system has no room for a thread or a descriptor.
    pub fn stdout() -> io::Result<Self> {
        Self::spawn("kv-stdout", duplicate(&io::stdout())?, || || {})
    }

    /// Starts the thread. `on_written` makes the function that is called after each written line.
    fn spawn<W: Write + Send + 'static, F: FnMut()>(
        name: &str,
        output: W,
        on_written: impl FnOnce() -> F + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(SharedSink::default());
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new().name(name.to_owned());
        thread.spawn(move || write_all(&own, &mut LineOutput::new(output), on_written()))?;
        Ok(Self(shared))
    }

    /// Takes a line, with its end, or a text of several. Never waits: without room it is lost.
    pub fn line(&self, line: impl Into<Vec<u8>>) {
        let line = line.into();
        let mut state = self.0.lock();
        if state.lines.len() >= LINES_MAX || state.bytes + line.len() > BYTES_MAX {
            LINES_LOST.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line);
        self.0.filled.notify_one();
    }

    /// Waits until all lines are written, for so long at most.
    pub fn flush(&self, timeout: Duration) {
        let is_busy = |state: &mut SinkState| state.is_writing || !state.lines.is_empty();
        let waited = self.0.emptied.wait_timeout_while(self.0.lock(), timeout, is_busy);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl SharedSink {
    fn lock(&self) -> MutexGuard<'_, SinkState> {
        // Lines of text: nothing about them can be half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the next line.
    fn next(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_writing = false;
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                return line;
            }
            self.emptied.notify_all();
            state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Runs the thread of a sink. It ends with the process.
fn write_all(
    shared: &SharedSink,
    output: &mut LineOutput<impl Write>,
    mut on_written: impl FnMut(),
) {
    loop {
        match output.write(&shared.next()) {
            Ok(()) => on_written(),
            Err(_) => {
                LINES_LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Duplicates a descriptor without the buffers and locks of `std`, which would block others that
/// print.
fn duplicate(stream: &impl AsFd) -> io::Result<File> {
    Ok(File::from(stream.as_fd().try_clone_to_owned()?))
}

/// A descriptor to which whole lines are written.
struct LineOutput<W> {
    to: W,
    /// True if the last line was written in part.
    is_cut: bool,
}

impl<W: Write> LineOutput<W> {
    const fn new(to: W) -> Self {
        Self { to, is_cut: false }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_cut {
            self.write_bytes(b"\n")?;
            self.is_cut = false;
        }
        self.write_bytes(line)
    }

    fn write_bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let begun = Instant::now();
        let whole = bytes.len();
        while !bytes.is_empty() {
            let error = match self.to.write(bytes) {
                Ok(0) => ErrorKind::WriteZero.into(),
                Ok(count) => {
                    bytes = &bytes[count..];
                    continue;
                }
                Err(error) => error,
            };
            match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock if begun.elapsed() < FULL_MAX => thread::sleep(FULL_PAUSE),
                _ => {
                    self.is_cut |= bytes.len() < whole;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// A line of the log that is being put together.
#[derive(Debug)]
pub struct SinkLine {
    sink: Sink,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = SinkLine;

    fn make_writer(&'a self) -> SinkLine {
        SinkLine { sink: self.clone(), bytes: Vec::new() }
    }
}

impl Write for SinkLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for SinkLine {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            self.sink.line(std::mem::take(&mut self.bytes));
        }
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;

    /// A pipe that takes a line only when somebody reads one.
    struct Pipe {
        written: Sender<Vec<u8>>,
        read: Receiver<()>,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.read.recv().map_err(|_| ErrorKind::BrokenPipe)?;
            self.written.send(bytes.to_vec()).map_err(|_| ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_pipe_that_is_not_read_and_what_finds_no_room_is_counted() {
        let ((written, lines), (reads, read)) = (channel(), channel());
        let sink = Sink::spawn("test", Pipe { written, read }, || || {}).expect("a thread");
        let before = lines_lost();
        for line in 0..LINES_MAX + 10 {
            sink.line(line.to_string());
        }
        sink.flush(Duration::ZERO);
        // The thread may hold one line in its hands.
        assert!((9..=10).contains(&(lines_lost() - before)));
        for line in 0..LINES_MAX {
            reads.send(()).expect("the thread waits");
            assert_eq!(lines.recv().expect("it writes"), line.to_string().into_bytes());
        }
        drop(reads);
        sink.line("lost");
        sink.flush(Duration::from_secs(60));
        assert!(lines_lost() - before > 10, "nobody will ever read it");
    }

    /// Takes so many bytes and then refuses once.
    struct Full(usize, Vec<u8>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.0);
            if count == 0 {
                self.0 = usize::MAX;
                return Err(ErrorKind::StorageFull.into());
            }
            self.0 -= count;
            self.1.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_behind_one_that_was_cut_is_a_line_of_its_own() {
        let mut output = LineOutput::new(Full(3, Vec::new()));
        assert!(output.write(b"first\n").is_err());
        assert!(output.write(b"second\n").is_ok());
        assert!(output.write(b"third\n").is_ok());
        assert_eq!(output.to.1, b"fir\nsecond\nthird\n");
    }
}
