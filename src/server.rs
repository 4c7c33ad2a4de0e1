//! Listeners: accepts connections, bounded in number and patience, and stops without cutting off a request.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::connect_info::ConnectInfo};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::ServiceExt;

use read_limit::ReadLimit;
use write_limit::WriteLimit;

mod read_limit;
mod write_limit;

/// How long a client may take to send a request's head, and how long a quiet connection is kept.
const HEADER_TIME: Duration = Duration::from_secs(15);
/// How long a client may leave an answer unread while there is no room for more of it on the way.
const WRITE_TIME: Duration = Duration::from_secs(30);
/// The largest head of a request, in bytes, and what is read ahead of a body.
const MAX_HEAD: usize = 64 * 1024;
/// How long requests in progress may take once the server is told to stop.
const FINISH_TIME: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop` turns true, then finishes the requests in progress.
pub async fn serve(listener: TcpListener, routes: Router, max_connections: usize, mut stop: watch::Receiver<bool>) {
    let connections = Arc::new(Semaphore::new(max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&connections).acquire_owned() => permit,
            () = stopped(&mut stop) => break,
        };
        let Ok(permit) = permit else { break };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(target: "tidegate::server", "cannot accept a connection: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        serve_connection(stream, peer, routes.clone(), &graceful, permit);
    }
    drop(listener);
    if tokio::time::timeout(FINISH_TIME, graceful.shutdown()).await.is_err() {
        tracing::warn!(target: "tidegate::server", "some requests did not finish in {} s and were cut off", FINISH_TIME.as_secs());
    }
}

/// Resolves once the server is told to stop, or nobody is left who could tell it.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn serve_connection(
    stream: TcpStream,
    peer: SocketAddr,
    routes: Router,
    graceful: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    // Answers are small and complete: waiting to fill a packet only delays them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(target: "tidegate::server", "TCP_NODELAY: {error}");
    }
    let connection = graceful.watch(connection(stream, peer, routes));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(target: "tidegate::server", "connection: {error}");
        }
        drop(permit);
    });
}

fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    peer: SocketAddr,
    routes: Router,
) -> impl GracefulConnection<Error = hyper::Error> + Send + 'static {
    let service = routes.map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(
            TokioIo::new(WriteLimit::new(ReadLimit::new(stream), WRITE_TIME)),
            TowerToHyperService::new(service),
        )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        task::JoinHandle,
        time::{Instant, sleep, timeout},
    };

    use super::*;

    /// A client's end, with little room for answers, and the connection at work.
    fn connect() -> (DuplexStream, JoinHandle<Result<(), hyper::Error>>) {
        let (client, server) = duplex(4096);
        let routes = Router::new().route("/", get(|| async { "x".repeat(1000) }));
        let served = connection(server, SocketAddr::from(([192, 0, 2, 1], 5000)), routes);
        (client, tokio::spawn(served))
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: t.example.com\r\n\r\n";

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_its_answers_is_cut_off() {
        let (mut client, served) = connect();
        let started = Instant::now();
        // Sends on for as long as it is let.
        while client.write_all(REQUEST).await.is_ok() {}
        let error = served.await.expect("no panic").expect_err("it is cut off");
        assert!(format!("{error:?}").contains("does not read its answers"), "{error:?}");
        assert!((WRITE_TIME..2 * WRITE_TIME).contains(&started.elapsed()), "{:?}", started.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_gets_all_of_its_answers() {
        let (mut client, served) = connect();
        client.write_all(&REQUEST.repeat(20)).await.expect("there is room for requests");
        let mut answers = Vec::new();
        while answers.len() < 20_000 {
            sleep(WRITE_TIME / 2).await;
            let mut part = [0; 1500];
            let length = timeout(WRITE_TIME, client.read(&mut part)).await.expect("in time").expect("it still answers");
            answers.extend_from_slice(&part[..length]);
        }
        assert!(String::from_utf8(answers).expect("text").starts_with("HTTP/1.1 200 OK"));
        drop(client);
        // That the client is gone in the middle of an answer is no news.
        let _ = served.await.expect("no panic");
    }
}
