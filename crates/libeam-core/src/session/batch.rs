//! Many messages in one frame, and the queue in which they wait for it.
//!
//! A frame is a sequence of messages, each a 32-bit little-endian length and that many bytes. Sending a frame costs
//! about the same whether it has one message or a thousand, so [`Outgoing`] puts whatever comes while nobody sends
//! into frames of up to [`BATCH_BYTES`]; a longer message has a frame for itself. When the sender is idle, a message
//! leaves at once and alone.

use std::collections::VecDeque;

/// Bytes of a frame with several messages at most.
pub const BATCH_BYTES: usize = 64 << 10;
/// Bytes that a message adds to a frame beside its own.
pub const LENGTH_BYTES: usize = 4;

/// A frame ends within a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

/// Adds a message to a frame.
///
/// # Panics
/// If the message has 4 GiB or more.
pub fn append(frame: &mut Vec<u8>, message: &[u8]) {
    let length = u32::try_from(message.len()).expect("a message has less than 4 GiB");
    frame.extend_from_slice(&length.to_le_bytes());
    frame.extend_from_slice(message);
}

/// The messages of a frame, in order. After the first error there are no more.
#[derive(Clone, Debug)]
pub struct Messages<'a>(&'a [u8]);

impl<'a> Messages<'a> {
    /// Begins to read a frame, whoever sent it.
    #[must_use]
    pub const fn new(frame: &'a [u8]) -> Self {
        Self(frame)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], Truncated>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        let Some((length, rest)) = bytes.split_first_chunk::<LENGTH_BYTES>() else { return Some(Err(Truncated)) };
        let Some((message, rest)) = rest.split_at_checked(u32::from_le_bytes(*length) as usize) else {
            return Some(Err(Truncated));
        };
        self.0 = rest;
        Some(Ok(message))
    }
}

/// Whether every message of a frame is complete.
#[must_use]
pub fn is_complete(frame: &[u8]) -> bool {
    Messages::new(frame).all(|message| message.is_ok())
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// It waits.
    Queued,
    /// There is no room; others have to leave first.
    Full,
    /// It is longer than a message may be.
    TooBig,
}

/// Messages that wait, already in frames. Bounded in bytes.
#[derive(Debug)]
pub struct Outgoing {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    message_bytes_max: usize,
    queue_bytes_max: usize,
}

impl Outgoing {
    /// An empty queue. A message that is alone in it may exceed `queue_bytes_max`.
    #[must_use]
    pub fn new(message_bytes_max: usize, queue_bytes_max: usize) -> Self {
        let message_bytes_max = message_bytes_max.min(u32::MAX as usize);
        Self { frames: VecDeque::new(), bytes: 0, message_bytes_max, queue_bytes_max }
    }

    /// Adds a message.
    pub fn push(&mut self, message: &[u8]) -> Pushed {
        if message.len() > self.message_bytes_max {
            return Pushed::TooBig;
        }
        let cost = LENGTH_BYTES + message.len();
        if self.bytes > 0 && self.bytes + cost > self.queue_bytes_max {
            return Pushed::Full;
        }
        self.bytes += cost;
        match self.frames.back_mut() {
            Some(frame) if frame.len() + cost <= BATCH_BYTES => append(frame, message),
            behind => {
                // Behind another frame it will be filled; in front it leaves soon.
                let capacity = if behind.is_some() { cost.max(BATCH_BYTES) } else { cost };
                let mut frame = Vec::with_capacity(capacity);
                append(&mut frame, message);
                self.frames.push_back(frame);
            }
        }
        Pushed::Queued
    }

    /// Adds a frame of complete messages that somebody else has put together.
    pub fn push_frame(&mut self, messages: &[u8]) -> Pushed {
        if messages.len() > self.message_bytes_max {
            return Pushed::TooBig;
        }
        if self.bytes > 0 && self.bytes + messages.len() > self.queue_bytes_max {
            return Pushed::Full;
        }
        self.bytes += messages.len();
        match self.frames.back_mut() {
            Some(frame) if frame.len() + messages.len() <= BATCH_BYTES => frame.extend_from_slice(messages),
            _ => self.frames.push_back(messages.to_vec()),
        }
        Pushed::Queued
    }

    /// Bytes that still fit.
    #[must_use]
    pub const fn room(&self) -> usize {
        self.queue_bytes_max.saturating_sub(self.bytes)
    }

    /// Takes the next frame.
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let frame = self.frames.pop_front()?;
        self.bytes -= frame.len();
        Some(frame)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.bytes = 0;
    }

    /// Bytes that wait.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}
