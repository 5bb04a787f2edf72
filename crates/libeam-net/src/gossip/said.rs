//! What a node says about itself: how its event loop does, which its runtime says, and what its owner says.
//!
//! One byte for the loop, then the owner's bytes. News about a loop go out at most once per
//! [`INTERVAL_US`]: a loop that changes more often than that is told as it is then.

use libeam_core::event_loop::LoopState;
use std::sync::Arc;

/// Time between two news about a loop.
const INTERVAL_US: u64 = 1_000_000;

const OK: u8 = 0;
const BUSY: u8 = 1;
const HUNG: u8 = 2;

/// What this node says.
#[derive(Debug)]
pub(super) struct Said {
    /// The owner's part.
    meta: Arc<[u8]>,
    /// What is said of the loop.
    said: LoopState,
    /// How it is.
    now: LoopState,
    /// Before this, news about the loop wait.
    not_before_us: u64,
}

impl Said {
    pub const fn new(meta: Arc<[u8]>) -> Self {
        Self { meta, said: LoopState::Ok, now: LoopState::Ok, not_before_us: 0 }
    }

    /// Takes what the owner says from now on.
    pub fn set_meta(&mut self, meta: Arc<[u8]>) {
        self.meta = meta;
    }

    /// Takes how the loop does.
    pub const fn set_loop(&mut self, state: LoopState) {
        self.now = state;
    }

    /// When [`Said::refresh`] is to be called, if there is anything to say.
    pub fn poll_timeout(&self) -> Option<u64> {
        (self.said != self.now).then_some(self.not_before_us)
    }

    /// All of it, if the part about the loop has to be said anew.
    pub fn refresh(&mut self, now_us: u64) -> Option<Arc<[u8]>> {
        if self.said == self.now || now_us < self.not_before_us {
            return None;
        }
        self.said = self.now;
        self.not_before_us = now_us + INTERVAL_US;
        Some(self.bytes())
    }

    /// All of it.
    pub fn bytes(&self) -> Arc<[u8]> {
        let first = match self.said {
            LoopState::Ok => OK,
            LoopState::Busy => BUSY,
            LoopState::Hung => HUNG,
        };
        [&[first], &*self.meta].concat().into()
    }
}

/// What another node says: how its loop does, and the owner's part. What is unknown is a loop that does well.
#[must_use]
pub fn read(said: &[u8]) -> (LoopState, &[u8]) {
    let (first, meta) = said.split_first().unwrap_or((&OK, &[]));
    let state = match *first {
        BUSY => LoopState::Busy,
        HUNG => LoopState::Hung,
        _ => LoopState::Ok,
    };
    (state, meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_can_be_read() {
        let mut said = Said::new(b"owner"[..].into());
        assert_eq!(read(&said.bytes()), (LoopState::Ok, &b"owner"[..]));
        for state in [LoopState::Busy, LoopState::Hung, LoopState::Ok] {
            said.set_loop(state);
            let due_us = said.poll_timeout().expect("there is something to say");
            let bytes = said.refresh(due_us).expect("it may be said now");
            assert_eq!(read(&bytes), (state, &b"owner"[..]));
        }
        assert_eq!(read(b""), (LoopState::Ok, &b""[..]));
        assert_eq!(read(&[77, 1]), (LoopState::Ok, &[1][..]));
    }

    #[test]
    fn a_loop_that_changes_often_is_told_once_per_interval() {
        let mut said = Said::new(Arc::default());
        assert_eq!(said.poll_timeout(), None);
        said.set_loop(LoopState::Busy);
        assert!(said.refresh(5).is_some());
        said.set_loop(LoopState::Ok);
        assert_eq!(said.refresh(6), None);
        assert_eq!(said.poll_timeout(), Some(5 + INTERVAL_US));
        said.set_loop(LoopState::Busy);
        assert_eq!(said.poll_timeout(), None);
        said.set_loop(LoopState::Hung);
        assert!(said.refresh(5 + INTERVAL_US).is_some());
        assert_eq!(said.refresh(5 + 2 * INTERVAL_US), None);
    }
}
