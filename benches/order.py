#!/usr/bin/env python3
"""Writes the linker script that puts together what starts run: order.py PROGRAM TRACE... >crates/holm-cli/start.ld

PROGRAM is a release that was built with its symbols, each TRACE what benches/step.c wrote of a start of it. Names stand without
the compiler's hashes, so that they fit the next build, too: one that doesn't any more costs memory, and nothing else."""

import bisect
import collections
import re
import subprocess
import sys

HEAD = """/* What starts run lies together, before the rest of the program: the kernel maps the pages around each one that is touched,
   and most of holm (registries, signatures, archives) is never touched by a start. Written by benches/order.py; a name that no
   longer fits costs memory, and nothing else. */
SECTIONS {
    .text.start : {
"""
TAIL = """    }
}
INSERT BEFORE .text;
"""
# Of a name that many functions have, at least so much is run, unless all of them are but so many bytes.
LEAST, SMALL = 0.1, 16384


def functions(program):
    """Address, size and name of each."""
    listed = subprocess.run(["nm", "-S", "--defined-only", program], capture_output=True, text=True, check=True)
    fields = (line.split() for line in listed.stdout.splitlines())
    return sorted((int(f[0], 16), int(f[1], 16), f[3]) for f in fields if len(f) == 4 and f[2] in "tTwWiI")


def pattern(name):
    """A name without hashes, as a section of the linker's; `None` for one that isn't Rust's."""
    if name.startswith("_ZN"):
        return ".text*" + re.sub(r"17h[0-9a-f]{16}E.*", "17h*", name)
    if name.startswith("_R"):
        return ".text*" + re.sub(r"\.\d+$", "*", re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name))
    return None


def run(listed, trace):
    """The functions of which a piece of 16 bytes was run."""
    begins = [begin for begin, _, _ in listed]
    found = set()
    for line in open(trace, encoding="ascii"):
        piece = int(line, 16)
        last = bisect.bisect_right(begins, piece + 15) - 1
        found.update(f for f in listed[max(last - 1, 0) : last + 1] if f[0] < piece + 16 and piece < f[0] + f[1])
    return found


def main():
    listed = functions(sys.argv[1])
    traces = [run(listed, trace) for trace in sys.argv[2:]]
    whole, touched, seen = collections.Counter(), collections.Counter(), collections.defaultdict(set)
    for _, size, name in listed:
        whole[pattern(name)] += size
    for number, found in enumerate(traces):
        for _, _, name in found:
            seen[pattern(name)].add(number)
    for _, size, name in set().union(*traces):
        touched[pattern(name)] += size
    del seen[None]
    share = {name: touched[name] / whole[name] for name in seen}
    share = {name: part for name, part in share.items() if part >= LEAST or whole[name] <= SMALL}
    # First what all starts run, then what some do, and last what is run in part.
    order = sorted(share, key=lambda name: (share[name] < 0.3, -len(seen[name]), sorted(seen[name]), name))
    print(HEAD, end="")
    for name in order:
        print(f"        *({name})")
    print(C_LIBRARY, end="")
    print(TAIL, end="")


# The C library's functions have no sections of their own: its files, by what they are for.
C_LIBRARY = """\
        /* the C library's start, memory, strings and files */
        *libc.a:libc*.o(.text .text.*)
        *libc.a:dl-*.o(.text .text.*)
        *libc.a:init-*.o(.text .text.*)
        *libc.a:malloc.o(.text .text.*)
        *libc.a:mem*.o(.text .text.avx*)
        *libc.a:str*.o(.text .text.avx*)
        *libc.a:wcs*len.o(.text)
        *libc.a:wmem*.o(.text)
        *libc.a:rawmem*.o(.text .text.avx*)
        *libc.a:stpcpy.o(.text)
        *libc.a:pthread_attr*.o(.text)
        *libc.a:pthread_getattr_np.o(.text)
        *libc.a:pthread_mutex_*lock.o(.text)
        *libc.a:cxa_atexit.o(.text)
        *libc.a:exit.o(.text)
        *libc.a:elision-conf.o(.text)
        *libc.a:getenv.o(.text)
        *libc.a:sig*.o(.text)
        *libc.a:*sigaction.o(.text)
        *libc.a:file*.o(.text)
        *libc.a:genops.o(.text)
        *libc.a:io*.o(.text)
        *libc.a:vfscanf-internal.o(.text)
        *libc.a:sysconf.o(.text)
        *libc.a:*64.o(.text)
        *libc.a:*_nocancel.o(.text)
        *libc.a:brk.o(.text)
        *libc.a:sbrk.o(.text)
        *libc.a:canonicalize.o(.text)
        *libc.a:*jmp.o(.text)
        *libc.a:isoc99_sscanf.o(.text)
        *libc.a:getrandom.o(.text)
        *libc.a:*dir.o(.text)
        *libc.a:getcwd.o(.text)
        *libc.a:getauxval.o(.text)
        *libc.a:syscall.o(.text)
        *libc.a:_exit.o(.text)
        *libc.a:clock_gettime.o(.text)
        *libc.a:ctype-info.o(.text)
        *libc.a:pthread_getaffinity.o(.text)
        *libc.a:cacheinfo.o(.text)
        *libc.a:register-atfork.o(.text)
        *libc.a:errno*.o(.text)
        *libc.a:raise.o(.text)
        *libc.a:poll.o(.text)
        *libc.a:read.o(.text)
        *libc.a:write.o(.text)
        *libc.a:close.o(.text)
        *libc.a:dirfd.o(.text)
        *libc.a:getline.o(.text)
        *libc.a:pthread_self.o(.text)
        *libc.a:pthread_mutex_conf.o(.text)
        *libc.a:getpid.o(.text)
        *libc.a:getpagesize.o(.text)
        *libc.a:munmap.o(.text)
        *libc.a:mprotect.o(.text)
        *libm*.a:e_exp.o(.text)
        *libm*.a:e_pow.o(.text)
        *libm*.a:s_ceil*.o(.text)
        *libm*.a:s_trunc*.o(.text)
        *libgcc_eh.a:unwind-dw2-fde*.o(.text)
        /* where it begins */
        *crt1.o(.text)
        *(.text.main)
        *libc.a:nptl*.o(.text)
"""

if __name__ == "__main__":
    main()
