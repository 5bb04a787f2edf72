//! What waits for the owner: frames of messages, and events.

use super::LinkEvent;
use super::eagerness::Eagerness;
use crate::MonotonicClock;
use libeam_core::membership::member::NodeId;
use libeam_core::ring::bell::{Bell, Ring};
use omq_tokio::message::Message;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// Bytes of messages that are fetched at once, except for the last frame: about as much as actors handle in a turn of
/// the owner's loop. With more, what comes faster than it is handled would leave the network's bounds for the mailboxes.
const FETCH_BYTES: usize = 64 << 10;
/// What a frame costs beside its bytes.
const FRAME_COST: usize = 128;
/// Looks for news in one turn of the owner's loop, and turns that others get meanwhile. The loop itself costs as much as
/// several looks; with 12 of them sequential calls take longer again.
const LOOKS: usize = 4;
/// Refusals that wait at most; further ones are dropped. Other events cannot be many.
const EVENTS_MAX: usize = 4_096;

#[derive(Default)]
struct Waiting {
    frames: VecDeque<(NodeId, Box<[u8]>)>,
    bytes: usize,
    /// Frames that were ever taken.
    taken: u64,
    /// Each with the number of frames that have to be taken before it.
    events: VecDeque<(u64, LinkEvent)>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.frames.is_empty() && self.events.is_empty()
    }

    /// Whether all frames are taken that came before the next event.
    fn has_event(&self) -> bool {
        self.events.front().is_some_and(|&(after, _)| after <= self.taken)
    }

    fn next_event(&mut self) -> Option<LinkEvent> {
        if self.has_event() { self.events.pop_front().map(|(_, event)| event) } else { None }
    }
}

/// What else there is beside the frames that were fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// Something has happened, and what came before it is fetched.
    pub events: bool,
    /// Room that the next frame needs if it is more than there was, in bytes; 0 if it is not.
    pub missing: usize,
}

/// What an owner does that is awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It fetches the news.
    News,
    /// It asks again.
    Ask,
    /// It waits for the callback.
    Sleep,
}

/// The owner, as it looks for news.
#[derive(Debug, Default)]
struct Owner {
    eagerness: Eagerness,
    /// It asks by itself: the bell stays rung, so nobody wakes it.
    awake: bool,
}

/// Bounded: while it is full, nothing is read from the network.
pub(super) struct Inbox {
    waiting: Mutex<Waiting>,
    bytes_max: usize,
    /// There is something to fetch.
    pub bell: Notify,
    /// Whether the owner has been woken and has not come yet.
    woken: Bell,
    room: Notify,
    owner: Mutex<Owner>,
}

impl Inbox {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            bytes_max,
            bell: Notify::new(),
            woken: Bell::new(),
            room: Notify::new(),
            owner: Mutex::default(),
        }
    }

    /// Ends when there may be room. Asked for before [`Inbox::is_full`], it cannot miss the moment.
    pub fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    pub fn is_full(&self) -> bool {
        self.waiting.lock().bytes >= self.bytes_max
    }

    /// Takes a frame with complete messages. Copied: what comes from the network may be part of a larger buffer.
    pub fn put(&self, from: NodeId, frame: &[u8]) {
        let mut waiting = self.waiting.lock();
        waiting.bytes += frame.len() + FRAME_COST;
        waiting.frames.push_back((from, frame.into()));
        drop(waiting);
        self.bell.notify_one();
    }

    pub fn tell(&self, event: LinkEvent) {
        let mut waiting = self.waiting.lock();
        if waiting.events.len() >= EVENTS_MAX && matches!(event, LinkEvent::Refused { .. }) {
            return;
        }
        let after = waiting.taken + waiting.frames.len() as u64;
        waiting.events.push_back((after, event));
        drop(waiting);
        self.bell.notify_one();
    }

    /// Whether the owner has to be woken: not if it is on its way. One wake-up at a time gives its loop a turn between
    /// two portions; many at once would be served one after the other, before everything else.
    pub fn wakes(&self) -> bool {
        self.woken.ring() == Ring::Wake
    }

    /// Hands over some of the frames, as many as `room` bytes hold with `overhead` bytes for each; rings again if there are
    /// more.
    pub fn fetch(&self, room: usize, overhead: usize, mut take: impl FnMut(&NodeId, &[u8])) -> Portion {
        let mut owner = self.owner.lock();
        if !owner.awake {
            self.woken.answer();
        }
        let mut waiting = self.waiting.lock();
        if !waiting.frames.is_empty() {
            owner.eagerness.happened(MonotonicClock.now_us());
        }
        drop(owner);
        let (mut frames, mut bytes, mut used) = (Vec::new(), 0, 0);
        while bytes < FETCH_BYTES
            && let Some(frame) = waiting.frames.pop_front_if(|(_, frame)| used + overhead + frame.len() <= room)
        {
            bytes += frame.1.len() + FRAME_COST;
            used += frame.1.len() + overhead;
            frames.push(frame);
        }
        waiting.bytes -= bytes;
        waiting.taken += frames.len() as u64;
        let next = waiting.frames.front().map(|(_, frame)| frame.len() + overhead);
        let events = waiting.has_event();
        drop(waiting);
        if bytes > 0 {
            self.room.notify_waiters();
        }
        if next.is_some() {
            self.bell.notify_one();
        }
        for (from, frame) in &frames {
            take(from, frame);
        }
        Portion { events, missing: next.filter(|&needed| needed > room).unwrap_or(0) }
    }

    /// Hands over what has happened, as far as the frames before it were fetched.
    pub fn take_events(&self) -> Vec<LinkEvent> {
        let mut waiting = self.waiting.lock();
        std::iter::from_fn(|| waiting.next_event()).collect()
    }

    /// See [`super::Link::stays_awake`].
    pub fn stays_awake(&self, now_us: u64) -> bool {
        let mut owner = self.owner.lock();
        if !owner.awake && owner.eagerness.is_awake(now_us) {
            owner.awake = true;
            // A wake-up that is on its way finds the owner awake: one look more.
            let _ = self.woken.ring();
        }
        owner.awake
    }

    /// See [`super::Link::idle`].
    pub fn idle(&self) -> Idle {
        if !self.waiting.lock().is_empty() {
            return Idle::News;
        }
        let mut owner = self.owner.lock();
        let mut now_us = MonotonicClock.now_us();
        for _ in 0..LOOKS {
            let before_us = now_us;
            std::thread::yield_now();
            now_us = MonotonicClock.now_us();
            let is_crowded = owner.eagerness.waited(now_us - before_us, now_us);
            if !self.waiting.lock().is_empty() {
                return Idle::News;
            }
            if is_crowded {
                break;
            }
        }
        if owner.eagerness.is_awake(now_us) {
            return Idle::Ask;
        }
        // Answered before the last look: what comes after that look rings again.
        self.woken.answer();
        owner.awake = false;
        if self.waiting.lock().is_empty() { Idle::Sleep } else { Idle::News }
    }
}

/// The only part of a message; `None` if it has several.
pub(super) fn only_part(message: &Message) -> Option<&[u8]> {
    if message.len() == 1 { message.get(0) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_woken_once_until_it_comes_and_again_for_what_is_left() {
        let inbox = Inbox::new(1 << 20);
        let mut frame = Vec::new();
        libeam_core::session::batch::append(&mut frame, &[0; FETCH_BYTES]);
        for _ in 0..3 {
            inbox.put(NodeId::from("a"), &frame);
        }
        for left in (0..3).rev() {
            assert!(inbox.wakes());
            assert!(!inbox.wakes());
            let mut fetched = 0;
            let _ = inbox.fetch(usize::MAX, 0, |_, _| fetched += 1);
            assert_eq!((fetched, inbox.waiting.lock().frames.len()), (1, left));
        }
    }

    #[test]
    fn an_event_waits_for_the_frames_before_it() {
        let inbox = Inbox::new(1 << 20);
        let down = |node| LinkEvent::Down { node: NodeId::from(node), epoch: 1 };
        let nodes = |events: Vec<LinkEvent>| format!("{events:?}");
        inbox.tell(down("first"));
        inbox.put(NodeId::from("a"), &[0; FETCH_BYTES]);
        inbox.put(NodeId::from("a"), &[0; 5]);
        inbox.tell(down("second"));
        assert!(inbox.fetch(usize::MAX, 0, |_, _| {}).events);
        assert_eq!(nodes(inbox.take_events()), nodes(vec![down("first")]));
        assert_eq!(nodes(inbox.take_events()), nodes(vec![]), "a frame is left");
        assert!(inbox.fetch(usize::MAX, 0, |_, _| {}).events);
        assert_eq!(nodes(inbox.take_events()), nodes(vec![down("second")]));
    }

    #[test]
    fn an_owner_that_is_awake_is_not_woken_and_misses_nothing_when_it_falls_asleep() {
        let inbox = Inbox::new(1 << 20);
        let arrive = || inbox.put(NodeId::from("a"), &[0; 5]);
        let mut awake = false;
        for _ in 0..100 {
            arrive();
            let _ = inbox.wakes();
            let _ = inbox.fetch(usize::MAX, 0, |_, _| {});
            awake = inbox.stays_awake(MonotonicClock.now_us());
        }
        assert!(awake, "quick messages");
        arrive();
        assert!(!inbox.wakes(), "it comes by itself");
        assert_eq!(inbox.idle(), Idle::News);
        let _ = inbox.fetch(usize::MAX, 0, |_, _| {});
        while inbox.idle() == Idle::Ask {}
        assert!(!inbox.owner.lock().awake);
        arrive();
        assert!(inbox.wakes(), "it sleeps");
    }

    #[test]
    fn a_frame_that_does_not_fit_waits_for_more_room() {
        let inbox = Inbox::new(1 << 20);
        for length in [10, 20, 100, 5] {
            inbox.put(NodeId::from("a"), &vec![0; length]);
        }
        let lengths = |room| {
            let mut lengths = Vec::new();
            let portion = inbox.fetch(room, 8, |_, frame| lengths.push(frame.len()));
            (lengths, portion.missing)
        };
        assert_eq!(lengths(46), (vec![10, 20], 108));
        assert_eq!(lengths(46), (vec![], 108));
        assert_eq!(lengths(108), (vec![100], 0));
        assert_eq!(lengths(46), (vec![5], 0));
    }
}
