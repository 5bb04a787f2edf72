#!/usr/bin/env bash
# Plays histories of simulated clusters, optimised: membership_sim.rs has every kind of fault and chaos at 5, 20 and 100
# nodes, membership_foca plays some of them to foca too (crates/libeam-core/tests).
#
#   scripts/simulate.sh          200 seeds per scenario and size: about five minutes of one core
#   scripts/simulate.sh 5000     as many as you have time for; a failure prints its seed
set -euo pipefail
cd "$(dirname "$0")/.."
LIBEAM_SIM_SEEDS="${1:-200}" cargo test --locked --release -p libeam-core --test membership_sim --test membership_foca
