//! The JSON gateway of etcd (`/v3/kv/put`, `/v3/kv/range`) over HTTP/1.1, as far as a load speaks it.

use std::io;

use memchr::memmem;

use super::base64;
use super::protocol::{EtcdReads, LoadOperation, Request, Verdict};
use super::values::Values;

/// Of a wrong answer so many bytes are shown.
const SHOWN_MAX: usize = 200;

/// Appends an operation as an HTTP request.
pub(super) fn encode(
    operation: &LoadOperation,
    reads: EtcdReads,
    values: &Values,
    output: &mut Vec<u8>,
) {
    let mut key = Vec::new();
    base64::encode(operation.key_name().as_bytes(), &mut key);
    match operation.request {
        Request::Get => {
            let tail: &[u8] = match reads {
                EtcdReads::Linearizable => b"\"}",
                EtcdReads::Serializable => b"\",\"serializable\":true}",
            };
            write_post("range", &[b"{\"key\":\"", &key, tail], output);
        }
        Request::Set => {
            let (value, rest) = values.text_of(operation.key);
            let parts: [&[u8]; 6] =
                [b"{\"key\":\"", &key, b"\",\"value\":\"", value, &rest, b"\"}"];
            write_post("put", &parts, output);
        }
    }
}

/// What the answer to an operation says, and how long it is; none before all of it is there.
pub(super) fn decode(
    operation: &LoadOperation,
    values: &Values,
    bytes: &[u8],
) -> io::Result<Option<(Verdict, usize)>> {
    let Some(HttpAnswer { status, body, length }) = HttpAnswer::parse(bytes)? else {
        return Ok(None);
    };
    let is_right = status == 200
        && match operation.request {
            Request::Set => memmem::find(&body, b"\"revision\"").is_some(),
            Request::Get => {
                let (value, rest) = values.text_of(operation.key);
                let expected = [b"\"value\":\"", value, &rest, b"\""].concat();
                memmem::find(&body, &expected).is_some()
            }
        };
    let verdict = match (is_right, status) {
        (true, _) => Verdict::Right,
        (false, 200) => {
            let shown = &body[..body.len().min(SHOWN_MAX)];
            Verdict::Wrong(format!("{:?}", String::from_utf8_lossy(shown)))
        }
        (false, _) => Verdict::Refused(status.to_string()),
    };
    Ok(Some((verdict, length)))
}

fn write_post(method: &str, body: &[&[u8]], output: &mut Vec<u8>) {
    let length: usize = body.iter().map(|part| part.len()).sum();
    let head =
        format!("POST /v3/kv/{method} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {length}\r\n\r\n");
    output.extend(head.into_bytes());
    body.iter().for_each(|part| output.extend(*part));
}

/// An answer of an HTTP server that keeps the connection.
struct HttpAnswer {
    status: u16,
    body: Vec<u8>,
    /// The bytes of head and body.
    length: usize,
}

impl HttpAnswer {
    /// The first answer in the bytes, if all of it is there.
    fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
        let head = str::from_utf8(&bytes[..end]).map_err(io::Error::other)?;
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| io::Error::other(format!("no status in {head:?}")))?;
        let fields: Vec<_> = lines.filter_map(|line| line.split_once(": ")).collect();
        let field = |name: &str| {
            let found = fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| *value)
        };
        let start = end + 4;
        if field("Transfer-Encoding") == Some("chunked") {
            let Some((body, length)) = unchunked(&bytes[start..])? else { return Ok(None) };
            return Ok(Some(Self { status, body, length: start + length }));
        }
        let length = field("Content-Length").and_then(|length| length.parse::<usize>().ok());
        let length = length.ok_or_else(|| io::Error::other(format!("no length in {head:?}")))?;
        let whole = bytes.get(start..start + length);
        Ok(whole.map(|body| Self { status, body: body.to_vec(), length: start + length }))
    }
}

/// A body that comes in chunks, and its length with them and with the trailers.
fn unchunked(bytes: &[u8]) -> io::Result<Option<(Vec<u8>, usize)>> {
    let (mut body, mut at) = (Vec::new(), 0);
    let line = |at: usize| Some(at + memmem::find(bytes.get(at..)?, b"\r\n")?);
    loop {
        let Some(end) = line(at) else { return Ok(None) };
        let size = str::from_utf8(&bytes[at..end]).map_err(io::Error::other)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
        at = end + 2;
        if size == 0 {
            break;
        }
        let Some(chunk) = bytes.get(at..at + size) else { return Ok(None) };
        body.extend(chunk);
        at += size + 2;
    }
    // Trailers, and the empty line behind them.
    loop {
        let Some(end) = line(at) else { return Ok(None) };
        let is_empty = end == at;
        at = end + 2;
        if is_empty {
            return Ok(Some((body, at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUT: LoadOperation = LoadOperation::new(Request::Set, 7, true);
    const GET: LoadOperation = LoadOperation::new(Request::Get, 7, true);

    #[test]
    fn requests_are_what_the_gateway_takes() {
        let (values, mut output) = (Values::new(5), Vec::new());
        let mut value = Vec::new();
        base64::encode(values.of(7), &mut value);
        let value = String::from_utf8(value).expect("letters");
        encode(&PUT, EtcdReads::Linearizable, &values, &mut output);
        let body = format!("{{\"key\":\"a2V5LTAwMDAwMDA3\",\"value\":\"{value}\"}}");
        let expected = format!(
            "POST /v3/kv/put HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(String::from_utf8(output).expect("text"), expected);

        let mut output = Vec::new();
        encode(&GET, EtcdReads::Serializable, &values, &mut output);
        assert!(output.ends_with(b"{\"key\":\"a2V5LTAwMDAwMDA3\",\"serializable\":true}"));
    }

    #[test]
    fn an_answer_counts_when_all_of_it_is_there() {
        let values = Values::new(5);
        let text =
            b"HTTP/1.1 200 OK\r\ncontent-length: 32\r\n\r\n{\"header\":{\"revision\":\"2\"}}     ";
        for length in 0..text.len() {
            assert!(decode(&PUT, &values, &text[..length]).expect("no error").is_none());
        }
        let whole = decode(&PUT, &values, text).expect("an answer");
        assert_eq!(whole, Some((Verdict::Right, text.len())));
    }

    #[test]
    fn a_value_may_come_in_chunks_with_trailers() {
        let values = Values::new(5);
        let mut value = Vec::new();
        base64::encode(values.of(7), &mut value);
        let body = [b"{\"kvs\":[{\"value\":\"", &value[..], b"\"}]}"].concat();
        let (one, other) = body.split_at(20);
        let chunk =
            |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        let text = [head, chunk(one), chunk(other), b"0\r\nA: b\r\n\r\n".to_vec()].concat();
        for length in 0..text.len() {
            assert!(decode(&GET, &values, &text[..length]).expect("no error").is_none());
        }
        let next = [&text[..], b"HTTP"].concat();
        let whole = decode(&GET, &values, &next).expect("an answer");
        assert_eq!(whole, Some((Verdict::Right, text.len())));
    }

    #[test]
    fn another_status_is_a_refusal() {
        let text = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}";
        let verdict = decode(&PUT, &Values::new(5), text).expect("an answer");
        assert_eq!(verdict, Some((Verdict::Refused("429".to_owned()), text.len())));
    }
}
