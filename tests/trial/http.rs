//! The least of an HTTP client.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks once, on a connection of its own, and gives back the whole answer, head and body.
pub(crate) fn ask(address: &str, method: &str, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (kind, body) = match method {
        "POST" => ("content-type: application/json\r\ncontent-length: 2\r\n", "{}"),
        _ => ("", ""),
    };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: trial\r\nconnection: close\r\n{kind}\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Tells whether a page is there and its status is 200.
pub(crate) fn is_ok(address: &str, path: &str) -> bool {
    ask(address, "GET", path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}
