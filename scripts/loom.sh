#!/usr/bin/env bash
# Explores the interleavings of the lock-free ring with loom. Its flags need a target folder of their own, or every
# ordinary build after it would start from nothing. Optimised, but not across crates: compiling takes longer than the tests.
set -euo pipefail
cd "$(dirname "$0")/.."

if [ ! -f crates/libeam-core/tests/loom_ring.rs ]; then
  echo "loom: skipped, there is no crates/libeam-core/tests/loom_ring.rs"
  exit 0
fi
export CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16
RUSTFLAGS="--cfg loom" exec cargo test -p libeam-core --release --test loom_ring --target-dir target/loom "$@"
