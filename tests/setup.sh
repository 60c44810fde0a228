#!/usr/bin/env bash
# Installs what the tests need on a Debian 12 machine: packages, the virtual environment .venv, Java class paths.
# Everything that is already here is left alone, so it may be run again. VENV=<dir> picks another environment.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
VENV=${VENV:-.venv}

packages=(zookeeper iproute2 nftables util-linux procps chromium prometheus shellcheck)
command -v javac >/dev/null || packages+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || packages+=(maven)
command -v npm >/dev/null || packages+=(nodejs npm) # one of the old clients
command -v go >/dev/null || packages+=(golang-go) # the benchmarks' load generator, and porcupine
command -v gcc >/dev/null || packages+=(gcc libc6-dev) # one test compiles the hot path
command -v python3 >/dev/null || packages+=(python3)
python3 -c 'import pathlib, sys, sysconfig; sys.exit(not pathlib.Path(sysconfig.get_path("include"), "Python.h").exists())' 2>/dev/null ||
  packages+=(python3-dev)
python3 -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -q
  DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
# --group came with pip 25.1
"$VENV/bin/python" -m pip install -q --disable-pip-version-check 'pip>=25.1'
"$VENV/bin/python" -m pip install -q --disable-pip-version-check -e . --group dev

"$VENV/bin/python" -m tests.support.java
"$VENV/bin/python" -m tests.support.old_clients
"$VENV/bin/python" -m tests.support.happybase
"$VENV/bin/python" -m tests.support.hbase_tools
"$VENV/bin/python" -m tests.support.recipes
"$VENV/bin/python" -m tests.support.junit
"$VENV/bin/python" -m tests.support.zookeeper
"$VENV/bin/python" -m tests.support.porcupine
