//! A stream that is read a little at a time: takes a stream, gives the same stream. Whoever fills hyper's buffer gets a
//! larger one, and keeps it for as long as the next byte does not come; a read that never fills it keeps it small.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf, Take};

/// One byte less than hyper reads at first.
const AT_ONCE: u64 = 8 * 1024 - 1;

pub struct ReadLimit<S>(Take<S>);

impl<S: AsyncRead> ReadLimit<S> {
    pub fn new(stream: S) -> Self {
        Self(stream.take(AT_ONCE))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadLimit<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.set_limit(AT_ONCE);
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ReadLimit<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(self.0.get_mut()).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.get_ref().is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.0.get_mut()).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt as _, duplex};

    use super::*;

    #[tokio::test]
    async fn nothing_is_lost_and_no_read_fills_a_first_buffer() {
        let (mut client, server) = duplex(64 * 1024);
        let sent: Vec<u8> = (0..40_000_u32).map(|nth| (nth % 251) as u8).collect();
        client.write_all(&sent).await.expect("there is room");
        drop(client);
        let (mut limited, mut read, mut buffer) = (ReadLimit::new(server), Vec::new(), vec![0; 32 * 1024]);
        loop {
            let length = limited.read(&mut buffer).await.expect("it can be read");
            assert!(length < 8 * 1024);
            if length == 0 {
                break;
            }
            read.extend_from_slice(&buffer[..length]);
        }
        assert_eq!(read, sent);
    }
}
