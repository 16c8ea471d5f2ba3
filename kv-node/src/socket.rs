//! Options of TCP sockets that tell a silent peer from one that is gone. The deterministic runtime has
//! no such options; there the functions do nothing.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// Probes that may go unanswered before the system takes a silent peer for gone.
#[cfg(not(madsim))]
const PROBES: u32 = 3;

/// Makes the system find out that the other side is gone: after `idle` of silence it asks three
/// times, a third of `idle` apart (TCP keepalive); and it gives up when nothing that was sent has been
/// taken for `user_timeout` (`TCP_USER_TIMEOUT`, where the system has it). Then reads and writes end
/// with an error. Times below a second count as one.
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

#[cfg(all(test, not(madsim)))]
mod tests {
    use rustix::net::sockopt;
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
