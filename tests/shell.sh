#!/usr/bin/env bash
# Runs the network shell of the node under the deterministic runtime (tests/shell.rs): three real nodes
# in one process, through partitions, kills and broken connections that a seed draws.
#
# usage: tests/shell.sh [--seeds A..B] [--jobs N] [--until-failures K]     (default: seeds 0..10)
#        tests/shell.sh --seed N [--trace]                                 one seed, to look at
# exit: 0 all passed, 1 a check was violated, 2 the arguments make no sense, 3 one seed gave two digests
set -euo pipefail
cd "$(dirname "$0")/.."
# Flags of the compiler change every crate: this tree has a folder of its own.
export RUSTFLAGS="${RUSTFLAGS:-} --cfg madsim"
built=$(cargo test --quiet --locked -p kv-node --test shell --no-run \
  --target-dir "${CARGO_TARGET_DIR:-target}/madsim" --message-format=json-render-diagnostics)
program=$(sed -n 's/.*"executable":"\([^"]*\/shell-[^"]*\)".*/\1/p' <<< "$built")
exec "$program" "$@"
