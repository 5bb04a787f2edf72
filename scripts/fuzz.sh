#!/usr/bin/env bash
# Fuzzes every target of fuzz/ with libFuzzer for a bounded time.
#
#   scripts/fuzz.sh [seconds in total, default 60] [target ...]
#
# It passes rustc the flags that cargo-fuzz would pass, so that cargo-fuzz need not be installed; they need a nightly
# toolchain. Without one, the bodies of the targets run as property tests on stable, with fixed seeds.
set -euo pipefail
cd "$(dirname "$0")/.."

total="${1:-60}"
shift || true

if [ ! -f fuzz/Cargo.toml ]; then
  echo "fuzz: skipped, there is no fuzz/ crate"
  exit 0
fi

if ! rustc +nightly --version >/dev/null 2>&1; then
  echo "fuzz: no nightly toolchain; running the targets as property tests instead"
  exec cargo test -p libeam-core --release --test table_script --test wire
fi

if [ "$#" -gt 0 ]; then
  targets=("$@")
else
  mapfile -t targets < <(cargo +nightly metadata --manifest-path fuzz/Cargo.toml --no-deps --format-version 1 |
    node -e '
      const { packages } = JSON.parse(require("fs").readFileSync(0, "utf8"));
      for (const t of packages[0].targets) if (t.kind.includes("bin")) console.log(t.name);')
fi
if [ "${#targets[@]}" -eq 0 ]; then
  echo "fuzz: fuzz/Cargo.toml names no target" >&2
  exit 1
fi

host="$(rustc +nightly -vV | sed -n 's/^host: //p')"
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions --cfg fuzzing"

# --target keeps these flags away from build scripts and procedural macros, which have no libFuzzer to link with.
cargo +nightly build --manifest-path fuzz/Cargo.toml --release --target "$host" --target-dir fuzz/target --bins

each=$((total / ${#targets[@]}))
[ "$each" -ge 1 ] || each=1
for target in "${targets[@]}"; do
  corpus="fuzz/corpus/$target"
  artifacts="fuzz/artifacts/$target"
  mkdir -p "$corpus" "$artifacts"
  seeds=()
  [ -d "fuzz/seeds/$target" ] && seeds=("fuzz/seeds/$target")
  log="fuzz/artifacts/$target.log"
  echo "fuzz: $target for $each s"
  "fuzz/target/$host/release/$target" -max_total_time="$each" -artifact_prefix="$artifacts/" -print_final_stats=1 \
    "$corpus" "${seeds[@]}" >"$log" 2>&1 || {
    tail -n 100 "$log"
    echo "fuzz: $target failed; the input is in $artifacts/" >&2
    exit 1
  }
  grep -E '^(Done|stat::number|stat::average)' "$log"
done
echo "fuzz: ${#targets[@]} targets passed"
