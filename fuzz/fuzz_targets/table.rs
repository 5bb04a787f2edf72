//! Bytes as a script of everything that can happen to a kernel, with all invariants checked between any
//! two operations and nothing left at the end: see `libeam_core::testing::script`.
//!
//! `cargo test -p libeam-core --test table_script` runs random scripts of the same kind without a fuzzer.

#![no_main]

use libeam_core::testing::script;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| script::run(bytes));
