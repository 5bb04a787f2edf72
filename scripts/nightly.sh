#!/usr/bin/env bash
# What takes too long for every push: large simulated clusters, the long specs, fuzzing, the suite on other versions of
# Node, the full benchmark. It goes on after a step that fails, says at the end which did, and prints the seeds that were
# played. One to two hours on two cores.
#
#   scripts/nightly.sh                      everything
#   scripts/nightly.sh simulation fuzz      these steps: simulation, large, long, fuzz, runtimes, benchmark
#
# LIBEAM_NIGHTLY_SEEDS is the number of histories per scenario (1000), LIBEAM_NIGHTLY_LARGE_SEEDS of 1,000 nodes (3; about
# 90 s of CPU and 1.5 GB of memory each).
set -uo pipefail
cd "$(dirname "$0")/.."
exec </dev/null

seeds="${LIBEAM_NIGHTLY_SEEDS:-1000}"
large_seeds="${LIBEAM_NIGHTLY_LARGE_SEEDS:-3}"
fuzz_seconds=600
failed=""

simulation() {
  echo "simulation: seeds 0 to $((seeds - 1))"
  scripts/simulate.sh "$seeds"
}

large() {
  echo "large: seeds 0 to $((large_seeds - 1)), 1,000 nodes each"
  LIBEAM_SIM_SEEDS="$large_seeds" cargo test --locked --release -p libeam-core --test membership_large -- --nocapture
}

long() {
  npm run --silent test:long
}

fuzz() {
  if rustc +nightly --version >/dev/null 2>&1; then
    scripts/fuzz.sh "$fuzz_seconds"
  else
    echo "fuzz: left out, there is no nightly toolchain"
  fi
}

runtimes() {
  npm run --silent test:runtimes -- --suite
}

benchmark() {
  npm run --silent bench
}

steps=(simulation large long fuzz runtimes benchmark)
[ "$#" -eq 0 ] || steps=("$@")
for step in "${steps[@]}"; do
  case "$step" in
    simulation | large | long | fuzz | runtimes | benchmark) ;;
    *)
      echo "nightly: no step is called $step" >&2
      exit 2
      ;;
  esac
done

# The specs and the benchmark run what is built.
case " ${steps[*]} " in *" long "* | *" runtimes "* | *" benchmark "*) npm run --silent build || exit 1 ;; esac

for step in "${steps[@]}"; do
  at=$SECONDS
  echo
  echo "==> $step"
  if "$step"; then
    echo "==> $step: passed in $((SECONDS - at)) s"
  else
    echo "==> $step: FAILED after $((SECONDS - at)) s"
    failed+=" $step"
  fi
done

[ -z "$failed" ] || {
  echo "nightly: failed:$failed" >&2
  exit 1
}
echo "nightly: passed in $SECONDS s"
