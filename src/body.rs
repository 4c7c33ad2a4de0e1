//! Bodies of requests, read within limits of size, of time, and of the memory that all of them take together.

use std::time::Duration;

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, header},
};
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
/// For how long, where there is too much of it all.
const BUSY_TIME: Duration = Duration::from_secs(1);
/// What all bodies may take together beyond their [`FIRST`] bytes, in KiB: those that are being read or decided.
const ROOM: usize = 48 * 1024;
/// What the first bytes of all bodies that come in several pieces may take, in KiB. Ordinary hits do not compete with those
/// who send megabytes, and one that comes in one piece, as nearly all do, competes with nobody.
const FIRST_ROOM: usize = 16 * 1024;
/// How many bytes of a body are the first.
const FIRST: usize = 16 * 1024;

/// The room for bodies.
pub struct Bodies {
    room: Semaphore,
    first_room: Semaphore,
}

/// A body that arrived whole; gives its room back when dropped.
pub struct Whole<'r> {
    pub bytes: Bytes,
    _room: Room<'r>,
}

/// The room that one body has.
struct Room<'r> {
    bodies: &'r Bodies,
    first: Option<SemaphorePermit<'r>>,
    more: Option<SemaphorePermit<'r>>,
}

impl Default for Bodies {
    fn default() -> Self {
        Self { room: Semaphore::new(ROOM), first_room: Semaphore::new(FIRST_ROOM) }
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
        let mut room = Room { bodies: self, first: None, more: None };
        let mut whole = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::Bad(BadHit::new("", "the body did not arrive whole")))?;
            let Ok(piece) = frame.into_data() else { continue };
            let length = whole.len() + piece.len();
            if length > MAX_BODY {
                return Err(Refusal::TooLarge { limit: MAX_BODY });
            }
            // Nearly every hit comes in one piece, which need not be copied.
            if whole.is_empty() && body.is_end_stream() {
                room.grow_beyond_first(length)?;
                return Ok(Whole { bytes: piece, _room: room });
            }
            // A piece is a part of what was read ahead, and would keep all of that.
            if length > whole.capacity() {
                let capacity = length.next_power_of_two().min(MAX_BODY);
                room.grow(capacity)?;
                whole.reserve_exact(capacity - whole.len());
            }
            whole.extend_from_slice(&piece);
        }
        Ok(Whole { bytes: whole.into(), _room: room })
    }
}

impl<'r> Room<'r> {
    /// Makes it enough for so many bytes.
    fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        take(&self.bodies.first_room, &mut self.first, bytes.min(FIRST))?;
        self.grow_beyond_first(bytes)
    }

    fn grow_beyond_first(&mut self, bytes: usize) -> Result<(), Refusal> {
        take(&self.bodies.room, &mut self.more, bytes.saturating_sub(FIRST))
    }
}

fn take<'r>(from: &'r Semaphore, held: &mut Option<SemaphorePermit<'r>>, bytes: usize) -> Result<(), Refusal> {
    let due = kibibytes(bytes).saturating_sub(held.as_ref().map_or(0, SemaphorePermit::num_permits));
    if due == 0 {
        return Ok(());
    }
    let taken = u32::try_from(due).ok().and_then(|due| from.try_acquire_many(due).ok()).ok_or(Refusal::Busy)?;
    match held {
        Some(held) => held.merge(taken),
        None => *held = Some(taken),
    }
    Ok(())
}

fn kibibytes(bytes: usize) -> usize {
    bytes.div_ceil(1024)
}

/// Reads the rest of a refused body beside the answer, within bounds, and forgets it: a sender that is still busy would
/// see a broken connection in place of the answer.
pub fn read_on(body: Body, why: &Refusal) {
    let time = match why {
        // It had its time.
        Refusal::Slow => return,
        Refusal::Busy => BUSY_TIME,
        _ => BODY_TIME,
    };
    if body.is_end_stream() {
        return;
    }
    tokio::spawn(async move {
        let mut rest = Limited::new(body, MAX_READ_ON);
        let forget = async { while matches!(rest.frame().await, Some(Ok(_))) {} };
        // Whoever sends more, or more slowly, is cut off.
        let _ = tokio::time::timeout(time, forget).await;
    });
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, sync::Arc};

    use futures_util::{StreamExt as _, stream};
    use tokio::{task::JoinSet, time::Instant};

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
        assert_eq!(held.len(), ROOM / kibibytes(MAX_BODY - FIRST));
        let small = bodies.read(&mut Body::from(vec![b'x'; FIRST]), &HeaderMap::new()).await;
        assert!(small.is_ok(), "an ordinary hit does not compete for room");
        held.pop();
        let again = bodies.read(&mut full(), &HeaderMap::new()).await;
        assert!(again.is_ok_and(|body| body.bytes.len() == MAX_BODY));
    }

    /// A body of which this much arrives, and nothing more for long.
    fn half_sent(bytes: usize) -> Body {
        let start = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b'x'; bytes]))]);
        Body::from_stream(start.chain(stream::pending()))
    }

    #[tokio::test(start_paused = true)]
    async fn half_sent_bodies_take_room_from_their_first_byte_until_their_time_is_over() {
        let bodies = Arc::new(Bodies::default());
        let mut reading = JoinSet::new();
        for size in [1, FIRST, 100_000, 700_000].into_iter().cycle().take(400) {
            let bodies = Arc::clone(&bodies);
            reading.spawn(async move { bodies.read(&mut half_sent(size), &HeaderMap::new()).await.map(drop) });
        }
        let (mut busy, mut slow) = (0, 0);
        let started = Instant::now();
        while let Some(read) = reading.join_next().await {
            match read.expect("no panic").expect_err("none arrives whole") {
                Refusal::Busy => {
                    assert_eq!(started.elapsed(), Duration::ZERO, "it is refused at once");
                    busy += 1;
                }
                Refusal::Slow => slow += 1,
                other => panic!("{other:?}"),
            }
            let whole = bodies.read(&mut Body::from(vec![b'x'; FIRST]), &HeaderMap::new()).await;
            assert!(whole.is_ok(), "a hit that comes in one piece competes with nobody");
        }
        assert!(busy > 100 && slow > 200, "{busy} refused for want of room, {slow} for their time");
        assert_eq!((bodies.room.available_permits(), bodies.first_room.available_permits()), (ROOM, FIRST_ROOM));
    }

    #[tokio::test]
    async fn a_body_in_pieces_is_put_together() {
        let pieces = [&b"{\"event\""[..], b": ", &[b'x'; 70_000], b"}"].map(Bytes::copy_from_slice);
        let whole: Vec<u8> = pieces.concat();
        let mut body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
        let bodies = Bodies::default();
        let read = bodies.read(&mut body, &HeaderMap::new()).await;
        assert!(read.is_ok_and(|read| *read.bytes == *whole));
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
