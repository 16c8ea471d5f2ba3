//! The sockets of the HTTP interface.
//!
//! A request is bounded in bytes and in time before anybody looks at it: a request is read as a
//! whole, its body included, and only then answered.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service as _;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::HttpView;
use super::pool::{Evicted, Permit, Pool};
use crate::tasks::Tasks;

/// The time for which a connection may be without a whole request: to send one, to wait before the
/// next, and to take an answer.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// The largest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The largest body of a request, in bytes.
const BODY_BYTES_MAX: usize = 256 * 1024;

/// The pause after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until it is dropped.
pub(super) async fn listen(
    listener: TcpListener,
    connections_max: usize,
    view: HttpView,
    router: Router,
) {
    let pool = Pool::new(connections_max);
    let (metrics, log_limiter) = (view.metrics(), view.log_limiter());
    let mut tasks = Tasks::default();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let (permit, evicted) = pool.admit();
                match evicted {
                    Evicted::One => {
                        metrics.http_connections_evicted.inc();
                    }
                    Evicted::Nobody => {}
                }
                tasks.spawn(serve(stream, router.clone(), permit));
            }
            Err(error) => {
                metrics.http_accept_errors.inc();
                let kind = error.to_string();
                log_limiter.tell("http", &kind, move |repeated| {
                    tracing::warn!(
                        repeated,
                        "a connection to the HTTP interface cannot be accepted: {error}"
                    );
                });
                // If descriptors are short, this gives one back.
                let _evicted = pool.evict();
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the requests of one connection until it must go.
async fn serve(stream: TcpStream, router: Router, permit: Permit) {
    let router = TowerToHyperService::new(router);
    let answering = hyper::service::service_fn(|request: Request<Incoming>| {
        let (router, permit) = (&router, &permit);
        async move {
            let request = match read_whole(request).await {
                Ok(request) => request,
                Err(refusal) => return Ok::<_, Infallible>(refusal),
            };
            let _busy = permit.begin_answer();
            router.call(request).await
        }
    });
    let mut builder = http1::Builder::new();
    // A client that has sent all that it wants and closes its half is answered all the same.
    builder.half_close(true).max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), answering);
    tokio::select! {
        biased;
        ended = connection => {
            if let Err(error) = ended {
                tracing::debug!("the HTTP interface: {error}");
            }
        }
        () = permit.ended(IDLE_MAX) => {}
    }
}

/// Reads the request with its whole body; the error answers one that is too large or broke off.
async fn read_whole(request: Request<Incoming>) -> Result<Request<Body>, Response> {
    let (head, body) = request.into_parts();
    let too_large = || {
        let message = format!("the body is larger than {BODY_BYTES_MAX} bytes\n");
        (StatusCode::PAYLOAD_TOO_LARGE, message).into_response()
    };
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return Err(too_large());
    }
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(body) => Ok(Request::from_parts(head, Body::from(body.to_bytes()))),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => {
            Err((StatusCode::BAD_REQUEST, format!("the body broke off: {error}\n")).into_response())
        }
    }
}
