//! Commands out of a stream of bytes: arrays of bulk strings, and inline commands as people type
//! them.
//!
//! In goes a buffer to whose end the caller appends what the socket gives; out come [`Command`]s,
//! whose arguments are slices of that same buffer, taken out of it without a copy. Requests look
//! the same in RESP2 and RESP3.
//!
//! Invariants: what was looked at is not looked at again, however small the pieces are in which it
//! arrives. What is kept of an unfinished command is bounded by [`ParserLimits`], not by what the client
//! announces. There is no nesting, so there is nothing to recurse into.
//!
//! An argument keeps the memory of the read that brought it: who keeps a small one for long copies
//! it.

mod inline;

use std::mem;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use thiserror::Error;

use inline::words;

/// The longest bulk string that Redis itself would take, in bytes. An argument above our own limit
/// is skipped up to this length; a longer one is not waited for.
pub const SKIPPED_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The number of arguments up to which a command with too many is skipped. One that announces more
/// is not waited for, as in Redis.
const SKIPPED_ARGUMENTS_MAX: usize = i32::MAX as usize;

/// The number of words that are kept of a skipped command, if they come first and are no longer
/// than names: enough to see what kind of command it was.
const SKIPPED_WORDS_MAX: usize = 8;
/// The longest word that is kept of a skipped command, in bytes.
const SKIPPED_WORD_BYTES_MAX: usize = 64;

/// The bytes that an argument costs beside its own, while its command is incomplete.
const ARGUMENT_BYTES: usize = size_of::<Bytes>() + size_of::<Range<usize>>();

/// The longest `*<count>` or `$<length>`, without its line break, in bytes. No allowed count is
/// longer.
const HEADER_BYTES_MAX: usize = 21;

/// The limits on the memory that one client may take before a command is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParserLimits {
    /// The number of arguments of one command, its name included.
    pub arguments_max: usize,
    /// The bytes of one argument. Above the largest value that the store takes, so that a value
    /// which is a little too long is refused by the store, in its words.
    pub argument_bytes_max: usize,
    /// The bytes of all arguments of one command together, with the overhead of each.
    pub command_bytes_max: usize,
    /// The bytes of one inline command.
    pub inline_bytes_max: usize,
}

/// One command. It always has a name, which may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    words: Vec<Bytes>,
}

/// The reason why the input holds no command. Nothing was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// One argument is longer than is allowed. It was skipped, and its command with it.
    #[error("argument {index} has {bytes} bytes; at most {max} are taken. Nothing was done")]
    ArgumentTooLong {
        /// The number of the argument, where the name of the command is 0.
        index: usize,
        /// The length of the argument, in bytes.
        bytes: usize,
        /// The greatest length that is allowed.
        max: usize,
    },
    /// All arguments together are longer than is allowed. The command was skipped.
    #[error(
        "the command has more than {max} bytes, with {overhead} for each argument. Nothing was done: \
         send it in parts",
        overhead = ARGUMENT_BYTES
    )]
    CommandTooLong {
        /// The greatest sum of lengths that is allowed, in bytes.
        max: usize,
    },
    /// More arguments were announced than are allowed. The command was skipped.
    #[error(
        "the command has {count} arguments; at most {max} are taken (limits.arguments). Nothing was \
         done: send it in parts"
    )]
    TooManyArguments {
        /// The number of arguments that was announced.
        count: usize,
        /// The greatest number of arguments that is allowed.
        max: usize,
    },
    /// `*` is not followed by a number and a line break.
    #[error("Protocol error: invalid multibulk length: expected `*<count>` and CR LF")]
    ArrayHeader,
    /// `$` is not followed by a length that makes sense and a line break.
    #[error("Protocol error: invalid bulk length: expected `$<bytes>` and CR LF")]
    BulkHeader,
    /// An element of a command is not a bulk string.
    #[error("Protocol error: expected '$', got '{}'", .found.escape_ascii())]
    NotBulk {
        /// The byte in place of `$`.
        found: u8,
    },
    /// A bulk string is not followed by a line break: its length is wrong.
    #[error("Protocol error: expected CR LF after {bytes} bytes of a bulk string")]
    BulkEnd {
        /// The length that was announced.
        bytes: usize,
    },
    /// An inline command is longer than is allowed.
    #[error("Protocol error: too big inline request: a line has at most {max} bytes")]
    InlineTooLong {
        /// The longest line that is allowed, in bytes.
        max: usize,
    },
    /// A quote in an inline command is not closed, or something follows it at once.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
}

/// The fate of a connection after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aftermath {
    /// The start of the next command is known: go on.
    GoOn,
    /// The start of the next command is unknown: reply with the error and close.
    Close,
}

/// A parser of one client's stream.
#[derive(Debug)]
pub struct Parser {
    limits: ParserLimits,
    state: ParserState,
    /// The arguments of the unfinished command that have left the input already.
    words: Vec<Bytes>,
    /// The ranges of the arguments that are still in the input. Empty between two calls.
    found: Vec<Range<usize>>,
    /// The bytes of all arguments of the unfinished command.
    command_bytes: usize,
    /// The bytes that were taken out of the input for the arguments that are kept.
    taken_bytes: usize,
    /// The error by which the unfinished command will be refused, if it will: from then on only its
    /// first words are kept.
    refused: Option<ParseError>,
    /// The first words of the command that was refused last.
    skipped: Vec<Bytes>,
    /// The bytes at the front of the input in which there is no line break.
    searched: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParserState {
    /// The parser is between two commands.
    Start,
    /// The parser is before the header of the next argument.
    Header(Progress),
    /// The parser is before an argument of so many bytes and its line break.
    Bulk(Progress, usize),
    /// The parser is within an argument of which so many bytes are still to be dropped.
    Skip(Progress, usize),
    /// The parser is behind the last byte of a dropped argument, before its line break.
    Skipped(Progress),
    /// The stream cannot be understood any more.
    Broken(ParseError),
}

/// The position of the parser in the arguments of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    /// The index of the next argument.
    index: usize,
    /// The number of arguments.
    count: usize,
}

/// The result of one look at the input.
enum Found {
    /// A part was taken, and there may be more.
    Part,
    /// The input ends too early.
    NotEnough,
    /// A command is complete.
    Complete,
    /// An inline command is complete.
    Inline(Vec<Bytes>),
}

impl Default for ParserLimits {
    fn default() -> Self {
        Self {
            arguments_max: 1024 * 1024,
            argument_bytes_max: 64 * 1024 * 1024,
            command_bytes_max: 256 * 1024 * 1024,
            inline_bytes_max: 64 * 1024,
        }
    }
}

impl Command {
    /// Creates a command of these words; `None`, if there are no words.
    pub fn new(words: Vec<Bytes>) -> Option<Self> {
        (!words.is_empty()).then_some(Self { words })
    }

    /// The command's name, its first word.
    pub fn name(&self) -> &Bytes {
        &self.words[0]
    }

    /// The arguments, the words after the first.
    pub fn arguments(&self) -> &[Bytes] {
        &self.words[1..]
    }
}

impl ParseError {
    /// Tells whether the stream can go on.
    pub const fn aftermath(&self) -> Aftermath {
        match self {
            Self::ArgumentTooLong { .. }
            | Self::CommandTooLong { .. }
            | Self::TooManyArguments { .. } => Aftermath::GoOn,
            Self::ArrayHeader
            | Self::BulkHeader
            | Self::NotBulk { .. }
            | Self::BulkEnd { .. }
            | Self::InlineTooLong { .. }
            | Self::UnbalancedQuotes => Aftermath::Close,
        }
    }
}

impl Parser {
    /// Creates a parser at the beginning of a stream.
    pub const fn new(limits: ParserLimits) -> Self {
        Self {
            limits,
            state: ParserState::Start,
            words: Vec::new(),
            found: Vec::new(),
            command_bytes: 0,
            taken_bytes: 0,
            refused: None,
            skipped: Vec::new(),
            searched: 0,
        }
    }

    /// The bytes of memory that the arguments of an unfinished command take, without those left in
    /// the input.
    pub const fn held_bytes(&self) -> usize {
        self.taken_bytes + self.words.capacity() * size_of::<Bytes>()
    }

    /// Takes the next command, if the input holds all of it. Removes the part that it has
    /// understood from the front of the input; the rest must be there again, with more behind it,
    /// in the next call.
    ///
    /// [`ParseError`]; its aftermath tells whether the next call goes on with the next command.
    /// Else every further call returns the same error.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Command>, ParseError> {
        let mut at = 0;
        loop {
            match self.look(input, &mut at) {
                Ok(Found::Part) => {}
                Ok(Found::NotEnough) => {
                    self.take(input, at);
                    return Ok(None);
                }
                Ok(Found::Inline(words)) => {
                    self.take(input, at);
                    return Ok(Some(Command { words }));
                }
                Ok(Found::Complete) => {
                    self.take(input, at);
                    self.state = ParserState::Start;
                    self.command_bytes = 0;
                    self.taken_bytes = 0;
                    let words = mem::take(&mut self.words);
                    return match self.refused.take() {
                        Some(refused) => {
                            self.skipped = words;
                            Err(refused)
                        }
                        None => Ok(Some(Command { words })),
                    };
                }
                Err(error) => {
                    *self = Self { state: ParserState::Broken(error), ..Self::new(self.limits) };
                    return Err(error);
                }
            }
        }
    }

    /// Takes the first words of the command that the last error skipped. `None`, if the first of
    /// them was too long for any name, or if no command was skipped.
    pub fn take_skipped(&mut self) -> Option<Command> {
        Command::new(mem::take(&mut self.skipped))
    }

    /// Removes the part that was understood from the input, and keeps the arguments in it.
    fn take(&mut self, input: &mut BytesMut, at: usize) {
        if self.found.is_empty() {
            return input.advance(at);
        }
        let taken = input.split_to(at).freeze();
        let is_refused = self.refused.is_some();
        self.taken_bytes += if is_refused { 0 } else { at };
        self.words.extend(self.found.drain(..).map(|range| {
            if is_refused { Bytes::copy_from_slice(&taken[range]) } else { taken.slice(range) }
        }));
    }

    /// Looks once at the input behind `at`, and moves `at` over the part that was understood.
    fn look(&mut self, input: &[u8], at: &mut usize) -> Result<Found, ParseError> {
        let rest = &input[*at..];
        match self.state {
            ParserState::Broken(error) => Err(error),
            ParserState::Start => match rest.first() {
                None => Ok(Found::NotEnough),
                Some(b'*') => self.look_at_array(rest, at),
                Some(_) => self.look_at_line(rest, at),
            },
            ParserState::Header(progress) => match rest.first() {
                None => Ok(Found::NotEnough),
                Some(b'$') => self.look_at_header(rest, at, progress),
                Some(&found) => Err(ParseError::NotBulk { found }),
            },
            ParserState::Bulk(progress, bytes) => self.look_at_bulk(rest, at, progress, bytes),
            ParserState::Skip(progress, left) => {
                let skipped = left.min(rest.len());
                *at += skipped;
                self.state = match left - skipped {
                    0 => ParserState::Skipped(progress),
                    left => ParserState::Skip(progress, left),
                };
                Ok(if skipped < left { Found::NotEnough } else { Found::Part })
            }
            ParserState::Skipped(progress) => self.look_at_end(rest, at, progress, 0),
        }
    }

    fn look_at_array(&mut self, rest: &[u8], at: &mut usize) -> Result<Found, ParseError> {
        let Some((count, length)) = header(rest).map_err(|Malformed| ParseError::ArrayHeader)?
        else {
            return Ok(Found::NotEnough);
        };
        *at += length;
        let max = self.limits.arguments_max;
        match usize::try_from(count) {
            // Redis passes over commands of no words.
            Ok(0) | Err(_) => return Ok(Found::Part),
            Ok(count) if count > SKIPPED_ARGUMENTS_MAX => return Err(ParseError::ArrayHeader),
            Ok(count) => {
                self.refused = (count > max).then_some(ParseError::TooManyArguments { count, max });
                self.state = ParserState::Header(Progress { index: 0, count });
            }
        }
        Ok(Found::Part)
    }

    fn look_at_header(
        &mut self,
        rest: &[u8],
        at: &mut usize,
        progress: Progress,
    ) -> Result<Found, ParseError> {
        let Some((bytes, length)) = header(rest).map_err(|Malformed| ParseError::BulkHeader)?
        else {
            return Ok(Found::NotEnough);
        };
        let bytes = usize::try_from(bytes).ok().filter(|&bytes| bytes <= SKIPPED_BYTES_MAX);
        let bytes = bytes.ok_or(ParseError::BulkHeader)?;
        *at += length;
        self.command_bytes = self.command_bytes.saturating_add(bytes + ARGUMENT_BYTES);
        if self.refused.is_none() {
            self.refused = self.refusal(progress.index, bytes);
            if self.refused.is_some() {
                self.taken_bytes = 0;
                self.keep_first_words();
            }
        }
        let is_kept = match self.refused {
            None => true,
            Some(_) => {
                // Only as long as no word is missing before it.
                progress.index == self.words.len() + self.found.len()
                    && progress.index < SKIPPED_WORDS_MAX
                    && bytes <= SKIPPED_WORD_BYTES_MAX
            }
        };
        self.state = if is_kept {
            ParserState::Bulk(progress, bytes)
        } else {
            ParserState::Skip(progress, bytes)
        };
        Ok(Found::Part)
    }

    /// Drops the arguments of a command that was refused, but for the first few. These are copied,
    /// since a slice of a read would keep all of it.
    fn keep_first_words(&mut self) {
        let is_short = |bytes: usize| bytes <= SKIPPED_WORD_BYTES_MAX;
        let words = mem::take(&mut self.words);
        let short = words.iter().take(SKIPPED_WORDS_MAX).take_while(|word| is_short(word.len()));
        self.words = short.map(|word| Bytes::copy_from_slice(word)).collect();
        let room = SKIPPED_WORDS_MAX - self.words.len();
        let room = if self.words.len() == words.len() { room } else { 0 };
        let found = mem::take(&mut self.found).into_iter().take(room);
        self.found = found.take_while(|range| is_short(range.len())).collect();
    }

    /// Returns the error for a command with this argument, if it cannot be taken.
    fn refusal(&self, index: usize, bytes: usize) -> Option<ParseError> {
        let ParserLimits { argument_bytes_max, command_bytes_max, .. } = self.limits;
        if bytes > argument_bytes_max {
            return Some(ParseError::ArgumentTooLong { index, bytes, max: argument_bytes_max });
        }
        (self.command_bytes > command_bytes_max)
            .then_some(ParseError::CommandTooLong { max: command_bytes_max })
    }

    fn look_at_bulk(
        &mut self,
        rest: &[u8],
        at: &mut usize,
        progress: Progress,
        bytes: usize,
    ) -> Result<Found, ParseError> {
        let begun = *at;
        let found = self.look_at_end(rest, at, progress, bytes)?;
        match found {
            Found::NotEnough => {}
            Found::Part | Found::Complete => self.found.push(begun..begun + bytes),
            Found::Inline(_) => unreachable!("no line is looked for"),
        }
        Ok(found)
    }

    /// Looks for the line break behind an argument whose last bytes these are.
    fn look_at_end(
        &mut self,
        rest: &[u8],
        at: &mut usize,
        Progress { index, count }: Progress,
        bytes: usize,
    ) -> Result<Found, ParseError> {
        let Some(end) = rest.get(bytes..bytes + 2) else { return Ok(Found::NotEnough) };
        if end != b"\r\n" {
            return Err(ParseError::BulkEnd { bytes });
        }
        *at += bytes + 2;
        self.state = ParserState::Header(Progress { index: index + 1, count });
        Ok(if index + 1 == count { Found::Complete } else { Found::Part })
    }

    fn look_at_line(&mut self, rest: &[u8], at: &mut usize) -> Result<Found, ParseError> {
        let max = self.limits.inline_bytes_max;
        let Some(end) = memchr(b'\n', &rest[self.searched..]) else {
            self.searched = rest.len();
            let too_long = self.searched > max;
            return if too_long {
                Err(ParseError::InlineTooLong { max })
            } else {
                Ok(Found::NotEnough)
            };
        };
        let end = mem::take(&mut self.searched) + end;
        if end > max {
            return Err(ParseError::InlineTooLong { max });
        }
        let line = &rest[..end];
        let words = words(line.strip_suffix(b"\r").unwrap_or(line))?;
        *at += end + 1;
        Ok(if words.is_empty() { Found::Part } else { Found::Inline(words) })
    }
}

/// An error: the header is malformed.
struct Malformed;

/// Reads the number in a header such as `*3`, and the length of the header with its line break.
/// `None` if its end has not come yet.
fn header(rest: &[u8]) -> Result<Option<(i64, usize)>, Malformed> {
    let within = &rest[..rest.len().min(HEADER_BYTES_MAX + 2)];
    let Some(end) = memchr(b'\n', within) else {
        return if within.len() < HEADER_BYTES_MAX + 2 { Ok(None) } else { Err(Malformed) };
    };
    let digits = rest[1..end].strip_suffix(b"\r").ok_or(Malformed)?;
    Ok(Some((number(digits).ok_or(Malformed)?, end + 1)))
}

/// Reads a decimal number, written plainly.
fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number = number.checked_mul(10)?.checked_add(digit)?;
    }
    Some(if negative { -number } else { number })
}

#[cfg(test)]
mod tests;
