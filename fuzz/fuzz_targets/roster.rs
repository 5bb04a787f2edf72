//! See `libeam_core::testing::wire::roster`.

#![no_main]

use libeam_core::testing::wire;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wire::roster(bytes));
