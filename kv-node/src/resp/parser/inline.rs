//! Inline commands, as people type them: a line is split into words.

use bytes::Bytes;

use super::ParseError;

/// Splits an inline command into words, with quotes as in Redis: within `"` a backslash escapes
/// (`\n \r \t \b \a \xHH`), within `'` it escapes only `'`. A closing quote ends the word.
pub(super) fn words(line: &[u8]) -> Result<Vec<Bytes>, ParseError> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let mut word = Vec::new();
        rest = loop {
            match rest {
                [] => break rest,
                [byte, ..] if byte.is_ascii_whitespace() => break rest,
                [quote @ (b'"' | b'\''), quoted @ ..] => break unquote(*quote, quoted, &mut word)?,
                [byte, after @ ..] => {
                    word.push(*byte);
                    rest = after;
                }
            }
        };
        words.push(Bytes::from(word));
        rest = rest.trim_ascii_start();
    }
    Ok(words)
}

/// Appends to a word what stands between quotes, and returns what follows them.
fn unquote<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], ParseError> {
    loop {
        rest = match (quote, rest) {
            (_, []) => return Err(ParseError::UnbalancedQuotes),
            (_, [byte, after @ ..]) if *byte == quote => {
                let ends = after.first().is_none_or(u8::is_ascii_whitespace);
                return if ends { Ok(after) } else { Err(ParseError::UnbalancedQuotes) };
            }
            (b'"', [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                word.push(16 * hex_digit(*high) + hex_digit(*low));
                after
            }
            (b'"', [b'\\', escaped, after @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                after
            }
            (b'\'', [b'\\', b'\'', after @ ..]) => {
                word.push(b'\'');
                after
            }
            (_, [byte, after @ ..]) => {
                word.push(*byte);
                after
            }
        };
    }
}

/// The value of a digit that is known to be hexadecimal.
fn hex_digit(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        letter => letter.to_ascii_lowercase() - b'a' + 10,
    }
}
