//! Bytes on a connection: what a test writes that no HTTP client would.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{HOST, PATIENCE};

/// A connection on which a test writes what no HTTP client would.
pub struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it stood on the wire.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.expect("a connection"), read: Vec::new() }
    }

    /// A server that has had enough may have closed already; its answer tells.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await;
    }

    /// Whether the connection still takes bytes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let sent = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.expect("the server reads, or closes").is_ok()
    }

    /// The next answer; `None` if the connection ends before one.
    pub async fn answer(&mut self) -> Option<Answer> {
        let answer = async {
            loop {
                if let Some((answer, length)) = parse(&self.read) {
                    self.read.drain(..length);
                    return Some(answer);
                }
                let mut chunk = [0; 4096];
                match self.stream.read(&mut chunk).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.read.extend_from_slice(&chunk[..length]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, answer).await.expect("an answer or the end of the connection")
    }

    pub async fn is_closed(&mut self) -> bool {
        self.answer().await.is_none()
    }
}

/// An answer with a `Content-Length`, or without a body, and how long it is.
fn parse(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8(bytes[..head_length].to_vec()).expect("a head in text").to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length = length.map_or(0, |length| length.trim().parse::<usize>().expect("a length"));
    let body = bytes.get(head_length..head_length + length)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let body = String::from_utf8(body.to_vec()).expect("a body in text");
    Some((Answer { status, body }, head_length + length))
}

/// A request as bytes, for the wire.
pub fn raw_hit(body: &str) -> String {
    format!("POST /hit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}
