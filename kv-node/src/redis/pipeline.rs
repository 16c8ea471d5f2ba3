//! The order of replies and requests on one connection.
//!
//! In go commands as they come, and the core's replies as they come; out go operations for the
//! core, each under a ticket, and bytes for the client, whose order is that of the commands.
//!
//! Invariants: requests run side by side, but a command that shares a key with an earlier
//! unanswered one waits for it, if either of them writes ([`super::key_locks`]). So a `GET` sees
//! the `SET` before it and not the one behind it, and the session has learned from every earlier
//! reply about a key when the next write to that key is built: that is what keeps a connection's
//! writes in order whichever replicas take them (semantics.md §1). No more than a set number of
//! operations is in the core at once, however many keys a command has. A connection that holds all
//! that it may goes on with its first command alone, and with none while its client takes nothing:
//! so it holds no more than that and one reply.

use std::collections::VecDeque;

use bytes::BytesMut;
use kv_core::client::{ClientOperation, Reply};

use super::connection::{CommandStep, Connection};
use super::key_locks::KeyLocks;
use super::node_info::NodeInfo;
use super::output::Output;
use super::request::{Finished, Request};
use crate::resp::parser::Aftermath;
use crate::resp::{Command, ParseError};

/// The id of an operation within one connection; it comes back with the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipelineTicket {
    command: u64,
    operation: usize,
}

/// An operation for the core, which must be answered once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The ticket, to be given back with the reply.
    pub ticket: PipelineTicket,
    /// The operation for the core.
    pub operation: ClientOperation,
}

/// One connection with all its unanswered commands.
#[derive(Debug)]
pub struct Pipeline {
    connection: Connection,
    key_locks: KeyLocks,
    /// The commands whose replies have not moved to `ready`, in order.
    commands: VecDeque<Pending>,
    /// The number of the first of `commands`.
    first: u64,
    /// The numbers of commands that may run and have more operations to ask for. Some of them may
    /// have ended since.
    runnable: VecDeque<u64>,
    /// The number of operations that the core works on.
    operations: usize,
    /// The bytes in `commands`, including those gathered for their replies.
    held_bytes: usize,
    /// The replies that may be written.
    ready: Output,
    /// True once no more commands are taken.
    ending: bool,
}

#[derive(Debug)]
enum Pending {
    /// The reply waits for those before it.
    Answered(BytesMut),
    /// The command waits for others, or for the core.
    Asking(Asking),
}

#[derive(Debug)]
struct Asking {
    request: Box<Request>,
    /// The index of the next operation to ask for.
    next: usize,
    /// The number of operations that were asked for and not answered.
    unanswered: usize,
    /// The bytes that this command adds to `held_bytes`.
    weight: usize,
}

impl Asking {
    fn new(request: Box<Request>) -> Self {
        let weight = request.weight();
        Self { request, next: 0, unanswered: 0, weight }
    }

    /// Tells whether an operation is still to be asked for.
    const fn has_more(&self) -> bool {
        self.next < self.request.operations() && !self.request.has_failed()
    }

    const fn is_over(&self) -> bool {
        self.unanswered == 0 && !self.has_more()
    }
}

impl Pipeline {
    /// Creates a pipeline without commands.
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            key_locks: KeyLocks::default(),
            commands: VecDeque::new(),
            first: 0,
            runnable: VecDeque::new(),
            operations: 0,
            held_bytes: 0,
            ready: Output::default(),
            ending: false,
        }
    }

    /// The state of the connection.
    pub const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Tells whether another command should be read. If not, there will be room after a reply of
    /// the core, or after the bytes in [`Pipeline::ready`] have been written.
    pub fn has_room(&self) -> bool {
        let settings = self.connection.settings();
        !self.ending && self.commands.len() < settings.commands_max && !self.is_heavy()
    }

    /// The bytes of commands that were not answered yet, of what was gathered for their replies,
    /// and of replies that wait for earlier ones.
    pub const fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Tells whether a command waits for others or for the core.
    pub fn is_working(&self) -> bool {
        !self.commands.is_empty()
    }

    /// The bytes that may be written now. The caller takes what it has written from the front, and
    /// calls [`Pipeline::on_written`].
    pub fn ready(&mut self) -> &mut Output {
        self.ready.settle();
        &mut self.ready
    }

    /// Tells whether the connection holds all that it may.
    fn is_heavy(&self) -> bool {
        self.held_bytes + self.ready.len() >= self.connection.settings().held_bytes_max
    }

    /// Notes that bytes of [`Pipeline::ready`] were written. Appends the next operations to `asks`.
    pub fn on_written(&mut self, asks: &mut Vec<Ask>) {
        self.run(asks);
    }

    /// Tells whether no more output will come: once `ready` is written, the connection is to be
    /// closed.
    pub fn is_over(&self) -> bool {
        self.ending && self.commands.is_empty()
    }

    /// Notes that the client will send no more; commands that it has sent are still answered.
    pub const fn on_end(&mut self) {
        self.ending = true;
    }

    /// Takes the next command of the client. Appends the operations to ask now to `asks`. A command
    /// behind one that ends the connection is ignored.
    pub fn on_command(&mut self, command: &Command, info: &dyn NodeInfo, asks: &mut Vec<Ask>) {
        if self.ending {
            return;
        }
        let mut reply = BytesMut::new();
        let is_first = self.commands.is_empty();
        let out = if is_first { self.ready.tail() } else { &mut reply };
        match self.connection.on_command(command, info, out) {
            CommandStep::Reply if is_first => {}
            CommandStep::Reply => self.push(Pending::Answered(reply)),
            CommandStep::Close => {
                self.ending = true;
                if !is_first {
                    self.push(Pending::Answered(reply));
                }
            }
            CommandStep::Ask(request) => {
                let number = self.first + self.commands.len() as u64;
                if self.key_locks.claim(number, request.keys(), request.access()) {
                    self.runnable.push_back(number);
                }
                self.push(Pending::Asking(Asking::new(request)));
                self.run(asks);
            }
        }
    }

    /// Takes an error of the parser. `begun` holds the first words of a command that was skipped.
    /// If the stream cannot go on, the connection ends.
    pub fn on_parse_error(&mut self, error: ParseError, begun: Option<&Command>) {
        if self.ending {
            return;
        }
        let mut reply = BytesMut::new();
        self.connection.on_parse_error(error, begun, &mut reply);
        self.push(Pending::Answered(reply));
        self.flush();
        match error.aftermath() {
            Aftermath::GoOn => {}
            Aftermath::Close => self.ending = true,
        }
    }

    /// Takes the core's reply to an operation. Appends the next operations to `asks`. A value that
    /// takes more than `room` bytes is not kept: its command fails.
    ///
    /// # Panics
    /// If nothing was asked under this ticket, or it was answered before and its command has ended.
    pub fn on_reply(
        &mut self,
        ticket: PipelineTicket,
        reply: Reply,
        room: usize,
        asks: &mut Vec<Ask>,
    ) {
        let PipelineTicket { command, operation } = ticket;
        let at = self.position(command).expect("a command waits for each of its replies");
        let Pending::Asking(asking) = &mut self.commands[at] else {
            panic!("a command that was answered asks for nothing");
        };
        self.operations -= 1;
        asking.unanswered -= 1;
        let before = asking.request.gathered_bytes();
        self.connection.on_reply(&mut asking.request, operation, reply, room);
        let after = asking.request.gathered_bytes();
        asking.weight = asking.weight + after - before;
        self.held_bytes = self.held_bytes + after - before;
        if asking.is_over() {
            self.finish(at);
        }
        self.run(asks);
    }

    /// Asks for operations of the commands that may run, in their order, while there is room.
    fn run(&mut self, asks: &mut Vec<Ask>) {
        let operations_max = self.connection.settings().operations_max;
        while self.operations < operations_max
            && let Some((number, at)) = self.next_runnable()
        {
            let Pending::Asking(asking) = &mut self.commands[at] else {
                unreachable!("only a command that asks can run");
            };
            let ticket = PipelineTicket { command: number, operation: asking.next };
            let operation = self.connection.operation(&asking.request, asking.next);
            asking.next += 1;
            asking.unanswered += 1;
            self.operations += 1;
            asks.push(Ask { ticket, operation });
        }
    }

    /// Returns the command whose operation is to be asked for next, and its position.
    fn next_runnable(&mut self) -> Option<(u64, usize)> {
        if self.is_heavy() {
            // Nobody is before the first: it waits for no key, and all others wait for it to leave.
            let is_taken = self.ready.len() < self.connection.settings().held_bytes_max;
            return (is_taken && self.has_more(0)).then_some((self.first, 0));
        }
        while let Some(&number) = self.runnable.front() {
            match self.position(number) {
                Some(at) if self.has_more(at) => return Some((number, at)),
                Some(_) | None => self.runnable.pop_front(),
            };
        }
        None
    }

    /// Tells whether an operation of the command at this position is still to be asked for.
    fn has_more(&self, at: usize) -> bool {
        match self.commands.get(at) {
            Some(Pending::Asking(asking)) => asking.has_more(),
            Some(Pending::Answered(_)) | None => false,
        }
    }

    /// Ends a command whose last operation was answered.
    fn finish(&mut self, at: usize) {
        let Pending::Asking(asking) = &mut self.commands[at] else {
            unreachable!("only a command that asked comes to an end");
        };
        let mut reply = BytesMut::new();
        let out = if at == 0 { self.ready.tail() } else { &mut reply };
        self.held_bytes -= asking.weight;
        match asking.request.finish(out) {
            Finished::Again => {
                asking.next = 0;
                asking.weight = asking.request.weight();
                self.held_bytes += asking.weight;
                self.runnable.push_back(self.first + at as u64);
            }
            Finished::Replied => {
                let request = &asking.request;
                self.key_locks.release(request.keys(), request.access(), &mut self.runnable);
                self.held_bytes += reply.len();
                self.commands[at] = Pending::Answered(reply);
                self.flush();
            }
        }
    }

    fn push(&mut self, pending: Pending) {
        self.held_bytes += match &pending {
            Pending::Answered(reply) => reply.len(),
            Pending::Asking(asking) => asking.weight,
        };
        self.commands.push_back(pending);
    }

    /// Moves the replies that need not wait any more to `ready`.
    fn flush(&mut self) {
        while let Some(Pending::Answered(reply)) = self.commands.front_mut() {
            self.held_bytes -= reply.len();
            self.ready.push(std::mem::take(reply));
            self.commands.pop_front();
            self.first += 1;
        }
    }

    fn position(&self, number: u64) -> Option<usize> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        (at < self.commands.len()).then_some(at)
    }
}

#[cfg(test)]
mod tests;
