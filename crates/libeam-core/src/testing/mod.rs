//! What tests and fuzz targets need to drive a kernel without a JavaScript engine.
//!
//! [`Isolate`] plays JavaScript's part of the protocol over the shared words, with virtual time: it
//! owns the slots, raises `FLAG_RUNNING`, walks batches, answers `EVENT_INIT` and `EVENT_TERMINATE`.
//! It does what `lib/kernel/*.ts` does and panics where that would corrupt something: a slot freed
//! twice or used after, a message out of order, two handlers of one actor at once, a signal that
//! comes twice. [`script`] turns bytes into sequences of operations on it, and [`check`] holds the
//! invariants that have to be true between any two of them. [`wire`] and [`wire_membership`] say what must
//! hold whatever bytes the network brings.
//!
//! Panics are the verdict here: nothing in this module is meant for anything but tests.

#![forbid(unsafe_code)]

mod batch;
mod behaviour;
mod cell;
pub mod check;
pub mod cluster;
mod decode;
mod isolate;
mod lifecycle;
pub mod script;
mod sending;
mod signals;
mod slots;
pub mod wire;
pub mod wire_membership;

pub use behaviour::{Deed, Ending, Handler, Spawn};
pub use cell::{Answer, CallId, Cell, Key, LinkId, Record, Ref, TimerId, WatchId, What};
pub use isolate::Isolate;
pub use lifecycle::Signal;
pub use sending::Sending;
pub use slots::{Message, Slots, Value};
