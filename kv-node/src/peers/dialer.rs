//! Dialling a peer: resolves its address, and makes a connection on which both sides have said
//! hello.
//!
//! A name may have several addresses, of which some answer and some do not. Each has deadlines of
//! its own, they are tried one after the other, and the one that answered last is tried first.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use kv_core::types::NodeId;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::error::{Attempts, LinkError};
use super::frame::{self, FrameKind};
use super::hello::{Hello, HelloError};
use super::refusal::{PeerRefusal, REFUSAL_BYTES_MAX};
use super::shared::{HELLO_TIMEOUT, PeersShared};
use super::stream::{prepare, read_frame, refuse, write};
use crate::log::Named;

/// The time within which a name must be resolved.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// The time within which one address must accept.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The number of addresses of one name that are tried; no sound name has more.
const ADDRESSES_MAX: usize = 16;

/// The dialler of one peer, which remembers the address that answered last.
pub(super) struct Dialer {
    pub(super) peer: NodeId,
    address: String,
    answered: Option<SocketAddr>,
    shared: PeersShared,
}

impl Dialer {
    pub(super) const fn new(peer: NodeId, address: String, shared: PeersShared) -> Self {
        Self { peer, address, answered: None, shared }
    }

    /// Names the peer as people know it, with its address.
    pub(super) fn name(&self) -> String {
        format!(
            "{} at {}",
            Named::new(self.shared.identity.topology.newest(), self.peer),
            self.address
        )
    }

    /// Makes a connection on which both sides have said hello.
    pub(super) async fn dial(&mut self) -> Result<TcpStream, LinkError> {
        let addresses = self.resolve().await?;
        self.try_addresses(self.in_order(addresses)).await
    }

    /// Moves the address that answered last to the front.
    fn in_order(&self, mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
        addresses.sort_by_key(|address| Some(*address) != self.answered);
        addresses
    }

    async fn try_addresses(&mut self, addresses: Vec<SocketAddr>) -> Result<TcpStream, LinkError> {
        let mut errors = Vec::new();
        for address in addresses {
            match self.try_address(address).await {
                Ok(stream) => {
                    self.answered = Some(address);
                    return Ok(stream);
                }
                Err(error) => {
                    if let Some(word) = error.word() {
                        self.shared.metrics.on_rejected(word);
                    }
                    if let LinkError::Refused(refusal) = &error {
                        self.shared.metrics.on_refused(refusal.reason);
                    }
                    errors.push((address, error));
                }
            }
        }
        match errors.pop() {
            Some((_, error)) if errors.is_empty() => Err(error),
            last => {
                errors.extend(last);
                Err(LinkError::Addresses(Attempts(errors)))
            }
        }
    }

    /// Resolves the peer's name to its addresses, each once, in the order in which the system gives
    /// them.
    async fn resolve(&self) -> Result<Vec<SocketAddr>, LinkError> {
        let resolved = timeout(RESOLVE_TIMEOUT, lookup_host(&*self.address)).await;
        let late =
            |_| LinkError::TimedOut { what: "be found by its name", within: RESOLVE_TIMEOUT };
        let mut addresses = Vec::new();
        for address in resolved.map_err(late)?.map_err(LinkError::Resolve)? {
            if addresses.len() < ADDRESSES_MAX && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    async fn try_address(&self, address: SocketAddr) -> Result<TcpStream, LinkError> {
        let late = |_| LinkError::TimedOut { what: "accept", within: CONNECT_TIMEOUT };
        let connected = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        let mut stream = connected.map_err(late)?.map_err(LinkError::Dial)?;
        prepare(&stream)?;
        let late = |_| LinkError::TimedOut { what: "say hello", within: HELLO_TIMEOUT };
        let answered = timeout(HELLO_TIMEOUT, self.say_hello(&mut stream)).await;
        match answered.map_err(late).flatten() {
            Ok(()) => Ok(stream),
            Err(error) => {
                if let Some(refusal) = error.refusal() {
                    refuse(&mut stream, &refusal).await;
                }
                Err(error)
            }
        }
    }

    async fn say_hello(&self, stream: &mut TcpStream) -> Result<(), LinkError> {
        let PeersShared { identity, presence, .. } = &self.shared;
        let mut bytes = BytesMut::new();
        let hello = self.shared.hello(self.peer);
        frame::encode(FrameKind::Hello, &hello.encode(), &mut bytes);
        write(stream, &bytes).await?;
        bytes.clear();
        let answer = read_frame(stream, &mut bytes, REFUSAL_BYTES_MAX).await?;
        match answer.kind {
            FrameKind::Hello => {}
            FrameKind::Refusal => {
                return Err(LinkError::Refused(PeerRefusal::decode(&answer.payload)));
            }
            FrameKind::Beat | FrameKind::Message | FrameKind::FirstPart | FrameKind::NextPart => {
                return Err(LinkError::OutOfTurn);
            }
        }
        let wall = self.shared.wall();
        let hello = Hello::accept(&answer.payload, identity, Some(self.peer), wall)?;
        if let Some(newer) = presence.newer_than(self.peer, hello.run) {
            let named = |node| Named::new(identity.topology.newest(), node);
            let (from, me) = (named(self.peer), named(identity.node));
            return Err(HelloError::Replaced { from, me, newer }.into());
        }
        Ok(())
    }
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::peers::testing::shared;

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = listener.local_addr().expect("it is bound");
        (listener, address)
    }

    /// Answers one dialler as node 2 does.
    async fn answer(listener: TcpListener) {
        let (mut stream, _) = listener.accept().await.expect("somebody dials");
        let mut bytes = BytesMut::new();
        read_frame(&mut stream, &mut bytes, REFUSAL_BYTES_MAX).await.expect("it says hello");
        let hello = shared(2).hello(NodeId(1));
        frame::encode(FrameKind::Hello, &hello.encode(), &mut bytes);
        write(&mut stream, &bytes).await.expect("it listens");
        let _until_it_goes = read_frame(&mut stream, &mut bytes, REFUSAL_BYTES_MAX).await;
    }

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_hide_the_one_that_answers() {
        // It accepts, as the system does for it, and says nothing.
        let (_silent, silent) = listener().await;
        let (sound, address) = listener().await;
        let mut dialer = Dialer::new(NodeId(2), String::new(), shared(1));
        let dial = dialer.try_addresses(vec![silent, address]);
        let (dialled, ()) = tokio::join!(
            async { dial.await.map(|stream| stream.peer_addr().expect("it is connected")) },
            answer(sound)
        );
        assert_eq!(dialled.expect("one of them answers"), address);
        assert_eq!(dialer.answered, Some(address));
        assert_eq!(dialer.in_order(vec![silent, address]), [address, silent]);
    }

    #[tokio::test]
    async fn what_each_address_did_is_told() {
        let (closed, refused) = listener().await;
        drop(closed);
        let (_silent, silent) = listener().await;
        let mut dialer = Dialer::new(NodeId(2), String::new(), shared(1));
        let error = dialer.try_addresses(vec![refused, silent]).await.expect_err("none answers");
        let text = error.to_string();
        assert!(text.contains(&format!("{refused} cannot be reached")), "{text}");
        assert!(text.contains(&format!("{silent} took longer than 3 s to say hello")), "{text}");
    }
}
