//! The state machines of the libeam actor runtime, without input or output.
//!
//! Nothing in this crate knows Node-API, sockets, threads, a clock or a source of randomness: time
//! and seeds are arguments, work for the outside comes back as records in a queue. That is what lets
//! the tests drive a whole actor system through hours of virtual time in a millisecond.
//!
//! Reading order: [`actor_id`], [`reason`], [`ring`] (the memory shared with the JavaScript isolate
//! and its protocol), [`mailbox`], [`scheduler`], [`timer`], [`supervision`], [`table`] (who is
//! related to whom), [`kernel`] (the machine that joins them); [`event_loop`], [`membership`], [`security`] (keys from a
//! cookie) and [`session`] (what connected nodes say) stand by themselves.

pub mod actor_id;
pub mod config;
pub mod event_loop;
pub mod kernel;
pub mod mailbox;
pub mod membership;
pub mod reason;
pub mod ring;
pub mod scheduler;
pub mod security;
pub mod session;
pub mod supervision;
mod sync;
pub mod table;
pub mod testing;
pub mod timer;
