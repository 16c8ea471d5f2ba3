//! Clients that write and read while everything breaks, and keep account of what they are told.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::chance::Chance;
use crate::client::{Answer, Client, ClientError};
use crate::history::{Covers, Fate, History};
use crate::log::Log;

/// Durable copies that a write waits for, and answers that a read does.
const QUORUM: usize = 2;

/// Keys of each kind.
const KEYS: u64 = 4;

/// What clients share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) redis: Vec<SocketAddr>,
    pub(crate) history: History,
    pub(crate) log: Log,
}

/// One client: a connection at a time, and what it has done so far.
pub(crate) struct Worker {
    index: usize,
    shared: Shared,
    chance: Chance,
    client: Option<(usize, Client)>,
    writes: u64,
}

impl Worker {
    pub(crate) const fn new(index: usize, shared: Shared, chance: Chance) -> Self {
        Self { index, shared, chance, client: None, writes: 0 }
    }

    /// Asks until it is told to stop.
    pub(crate) async fn run(mut self, stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let pause = self.chance.ms(1..40);
            sleep(pause).await;
            if self.chance.percent(3) {
                self.client = None;
            }
            if self.client.is_none() && !self.connect().await {
                continue;
            }
            let done = match self.chance.between(0..10) {
                0..4 => self.set_and_get().await,
                4..7 => self.put_to_cart().await,
                _ => self.put_strictly().await,
            };
            if let Err(error) = done {
                self.lose(&error);
            }
        }
    }

    async fn connect(&mut self) -> bool {
        let node = self.chance.index(self.shared.redis.len());
        match Client::connect(self.shared.redis[node]).await {
            Ok(client) => self.client = Some((node, client)),
            Err(error) => self.lose(&error),
        }
        self.client.is_some()
    }

    fn lose(&mut self, error: &ClientError) {
        let Self { index, shared, .. } = self;
        match error {
            ClientError::Gone(error) => {
                shared.log.note(format_args!("c{index} alone: {}", error.kind()))
            }
            ClientError::Stuck => {
                shared.log.violated("liveness", format_args!("c{index}: {error}"))
            }
        }
        self.client = None;
    }

    fn value(&mut self) -> String {
        self.writes += 1;
        // Of many lengths, so that frames and replies are cut in many places.
        let filler = ".".repeat(self.chance.between(0..200) as usize);
        format!("c{}#{}{filler}", self.index, self.writes)
    }

    /// A pipeline on keys that nobody else writes, as plain Redis clients do.
    async fn set_and_get(&mut self) -> Result<(), ClientError> {
        let mut commands = Vec::new();
        let mut writes = Vec::new();
        for _ in 0..self.chance.between(1..6) {
            let key = format!("own-{}-{}", self.index, self.chance.between(0..KEYS));
            let value = self.value();
            commands.push(vec!["SET".to_owned(), key.clone(), value.clone()]);
            commands.push(vec!["GET".to_owned(), key.clone()]);
            writes.push((self.shared.history.begin(&key, &value, Covers::Latest), key));
        }
        let Some((node, client)) = &mut self.client else { return Ok(()) };
        let node = *node;
        let (answers, error) = client.ask_all(&commands).await;
        let mut answers = answers.into_iter();
        for (write, key) in writes {
            let (stored, read) = (answers.next(), answers.next());
            let fate = self
                .fate_of(node, stored.as_ref(), |answer| *answer == Answer::Simple("OK".into()));
            self.shared.history.end(&write, fate);
            match read {
                Some(Answer::Bulk(value)) => self.check_known(&key, value.iter()),
                Some(Answer::Error(_)) | None => {}
                Some(other) => self.out_of_step(node, &other),
            }
        }
        error.map_or(Ok(()), Err)
    }

    /// A value beside those that others put into the same cart, or over those that were read.
    async fn put_to_cart(&mut self) -> Result<(), ClientError> {
        let key = format!("cart-{}", self.chance.between(0..KEYS));
        self.read_and_put(&key, "sloppy").await
    }

    /// On a key that nobody else writes, so that each write is read by the next.
    async fn put_strictly(&mut self) -> Result<(), ClientError> {
        let key = format!("strict-{}-{}", self.index, self.chance.between(0..KEYS));
        self.read_and_put(&key, "strict").await
    }

    async fn read_and_put(&mut self, key: &str, mode: &str) -> Result<(), ClientError> {
        let began = self.shared.history.now();
        let Some((node, client)) = &mut self.client else { return Ok(()) };
        let node = *node;
        let read = client.ask(&["KV.GET", key, "MODE", mode]).await?;
        let context = match (read.field("context"), read.field("values")) {
            (Some(Answer::Bulk(Some(context))), Some(values)) => {
                let values: BTreeSet<_> = values.texts().into_iter().collect();
                self.check_known(key, &values);
                self.check_achieved(node, &read, mode);
                if mode == "strict"
                    && let Err(problem) = self.shared.history.check_fresh(key, &values, began)
                {
                    self.shared.log.violated("freshness", problem);
                }
                Some((context.clone(), values))
            }
            _ => {
                self.fate_of(node, Some(&read), |_| false);
                None
            }
        };
        let Some((context, values)) = context else { return Ok(()) };
        let value = self.value();
        let blind = mode == "sloppy" && self.chance.percent(40);
        let covers = if blind { BTreeSet::new() } else { values };
        let write = self.shared.history.begin(key, &value, Covers::Values(covers));
        let Some((_, client)) = &mut self.client else { return Ok(()) };
        let words = ["KV.PUT", key, &value, "MODE", mode];
        let stored = if blind {
            client.ask(&[&words[..], &["NONE"]].concat()).await
        } else {
            client.ask(&[&words[..], &["CONTEXT", &context]].concat()).await
        };
        let fate =
            self.fate_of(node, stored.as_ref().ok(), |answer| answer.field("siblings").is_some());
        self.shared.history.end(&write, fate);
        let stored = stored?;
        if fate == Fate::Acknowledged {
            self.check_achieved(node, &stored, mode);
        }
        Ok(())
    }

    /// What a reply means for a write; without one, nobody knows.
    fn fate_of(
        &self,
        node: usize,
        answer: Option<&Answer>,
        stands: impl FnOnce(&Answer) -> bool,
    ) -> Fate {
        let Self { index, shared: Shared { log, .. }, .. } = self;
        let n = node + 1;
        log.count("operations");
        let fate = match answer {
            None => Fate::Unknown,
            Some(Answer::Error(error)) if error.starts_with("TIMEOUT ") => Fate::Unknown,
            Some(Answer::Error(error)) if is_refusal(error) => Fate::Refused,
            Some(answer) if stands(answer) => Fate::Acknowledged,
            Some(answer) => {
                self.out_of_step(node, answer);
                Fate::Unknown
            }
        };
        log.note(format_args!("c{index} n{n} {fate:?}"));
        log.count(match fate {
            Fate::Acknowledged => "acknowledged",
            Fate::Unknown => "unknown",
            Fate::Refused => "refused",
        });
        fate
    }

    fn check_known<'a>(&self, key: &str, values: impl IntoIterator<Item = &'a String>) {
        if let Err(problem) = self.shared.history.check_known(key, values) {
            self.shared.log.violated("causality", problem);
        }
    }

    fn check_achieved(&self, node: usize, answer: &Answer, mode: &str) {
        let machines =
            match answer.field("achieved").and_then(|achieved| achieved.field("machines")) {
                Some(Answer::Integer(machines)) => usize::try_from(*machines).unwrap_or_default(),
                _ => 0,
            };
        let owners = answer.field("achieved").and_then(|achieved| achieved.field("owners"));
        let owners = owners.map_or(0, |owners| owners.texts().len());
        if machines < QUORUM || (mode == "strict" && owners < QUORUM) {
            self.shared
                .log
                .violated("quorum", format_args!("n{} acknowledged with {answer:?}", node + 1));
        }
    }

    /// A reply that does not belong to its command: the pipeline is out of order.
    fn out_of_step(&self, node: usize, answer: &Answer) {
        let Self { index, shared, .. } = self;
        shared.log.violated("replies", format_args!("n{} told c{index} {answer:?}", node + 1));
    }
}

/// Whether the node says that it did nothing, for a reason that a cluster in trouble may have.
fn is_refusal(error: &str) -> bool {
    ["UNAVAILABLE ", "BUSY ", "SIBLINGS "].iter().any(|code| error.starts_with(code))
}
