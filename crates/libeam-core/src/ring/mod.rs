//! The memory that the core shares with one JavaScript isolate, and what the words in it mean.
//!
//! One kernel has one *page* (header, submission queue, completion queue) and one *state chunk* per
//! [`protocol::CHUNK_ACTORS`] actors. Both sides run on the isolate's own thread: JavaScript writes
//! while it runs, the core reads and writes while JavaScript waits in a call into the addon. So plain
//! loads and stores suffice; the atomics here are relaxed and exist to let safe Rust share the words.
//! The queues are linear batches, not rings with two ends: a batch is handed over whole.
//!
//! Other threads never touch these words. They push into the [`inbox`] and ring the [`bell`].

pub mod bell;
pub mod inbox;
pub mod protocol;
mod words;

pub use words::Words;
