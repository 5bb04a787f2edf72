#!/usr/bin/env bash
# Plays histories of simulated clusters (crates/libeam-core/tests/membership_sim.rs), optimised.
#
#   scripts/simulate.sh          200 seeds per scenario, which takes one to two minutes
#   scripts/simulate.sh 5000     as many as you have time for; a failure prints its seed
set -euo pipefail
cd "$(dirname "$0")/.."
LIBEAM_SIM_SEEDS="${1:-200}" cargo test --locked --release -p libeam-core --test membership_sim
