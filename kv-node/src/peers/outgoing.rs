//! The connection to one peer: dials, sends what is in the peer's queue, and listens for signs of
//! life, without which the connection is made anew.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use kv_core::cx::LinkState;
use tokio::io::AsyncRead;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::dialer::Dialer;
use super::error::LinkError;
use super::frame::{Decoder, FrameKind};
use super::refusal::{PeerRefusal, REFUSAL_BYTES_MAX};
use super::sender::Sender;
use super::shared::PeersShared;
use super::stream::{read, refuse};
use crate::core_loop::Urgent;

/// The time for which a connected peer may be silent while none of its bytes are stuck: it is asked
/// for a sign of life each second.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The time for which a peer that the core suspects may be silent.
const SUSPECT_SILENCE_MAX: Duration = Duration::from_secs(3);

/// The pause after the first failure; it doubles with each failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause, short so that a healed network is noticed within seconds.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The time after which a connection counts as working.
const PROVEN: Duration = Duration::from_secs(5);

/// The bytes of one read: signs of life are small, and a refusal comes once.
const READ_BYTES: usize = 512;

/// The task that keeps a connection to one peer.
pub(super) struct Outgoing {
    dialer: Dialer,
    sender: Sender,
    /// A signal that the core suspects the peer.
    suspected: Arc<Notify>,
    shared: PeersShared,
    failures: u32,
    /// The state of the random generator, which changes with every pause, so that nodes do not dial
    /// in step.
    jitter: u64,
}

impl Outgoing {
    pub(super) const fn new(
        dialer: Dialer,
        sender: Sender,
        suspected: Arc<Notify>,
        jitter: u64,
        shared: PeersShared,
    ) -> Self {
        Self { dialer, sender, suspected, shared, failures: 0, jitter }
    }

    /// Keeps a connection until the node stops.
    pub(super) async fn run(mut self) {
        let mut stopping = self.shared.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.stopped() => {}
            () = self.keep_connected() => {}
        }
    }

    async fn keep_connected(&mut self) {
        loop {
            let error = match self.dialer.dial().await {
                Ok(stream) => {
                    self.on_link(LinkState::Up);
                    let error = self.serve(stream).await;
                    self.on_link(LinkState::Down);
                    error
                }
                Err(error) => {
                    // Nobody can be reached there: what waits gets old. What is asked in the
                    // meantime waits until the next attempt.
                    self.shared.metrics.messages_dropped.inc_by(self.sender.drop_all());
                    error
                }
            };
            self.shared.complain_of(&self.dialer.name(), &error);
            if let Some(reason) = error.refused() {
                self.shared.core.tell(Urgent::Refused { peer: self.dialer.peer, reason });
            }
            // Whoever has just connected to this node waits for its answers.
            let (pause, arrival) =
                (self.pause(), self.shared.presence.arrivals_of(self.dialer.peer));
            tokio::select! {
                biased;
                () = sleep(pause) => {}
                () = arrival.notified() => {}
            }
        }
    }

    /// Sends until the connection ends.
    async fn serve(&mut self, stream: TcpStream) -> LinkError {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let began = Instant::now();
        let error = {
            let Self { dialer, sender, suspected, shared, failures, .. } = self;
            let mut on_heard = || {
                if *failures > 0 && began.elapsed() > PROVEN {
                    *failures = 0;
                    shared.log_limiter.over(&dialer.name());
                }
            };
            tokio::select! {
                biased;
                error = sender.send(&mut writer) => error,
                error = hear(&mut reader, suspected, &mut on_heard) => error,
            }
        };
        let metrics = &self.shared.metrics;
        if matches!(error, LinkError::Silent(_) | LinkError::Stuck(_)) {
            metrics.links_reset.inc();
        }
        if let LinkError::Refused(refusal) = &error {
            metrics.on_refused(refusal.reason);
        }
        if let Some(refusal) = error.refusal() {
            metrics.on_rejected(refusal.reason);
            refuse(&mut reader.unsplit(writer), &refusal).await;
        }
        error
    }

    fn on_link(&self, state: LinkState) {
        let peer = self.dialer.peer;
        self.shared.metrics.on_link(state);
        self.shared.core.tell(Urgent::Link { peer, state });
    }

    /// The time until the next attempt: half of it fixed, half of it random.
    fn pause(&mut self) -> Duration {
        let longest = PAUSE_MIN.saturating_mul(1 << self.failures.min(10)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // The constants of Knuth's generator; its high bits are good enough for this.
        self.jitter = self
            .jitter
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let share = (self.jitter >> 54) as u32;
        longest / 2 + longest * share / 2 / 1_024
    }
}

/// Listens for signs of life; returns the error that ends the connection.
async fn hear(
    reader: &mut (impl AsyncRead + Unpin),
    suspected: &Notify,
    on_heard: &mut impl FnMut(),
) -> LinkError {
    let decoder = Decoder::new(REFUSAL_BYTES_MAX);
    let mut bytes = BytesMut::new();
    let (mut heard, mut silence_max) = (Instant::now(), SILENCE_MAX);
    loop {
        bytes.reserve(READ_BYTES);
        tokio::select! {
            biased;
            count = read(reader, &mut bytes) => match count {
                Ok(_) => (heard, silence_max) = (Instant::now(), SILENCE_MAX),
                Err(error) => return error,
            },
            () = sleep_until(heard + silence_max) => return LinkError::Silent(silence_max),
            () = suspected.notified() => silence_max = SUSPECT_SILENCE_MAX,
        }
        loop {
            match decoder.next(&mut bytes) {
                Ok(None) => break,
                Ok(Some(frame)) => match frame.kind {
                    FrameKind::Beat => on_heard(),
                    FrameKind::Refusal => {
                        return LinkError::Refused(PeerRefusal::decode(&frame.payload));
                    }
                    FrameKind::Hello
                    | FrameKind::Message
                    | FrameKind::FirstPart
                    | FrameKind::NextPart => return LinkError::OutOfTurn,
                },
                Err(error) => return error.into(),
            }
        }
    }
}
