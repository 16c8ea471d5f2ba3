//! The Redis protocol, as far as a load speaks it.

use std::io;

use super::protocol::{LoadOperation, LoadStep, Often, Request, Verdict, Words};
use super::values::Values;
use crate::support::command;

/// Of a wrong answer so many bytes are shown.
const SHOWN_MAX: usize = 200;

/// Appends an operation, and the command that waits for replicas where one is due.
pub(super) fn encode(
    operation: &LoadOperation,
    wait: Option<(Words, Often)>,
    values: &Values,
    output: &mut Vec<u8>,
) {
    if operation.step == LoadStep::Waiting {
        output.extend(wait.map(|(words, _)| command(words)).unwrap_or_default());
        return;
    }
    let name = operation.key_name();
    match operation.request {
        Request::Get => write_words(&[b"GET", name.as_bytes()], output),
        Request::Set => {
            write_words(&[b"SET", name.as_bytes(), values.of(operation.key)], output);
            if let Some(wait) = waits(operation, wait) {
                output.extend(command(wait));
            }
        }
    }
}

/// What the answers to an operation and to what waits say, and how long they are; none before all is there.
pub(super) fn decode(
    operation: &LoadOperation,
    wait: Option<(Words, Often)>,
    values: &Values,
    bytes: &[u8],
) -> io::Result<Option<(Verdict, usize)>> {
    let Some((reply, length)) = parse(bytes)? else { return Ok(None) };
    let said = &bytes[..length];
    if operation.step == LoadStep::Waiting {
        return Ok(Some((judge(has_waited(&reply), &reply, said), length)));
    }
    let is_right = match operation.request {
        Request::Get => {
            let value = values.of(operation.key);
            reply == Reply::Bulk && said.strip_suffix(b"\r\n").is_some_and(|it| it.ends_with(value))
        }
        Request::Set => reply == Reply::Status,
    };
    let verdict = judge(is_right, &reply, said);
    if waits(operation, wait).is_none() {
        return Ok(Some((verdict, length)));
    }
    let Some((reply, more)) = parse(&bytes[length..])? else { return Ok(None) };
    let verdict = match verdict {
        Verdict::Right => judge(has_waited(&reply), &reply, &bytes[length..][..more]),
        other => other,
    };
    Ok(Some((verdict, length + more)))
}

/// Whether at least one of each is there: a replica, or for WAITAOF a local sync and a replica.
fn has_waited(reply: &Reply) -> bool {
    match reply {
        Reply::Integers(counts) => counts.iter().all(|count| *count >= 1),
        Reply::Status | Reply::Error | Reply::Bulk => false,
    }
}

fn judge(is_right: bool, reply: &Reply, said: &[u8]) -> Verdict {
    if is_right {
        return Verdict::Right;
    }
    let text = String::from_utf8_lossy(&said[..said.len().min(SHOWN_MAX)]);
    match reply {
        Reply::Error => {
            let code = text.trim_start_matches('-').split_whitespace().next();
            Verdict::Refused(code.unwrap_or_default().to_owned())
        }
        Reply::Status | Reply::Integers(_) | Reply::Bulk => Verdict::Wrong(format!("{text:?}")),
    }
}

fn waits(operation: &LoadOperation, wait: Option<(Words, Often)>) -> Option<Words> {
    let (words, often) = wait.filter(|_| operation.request == Request::Set)?;
    let is_due = match often {
        Often::Request => true,
        Often::Pipeline => operation.is_last,
        Often::Answers => false,
    };
    is_due.then_some(words)
}

fn write_words(words: &[&[u8]], output: &mut Vec<u8>) {
    let mut number = itoa::Buffer::new();
    let mut head = |kind: u8, count: usize, output: &mut Vec<u8>| {
        output.push(kind);
        output.extend(number.format(count).as_bytes());
        output.extend(b"\r\n");
    };
    head(b'*', words.len(), output);
    for word in words {
        head(b'$', word.len(), output);
        output.extend(*word);
        output.extend(b"\r\n");
    }
}

/// A reply, as far as a load looks at it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status,
    Error,
    /// One, or an array of them.
    Integers(Vec<i64>),
    Bulk,
}

/// The first reply in the bytes, if all of it is there, and its length.
pub(super) fn parse(bytes: &[u8]) -> io::Result<Option<(Reply, usize)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n") else { return Ok(None) };
    let (kind, text) = (bytes[0], &bytes[1..end.max(1)]);
    let number = || {
        let text = str::from_utf8(text).map_err(io::Error::other)?;
        text.parse::<i64>().map_err(io::Error::other)
    };
    let after = end + 2;
    match kind {
        b'+' => Ok(Some((Reply::Status, after))),
        b'-' => Ok(Some((Reply::Error, after))),
        b':' => Ok(Some((Reply::Integers(vec![number()?]), after))),
        b'$' => {
            // None at all is -1, and has no bytes.
            let length = usize::try_from(number()?).map_or(0, |length| length + 2);
            Ok((bytes.len() >= after + length).then_some((Reply::Bulk, after + length)))
        }
        b'*' => {
            let (mut integers, mut at) = (Vec::new(), after);
            for _ in 0..number()? {
                let Some((reply, length)) = parse(&bytes[at..])? else { return Ok(None) };
                if let Reply::Integers(more) = reply {
                    integers.extend(more);
                }
                at += length;
            }
            Ok(Some((Reply::Integers(integers), at)))
        }
        other => Err(io::Error::other(format!("no reply begins with {:?}", char::from(other)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAITAOF: Words = &["WAITAOF", "1", "1", "0"];

    fn set(is_last: bool) -> LoadOperation {
        LoadOperation::new(Request::Set, 7, is_last)
    }

    fn verdict(
        operation: &LoadOperation,
        wait: Option<(Words, Often)>,
        text: &[u8],
    ) -> Option<(Verdict, usize)> {
        decode(operation, wait, &Values::new(5), text).expect("a reply")
    }

    #[test]
    fn a_write_that_waits_is_two_commands_and_two_replies() {
        let (values, mut output) = (Values::new(5), Vec::new());
        encode(&set(true), Some((WAITAOF, Often::Request)), &values, &mut output);
        let expected = [
            b"*3\r\n$3\r\nSET\r\n$12\r\nkey-00000007\r\n$5\r\n",
            values.of(7),
            b"\r\n*4\r\n$7\r\nWAITAOF\r\n$1\r\n1\r\n$1\r\n1\r\n$1\r\n0\r\n",
        ];
        assert_eq!(output, expected.concat());

        let wait = Some((WAITAOF, Often::Request));
        assert_eq!(verdict(&set(true), wait, b"+OK\r\n"), None);
        assert_eq!(verdict(&set(true), wait, b"+OK\r\n*2\r\n:1\r\n"), None);
        let all = b"+OK\r\n*2\r\n:1\r\n:1\r\n";
        assert_eq!(verdict(&set(true), wait, all), Some((Verdict::Right, all.len())));
        let none = verdict(&set(true), wait, b"+OK\r\n*2\r\n:1\r\n:0\r\n");
        assert!(matches!(none, Some((Verdict::Wrong(_), _))), "{none:?}");
    }

    #[test]
    fn only_the_last_of_a_pipeline_waits_where_that_is_asked_for() {
        let wait = Some((WAITAOF, Often::Pipeline));
        assert_eq!(verdict(&set(false), wait, b"+OK\r\n"), Some((Verdict::Right, 5)));
        assert_eq!(verdict(&set(true), wait, b"+OK\r\n"), None);
    }

    #[test]
    fn what_waits_on_its_own_is_a_step_of_its_own() {
        let (wait, values) = (Some((WAITAOF, Often::Answers)), Values::new(5));
        let mut output = Vec::new();
        encode(&set(true), wait, &values, &mut output);
        assert!(output.ends_with(&[values.of(7), b"\r\n"].concat()));
        assert_eq!(verdict(&set(true), wait, b"+OK\r\n"), Some((Verdict::Right, 5)));

        let mut output = Vec::new();
        encode(&set(true).waiting(), wait, &values, &mut output);
        assert_eq!(output, command(WAITAOF));
        let synced = verdict(&set(true).waiting(), wait, b"*2\r\n:1\r\n:2\r\n");
        assert_eq!(synced, Some((Verdict::Right, 12)));
        let alone = verdict(&set(true).waiting(), wait, b"*2\r\n:1\r\n:0\r\n");
        assert!(matches!(alone, Some((Verdict::Wrong(_), 12))), "{alone:?}");
    }

    #[test]
    fn a_read_is_held_against_the_value_of_its_key() {
        let (values, get) = (Values::new(5), LoadOperation::new(Request::Get, 7, true));
        let right = [b"$5\r\n", values.of(7), b"\r\n"].concat();
        assert_eq!(verdict(&get, None, &right), Some((Verdict::Right, right.len())));
        assert_eq!(verdict(&get, None, &right[..8]), None);
        let other = [b"$5\r\n", values.of(8), b"\r\n"].concat();
        assert!(matches!(verdict(&get, None, &other), Some((Verdict::Wrong(_), _))));
        assert!(matches!(verdict(&get, None, b"$-1\r\n"), Some((Verdict::Wrong(_), _))));
    }

    #[test]
    fn an_error_is_a_refusal_with_its_code() {
        let busy = verdict(&set(true), None, b"-BUSY 3 requests are in flight\r\n");
        assert_eq!(busy, Some((Verdict::Refused("BUSY".to_owned()), 32)));
    }
}
