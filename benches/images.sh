#!/bin/bash
# Pulls an image from a registry on loopback and unpacks it, by holm and by podman in turn, each on a fresh file system, and prints
# medians and their ratio. Run it as root on Debian, with docker-registry, skopeo and podman installed. The image has one layer, of
# ARCHIVE, compressed by gzip.
# usage: benches/images.sh ARCHIVE [ROUNDS]      HOLM=path of holm
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(realpath "${1:?usage: benches/images.sh ARCHIVE [ROUNDS]}") rounds=${2:-5} port=5037
holm=${HOLM:-$PWD/target/x86_64-unknown-linux-gnu/release/holm}
[ "$(id -u)" = 0 ] || { echo "images.sh: run it as root: it mounts file systems" >&2; exit 1; }
scratch=$(mktemp -d /tmp/holm-images-XXXXXX)
fresh=$scratch/fresh registry=
clean() {
    [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
    umount "$fresh" 2>/dev/null || true
    rm -rf "$scratch"
}
trap clean EXIT
mkdir "$fresh" "$scratch/times"
at=127.0.0.1:$port/debian

cat >"$scratch/registry.yml" <<END
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $scratch/registry}}
http: {addr: '127.0.0.1:$port'}
END
docker-registry serve "$scratch/registry.yml" >/dev/null 2>&1 &
registry=$!
export HOLM_STORE=$scratch/store
"$holm" root import --quiet "$archive" one >/dev/null
"$holm" root export one "oci:$scratch/one:x"
push() { skopeo --insecure-policy copy -q --dest-tls-verify=false --dest-compress-format gzip "oci:$scratch/$1:x" "docker://$at:$1"; }
until (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do sleep 0.1; done
push one
rm -rf "$HOLM_STORE"

# A file system that nothing was removed from: ext4 takes seconds to use such space again.
renew() {
    umount "$fresh" 2>/dev/null || true
    rm -f "$scratch/disk"
    truncate --size=4G "$scratch/disk"
    mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$scratch/disk"
    mount -o loop "$scratch/disk" "$fresh"
    mkdir -m 700 "$fresh/store"
    sync
}

by_holm() { HOLM_STORE=$fresh/store "$holm" root pull --quiet "$at:one" one; }
by_podman() {
    podman --root "$fresh/podman" --runroot "$fresh/run" --storage-driver overlay pull -q --tls-verify=false "$at:one"
    umount "$fresh/podman/overlay" 2>/dev/null || true
}

one() {
    local before
    renew
    before=$(date +%s%N)
    "by_$1" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
    # Whoever has not synced has not ended: holm has.
    sync -f "$fresh"
    echo $((($(date +%s%N) - before) / 1000000)) >>"$scratch/times/$1"
}
for _ in $(seq "$rounds"); do
    for tool in holm podman; do one "$tool"; done
done

median() { sort -n "$scratch/times/$1" | sed -n "$(((rounds + 1) / 2))p"; }
base=$(median holm)
printf '%-24s %10s %8s\n' "pull $(basename "$archive")" "median ms" "x holm"
for tool in holm podman; do
    printf '%-24s %10d %8s\n' "$tool" "$(median "$tool")" "$(awk "BEGIN { printf \"%.2f\", $(median "$tool") / $base }")"
done
