#!/bin/bash
# Installs what the tests need on Debian and runs all of them: as root, and as an ordinary user made for it.
# The user `holm-test` has ranges in /etc/subuid; it stays, so that a second run need not make it again.
set -euo pipefail
cd "$(dirname "$0")"
[ "$(id -u)" = 0 ] || { echo "test.sh: run it as root: it installs packages and makes a user" >&2; exit 1; }

step() { printf '\n== %s\n' "$*"; }

step packages
missing=()
# Those from the second line on are what tests run inside, or beside.
for package in gcc libc6-dev procps apparmor checkpolicy uidmap util-linux bubblewrap strace iproute2 cpio kmod mawk qemu-system-x86 \
    git make nodejs python3 libpython3.11-testsuite perl vim openssl curl ca-certificates tzdata debootstrap \
    mmdebstrap skopeo umoci buildah docker-registry btrfs-progs squashfs-tools erofs-utils graphviz fonts-dejavu-core chromium tmux \
    systemd criu podman conmon crun docker.io containerd slirp4netns passt fuse-overlayfs netavark catatonit iptables busybox-static \
    containernetworking-plugins python3-grpcio; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    apt-get update -qq
    # Engines are started by tests alone: none as a service of the machine.
    policy=/usr/sbin/policy-rc.d
    [ -e $policy ] || { printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy; trap 'rm -f "$policy"' EXIT; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
    [ -z "$(trap -p EXIT)" ] || { rm -f $policy; trap - EXIT; }
fi
command -v cargo-deny >/dev/null || cargo install --quiet --locked cargo-deny

release=$(. /etc/os-release && echo "$VERSION_CODENAME")
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | head -n 1)

step "a root of Debian"
debian=$PWD/target/debian.tar
mkdir -p target
if [ ! -e "$debian" ]; then
    root=$(mktemp -d "$PWD/target/debian-XXXXXX")
    debootstrap --variant=minbase "$release" "$root" "$mirror" >/dev/null
    rm -rf "$root"/var/cache/apt/archives/*.deb
    tar --create --numeric-owner --one-file-system --directory "$root" --file "$debian.new" .
    rm -rf "$root"
    mv "$debian.new" "$debian"
fi

step "a root that mmdebstrap makes, with its packages"
packages=$PWD/target/packages.tar
if [ ! -e "$packages" ]; then
    # No device nodes, and the packages stay: the test builds its root of them.
    SOURCE_DATE_EPOCH=1700000000 mmdebstrap --quiet --mode=root --variant=minbase \
        --skip=output/dev,cleanup/apt/cache,essential/unlink "$release" "$packages.new.tar" "$mirror"
    mv "$packages.new.tar" "$packages"
fi

step user
id holm-test >/dev/null 2>&1 || useradd --create-home --shell /bin/bash holm-test
grep -q '^holm-test:' /etc/subuid || usermod --add-subuids 300000-365535 --add-subgids 300000-365535 holm-test

step "format, lints, licences, sources"
cargo fmt --all --check
rustfmt --edition 2024 --check crates/holm/init/main.rs  # no package of its own
cargo clippy --workspace --all-targets -- -D warnings
cargo deny --log-level error check bans licenses sources

step build
cargo build --workspace
tests=$(cargo test --workspace --no-run --message-format=json 2>/dev/null |
    sed -n 's/.*"executable":"\([^"]*\/deps\/[^"]*\)".*/\1/p' | sort -u)

step "tests as root"
cargo test --workspace

step "tests as an ordinary user"
place=$(mktemp -d /tmp/holm-tests-XXXXXX)
trap 'rm -rf "$place"' EXIT
chmod 755 "$place"
target=$(dirname "$(dirname "$(printf '%s\n' "$tests" | head -n 1)")")
install -m 755 "$target/holm" "$place/holm"
[ ! -d docs ] || cp -r docs "$place/docs"
ln "$debian" "$place/debian.tar" 2>/dev/null || cp "$debian" "$place/debian.tar"
chmod 644 "$debian" "$place/debian.tar"
for test in $tests; do
    name=$(basename "$test")
    case $name in floors-*|holm_bench-*) continue ;; esac  # they read the sources only
    install -m 755 "$test" "$place/$name"
    printf '\n-- %s\n' "${name%-*}"
    # A login's environment and nothing else of this one's.
    su holm-test -s /bin/bash -c "cd && HOLM='$place/holm' HOLM_DOCS='$place/docs' HOLM_DEBIAN='$place/debian.tar' HOLM_PROGRAMS='${HOLM_PROGRAMS:-}' \
        CI='${CI:-}' '$place/$name'"
done

step "pictures in dots, which are not built in by default"
cargo clippy --workspace --all-targets --features holm-cli/png -- -D warnings
cargo test --workspace --features holm-cli/png --lib --test diagram -- diagram::png picture_in_dots

step "another kernel, in an emulated machine"
tests/machine/run.sh
