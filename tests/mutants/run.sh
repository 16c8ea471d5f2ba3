#!/usr/bin/env bash
# Shows that the simulator would have found each bug in this folder, and tests/shell.sh each in shell/.
#
# Each mutant breaks one rule. The script applies it in a scratch copy, builds, sweeps the scenarios
# that the mutant names, and reports after how many seeds which check failed. A mutant that survives,
# or is caught by another check than the one that it names, fails the script.
#
# usage: tests/mutants/run.sh [--seeds N] [--in SCENARIO] [--shrink] [MUTANT...]
#        tests/mutants/run.sh --check [MUTANT...]
#   --seeds N       sweep N seeds (default 1000)
#   --in SCENARIO   sweep this file in scenarios/ instead of those that the mutants name; whichever check
#                   catches a mutant will do
#   --shrink        shrink the failure as well, for a minute at most, and show what is left of it
#   --check         build nothing: only see whether each mutant applies to the code as it stands. Takes
#                   seconds; exit 1 if one does not
#   MUTANT...       default: every mutant
# README.md beside this file says how a mutant is written.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
root=$PWD
seeds=1000 instead='' shrinks='' checks=''
while [[ "${1:-}" = --* ]]; do
  case $1 in
    --seeds) seeds=${2:?"--seeds needs a number"}; shift 2 ;;
    --in) instead=${2:?"--in needs a file in scenarios/"}; shift 2 ;;
    --shrink) shrinks=yes; shift ;;
    --check) checks=yes; shift ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 2 ;;
  esac
done
mutants=("$@")
if [ ${#mutants[@]} = 0 ]; then
  mutants=("$root"/tests/mutants/*.mutant)
  # The shell's mutants are no matter for a scenario.
  [ -n "$instead" ] || mutants+=("$root"/tests/mutants/shell/*.mutant)
fi
if [ -n "$checks" ]; then
  python3 tests/mutants/apply.py --test
  python3 tests/mutants/apply.py --check "$root" "${mutants[@]}"
  echo "all ${#mutants[@]} mutants apply"
  exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/copy"
# One build folder for all mutants: only the crates that a mutant touches are built again.
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

# Runs a command, and notes how many seconds of CPU it takes.
clock() {
  local TIMEFORMAT='%U %S' status=0
  { time "$@" 2>&3; } 3>&2 2> "$scratch/time" || status=$?
  seconds=$(awk '{ printf "%.1f", $1 + $2 }' "$scratch/time")
  return $status
}

# Makes the failure that was found small, in the build that has it.
shrink() {
  local failure started
  failure=$(find "$scratch/failures" -name '*.json' | sort | head -n 1)
  started=$(date +%s)
  "$build/quick/kv-sim" shrink "$failure" -o "$scratch/small.toml" --for 60s > "$scratch/shrink.log" 2>&1
  sed -n 's/^ *\(before\|now\): */  \1 /p' "$scratch/shrink.log" | paste -sd';'
  echo "  in $(($(date +%s) - started)) s"
}

# Sweeps scenarios with a simulator that is built with the mutant.
sweep_scenarios() {
  local scenario scenarios=() status=0
  for scenario in ${instead:-$(header "$1" Scenario)}; do scenarios+=("scenarios/$scenario"); done
  cargo build --quiet --profile quick -p kv-sim --target-dir "$build" || return 2
  rm -rf "$scratch/failures"
  clock "$build/quick/kv-sim" sweep --scenario "${scenarios[@]}" --seeds "0..$seeds" \
    --until-failures 1 --json "$scratch/result.json" --keep "$scratch/failures" || status=$?
  if [ $status = 1 ]; then
    caught=$(grep -o '"check": *"[a-z]*"' "$scratch/result.json" | sed 's/.*"\([a-z]*\)"$/\1/')
    runs=$(grep -o '"runs": *[0-9]*' "$scratch/result.json" | grep -o '[0-9]*$')
  fi
  return $status
}

# Sweeps the real shell. What no mutant touches is copied from the build of tests/shell.sh if there is
# one. They must not share it: cargo takes a crate for the same whichever folder it lies in.
sweep_shell() {
  local status=0
  local built=${CARGO_TARGET_DIR:-$root/target}/madsim
  local -x CARGO_TARGET_DIR=$build
  if [ ! -e "$build/madsim" ] && [ -e "$built" ]; then
    mkdir -p "$build" && cp -a "$built" "$build/madsim" || return 2
  fi
  tests/shell.sh --help > /dev/null || return 2
  clock tests/shell.sh --seeds "0..$seeds" --until-failures 1 > "$scratch/shell.log" || status=$?
  cat "$scratch/shell.log"
  if [ $status = 1 ]; then
    caught=$(sed -n 's/^seed [0-9]* violated \([a-z]*\):.*/\1/p' "$scratch/shell.log")
    runs=$(sed -n 's/^\([0-9]*\) seeds passed, \([0-9]*\) failed.*/\1+\2/p' "$scratch/shell.log")
    runs=$((runs))
  fi
  return $status
}

survivors=0
printf '%-44s %-12s %8s %8s\n' mutant caught-by seeds cpu-s
for mutant in "${mutants[@]}"; do
  mutant=$(realpath "$mutant")
  name=$(basename "$mutant" .mutant)
  expected=$(header "$mutant" Caught-by)
  restore
  python3 tests/mutants/apply.py "$scratch/copy" "$mutant" || exit 2
  case $(header "$mutant" Scenario) in
    tests/shell.sh) sweep=sweep_shell ;;
    *) sweep=sweep_scenarios ;;
  esac
  caught='' runs='' seconds='' status=0
  cd "$scratch/copy"
  $sweep "$mutant" > "$scratch/sweep.log" 2>&1 || status=$?
  cd "$root"
  case $status in
    0) printf '%-44s %-12s %8s %8s\n' "$name" SURVIVED "$seeds" "$seconds"; survivors=$((survivors + 1)) ;;
    1)
      caught=$(sort -u <<< "$caught")
      printf '%-44s %-12s %8s %8s\n' "$name" "$(paste -sd+ <<< "$caught")" "$runs" "$seconds"
      [ -z "$shrinks" ] || [ $sweep = sweep_shell ] || shrink
      if [ -z "$instead" ] && ! grep -qx "$expected" <<< "$caught"; then
        echo "  expected $expected" >&2
        survivors=$((survivors + 1))
      fi ;;
    *) cat "$scratch/sweep.log" >&2; echo "$name: the sweep or its build ended with $status" >&2; exit 2 ;;
  esac
done
if [ "$survivors" -gt 0 ]; then
  echo "$survivors of ${#mutants[@]} mutants were not caught as they should be" >&2
  exit 1
fi
echo "all ${#mutants[@]} mutants were caught"
