//! Replies as bytes, in the form that the connection has chosen.
//!
//! In go the parts of a reply, in order; out come bytes at the end of a buffer that the caller
//! owns. An aggregate is announced with its length and followed by its elements, so nothing is
//! built before it is written. What RESP2 has no form for is written as Redis writes it there: a
//! map as a flat array, a boolean as 0 or 1, a double and a text as bulk strings.

use bytes::{BufMut, BytesMut};

/// The form of replies. Commands look the same in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// RESP2, with which every connection begins.
    #[default]
    Resp2,
    /// RESP3, which a client may ask for with `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// The number by which clients name the protocol.
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Appends replies to a buffer.
#[derive(Debug)]
pub struct Encoder<'a> {
    protocol: Protocol,
    out: &'a mut BytesMut,
}

impl<'a> Encoder<'a> {
    /// Creates an encoder at the end of this buffer.
    pub const fn new(protocol: Protocol, out: &'a mut BytesMut) -> Self {
        Self { protocol, out }
    }

    /// Writes a short word of ours, such as `OK`. It must hold no line break.
    pub fn simple(&mut self, word: &'static str) {
        debug_assert!(!word.contains(['\r', '\n']), "a simple string is one line");
        self.out.put_u8(b'+');
        self.out.put_slice(word.as_bytes());
        self.end();
    }

    /// Writes an error: an upper-case code, a space, and a text. Line breaks become spaces, since
    /// the text may quote what a client sent and an error ends with its line.
    pub fn error(&mut self, text: &str) {
        self.out.put_u8(b'-');
        for &byte in text.as_bytes() {
            self.out.put_u8(if matches!(byte, b'\r' | b'\n') { b' ' } else { byte });
        }
        self.end();
    }

    /// Writes an integer.
    pub fn integer(&mut self, value: i64) {
        self.out.put_u8(b':');
        self.out.put_slice(itoa::Buffer::new().format(value).as_bytes());
        self.end();
    }

    /// Writes a count of things as an integer.
    pub fn count(&mut self, count: usize) {
        self.integer(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Writes any bytes as a bulk string.
    pub fn bulk(&mut self, bytes: &[u8]) {
        self.head(b'$', bytes.len());
        self.out.put_slice(bytes);
        self.end();
    }

    /// Writes several lines for people: a verbatim string, or a bulk string in RESP2.
    pub fn text(&mut self, text: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.head(b'=', "txt:".len() + text.len());
                self.out.put_slice(b"txt:");
                self.out.put_slice(text.as_bytes());
                self.end();
            }
        }
    }

    /// Writes a null.
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.out.put_slice(b"$-1\r\n"),
            Protocol::Resp3 => self.out.put_slice(b"_\r\n"),
        }
    }

    /// Writes a bulk string, or a null for `None`.
    pub fn bulk_or_null(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => self.bulk(bytes),
            None => self.null(),
        }
    }

    /// Begins an array: so many replies must follow.
    pub fn array(&mut self, elements: usize) {
        self.head(b'*', elements);
    }

    /// Begins a map: so many pairs of a key and a value must follow.
    pub fn map(&mut self, pairs: usize) {
        match self.protocol {
            Protocol::Resp2 => self.head(b'*', 2 * pairs),
            Protocol::Resp3 => self.head(b'%', pairs),
        }
    }

    /// Writes a boolean.
    pub fn boolean(&mut self, value: bool) {
        match self.protocol {
            Protocol::Resp2 => self.integer(i64::from(value)),
            Protocol::Resp3 => self.out.put_slice(if value { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    /// Writes a floating-point number.
    pub fn double(&mut self, value: f64) {
        let text = if value.is_nan() { "nan".to_owned() } else { value.to_string() };
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => {
                self.out.put_u8(b',');
                self.out.put_slice(text.as_bytes());
                self.end();
            }
        }
    }

    fn head(&mut self, sigil: u8, length: usize) {
        self.out.put_u8(sigil);
        self.out.put_slice(itoa::Buffer::new().format(length).as_bytes());
        self.end();
    }

    fn end(&mut self) {
        self.out.put_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes one reply in both forms.
    fn forms(write: impl Fn(&mut Encoder<'_>)) -> [String; 2] {
        [Protocol::Resp2, Protocol::Resp3].map(|protocol| {
            let mut out = BytesMut::new();
            write(&mut Encoder::new(protocol, &mut out));
            out.escape_ascii().to_string()
        })
    }

    fn same(form: &str) -> [String; 2] {
        [form.to_owned(), form.to_owned()]
    }

    #[test]
    fn what_both_protocols_have_looks_the_same_in_both() {
        assert_eq!(forms(|reply| reply.simple("OK")), same(r"+OK\r\n"));
        assert_eq!(forms(|reply| reply.error("ERR no")), same(r"-ERR no\r\n"));
        assert_eq!(forms(|reply| reply.integer(-7)), same(r":-7\r\n"));
        assert_eq!(forms(|reply| reply.count(7)), same(r":7\r\n"));
        assert_eq!(forms(|reply| reply.bulk(b"a\r\n\0")), same(r"$4\r\na\r\n\x00\r\n"));
        assert_eq!(forms(|reply| reply.bulk(b"")), same(r"$0\r\n\r\n"));
        assert_eq!(forms(|reply| reply.array(2)), same(r"*2\r\n"));
    }

    #[test]
    fn what_only_resp3_has_takes_the_form_that_redis_gives_it_in_resp2() {
        let pair = |resp2: &str, resp3: &str| [resp2.to_owned(), resp3.to_owned()];
        assert_eq!(forms(|reply| reply.null()), pair(r"$-1\r\n", r"_\r\n"));
        assert_eq!(forms(|reply| reply.bulk_or_null(None)), pair(r"$-1\r\n", r"_\r\n"));
        assert_eq!(forms(|reply| reply.map(2)), pair(r"*4\r\n", r"%2\r\n"));
        assert_eq!(forms(|reply| reply.boolean(true)), pair(r":1\r\n", r"#t\r\n"));
        assert_eq!(forms(|reply| reply.boolean(false)), pair(r":0\r\n", r"#f\r\n"));
        assert_eq!(forms(|reply| reply.double(0.5)), pair(r"$3\r\n0.5\r\n", r",0.5\r\n"));
        assert_eq!(forms(|reply| reply.double(f64::NAN)), pair(r"$3\r\nnan\r\n", r",nan\r\n"));
        assert_eq!(forms(|reply| reply.text("hi")), pair(r"$2\r\nhi\r\n", r"=6\r\ntxt:hi\r\n"));
    }

    #[test]
    fn an_error_that_quotes_a_line_break_stays_one_line() {
        assert_eq!(forms(|reply| reply.error("ERR a\r\n+OK")), same(r"-ERR a  +OK\r\n"));
    }
}
