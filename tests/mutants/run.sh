#!/usr/bin/env bash
# Shows that the simulator would have found each bug in this folder, and tests/shell.sh each in shell/.
#
# Each patch breaks one rule. The script applies it in a scratch copy, builds, sweeps the scenarios
# that the patch names, and reports after how many seeds which check failed. A mutant that survives,
# or is caught by another check than the one that it names, fails the script.
#
# usage: tests/mutants/run.sh [--seeds N] [PATCH...]        (default: 1000 seeds, every patch)
# A patch begins with lines of the form
#   Breaks: the rule, in words
#   Caught-by: the check
#   Scenario: one or more file names in scenarios/, or tests/shell.sh
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
root=$PWD
seeds=1000
if [ "${1:-}" = --seeds ]; then seeds=${2:?"--seeds needs a number"}; shift 2; fi
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=("$root"/tests/mutants/*.patch "$root"/tests/mutants/shell/*.patch)

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/copy"
# One build folder for all mutants: only the crates that a patch touches are built again.
build=${CARGO_TARGET_DIR:-$root/target}/mutants

header() { sed -n "s/^$2: *//p" "$1" | head -n 1; }

# Brings the scratch copy back to the tree as it stands. Unchanged files keep their times, so that
# cargo does not build them again.
restore() {
  local file
  while IFS= read -r -d '' file; do
    [ -f "$root/$file" ] || continue
    if ! cmp -s "$root/$file" "$scratch/copy/$file"; then
      mkdir -p "$(dirname "$scratch/copy/$file")"
      cp "$root/$file" "$scratch/copy/$file"
    fi
  done < <(git -C "$root" ls-files -z --cached --others --exclude-standard)
}

# Sweeps scenarios with a simulator that is built with the patch.
sweep_scenarios() {
  local scenario scenarios=() status=0
  for scenario in $(header "$1" Scenario); do scenarios+=("scenarios/$scenario"); done
  cargo build --quiet --profile mutant -p kv-sim --target-dir "$build" || return 2
  started=$(date +%s.%N)
  "$build/mutant/kv-sim" sweep --scenario "${scenarios[@]}" --seeds "0..$seeds" \
    --until-failures 1 --json "$scratch/result.json" || status=$?
  if [ $status = 1 ]; then
    caught=$(grep -o '"check": *"[a-z]*"' "$scratch/result.json" | sed 's/.*"\([a-z]*\)"$/\1/')
    runs=$(grep -o '"runs": *[0-9]*' "$scratch/result.json" | grep -o '[0-9]*$')
  fi
  return $status
}

# Sweeps the real shell. What no patch touches is copied from the build of tests/shell.sh if there is
# one. They must not share it: cargo takes a crate for the same whichever folder it lies in.
sweep_shell() {
  local status=0
  local built=${CARGO_TARGET_DIR:-$root/target}/madsim
  local -x CARGO_TARGET_DIR=$build
  if [ ! -e "$build/madsim" ] && [ -e "$built" ]; then
    mkdir -p "$build" && cp -a "$built" "$build/madsim" || return 2
  fi
  tests/shell.sh --help > /dev/null || return 2
  started=$(date +%s.%N)
  tests/shell.sh --seeds "0..$seeds" --until-failures 1 > "$scratch/shell.log" || status=$?
  cat "$scratch/shell.log"
  if [ $status = 1 ]; then
    caught=$(sed -n 's/^seed [0-9]* violated \([a-z]*\):.*/\1/p' "$scratch/shell.log")
    runs=$(sed -n 's/^\([0-9]*\) seeds passed, \([0-9]*\) failed.*/\1+\2/p' "$scratch/shell.log")
    runs=$((runs))
  fi
  return $status
}

survivors=0
printf '%-44s %-12s %8s %8s\n' mutant caught-by seeds seconds
for patch in "${patches[@]}"; do
  patch=$(realpath "$patch")
  name=$(basename "$patch" .patch)
  expected=$(header "$patch" Caught-by)
  restore
  if ! patch --silent --no-backup-if-mismatch -p1 -d "$scratch/copy" < "$patch"; then
    echo "$name: the patch does not apply any more: bring it up to the code" >&2
    exit 2
  fi
  case $(header "$patch" Scenario) in
    tests/shell.sh) sweep=sweep_shell ;;
    *) sweep=sweep_scenarios ;;
  esac
  caught='' runs='' started=$(date +%s.%N) status=0
  cd "$scratch/copy"
  $sweep "$patch" > "$scratch/sweep.log" 2>&1 || status=$?
  cd "$root"
  seconds=$(echo "$started $(date +%s.%N)" | awk '{ printf "%.1f", $2 - $1 }')
  case $status in
    0) printf '%-44s %-12s %8s %8s\n' "$name" SURVIVED "$seeds" "$seconds"; survivors=$((survivors + 1)) ;;
    1)
      caught=$(sort -u <<< "$caught")
      printf '%-44s %-12s %8s %8s\n' "$name" "$(paste -sd+ <<< "$caught")" "$runs" "$seconds"
      if ! grep -qx "$expected" <<< "$caught"; then
        echo "  expected $expected" >&2
        survivors=$((survivors + 1))
      fi ;;
    *) cat "$scratch/sweep.log" >&2; echo "$name: the sweep or its build ended with $status" >&2; exit 2 ;;
  esac
done
if [ "$survivors" -gt 0 ]; then
  echo "$survivors of ${#patches[@]} mutants were not caught as they should be" >&2
  exit 1
fi
echo "all ${#patches[@]} mutants were caught"
