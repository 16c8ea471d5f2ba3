//! TCP sockets, as far as the system and the deterministic runtime differ in them: options that
//! tell a silent peer from one that is gone, and how a reset is noticed without a read.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
#[cfg(not(madsim))]
pub use tokio::net::tcp::{OwnedReadHalf as ReadHalf, OwnedWriteHalf as WriteHalf};

/// The side of a connection that is read from.
#[cfg(madsim)]
pub type ReadHalf = tokio::io::ReadHalf<TcpStream>;

/// The side of a connection that is written to.
#[cfg(madsim)]
pub type WriteHalf = tokio::io::WriteHalf<TcpStream>;

/// The number of probes that may go unanswered before the system takes a silent peer for gone.
#[cfg(not(madsim))]
const PROBES: u32 = 3;

/// Makes the system find out that the other side is gone: after `idle` of silence it asks three
/// times, a third of `idle` apart (TCP keepalive); and it gives up when nothing that was sent has
/// been taken for `user_timeout` (`TCP_USER_TIMEOUT`, where the system has it). Then reads and
/// writes end with an error. Times below a second count as one.
///
/// # Errors
/// The system refuses an option; those set before it stay.
#[cfg(not(madsim))]
pub fn keep_alive(stream: &TcpStream, idle: Duration, user_timeout: Duration) -> io::Result<()> {
    use rustix::net::sockopt;

    let second = Duration::from_secs(1);
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, idle.max(second))?;
    sockopt::set_tcp_keepintvl(stream, (idle / PROBES).max(second))?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    #[cfg(target_os = "linux")]
    {
        let millis = user_timeout.max(second).as_millis();
        sockopt::set_tcp_user_timeout(stream, u32::try_from(millis).unwrap_or(u32::MAX))?;
    }
    #[cfg(not(target_os = "linux"))]
    let _not_there = user_timeout;
    Ok(())
}

/// Does nothing: the simulated network tells both sides when a connection is gone.
///
/// # Errors
/// None.
#[cfg(madsim)]
pub fn keep_alive(_stream: &TcpStream, _idle: Duration, _user_timeout: Duration) -> io::Result<()> {
    Ok(())
}

/// Keeps the system from taking more than about so many bytes that it cannot send yet: what it has
/// taken cannot be overtaken. Where the system has no such option, nothing is done.
///
/// # Errors
/// The system refuses the option.
#[cfg(not(madsim))]
pub fn limit_unsent(stream: &TcpStream, bytes_max: u32) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    return socket2::SockRef::from(stream).set_tcp_notsent_lowat(bytes_max);
    #[cfg(not(target_os = "linux"))]
    {
        let _not_there = (stream, bytes_max);
        Ok(())
    }
}

/// Does nothing: the simulated network takes everything at once.
///
/// # Errors
/// None.
#[cfg(madsim)]
pub fn limit_unsent(_stream: &TcpStream, _bytes_max: u32) -> io::Result<()> {
    Ok(())
}

/// Splits a connection into its two sides, for one task each or for two futures of one.
#[cfg(not(madsim))]
pub fn split(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    stream.into_split()
}

/// Splits a connection into its two sides, for one task each or for two futures of one.
#[cfg(madsim)]
pub fn split(stream: TcpStream) -> (ReadHalf, WriteHalf) {
    tokio::io::split(stream)
}

/// Waits until the other side has reset the connection, so that nothing reaches it any more. A side
/// that has only ended its own stream, and still reads, has not. (It borrows the half for itself
/// alone, because the deterministic runtime's cannot be shared by threads.)
#[cfg(not(madsim))]
pub async fn reset(reader: &mut ReadHalf) {
    // An error says the same.
    let _reset = reader.ready(tokio::io::Interest::ERROR).await;
}

/// Never returns: there a reset is noticed by whoever reads or writes.
#[cfg(madsim)]
pub async fn reset(_reader: &mut ReadHalf) {
    std::future::pending().await
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use rustix::net::sockopt;
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_socket_is_given_keepalive_and_user_timeout() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(address).await.expect("it listens");
        assert!(!sockopt::socket_keepalive(&stream).expect("it is a socket"));

        keep_alive(&stream, Duration::from_secs(30), Duration::from_millis(7_500))
            .expect("the system has these options");

        assert!(sockopt::socket_keepalive(&stream).expect("it is a socket"));
        let idle = sockopt::tcp_keepidle(&stream).expect("it is a TCP socket");
        let between = sockopt::tcp_keepintvl(&stream).expect("it is a TCP socket");
        assert_eq!((idle.as_secs(), between.as_secs()), (30, 10));
        #[cfg(target_os = "linux")]
        assert_eq!(sockopt::tcp_user_timeout(&stream).expect("it is a TCP socket"), 7_500);
    }

    /// Makes a connection; the first end is the accepted one.
    async fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = listener.local_addr().expect("it is bound");
        let (accepted, connected) = tokio::join!(listener.accept(), TcpStream::connect(address));
        (accepted.expect("somebody connects").0, connected.expect("it listens"))
    }

    #[tokio::test]
    async fn a_reset_is_noticed_without_a_read_and_the_end_of_a_stream_is_none() {
        let (mut here, mut there) = connection().await;
        there.shutdown().await.expect("it is connected");
        // Unread bytes make the close of the other side a reset.
        here.write_all(b"x").await.expect("it reads on");
        let (mut reader, _writer) = split(here);
        let waited = tokio::time::timeout(Duration::from_millis(50), reset(&mut reader)).await;
        assert!(waited.is_err(), "it has only ended its own stream");
        drop(there);
        reset(&mut reader).await;
    }

    #[tokio::test]
    async fn times_below_a_second_count_as_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("the system has a port");
        let address = listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(address).await.expect("it listens");
        keep_alive(&stream, Duration::from_millis(1), Duration::from_millis(1))
            .expect("a second is allowed");
        assert_eq!(sockopt::tcp_keepidle(&stream).expect("a TCP socket").as_secs(), 1);
    }
}
