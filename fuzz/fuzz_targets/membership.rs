//! See `libeam_core::testing::wire_membership`.

#![no_main]

use libeam_core::testing::wire_membership;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wire_membership::run(bytes));
