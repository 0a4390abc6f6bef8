#!/bin/bash
# Builds a root of Debian's minbase by holm, debootstrap and mmdebstrap in turn, packages cached, each on a fresh file
# system, and prints medians and their ratios. Run it as root on Debian, with debootstrap and mmdebstrap installed.
# usage: benches/roots.sh [SUITE] [ROUNDS]      HOLM=path of holm; MIRROR=address of the archive
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm} rounds=${2:-3}
holm=${HOLM:-$PWD/target/x86_64-unknown-linux-gnu/release/holm}
mirror=${MIRROR:-http://deb.debian.org/debian}
. benches/fresh.sh
chmod 755 "$scratch"
install -m 755 "$holm" "$scratch/holm"
mkdir "$scratch/debs"
as_user() { su holm-test -s /bin/bash -c "cd / && $1"; }

build() { echo "HOLM_STORE=$fresh/store '$scratch/holm' root build debian:$suite --mirror '$mirror' --quiet"; }
by_root() { bash -c "$(build)"; }
by_user() { as_user "$(build)"; }
by_debootstrap() { debootstrap --variant=minbase --cache-dir="$scratch/debs" "$suite" "$fresh/root" "$mirror"; }
by_mmdebstrap() {
    mmdebstrap --mode=root --variant=minbase --skip=download/empty \
        --setup-hook="mkdir -p \"\$1\"/var/cache/apt/archives && cp $scratch/debs/*.deb \"\$1\"/var/cache/apt/archives/" \
        "$suite" "$fresh/root" "$mirror"
}

furnish() {
    [ ! -d "$scratch/cache" ] || cp -a "$scratch/cache" "$fresh/store/cache"
    [ "$1" != user ] || chown -R holm-test: "$fresh/store"
}
named() { case $1 in root) echo "holm as root" ;; user) echo "holm as a user" ;; *) echo "$1" ;; esac; }

echo "filling the caches"
renew root
by_root >/dev/null
cp -a "$fresh/store/cache" "$scratch/cache"
by_debootstrap >/dev/null

compare "$suite minbase" root user debootstrap mmdebstrap
