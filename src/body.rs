//! Bodies of requests, read within limits of size, of time, and of the memory that all of them take together.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
use bytes::BytesMut;
use http_body_util::{BodyExt, Limited};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    client::{BadHit, MAX_BODY},
    error::Refusal,
};

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// How much of a refused body is read and forgotten, in bytes.
const MAX_READ_ON: usize = 16 * MAX_BODY;
/// What all bodies that are being read or decided may take together, in KiB.
const ROOM: usize = 64 * 1024;
/// Bytes of every body that take no room: ordinary hits do not compete with those who send megabytes.
const FREE: usize = 16 * 1024;

/// The room for bodies.
pub struct Bodies {
    room: Semaphore,
}

/// A body that arrived whole; gives its room back when dropped.
pub struct Whole<'r> {
    pub bytes: Bytes,
    _room: Option<SemaphorePermit<'r>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { room: Semaphore::new(ROOM) }
    }
}

impl Bodies {
    /// Reads a body. Room is taken as bytes arrive and not as they are announced, so that announcing costs nobody.
    pub async fn read(&self, body: &mut Body, headers: &HeaderMap) -> Result<Whole<'_>, Refusal> {
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if length.is_some_and(|length| length > MAX_BODY) {
            return Err(Refusal::TooLarge { limit: MAX_BODY });
        }
        tokio::time::timeout(BODY_TIME, self.frames(body)).await.unwrap_or(Err(Refusal::Slow))
    }

    async fn frames(&self, body: &mut Body) -> Result<Whole<'_>, Refusal> {
        // Nearly every hit comes in one piece, which need not be copied.
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        let mut room: Option<SemaphorePermit<'_>> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Bad(BadHit::new("", "the body did not arrive whole")))?;
            let Ok(piece) = frame.into_data() else { continue };
            let length = first.len() + whole.len() + piece.len();
            if length > MAX_BODY {
                return Err(Refusal::TooLarge { limit: MAX_BODY });
            }
            let held = room.as_ref().map_or(0, SemaphorePermit::num_permits);
            if let Some(due) = kibibytes(length.saturating_sub(FREE)).checked_sub(held).filter(|due| *due > 0) {
                let taken = u32::try_from(due).ok().and_then(|due| self.room.try_acquire_many(due).ok());
                let taken = taken.ok_or(Refusal::Busy)?;
                match &mut room {
                    Some(room) => room.merge(taken),
                    None => room = Some(taken),
                }
            }
            if first.is_empty() && whole.is_empty() {
                first = piece;
            } else {
                whole.extend_from_slice(&std::mem::take(&mut first));
                whole.extend_from_slice(&piece);
            }
        }
        let bytes = if whole.is_empty() { first } else { whole.freeze() };
        Ok(Whole { bytes, _room: room })
    }
}

fn kibibytes(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Reads the rest of a refused body beside the answer, within bounds, and forgets it: a sender that is still busy would
/// see a broken connection in place of the answer.
pub fn read_on(body: Body) {
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let mut rest = Limited::new(body, MAX_READ_ON);
        let forget = async { while matches!(rest.frame().await, Some(Ok(_))) {} };
        // Whoever sends more, or more slowly, is cut off.
        let _ = tokio::time::timeout(BODY_TIME, forget).await;
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bodies_take_room_until_they_are_dropped() {
        let bodies = Bodies::default();
        let full = || Body::from(vec![b'x'; MAX_BODY]);
        let mut held = Vec::new();
        let refused = loop {
            match bodies.read(&mut full(), &HeaderMap::new()).await {
                Ok(body) => held.push(body),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refused, Refusal::Busy));
        assert_eq!(held.len(), ROOM / kibibytes(MAX_BODY - FREE));
        let small = bodies.read(&mut Body::from(vec![b'x'; FREE]), &HeaderMap::new()).await;
        assert!(small.is_ok(), "an ordinary hit does not compete for room");
        held.pop();
        let again = bodies.read(&mut full(), &HeaderMap::new()).await;
        assert!(again.is_ok_and(|body| body.bytes.len() == MAX_BODY));
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_announced_or_not() {
        let bodies = Bodies::default();
        let mut announced = HeaderMap::new();
        announced.insert(header::CONTENT_LENGTH, (MAX_BODY + 1).into());
        let refused = bodies.read(&mut Body::empty(), &announced).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
        let refused = bodies.read(&mut Body::from(vec![b'x'; MAX_BODY + 1]), &HeaderMap::new()).await;
        assert!(matches!(refused, Err(Refusal::TooLarge { .. })));
    }
}
