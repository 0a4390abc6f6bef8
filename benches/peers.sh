#!/bin/bash
# What roots cost beside the tools that make them today, in one run: debootstrap, mmdebstrap, podman, umoci, jailkit. Run it as
# root on Debian, with all of them installed, after `cargo build --release` and test.sh, which makes target/debian.tar.
# usage: benches/peers.sh [ROUNDS]      HOLM=path of holm; MIRROR=address of the archive
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-3}
benches/roots.sh bookworm "$rounds"
benches/images.sh target/debian.tar "$rounds"
benches/programs.sh "${HOLM:-target/x86_64-unknown-linux-gnu/release/holm}" "$((rounds * 3))"
