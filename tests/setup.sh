#!/usr/bin/env bash
# Installs what tests and trials use beside Rust, from Debian's packages: redis-cli and redis-benchmark
# (redis-tools), redis-server, chromium, ip (iproute2) and nft (nftables). What is there already is left
# as it is.
#
# usage: tests/setup.sh
set -euo pipefail

packages=()
command -v redis-cli > /dev/null && command -v redis-benchmark > /dev/null || packages+=(redis-tools)
command -v redis-server > /dev/null || packages+=(redis-server)
command -v chromium > /dev/null || packages+=(chromium)
# These two are where only root looks.
PATH="$PATH:/usr/sbin:/sbin"
command -v ip > /dev/null || packages+=(iproute2)
command -v nft > /dev/null || packages+=(nftables)
[ ${#packages[@]} -gt 0 ] || exit 0

if ! command -v apt-get > /dev/null; then
  echo "there is no apt-get here: install redis-cli, redis-benchmark, redis-server, chromium, ip and nft by other means" >&2
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
