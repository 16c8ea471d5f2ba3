//! Proxies between nodes, with which a test does to connections what networks do to them.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// One way in which connections are made: from whoever dials the proxy to a node.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    /// Which directions new connections do not carry; those that are there keep what they had.
    holes: [AtomicBool; 2],
    /// Bytes in a second towards the node; 0 is as many as come.
    rate: AtomicU64,
    connections: Mutex<Vec<Arc<Connection>>>,
    ended: AtomicBool,
}

/// A connection: which of its directions swallow everything, for ever.
#[derive(Default)]
struct Connection {
    swallows: [AtomicBool; 2],
}

/// A direction within a connection.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// Towards the node.
    There = 0,
    /// Towards the one who dialled.
    Back = 1,
}

/// How long a pump waits for bytes before it looks at its orders again.
const LOOK: Duration = Duration::from_millis(20);

impl Proxy {
    /// A proxy in front of a port of this machine.
    pub(crate) fn new(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("the system has a port");
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("it can be asked");
        let shared = Arc::new(Shared {
            target,
            holes: Default::default(),
            rate: AtomicU64::new(0),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let proxy = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || shared.listen(&listener));
        proxy
    }

    /// From now on these directions carry nothing: connections stand, and are silent. Those that are
    /// there stay so even when it is over, as after a firewall has forgotten them.
    pub(crate) fn swallow(&self, ways: &[Way]) {
        for &way in ways {
            self.shared.holes[way as usize].store(true, Ordering::Relaxed);
        }
        for connection in &*self.shared.connections.lock().expect("nobody panics") {
            connection.lose(ways);
        }
    }

    /// New connections are carried again.
    pub(crate) fn heal(&self) {
        self.shared.holes.iter().for_each(|hole| hole.store(false, Ordering::Relaxed));
    }

    /// Carries only so many bytes in a second towards the node.
    pub(crate) fn limit(&self, bytes_per_second: u64) {
        self.shared.rate.store(bytes_per_second, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
    }
}

impl Connection {
    fn lose(&self, ways: &[Way]) {
        ways.iter().for_each(|&way| self.swallows[way as usize].store(true, Ordering::Relaxed));
    }
}

impl Shared {
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }

    fn listen(self: Arc<Self>, listener: &TcpListener) {
        while !self.has_ended() {
            let Ok((near, _)) = listener.accept() else {
                thread::sleep(LOOK);
                continue;
            };
            near.set_nonblocking(false).expect("it can block");
            let connection = Arc::new(Connection::default());
            let holes = [Way::There, Way::Back];
            let is_hole = |way: &Way| self.holes[*way as usize].load(Ordering::Relaxed);
            connection.lose(&holes.into_iter().filter(is_hole).collect::<Vec<_>>());
            self.connections.lock().expect("nobody panics").push(Arc::clone(&connection));
            let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.target)) else { continue };
            for (way, from, to) in [(Way::There, &near, &far), (Way::Back, &far, &near)] {
                let clone = |stream: &TcpStream| stream.try_clone().expect("it is a socket");
                let (from, to) = (clone(from), clone(to));
                let (shared, connection) = (Arc::clone(&self), Arc::clone(&connection));
                thread::spawn(move || shared.pump(&connection, way, from, to));
            }
        }
    }

    /// Carries bytes until one side ends. Where they are swallowed, not even the end is passed on.
    fn pump(&self, connection: &Connection, way: Way, mut from: TcpStream, mut to: TcpStream) {
        from.set_read_timeout(Some(LOOK)).expect("not zero");
        let mut bytes = [0; 16 * 1024];
        while !self.has_ended() {
            if connection.swallows[way as usize].load(Ordering::Relaxed) {
                thread::sleep(LOOK);
                continue;
            }
            let count = match from.read(&mut bytes) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                Err(_) => break,
            };
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
            let rate = self.rate.load(Ordering::Relaxed);
            if rate > 0 && matches!(way, Way::There) {
                thread::sleep(Duration::from_micros(count as u64 * 1_000_000 / rate));
            }
        }
        // Both directions end, as after a reset.
        let _gone = from.shutdown(Shutdown::Both);
        let _gone = to.shutdown(Shutdown::Both);
    }
}
