//! The least of a Redis client, over the simulated network.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long anything may take that is asked of a node: it answers after a second at the latest, and
/// the network needs far less than the rest.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Simple(String),
    Error(String),
    Integer(i64),
    Bulk(Option<String>),
    Array(Vec<Answer>),
}

impl Answer {
    /// The parts of a map, which RESP2 sends as an array of names and values.
    pub(crate) fn field(&self, name: &str) -> Option<&Self> {
        let Self::Array(parts) = self else { return None };
        let at = parts.iter().position(|part| *part == Self::Bulk(Some(name.to_owned())))?;
        parts.get(at + 1)
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        let Self::Array(parts) = self else { return Vec::new() };
        let text = |part: &Self| match part {
            Self::Bulk(text) => text.clone(),
            _ => None,
        };
        parts.iter().filter_map(text).collect()
    }
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    /// The connection ended: whoever waits does not wait for ever.
    #[error("the connection ended: {0}")]
    Gone(#[from] io::Error),
    /// Neither a reply nor an end.
    #[error("no reply within {} s, and no end", TIMEOUT.as_secs())]
    Stuck,
}

/// A connection to the Redis port of a node.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, ClientError> {
        let connected = timeout(TIMEOUT, TcpStream::connect(address)).await;
        let stream = connected.map_err(|_| ClientError::Stuck)??;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends all commands in one write, and returns the replies until the first that is missing.
    pub(crate) async fn ask_all(
        &mut self,
        commands: &[Vec<String>],
    ) -> (Vec<Answer>, Option<ClientError>) {
        let mut answers = Vec::new();
        if let Err(error) = self.send(commands).await {
            return (answers, Some(error.into()));
        }
        for _ in commands {
            match timeout(TIMEOUT, self.answer()).await {
                Ok(Ok(answer)) => answers.push(answer),
                Ok(Err(error)) => return (answers, Some(error.into())),
                Err(_) => return (answers, Some(ClientError::Stuck)),
            }
        }
        (answers, None)
    }

    pub(crate) async fn ask(&mut self, words: &[&str]) -> Result<Answer, ClientError> {
        let command = words.iter().map(|&word| word.to_owned()).collect();
        let (mut answers, error) = self.ask_all(&[command]).await;
        match error {
            Some(error) => Err(error),
            None => Ok(answers.remove(0)),
        }
    }

    async fn send(&mut self, commands: &[Vec<String>]) -> io::Result<()> {
        let mut text = String::new();
        for words in commands {
            text += &format!("*{}\r\n", words.len());
            for word in words {
                text += &format!("${}\r\n{word}\r\n", word.len());
            }
        }
        self.stream.write_all(text.as_bytes()).await?;
        self.stream.flush().await
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line).await?;
        let Some(line) = line.strip_suffix("\r\n") else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let (kind, rest) = line.split_at(1);
        let nonsense = || io::Error::other(format!("no reply looks like {line:?}"));
        let number = || rest.parse::<i64>().map_err(|_| nonsense());
        Ok(match kind {
            "+" => Answer::Simple(rest.to_owned()),
            "-" => Answer::Error(rest.to_owned()),
            ":" => Answer::Integer(number()?),
            "$" => match usize::try_from(number()?) {
                Err(_) => Answer::Bulk(None),
                Ok(length) => {
                    let mut bytes = vec![0; length + 2];
                    self.stream.read_exact(&mut bytes).await?;
                    bytes.truncate(length);
                    Answer::Bulk(Some(String::from_utf8(bytes).map_err(|_| nonsense())?))
                }
            },
            "*" => {
                let mut parts = Vec::new();
                for _ in 0..number()? {
                    parts.push(Box::pin(self.answer()).await?);
                }
                Answer::Array(parts)
            }
            _ => return Err(nonsense()),
        })
    }
}
