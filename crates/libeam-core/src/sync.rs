//! The locks and atomics of everything that other threads touch.
//!
//! They come from `std`, or from loom when the crate is built with `--cfg loom`, so that the model
//! checker runs the code that ships. Only what both offer is listed.

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
