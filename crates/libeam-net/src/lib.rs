//! Time, threads and sockets for `libeam-core`, which has none of them.
//!
//! * [`MonotonicClock`] says what time it is, on one scale for the whole process.
//! * [`Alarm`] calls back when a moment has come, on the one driver thread of the process.
//! * [`LoopWatch`] asks an event loop whether it still turns, from that thread.
//! * [`gossip`] drives a node's membership, on a thread of its own.
//! * [`link`] carries messages between nodes, on a thread of its own.
//!
//! This crate decides nothing: what a moment means, and what happens at it, is the core's business.
//! It never calls into JavaScript.

mod clock;
mod driver;
pub mod gossip;
pub mod link;
mod loop_watch;

pub use clock::MonotonicClock;
pub use driver::Alarm;
pub use loop_watch::LoopWatch;
