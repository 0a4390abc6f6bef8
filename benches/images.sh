#!/bin/bash
# Pulls an image from a registry on loopback and unpacks it, by holm and by podman in turn, each on a fresh file system, and prints
# medians and their ratios; umoci unpacks the same from a directory. Run it as root on Debian, with docker-registry, skopeo, podman
# and umoci installed. The image has one layer, of ARCHIVE, compressed by gzip.
# usage: benches/images.sh ARCHIVE [ROUNDS]      HOLM=path of holm
set -euo pipefail
cd "$(dirname "$0")/.."
archive=$(realpath "${1:?usage: benches/images.sh ARCHIVE [ROUNDS]}") rounds=${2:-5} port=5037
holm=${HOLM:-$PWD/target/x86_64-unknown-linux-gnu/release/holm}
. benches/fresh.sh
registry=
trap '[ -z "$registry" ] || kill "$registry" 2>/dev/null || true; clean' EXIT
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
skopeo --insecure-policy copy -q --src-tls-verify=false "docker://$at:one" "oci:$scratch/packed:x"
rm -rf "$HOLM_STORE"

by_holm() { HOLM_STORE=$fresh/store "$holm" root pull --quiet "$at:one" one; }
by_podman() {
    podman --root "$fresh/podman" --runroot "$fresh/run" --storage-driver overlay pull -q --tls-verify=false "$at:one"
    umount "$fresh/podman/overlay" 2>/dev/null || true
}
by_umoci() { umoci unpack --image "$scratch/packed:x" "$fresh/bundle"; }

compare "pull $(basename "$archive")" holm podman umoci
