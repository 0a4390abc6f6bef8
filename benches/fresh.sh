# Sourced by the benchmarks of roots: measures tools in turn, each on a fresh file system, and prints medians and ratios.
# Wants `rounds`; gives `scratch`, removed at the end, and `fresh`, where the file system is mounted.
[ "$(id -u)" = 0 ] || { echo "$(basename "$0"): run it as root: it mounts file systems" >&2; exit 1; }
scratch=$(mktemp -d /tmp/holm-bench-XXXXXX)
fresh=$scratch/fresh
clean() { umount "$fresh" 2>/dev/null || true; rm -rf "$scratch"; }
trap clean EXIT
mkdir "$fresh" "$scratch/times"

# What a tool finds on a new file system; a benchmark may say it otherwise.
furnish() { :; }

# A file system that nothing was removed from: ext4 takes seconds to use such space again.
renew() {
    umount "$fresh" 2>/dev/null || true
    rm -f "$scratch/disk"
    truncate --size=4G "$scratch/disk"
    mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$scratch/disk"
    mount -o loop "$scratch/disk" "$fresh"
    mkdir -m 700 "$fresh/store"
    furnish "$1"
    sync
}

# Measures by_TOOL once.
one() {
    local before
    renew "$1"
    before=$(date +%s%N)
    "by_$1" >"$scratch/said" 2>&1 || { cat "$scratch/said" >&2; exit 1; }
    # Whoever has not synced has not ended: holm has.
    sync -f "$fresh"
    echo $((($(date +%s%N) - before) / 1000000)) >>"$scratch/times/$1"
}

median() { sort -n "$scratch/times/$1" | sed -n "$(((rounds + 1) / 2))p"; }

# compare TITLE TOOL...: measures all in turn; ratios are to the first. `named TOOL` is how a tool is shown.
named() { echo "$1"; }
compare() {
    local title=$1 tool base
    shift
    for _ in $(seq "$rounds"); do
        for tool in "$@"; do one "$tool"; done
    done
    base=$(median "$1")
    printf '%-24s %10s %8s\n' "$title" "median ms" "x holm"
    for tool in "$@"; do
        printf '%-24s %10d %8s\n' "$(named "$tool")" "$(median "$tool")" "$(awk "BEGIN { printf \"%.2f\", $(median "$tool") / $base }")"
    done
}
