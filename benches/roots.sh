#!/bin/bash
# Builds a root of Debian's minbase by holm, debootstrap and mmdebstrap in turn, packages cached, each on a fresh file
# system, and prints medians and their ratios. Run it as root on Debian, with debootstrap and mmdebstrap installed.
# usage: benches/roots.sh [SUITE] [ROUNDS]      HOLM=path of holm; MIRROR=address of the archive
set -euo pipefail
cd "$(dirname "$0")/.."
suite=${1:-bookworm} rounds=${2:-3}
holm=${HOLM:-$PWD/target/x86_64-unknown-linux-gnu/release/holm}
mirror=${MIRROR:-http://deb.debian.org/debian}
[ "$(id -u)" = 0 ] || { echo "roots.sh: run it as root: it mounts file systems" >&2; exit 1; }
scratch=$(mktemp -d /tmp/holm-roots-XXXXXX)
fresh=$scratch/fresh
clean() { umount "$fresh" 2>/dev/null || true; rm -rf "$scratch"; }
trap clean EXIT
chmod 755 "$scratch"
install -m 755 "$holm" "$scratch/holm"
mkdir "$fresh" "$scratch/debs" "$scratch/times"
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

# A file system that nothing was removed from: ext4 takes seconds to use such space again.
renew() {
    umount "$fresh" 2>/dev/null || true
    rm -f "$scratch/disk"
    truncate --size=4G "$scratch/disk"
    mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$scratch/disk"
    mount -o loop "$scratch/disk" "$fresh"
    mkdir -m 700 "$fresh/store"
    [ ! -d "$scratch/cache" ] || cp -a "$scratch/cache" "$fresh/store/cache"
    [ "$1" != user ] || chown -R holm-test: "$fresh/store"
    sync
}

echo "filling the caches"
renew root
by_root >/dev/null
cp -a "$fresh/store/cache" "$scratch/cache"
by_debootstrap >/dev/null

one() {
    local before
    renew "$1"
    before=$(date +%s%N)
    "by_$1" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
    # Whoever has not synced has not ended: holm has.
    sync -f "$fresh"
    echo $((($(date +%s%N) - before) / 1000000)) >>"$scratch/times/$1"
}
for _ in $(seq "$rounds"); do
    for tool in root user debootstrap mmdebstrap; do one "$tool"; done
done

median() { sort -n "$scratch/times/$1" | sed -n "$(((rounds + 1) / 2))p"; }
base=$(median root)
printf '%-24s %10s %8s\n' "$suite minbase" "median ms" "x holm"
for tool in root user debootstrap mmdebstrap; do
    name=$tool
    case $tool in root) name="holm as root" ;; user) name="holm as a user" ;; esac
    printf '%-24s %10d %8s\n' "$name" "$(median "$tool")" "$(awk "BEGIN { printf \"%.2f\", $(median "$tool") / $base }")"
done
