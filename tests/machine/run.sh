#!/bin/bash
# Boots Debian's cloud kernel in an emulated machine and runs holm in it: another kernel than this one's, cgroup v2 alone,
# AppArmor, a real pid 1 and sysctls that may be switched; then once more with SELinux. `run.sh PATTERN` runs the checks whose names match it only.
#
# The order of things: the kernel, fetched once into target/machine; a directory with holm, its test programs and the few
# programs they need (made by holm); that as the initramfs. In the machine: `init`, then `checks`. What they say comes out
# of the second serial line, each line that begins with @@ being theirs:
#
#     @@ begin NAME          the output of the check follows, each line of it indented
#     @@ end NAME CODE TIME  its exit code, and how many seconds it took
#     @@ done COUNT          all of this part were run; without both lines the machine hung or died: its console tells
set -euo pipefail
cd "$(dirname "$0")/../.."

limit=1200  # seconds for all; on two idle cores it takes a tenth of that
place=$PWD/target/machine
here=tests/machine

# Debian's packages whose programs the machine has.
packages=(bash coreutils criu dash e2fsprogs findutils grep gzip hostname iproute2 kmod libc-bin mawk mount perl-base procps sed strace tar uidmap util-linux)

die() { echo "machine: $*" >&2; exit 1; }

# The kernel that Debian's package stands for, unpacked and not installed: vmlinuz and the few modules that the machine needs.
fetch_kernel() {
    [ ! -e "$place/kernel/fetched-4" ] || return 0
    local package
    [ "$(id -u)" != 0 ] || apt-get update -qq
    package=$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-.*\)/\1/p' | head -n 1)
    [ -n "$package" ] || die "cannot find the package that linux-image-cloud-amd64 stands for; apt-get update may help"
    rm -rf "$place/kernel"
    mkdir -p "$place/kernel"
    (
        cd "$place/kernel"
        apt-get download -qq -o APT::Sandbox::User= "$package"
        dpkg-deb --fsys-tarfile "$package"_*.deb |
            tar -x --wildcards './boot/vmlinuz-*' './lib/modules/*/kernel/fs/overlayfs/*' './lib/modules/*/kernel/drivers/block/loop.ko*' './lib/modules/*/kernel/net/*_diag.ko*' \
            './lib/modules/*/kernel/net/netfilter/nf_tables.ko*' './lib/modules/*/kernel/net/netfilter/nfnetlink.ko*' './lib/modules/*/libcrc32c.ko*' \
            './lib/modules/*/kernel/drivers/net/veth.ko*' './lib/modules/*/kernel/drivers/net/tun.ko*' \
            './lib/modules/*/modules.*'
        rm "$package"_*.deb
        touch fetched-4
    )
}

# A root with holm in /usr/bin, its test programs in /machine, and the kernel's modules where modprobe looks.
build_root() {
    local root=$place/root debug=target/x86_64-unknown-linux-gnu/debug programs test name version
    cargo build --quiet --workspace
    rm -rf "$root"
    mkdir -p "$root/machine"
    programs=$(dpkg -L "${packages[@]}" | grep -xE '/(usr/)?s?bin/[^/ ]+' | sort -u | paste -s -d ,)
    programs+=,/bin/systemctl,/usr/bin/systemd-run,/lib/systemd/systemd
    "$debug/holm" run --userns host --root "bins:$programs" --bind-rw "$root:/out" cp -a /usr /bin /sbin /lib /lib64 /etc /out/
    chmod u+s "$root/usr/bin/newuidmap" "$root/usr/bin/newgidmap"
    strip -o "$root/usr/bin/holm" "$debug/holm"
    for test in $(cargo test --workspace --no-run --message-format=json 2>/dev/null |
        sed -n 's/.*"executable":"\([^"]*\/deps\/[^"]*\)".*/\1/p' | sort -u); do
        name=$(basename "${test%-*}")
        grep -q "tests $name" "$here/checks" || continue
        strip -o "$root/machine/$name" "$test"
    done
    install -m 755 "$here/init" "$root/init"
    install -m 755 "$here/checks" "$here/words" "$root/machine/"
    # systemd and what its own units are; one more runs the checks.
    mkdir -p "$root/usr/lib/systemd"
    cp -r /usr/lib/systemd/system /usr/lib/systemd/user "$root/usr/lib/systemd/"
    mkdir -p "$root/etc/systemd/system"
    cat > "$root/etc/systemd/system/machine.service" <<end
[Unit]
DefaultDependencies=no
[Service]
ExecStart=/bin/bash -c "exec /machine/checks systemd > /dev/ttyS1 2>&1"
end
    apparmor_parser --skip-cache --stdout --features-file /etc/apparmor.d/abi/kernel-5.4-vanilla "$here/profile" \
        > "$root/machine/profile" 2> "$place/parser" || die "apparmor_parser: $(cat "$place/parser")"
    checkpolicy -M -U allow -c 33 -o "$root/machine/policy" "$here/policy.conf" > "$place/parser" 2>&1 ||
        die "checkpolicy: $(cat "$place/parser")"
    version=$(ls "$place/kernel/lib/modules")
    mkdir -p "$root/usr/lib/modules"
    cp -r "$place/kernel/lib/modules/$version" "$root/usr/lib/modules/"
    depmod -b "$root/usr" "$version"
    (cd "$root" && find . -print0 | cpio --quiet -0 -o -H newc -R 0:0) > "$place/initramfs"
}

# boot [OPTION]...: with these options of the kernel, too; what is said is added.
boot() {
    timeout -k 10 "$limit" qemu-system-x86_64 -accel tcg,thread=multi -smp 2 -m 1536 -nodefaults -display none -no-reboot \
        -kernel "$place"/kernel/boot/vmlinuz-* -initrd "$place/initramfs" \
        -append "console=ttyS0 panic=-1 loglevel=4 mitigations=off rdinit=/init $*" \
        -serial "file:$place/console" -serial "file:$place/line" || echo "machine: qemu ended with $?" >&2
    cat "$place/line" >> "$place/said"
}

# Prints a line for each check and the output of those that failed. Fails unless all were run and all are well.
judge() {
    tr -d '\r' < "$place/said" | awk '
        /^@@ begin / { output = ""; begun = $3; next }
        /^@@ end /   { ended++; begun = ""; printf "%s%3d s  %s\n", ($4 == 0 ? "ok     " : "FAILED "), $5, $3
                       if ($4 != 0 || $3 == "kernel") printf "%s", output
                       if ($4 != 0) failed++
                       next }
        /^@@ done /  { done += $3; parts++; next }
                     { output = output $0 "\n" }
        END {
            if (begun != "") { print "FAILED " begun ": did not end"; printf "%s", output }
            printf "%d checks, %d failed\n", ended, failed
            exit !(ended > 0 && failed == 0 && parts == 4 && done == ended)
        }' && return 0
    echo "-- the end of the console:" >&2
    tail -n 40 "$place/console" >&2
    die "the checks failed, or not all were run"
}

for program in qemu-system-x86_64 apparmor_parser checkpolicy cpio depmod strip; do
    command -v "$program" >/dev/null || die "cannot find $program: test.sh installs it"
done
fetch_kernel
build_root
rm -f "$place/said"
boot ${1:+"only=$1"}
boot security=selinux ${1:+"only=$1"}
judge
