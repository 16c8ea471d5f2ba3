#!/usr/bin/env bash
# Shows that the simulator would have found each bug in this folder, and tests/shell.sh each in shell/.
#
# Each mutant breaks one rule. The script puts all of them into one scratch copy and builds it once; which of
# them a process has is chosen when it starts (schemata.py). What cannot be chosen then (a constant, a type,
# the shell) is built alone. It sweeps the scenarios that a mutant names, or tortures the log, and reports
# after how many seeds which check failed. A mutant that survives, or is caught by another check than the one
# that it names, fails the script. In the end it prints how many were caught, by the part of the code that
# they break.
#
# usage: tests/mutants/run.sh [--seeds N] [--in SCENARIO] [--shrink] [MUTANT...]
#        tests/mutants/run.sh --random COUNT [--draw SEED] [--seeds N] [--in SCENARIO]
#        tests/mutants/run.sh --check [MUTANT...]
#   --seeds N       sweep N seeds (default 1000); of `kv-sim log`, 200 times as many, as one takes 0.1 ms
#   --in SCENARIO   sweep this file in scenarios/ instead of those that the mutants name; whichever check
#                   catches a mutant will do. May be given several times
#   --shrink        shrink the failure as well, for a minute at most, and show what is left of it
#   --random COUNT  take so many mutants that are made by chance (generate.py) instead of those in this
#                   folder. Survivors are no failure: they are said to have changed what happened, or nothing
#   --draw SEED     which mutants chance makes (default 1)
#   --keep FOLDER   where to put those that were made by chance (default: target/mutants/random)
#   --check         build nothing: only see whether each mutant applies to the code as it stands. Takes
#                   seconds; exit 1 if one does not
#   MUTANT...       default: every mutant
# README.md beside this file says how a mutant is written.
set -euo pipefail
cd "$(git -C "$(dirname "$0")" rev-parse --show-toplevel)"
root=$PWD
seeds=1000 instead='' shrinks='' checks='' random='' draw=1 keep=''
while [[ "${1:-}" = --* ]]; do
  case $1 in
    --seeds) seeds=${2:?"--seeds needs a number"}; shift 2 ;;
    --in) instead+=" ${2:?"--in needs a file in scenarios/"}"; shift 2 ;;
    --shrink) shrinks=yes; shift ;;
    --random) random=${2:?"--random needs a number"}; shift 2 ;;
    --draw) draw=${2:?"--draw needs a seed"}; shift 2 ;;
    --keep) keep=${2:?"--keep needs a folder"}; shift 2 ;;
    --check) checks=yes; shift ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 2 ;;
  esac
done
# One build folder for all mutants: only the crates that a mutant touches are built again.
build=${CARGO_TARGET_DIR:-$root/target}/mutants
mutants=("$@")
if [ -n "$random" ]; then
  keep=${keep:-$build/random}
  rm -rf "$keep"
  python3 tests/mutants/generate.py "$root" "$random" "$draw" "$keep"
  mutants=("$keep"/*.mutant)
  instead=${instead:- swarm.toml}
elif [ ${#mutants[@]} = 0 ]; then
  mutants=("$root"/tests/mutants/*.mutant)
  # The shell's mutants are no matter for a scenario.
  [ -n "$instead" ] || mutants+=("$root"/tests/mutants/shell/*.mutant)
fi
if [ -n "$checks" ]; then
  for script in apply schemata generate; do python3 "tests/mutants/$script.py" --test; done
  python3 tests/mutants/apply.py --check "$root" "${mutants[@]}"
  echo "all ${#mutants[@]} mutants apply"
  exit
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/copy" "$scratch/all"

header() { sed -n "s/^$2: *//p" "$1" | head -n 1; }

# Brings a scratch copy back to the tree as it stands. Unchanged files keep their times, so that
# cargo does not build them again.
restore() {
  local file
  while IFS= read -r -d '' file; do
    [ -f "$root/$file" ] || continue
    if ! cmp -s "$root/$file" "$1/$file"; then
      mkdir -p "$(dirname "$1/$file")"
      cp "$root/$file" "$1/$file"
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

# Builds all mutants at once that can be, and notes the number of each.
build_all() {
  local together=() mutant
  local -x CARGO_TARGET_DIR=$build
  for mutant in "${mutants[@]}"; do
    [ "$(header "$mutant" Scenario)" = tests/shell.sh ] || together+=("$(realpath "$mutant")")
  done
  restore "$scratch/all"
  : > "$scratch/numbers"
  [ ${#together[@]} -gt 0 ] || return 0
  python3 tests/mutants/schemata.py "$scratch/all" "${together[@]}" > "$scratch/numbers"
  (cd "$scratch/all" && cargo build --quiet --profile quick -p kv-sim) 2> "$scratch/build.log" ||
    { cat "$scratch/build.log" >&2; return 2; }
  cp "$build/quick/kv-sim" "$scratch/all/kv-sim-of-all"
}

# Makes the failure that was found small, in the build that has it.
shrink() {
  local failure started
  failure=$(find "$scratch/failures" -name '*.json' | sort | head -n 1)
  started=$(date +%s)
  "$simulator" shrink "$failure" -o "$scratch/small.toml" --for 60s > "$scratch/shrink.log" 2>&1
  sed -n 's/^ *\(before\|now\): */  \1 /p' "$scratch/shrink.log" | paste -sd';'
  echo "  in $(($(date +%s) - started)) s"
}

# Sweeps scenarios with a simulator that has the mutant.
sweep_scenarios() {
  local scenario scenarios=() status=0
  for scenario in ${instead:-$(header "$1" Scenario)}; do scenarios+=("scenarios/$scenario"); done
  if [ "$KV_MUTANT" = 0 ]; then
    cargo build --quiet --profile quick -p kv-sim --target-dir "$build" || return 2
  fi
  rm -rf "$scratch/failures"
  clock timeout 900 "$simulator" sweep --scenario "${scenarios[@]}" --seeds "0..$seeds" \
    --until-failures 1 --json "$scratch/result.json" --keep "$scratch/failures" || status=$?
  if [ $status = 1 ]; then
    caught=$(violated)
    runs=$(counted runs)
  elif [ $status = 124 ] || [ $status -ge 128 ]; then
    # A sweep that never ends, or that a signal ends: whoever sweeps notices.
    caught=$([ $status = 124 ] && echo hang || echo abort) runs='' status=1
  fi
  return $status
}

# The checks that are violated in the runs that failed. A sweep names only the first of each run, so they
# are run again. If no run failed, the sweep missed a branch that a scenario declares reachable.
violated() {
  local failed scenario seed
  failed=$(python3 -c '
import json, sys
for run in json.load(open(sys.argv[1]))["failures"]:
    print(run["scenario"], run["seed"])' "$scratch/result.json")
  [ -n "$failed" ] || { echo reachability; return; }
  while read -r scenario seed; do
    "$simulator" --scenario "scenarios/$scenario.toml" --seed "$seed" --json > "$scratch/run.json" || true
    python3 -c '
import json, sys
for check, result in json.load(open(sys.argv[1]))["checks"].items():
    if result["verdict"] == "fail":
        print(check)' "$scratch/run.json"
  done <<< "$failed"
}

# Tortures the commit log with a simulator that has the mutant.
torture_log() {
  local status=0
  if [ "$KV_MUTANT" = 0 ]; then
    cargo build --quiet --profile quick -p kv-sim --target-dir "$build" || return 2
  fi
  clock timeout 900 "$simulator" log --seeds "0..$((200 * seeds))" --until-failures 20 \
    --json "$scratch/result.json" || status=$?
  if [ $status = 1 ]; then
    caught=$(grep -o '"check": *"[^"]*"' "$scratch/result.json" | cut -d'"' -f4)
    runs=$(counted runs)
  elif [ $status = 124 ] || [ $status -ge 128 ]; then
    caught=$([ $status = 124 ] && echo hang || echo abort) runs='' status=1
  fi
  return $status
}

counted() { grep -o "\"$1\": *[0-9]*" "$scratch/result.json" | head -n 1 | grep -o '[0-9]*$'; }

# What the runs of a sweep came to, by which two sweeps are told apart.
footprint() { sed -n '/"wall_ms"/d; p' "$scratch/result.json" | sha256sum; }

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

survivors=0 unmoved=0
declare -A footprints parts caught_in
build_all
printf '%-52s %-12s %8s %8s\n' mutant caught-by seeds cpu-s
for mutant in "${mutants[@]}"; do
  mutant=$(realpath "$mutant")
  name=$(basename "$mutant" .mutant)
  expected=$(header "$mutant" Caught-by)
  part=$(header "$mutant" File | sed 's/\.rs$//; s,^\(kv-[a-z]*\)/src/\([^/]*\).*,\1 \2,')
  export KV_MUTANT
  KV_MUTANT=$(awk -v path="$mutant" 'substr($0, length($1) + 2) == path { print $1 }' "$scratch/numbers")
  # What chance made, and what does not compile, is nothing that anybody could have written.
  [ -z "$random" ] || [ -n "$KV_MUTANT" ] || continue
  KV_MUTANT=${KV_MUTANT:-0}
  copy=$scratch/all simulator=$scratch/all/kv-sim-of-all
  if [ "$KV_MUTANT" = 0 ]; then
    copy=$scratch/copy simulator=$build/quick/kv-sim
    restore "$copy"
    python3 tests/mutants/apply.py "$copy" "$mutant" || exit 2
  fi
  case $(header "$mutant" Scenario),$(header "$mutant" Torture) in
    tests/shell.sh,) sweep=sweep_shell ;;
    ,log) sweep=torture_log ;;
    *) sweep=sweep_scenarios ;;
  esac
  caught='' runs='' seconds='' status=0
  cd "$copy"
  $sweep "$mutant" > "$scratch/sweep.log" 2>&1 || status=$?
  parts[$part]=$((${parts[$part]:-0} + 1))
  case $status in
    0)
      said=SURVIVED
      if [ -n "$random" ]; then
        mine=$(footprint)
        if [ -z "${footprints[$instead]:-}" ]; then
          KV_MUTANT=0
          "$simulator" sweep --scenario $(printf 'scenarios/%s ' $instead) --seeds "0..$seeds" \
            --json "$scratch/result.json" > /dev/null 2>&1
          footprints[$instead]=$(footprint)
        fi
        if [ "$mine" = "${footprints[$instead]}" ]; then said=unmoved unmoved=$((unmoved + 1)); fi
      fi
      printf '%-52s %-12s %8s %8s\n' "$name" $said "$seeds" "$seconds"
      survivors=$((survivors + 1)) ;;
    1)
      caught=$(sort -u <<< "$caught")
      printf '%-52s %-12s %8s %8s\n' "$name" "$(paste -sd+ <<< "$caught")" "$runs" "$seconds"
      caught_in[$part]=$((${caught_in[$part]:-0} + 1))
      [ -z "$shrinks" ] || [ $sweep != sweep_scenarios ] || shrink
      if [ -z "$instead" ] && ! grep -qx "$expected" <<< "$caught"; then
        echo "  expected $expected" >&2
        survivors=$((survivors + 1))
      fi ;;
    *) cat "$scratch/sweep.log" >&2; echo "$name: the sweep or its build ended with $status" >&2; exit 2 ;;
  esac
  cd "$root"
done
echo
printf '%-32s %8s %8s\n' part caught of
all=0 found=0
while IFS= read -r part; do
  printf '%-32s %8s %8s\n' "$part" "${caught_in[$part]:-0}" "${parts[$part]}"
  all=$((all + ${parts[$part]})) found=$((found + ${caught_in[$part]:-0}))
done < <(printf '%s\n' "${!parts[@]}" | sort)
if [ -n "$random" ]; then
  echo "$found of $((all - unmoved)) mutants that changed what happened were caught; $unmoved more changed nothing"
  exit
fi
if [ "$survivors" -gt 0 ]; then
  echo "$survivors of $all mutants were not caught as they should be" >&2
  exit 1
fi
echo "all $all mutants were caught"
