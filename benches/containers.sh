#!/bin/bash
# What a container costs engines: holm, runc and crun, in turn, with one bundle: a static program that ends at once. As root.
# usage: benches/containers.sh [HOLM [ROUNDS [CROWD]]]
set -euo pipefail
self=$(realpath "$0")
cd "$(dirname "$0")/.."
holm=$(realpath "${1:-target/x86_64-unknown-linux-gnu/release/holm}")
rounds=${2:-50} crowd=${3:-500}
[ "$(id -u)" = 0 ] || { echo "containers.sh: run it as root: runc needs it" >&2; exit 1; }
place=$(mktemp -d /tmp/holm-containers-XXXXXX)
name=holm-bench-$$
# It is read from the disk anew, as the others once were: of a file that was just written Linux 6.18 maps larger pieces, up to a megabyte.
sync "$holm"
dd if="$holm" iflag=nocache count=0 status=none
# Under its name for engines; the others by their own.
ln -s "$holm" "$place/holm-oci"
# one RUNTIME OPTION...: as a command line.
one() {
    local program=$1
    shift
    [ "$program" != holm ] || program=$place/holm-oci
    echo "$(command -v "$program") --root $place/state-$(basename "$program") $*"
}
runtime() { $(one "$@"); }
clean() {
    for ((i = 0; i < crowd; i++)); do [ ! -e "$place/state-holm-oci/$name-$i" ] || runtime holm delete --force "$name-$i"; done
    for program in holm runc crun; do runtime $program delete --force "$name" 2>"$place/said" || true; done
    rm -rf "$place"
}
trap clean EXIT

cc -O2 -static -o "$place/meter" benches/meter.c
mkdir -p "$place/bundle/rootfs"
cc -O2 -static -nostdlib -o "$place/bundle/rootfs/true" benches/true.c
(cd "$place/bundle" && "$holm" oci spec)
sed -i 's/"terminal": true/"terminal": false/; s/"sh"/"\/true"/' "$place/bundle/config.json"
cd "$place/bundle"
# crun of Debian 12 knows no later version, and without control groups nothing is limited.
python3 -c '
import json
config = json.load(open("config.json"))
config["ociVersion"] = "1.0.2"
config["linux"].pop("resources", None)
json.dump(config, open("config.json", "w"))'

# meter COMMAND: nanoseconds and KiB of the largest process. What waits to be started keeps its streams, so it gets no pipe.
meter() { "$place/meter" 1 60000 "$@" </dev/null >"$place/metered" 2>"$place/said" || { cat "$place/said" >&2; return 1; }; tr -s ' \t' ' ' <"$place/metered"; }
median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }
calls() { strace -f -qq -o "$place/calls" "$@" </dev/null >/dev/null 2>&1; grep -cv -e ' resumed>' -e '+++' -e '---' "$place/calls"; }

# compare OPTION... -- RUNTIME...
compare() {
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    local program wall peak sum most count=0
    for program in "$@"; do rm -f "$place"/{run,life}-"$program"; done
    for ((round = 0; round < rounds; round++)); do
        for program in "$@"; do
            # shellcheck disable=SC2046
            read -r _ wall _ peak < <(meter $(one "$program" "${options[@]}" run "$name"))
            echo "$wall $peak" >>"$place/run-$program"
            sum=0 most=0
            for verb in create start "delete --force"; do
                # shellcheck disable=SC2046
                read -r _ wall _ peak < <(meter $(one "$program" "${options[@]}" $verb "$name"))
                sum=$((sum + wall)) most=$((peak > most ? peak : most))
            done
            echo "$sum $most" >>"$place/life-$program"
        done
    done
    for what in run life; do
        for program in "$@"; do
            # shellcheck disable=SC2046
            [ $what != run ] || count=$(calls $(one "$program" "${options[@]}" run "$name"))
            awk -v what="$what" -v program="$program" -v calls="$count" -v wall="$(cut -d ' ' -f 1 "$place/$what-$program" | median)" '
                { peak = $2 > peak ? $2 : peak }
                END { printf "%-6s %-6s %7.2f ms %7d KiB", program, what == "run" ? "run" : "c+s+d", wall / 1e6, peak
                      print what == "run" ? sprintf(" %6d calls", calls) : "" }' "$place/$what-$program"
        done
    done
}

if [ "${CONTAINERS_PART:-}" = without ]; then
    # Where version 1 is mounted, too, crun refuses to start; what it doesn't use is hidden from it, and from holm beside it.
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    crowd=0
    echo "without control groups (--cgroup-manager disabled)"
    compare --cgroup-manager disabled -- holm crun
    exit
fi
echo "with control groups"
compare -- holm runc
CONTAINERS_PART=without unshare --mount "$self" "$holm" "$rounds"

echo "200 containers, 8 at a time"
side() {
    local begin=$EPOCHREALTIME program=$1
    # shellcheck disable=SC2046
    seq 200 | xargs -P 8 -I {} $(one "$program" run "$name-{}") >/dev/null 2>"$place/said" || { echo "$program failed: $(wc -l <"$place/said") lines" >&2; return; }
    awk -v program="$program" -v begin="$begin" -v end="$EPOCHREALTIME" 'BEGIN { printf "%-6s %7.2f s, none failed\n", program, end - begin }'
}
side holm
side runc

echo "create, and create beside $crowd that wait"
created() {
    for ((round = 0; round < rounds; round++)); do
        # shellcheck disable=SC2046
        read -r _ wall _ < <(meter $(one holm create "$name"))
        runtime holm delete --force "$name"
        echo "$wall"
    done | median
}
alone=$(created)
for ((i = 0; i < crowd; i++)); do runtime holm create "$name-$i" </dev/null >/dev/null 2>&1; done
awk -v alone="$alone" -v beside="$(created)" 'BEGIN { printf "holm   %7.2f ms, beside them %7.2f ms\n", alone / 1e6, beside / 1e6 }'
