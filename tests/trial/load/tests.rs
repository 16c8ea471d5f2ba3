//! Loads against servers that behave as they are told.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;

/// A server for one client after the other; each connection is served by a function.
struct ToldServer {
    address: String,
    _thread: JoinHandle<()>,
}

impl ToldServer {
    fn start(serve: fn(TcpStream) -> std::io::Result<()>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it listens").to_string();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a client");
                stream.set_nodelay(true).expect("it is open");
                // The client may close at any time.
                std::thread::spawn(move || drop(serve(stream)));
            }
        });
        Self { address, _thread: thread }
    }
}

/// Takes one request: each is a `SET`, in seven lines.
fn take(reader: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut line = String::new();
    for _ in 0..6 {
        line.clear();
        if reader.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
    // The value may hold any byte.
    reader.read_exact(&mut [0; 5 + 2])
}

fn answer_all(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        take(&mut reader)?;
        reader.get_mut().write_all(b"+OK\r\n")?;
    }
}

fn load(server: &ToldServer, pace: Pace, timeout: Option<Duration>) -> Load {
    Load {
        addresses: vec![server.address.clone()],
        protocol: Protocol::Resp { greeting: None, wait: None },
        request: Request::Set,
        pace,
        connections: 2,
        depth: 4,
        keys: KeyChoice::Uniform { count: 100 },
        value_bytes: 5,
        time_max: Duration::from_millis(200),
        timeout,
        seed: 0,
        last_due: None,
    }
}

fn total(measured: &Measured) -> u64 {
    measured.operations
        + measured.late
        + measured.refused.values().sum::<u64>()
        + measured.unsent
        + measured.unanswered
        + measured.broken
        + measured.wrong
}

#[test]
fn a_closed_loop_does_as_many_operations_as_it_is_told() {
    let server = ToldServer::start(answer_all);
    let pace = Pace::Closed { operations: 1_001 };
    let time_max = Duration::from_secs(60);
    let measured = drive(Load { time_max, ..load(&server, pace, None) }).expect("it answers");
    assert_eq!((measured.operations, total(&measured)), (1_001, 1_001));
    assert_eq!(measured.latency.len(), 1_001);
}

#[test]
fn an_open_loop_asks_for_all_that_is_due_and_says_when_the_last_was() {
    let server = ToldServer::start(answer_all);
    let (teller, last_due) = std::sync::mpsc::channel();
    let begun = Instant::now();
    let pace = Pace::Open { per_second: 2_000.0 };
    let measured = drive(Load { last_due: Some(teller), ..load(&server, pace, None) });
    let measured = measured.expect("it answers");
    assert_eq!((measured.operations, total(&measured)), (400, 400));
    assert!(measured.took >= Duration::from_millis(200));
    // The last of 400 begins half a millisecond before the end.
    let last_due = last_due.recv().expect("it was told");
    assert!(last_due.duration_since(begun) >= Duration::from_millis(199));
}

#[test]
fn a_pause_of_the_server_is_felt_by_all_that_was_due_meanwhile() {
    let server = ToldServer::start(|stream| {
        let mut reader = BufReader::new(stream);
        take(&mut reader)?;
        std::thread::sleep(Duration::from_millis(400));
        reader.get_mut().write_all(b"+OK\r\n")?;
        loop {
            take(&mut reader)?;
            reader.get_mut().write_all(b"+OK\r\n")?;
        }
    });
    let pace = Pace::Open { per_second: 1_000.0 };
    let measured = drive(load(&server, pace, None)).expect("it answers");
    assert_eq!(measured.operations, 200);
    // Operations are due over 200 ms, and none is answered before 400 ms have gone.
    assert!(measured.latency.min() >= 190_000, "{}", measured.latency.min());
    assert!(measured.latency_ms(0.5) >= 290.0, "{}", measured.latency_ms(0.5));
}

#[test]
fn what_nobody_answers_is_counted_as_sent_or_as_not() {
    let server = ToldServer::start(|mut stream| stream.read_to_end(&mut Vec::new()).map(drop));
    let pace = Pace::Open { per_second: 1_000.0 };
    let timeout = Some(Duration::from_millis(50));
    let measured = drive(load(&server, pace, timeout)).expect("it can be asked");
    assert_eq!((measured.operations, total(&measured)), (0, 200));
    // Each of two connections takes four.
    assert_eq!((measured.unanswered, measured.unsent), (8, 192));
    assert_eq!(measured.timed_out(), 200);
}

#[test]
fn a_connection_that_breaks_takes_with_it_what_was_on_it_and_no_more() {
    let server = ToldServer::start(|stream| {
        let mut reader = BufReader::new(stream);
        for _ in 0..10 {
            take(&mut reader)?;
            reader.get_mut().write_all(b"+OK\r\n")?;
        }
        take(&mut reader)
    });
    let pace = Pace::Open { per_second: 1_000.0 };
    let measured = drive(load(&server, pace, None)).expect("it can be asked");
    assert_eq!(total(&measured), 200);
    // At least one of each eleven, and at most what a connection may have.
    assert!((10..=80).contains(&measured.broken), "{}", measured.broken);
    assert_eq!(measured.operations, 200 - measured.broken);
}
