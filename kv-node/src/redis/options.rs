//! The options behind the key of a command and their values, as clients write them.

use bytes::Bytes;
use kv_core::client::Options;
use kv_core::config::Config;
use kv_core::quorum::{Level, Mode};
use kv_core::types::RequestId;

use super::error::{CommandError, quote};
use crate::nearest::nearest;

/// The versions that a write overwrites, in the words of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum GivenContext {
    /// The versions that the replica which takes the write holds, and those that the connection has
    /// seen.
    #[default]
    Latest,
    /// The versions that this token covers.
    Token(Bytes),
    /// No version: the write becomes a sibling.
    Nothing,
}

/// An option of the commands that begin with `KV.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// `R level`: the read level.
    Read,
    /// `W level`: the write level.
    Write,
    /// `MODE mode`: sloppy or strict.
    Mode,
    /// `TIMEOUT ms`: the time-out in milliseconds.
    Timeout,
    /// `MONOTONIC`: no later read may be older.
    Monotonic,
    /// `CONTEXT token`: the write overwrites what the token covers.
    Context,
    /// `NONE`: the write overwrites nothing.
    NoContext,
    /// `REQUEST hex`: the client's id of the request.
    Request,
}

/// The options that a command gives.
#[derive(Clone, Debug, Default)]
pub(crate) struct GivenOptions {
    /// The options of the request.
    pub(crate) options: Options,
    /// The versions that a write overwrites.
    pub(crate) basis: GivenContext,
}

impl Word {
    /// The option as clients write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Read => "R",
            Self::Write => "W",
            Self::Mode => "MODE",
            Self::Timeout => "TIMEOUT",
            Self::Monotonic => "MONOTONIC",
            Self::Context => "CONTEXT",
            Self::NoContext => "NONE",
            Self::Request => "REQUEST",
        }
    }

    /// The values that the option takes, in words; `None`, if it stands alone.
    fn takes(self) -> Option<String> {
        match self {
            Self::Read | Self::Write => Some(
                "a number of copies from 1 to 255, or one of one, quorum, all, local_quorum, \
                 each_quorum"
                    .to_owned(),
            ),
            Self::Mode => Some("sloppy or strict".to_owned()),
            Self::Timeout => {
                let (min, max) = timeout_range();
                Some(format!("a number of milliseconds from {min} to {max}"))
            }
            Self::Context => Some("a context token, as a reply gave it".to_owned()),
            Self::Request => Some("an id of 1 to 32 hexadecimal digits".to_owned()),
            Self::Monotonic | Self::NoContext => None,
        }
    }

    fn bad_value(self, found: &[u8]) -> CommandError {
        let expected = self.takes().unwrap_or_default();
        CommandError::BadValue { option: self.name(), expected, found: quote(found) }
    }
}

/// Reads the options behind a command. `defaults` are those of the connection, and stand where the
/// command gives none.
///
/// # Errors
/// An option that is not among `allowed`, or twice there, or without a value that it takes.
pub(crate) fn said(
    command: &'static str,
    words: &[Bytes],
    allowed: &[Word],
    defaults: &Options,
) -> Result<GivenOptions, CommandError> {
    let mut said = GivenOptions { options: defaults.clone(), basis: GivenContext::Latest };
    for (word, value) in pairs(command, words, allowed)? {
        let options = &mut said.options;
        match word {
            Word::Read => options.read = Some(level(word, value)?),
            Word::Write => options.write = Some(level(word, value)?),
            Word::Mode => options.mode = Some(mode(value)?),
            Word::Timeout => options.timeout_ms = Some(timeout_ms(value)?),
            Word::Monotonic => options.monotonic = Some(true),
            Word::Request => options.request = Some(request(value)?),
            Word::Context => {
                said.basis =
                    GivenContext::Token(from_hex(value).ok_or(CommandError::ContextEncoding)?);
            }
            Word::NoContext => said.basis = GivenContext::Nothing,
        }
    }
    Ok(said)
}

/// Splits the options behind a command into pairs; an option that stands alone has an empty value.
///
/// # Errors
/// An option that is not among `allowed`, or twice there, or without a value.
pub(crate) fn pairs<'a>(
    command: &'static str,
    words: &'a [Bytes],
    allowed: &[Word],
) -> Result<Vec<(Word, &'a [u8])>, CommandError> {
    let mut pairs: Vec<(Word, &[u8])> = Vec::new();
    let mut words = words.iter();
    while let Some(written) = words.next() {
        let named = |word: &&Word| word.name().as_bytes().eq_ignore_ascii_case(written);
        let Some(&word) = allowed.iter().find(named) else {
            let option = quote(written);
            let nearest = nearest(&option, allowed.iter().map(|word| word.name()));
            return Err(CommandError::UnknownOption { command, option, nearest });
        };
        if pairs.iter().any(|&(other, _)| other == word) {
            return Err(CommandError::Conflict("an option is given twice"));
        }
        let value = match word.takes() {
            None => &[][..],
            Some(expected) => {
                words.next().ok_or(CommandError::MissingValue { option: word.name(), expected })?
            }
        };
        pairs.push((word, value));
    }
    let has = |word| pairs.iter().any(|&(other, _)| other == word);
    if has(Word::Context) && has(Word::NoContext) {
        return Err(CommandError::Conflict("CONTEXT and NONE exclude each other"));
    }
    Ok(pairs)
}

/// Reads the level that is written as `value` behind `word`.
pub(crate) fn level(word: Word, value: &[u8]) -> Result<Level, CommandError> {
    const NAMES: [(&str, Level); 5] = [
        ("one", Level::One),
        ("quorum", Level::Quorum),
        ("all", Level::All),
        ("local_quorum", Level::LocalQuorum),
        ("each_quorum", Level::EachQuorum),
    ];
    let named = NAMES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(value));
    let level = named.map(|&(_, level)| level).or_else(|| number(value).map(Level::Count));
    level.ok_or_else(|| word.bad_value(value))
}

/// Writes a level as clients write it.
pub(crate) fn level_name(level: Level) -> String {
    match level {
        Level::Count(count) => count.to_string(),
        Level::One => "one".to_owned(),
        Level::Quorum => "quorum".to_owned(),
        Level::All => "all".to_owned(),
        Level::LocalQuorum => "local_quorum".to_owned(),
        Level::EachQuorum => "each_quorum".to_owned(),
    }
}

/// Reads the mode that is written as `value`.
pub(crate) fn mode(value: &[u8]) -> Result<Mode, CommandError> {
    [Mode::Sloppy, Mode::Strict]
        .into_iter()
        .find(|&mode| mode_name(mode).as_bytes().eq_ignore_ascii_case(value))
        .ok_or_else(|| Word::Mode.bad_value(value))
}

/// The name of a mode as clients write it.
pub(crate) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Sloppy => "sloppy",
        Mode::Strict => "strict",
    }
}

/// Reads the time-out that is written as `value`, in milliseconds.
pub(crate) fn timeout_ms(value: &[u8]) -> Result<u64, CommandError> {
    let (min, max) = timeout_range();
    let ms = number(value).filter(|ms| (min..=max).contains(ms));
    ms.ok_or_else(|| Word::Timeout.bad_value(value))
}

/// The least and the greatest `timeout_ms` of the configuration.
fn timeout_range() -> (u64, u64) {
    let knob = Config::KNOBS.iter().find(|knob| knob.name == "timeout_ms");
    let knob = knob.expect("the configuration has a time-out");
    (knob.min, knob.max)
}

fn request(value: &[u8]) -> Result<RequestId, CommandError> {
    let digits = str::from_utf8(value).ok().filter(|_| value.iter().all(u8::is_ascii_hexdigit));
    let id = digits.and_then(|digits| u128::from_str_radix(digits, 16).ok());
    id.map(RequestId).ok_or_else(|| Word::Request.bad_value(value))
}

/// Reads a number written in plain digits.
pub(crate) fn number<T: std::str::FromStr>(value: &[u8]) -> Option<T> {
    let digits = str::from_utf8(value).ok().filter(|_| value.iter().all(u8::is_ascii_digit))?;
    digits.parse().ok()
}

/// Encodes bytes that clients must pass back, in hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |number: u8| DIGITS[usize::from(number)];
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Decodes bytes that a client passes back, from hexadecimal.
fn from_hex(digits: &[u8]) -> Option<Bytes> {
    let number = |digit: u8| char::from(digit).to_digit(16);
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let byte = |&[high, low]: &[u8; 2]| u8::try_from(16 * number(high)? + number(low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Word; 8] = [
        Word::Read,
        Word::Write,
        Word::Mode,
        Word::Timeout,
        Word::Monotonic,
        Word::Context,
        Word::NoContext,
        Word::Request,
    ];

    fn say(text: &'static str) -> Result<GivenOptions, CommandError> {
        let words: Vec<Bytes> = text.split_whitespace().map(Bytes::from).collect();
        said("kv.get", &words, &ALL, &Options::default())
    }

    #[test]
    fn options_come_in_any_order_and_case() {
        let said = say("mode STRICT w 2 R quorum TIMEOUT 50 monotonic request ff context 00fF");
        let GivenOptions { options, basis } = said.expect("they are all known");
        let expected = Options {
            read: Some(Level::Quorum),
            write: Some(Level::Count(2)),
            mode: Some(Mode::Strict),
            timeout_ms: Some(50),
            monotonic: Some(true),
            request: Some(RequestId(255)),
        };
        assert_eq!(options, expected);
        assert_eq!(basis, GivenContext::Token(Bytes::from_static(&[0, 255])));
        assert_eq!(say("NONE").expect("it is known").basis, GivenContext::Nothing);
    }

    #[test]
    fn what_is_wrong_with_an_option_is_said() {
        let cases = [
            ("R", "ERR syntax error: R is followed by a number of copies"),
            ("R 256", "ERR R takes a number of copies from 1 to 255, or one of"),
            ("W some", "ERR W takes a number of copies"),
            ("MODE loose", "ERR MODE takes sloppy or strict, not 'loose'"),
            ("TIMEOUT 9", "ERR TIMEOUT takes a number of milliseconds from 10 to 60000, not '9'"),
            ("TIMEOUT +99", "ERR TIMEOUT takes"),
            ("REQUEST xyz", "ERR REQUEST takes an id of 1 to 32 hexadecimal digits, not 'xyz'"),
            ("REQUEST 111111111111111111111111111111111", "ERR REQUEST takes an id"),
            ("R 1 R 2", "ERR syntax error: an option is given twice"),
            ("CONTEXT 00 NONE", "ERR syntax error: CONTEXT and NONE exclude"),
            ("CONTEXT 0", "CONTEXT the context token is corrupt"),
            ("CONTEXT 0g", "CONTEXT the context token is corrupt"),
            (
                "TIMEOT 50",
                "ERR syntax error: 'kv.get' has no option 'TIMEOT'; did you mean TIMEOUT?",
            ),
        ];
        for (text, expected) in cases {
            let error = say(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_token_passes_through_a_client_and_comes_back() {
        let token: Vec<u8> = (0..=255).collect();
        assert_eq!(from_hex(&to_hex(&token)), Some(Bytes::from(token)));
    }
}
