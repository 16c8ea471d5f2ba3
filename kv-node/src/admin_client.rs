//! A client of another node's HTTP interface, for the commands that ask a running node or tell it
//! something.
//!
//! One request, one connection. Everything has a bound: the time to connect, the time of the whole
//! request, the bytes of the answer.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The time within which a connection must stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The time within which the answer must have ended, from the request on.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The address of a node's HTTP interface: `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddress(String);

/// The error that a text is no address of an HTTP interface.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no address of a node's HTTP interface: write HOST:PORT, such as 127.0.0.1:7201")]
pub struct HttpAddressError(String);

/// The answer of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body. Bytes that are not UTF-8 are replaced.
    pub body: String,
}

/// The reason why a node gave no answer. A request that was sent may have been heeded all the same.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The connection could not be made: nothing was sent.
    #[error(
        "{address} cannot be reached: {source}. Is the node running, and is this the address it printed after `http`?"
    )]
    Connect {
        /// The address that was dialled.
        address: HttpAddress,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The node did not answer in time.
    #[error("{address} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// The address that was asked.
        address: HttpAddress,
        /// The time that was waited.
        limit: Duration,
    },
    /// The answer is larger than any of a node.
    #[error("{address} answered with more than {ANSWER_BYTES_MAX} bytes: it is no node")]
    TooLarge {
        /// The address that was asked.
        address: HttpAddress,
    },
    /// The answer is not HTTP, or broke off.
    #[error("{address} does not speak HTTP, or broke off: {source}")]
    Broken {
        /// The address that was asked.
        address: HttpAddress,
        /// The error of the connection.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl HttpAddress {
    /// Returns the address at which a program on the same machine reaches a node that listens
    /// there.
    pub fn of_listener(listener: SocketAddr) -> Self {
        let ip = match listener.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self(SocketAddr::new(ip, listener.port()).to_string())
    }
}

impl FromStr for HttpAddress {
    type Err = HttpAddressError;

    fn from_str(text: &str) -> Result<Self, HttpAddressError> {
        let error = || HttpAddressError(text.to_owned());
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        if let Ok(address) = bare.parse::<SocketAddr>() {
            return if address.port() == 0 { Err(error()) } else { Ok(Self::of_listener(address)) };
        }
        let (host, port) = bare.rsplit_once(':').ok_or_else(error)?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let port = port.parse::<u16>().ok().filter(|&port| port != 0).ok_or_else(error)?;
        if host.is_empty() || !host.chars().all(is_name) {
            return Err(error());
        }
        Ok(Self(format!("{host}:{port}")))
    }
}

impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks a node for a page.
///
/// # Errors
/// [`ClientError`].
pub async fn get(address: &HttpAddress, path: &str) -> Result<HttpAnswer, ClientError> {
    request(address, Method::GET, path, String::new()).await
}

/// Sends a node a body of JSON, or an empty one.
///
/// # Errors
/// [`ClientError`].
pub async fn post(
    address: &HttpAddress,
    path: &str,
    body: String,
) -> Result<HttpAnswer, ClientError> {
    request(address, Method::POST, path, body).await
}

async fn request(
    address: &HttpAddress,
    method: Method,
    path: &str,
    body: String,
) -> Result<HttpAnswer, ClientError> {
    let timed_out = |limit| ClientError::TimedOut { address: address.clone(), limit };
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(&*address.0))
        .await
        .map_err(|_| timed_out(CONNECT_TIMEOUT))?
        .map_err(|source| ClientError::Connect { address: address.clone(), source })?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, &address.0)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .expect("paths are constants, and an address holds nothing that a header may not");
    timeout(ANSWER_TIMEOUT, exchange(stream, request))
        .await
        .map_err(|_| timed_out(ANSWER_TIMEOUT))?
        .map_err(|source| {
            let address = address.clone();
            if source.is::<LengthLimitError>() {
                ClientError::TooLarge { address }
            } else {
                ClientError::Broken { address, source }
            }
        })
}

async fn exchange(
    stream: TcpStream,
    request: Request<Full<Bytes>>,
) -> Result<HttpAnswer, Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answering = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?.to_bytes();
        Ok(HttpAnswer { status, body: String::from_utf8_lossy(&body).into_owned() })
    };
    // The connection moves the bytes; its own end says nothing that the answer does not.
    let moving = async {
        let _ended = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = answering => answer,
        never = moving => never,
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes and closes; returns the head of the request too.
    async fn asked_of(answer: &'static [u8]) -> (Result<HttpAnswer, ClientError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = HttpAddress::of_listener(listener.local_addr().expect("it is bound"));
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("somebody connects");
            let mut heard = Vec::new();
            while !heard.ends_with(b"{}") {
                let count = stream.read_buf(&mut heard).await.expect("the request comes");
                assert_ne!(count, 0, "the request is whole");
            }
            stream.write_all(answer).await.expect("the client listens");
            String::from_utf8(heard).expect("it is text")
        });
        let answered = post(&address, "/admin/x", "{}".to_owned()).await;
        (answered, serving.await.expect("it ends"))
    }

    #[tokio::test]
    async fn a_request_carries_its_path_and_body_and_the_answer_comes_back_whatever_its_status() {
        let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nlater";
        let (answered, heard) = asked_of(answer).await;
        let answered = answered.expect("an answer");
        assert_eq!((answered.status.as_u16(), &*answered.body), (503, "later"));
        assert!(heard.starts_with("POST /admin/x HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains("content-length: 2\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn an_answer_that_is_no_http_is_told_apart_from_no_answer() {
        let (answered, _) = asked_of(b"+PONG\r\n").await;
        assert!(matches!(answered, Err(ClientError::Broken { .. })), "{answered:?}");
        let (answered, _) = asked_of(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf").await;
        assert!(matches!(answered, Err(ClientError::Broken { .. })), "{answered:?}");
        let free = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = HttpAddress::of_listener(free.local_addr().expect("it is bound"));
        drop(free);
        let answered = get(&address, "/health/ready").await;
        assert!(matches!(answered, Err(ClientError::Connect { .. })), "{answered:?}");
    }

    #[test]
    fn addresses_are_read_as_nodes_print_them_and_as_people_write_them() {
        let read = |text: &str| text.parse::<HttpAddress>().map(|address| address.to_string());
        for (text, expected) in [
            ("127.0.0.1:7201", "127.0.0.1:7201"),
            ("http://127.0.0.1:7201", "127.0.0.1:7201"),
            ("http://127.0.0.1:7201/", "127.0.0.1:7201"),
            ("0.0.0.0:7201", "127.0.0.1:7201"),
            ("[::]:7201", "[::1]:7201"),
            ("node-1.example:80", "node-1.example:80"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(expected), "{text}");
        }
        for text in [
            "",
            "7201",
            ":7201",
            "host",
            "host:0",
            "127.0.0.1:0",
            "host:70000",
            "a b:1",
            "https://host:1",
            "host:1/path",
            "h\r\nx:1",
        ] {
            assert!(read(text).is_err(), "{text:?}");
        }
    }
}
