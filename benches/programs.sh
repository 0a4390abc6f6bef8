#!/bin/bash
# What a root of programs costs: holm, with nothing in its cache, in turn with jailkit's jk_cp. In memory, as root.
# usage: benches/programs.sh [HOLM [ROUNDS]]
set -euo pipefail
holm=$(realpath "${1:-target/x86_64-unknown-linux-gnu/release/holm}")
rounds=${2:-15}
[ "$(id -u)" = 0 ] || { echo "programs.sh: run it as root: jk_cp needs it" >&2; exit 1; }
command -v jk_cp >/dev/null || { echo "programs.sh: install jailkit" >&2; exit 1; }
if [ "${PROGRAMS_INSIDE:-}" != "$$" ]; then
    # Its own mounts: nothing is left, and the caller's cache is not touched. The shell stays the same process.
    PROGRAMS_INSIDE=$$ exec unshare --mount "$0" "$holm" "$rounds"
fi
mount -t tmpfs -o mode=755 tmpfs /var/cache
mount -t tmpfs -o mode=755 tmpfs /srv

# Milliseconds that a command takes.
took() {
    local start=$EPOCHREALTIME end
    "$@" >/dev/null 2>&1
    end=$EPOCHREALTIME
    awk -v start="$start" -v end="$end" 'BEGIN { printf "%.1f\n", (end - start) * 1000 }'
}
median() { sort -n "$1" | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

measure() {
    local name=$1 list
    shift
    list=$(IFS=,; echo "$*")
    rm -f /srv/holm /srv/warm /srv/jailkit
    for ((round = 0; round < rounds; round++)); do
        rm -rf /var/cache/holm /srv/jail
        mkdir /srv/jail
        took "$holm" run --root "bins:$list" --explain true >>/srv/holm
        took "$holm" run --root "bins:$list" --explain true >>/srv/warm
        took jk_cp -j /srv/jail "$@" >>/srv/jailkit
    done
    awk -v name="$name" -v holm="$(median /srv/holm)" -v warm="$(median /srv/warm)" -v jailkit="$(median /srv/jailkit)" \
        'BEGIN { printf "%-16s holm %8.1f ms, again %6.1f ms, jailkit %8.1f ms, ratio %.1f\n",
                 name, holm, warm, jailkit, jailkit / holm }'
}

mapfile -t coreutils < <(grep bin/ /var/lib/dpkg/info/coreutils.list | while read -r path; do [ ! -x "$path" ] || echo "$path"; done)
measure bash /usr/bin/bash
measure bash+coreutils /usr/bin/bash "${coreutils[@]}"
