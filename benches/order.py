#!/usr/bin/env python3
"""Writes the linker script that puts together what starts run: order.py MAP TRACE... >crates/holm-cli/start.ld

MAP is what the linker wrote of a release, each TRACE what benches/step.c wrote of a start of it. A generic function has one name for
all its types, but for the compiler's hash, which another release of a dependency or of the compiler changes. So names come with it
first, and last without: what then fits no more costs memory, and nothing else."""

import bisect
import collections
import re
import sys

HEAD = """/* What starts run lies together, before the rest of the program: the kernel maps the pages around each one that is touched,
   and most of holm (registries, signatures, archives) is never touched by a start. Written by benches/order.py; a name that no
   longer fits costs memory, and nothing else. */
SECTIONS {
    .rodata.start : {
"""
MIDDLE = """    }
}
INSERT BEFORE .rodata;
SECTIONS {
    .text.start : {
"""
TAIL = """    }
}
INSERT BEFORE .text;
"""
# Of a name that many functions have, at least so much is run, unless all of them are but so many bytes.
LEAST, SMALL = 0.1, 16384
# A function of which less is run comes after the others.
PART = 0.2

Section = collections.namedtuple("Section", "begin size file name")


def sections(path):
    """What the linker took from files, by address."""
    line = re.compile(r"\s*([0-9a-f]+)\s+[0-9a-f]+\s+([0-9a-f]+)\s+\d+\s+(\S+):\((\.[^)]*)\)$")
    found = (line.match(text) for text in open(path, encoding="utf-8"))
    return sorted(Section(int(f[1], 16), int(f[2], 16), f[3], f[4]) for f in found if f and int(f[2], 16))


def function(section):
    """The function that a section is of or for, as the compiler names it; `None` for one that isn't Rust's."""
    named = re.search(r"\.(_ZN.*?E|_R\w+)(\.\d+)?$", section.name)
    return named and named[1]


def without_hash(name):
    return re.sub(r"17h[0-9a-f]{16}E$", "17h*", name) if name.startswith("_ZN") else re.sub(r"Cs[0-9A-Za-z]+_", "Cs*_", name)


def lasting(name):
    """A name as a pattern: that of a crate's hash is enough to tell newer names apart."""
    return name if name.startswith("_ZN") else without_hash(name)


def run(listed, trace):
    """How many bytes of each section were run, in pieces of 16."""
    begins = [section.begin for section in listed]
    found = collections.Counter()
    for line in open(trace, encoding="ascii"):
        piece = int(line, 16)
        first, last = bisect.bisect_right(begins, piece) - 1, bisect.bisect_left(begins, piece + 16)
        for section in listed[max(first, 0) : last]:
            if piece < section.begin + section.size:
                found[section] += 16
    return found


def pattern(section):
    """What a linker script calls a section of code: by function or, in C, by file."""
    if name := function(section):
        return f"*(.text*{lasting(name)}*)"
    if section.name != ".text" and "(" not in section.file:
        return f"*({section.name})"
    file = re.search(r"([^/(]*)(?:\((.*)\))?$", section.file)
    archive = re.sub(r"-[0-9.]+\.a$", "*.a", file[1])
    return f"*{archive}:{file[2]}(.text .text.*)" if file[2] else f"*{archive}(.text)"


def main():
    listed = sections(sys.argv[1])
    code = [section for section in listed if section.name.startswith(".text")]
    traces = [run(code, trace) for trace in sys.argv[2:]]
    share, seen = collections.Counter(), collections.defaultdict(set)
    for number, found in enumerate(traces):
        for section, size in found.items():
            share[section] = max(share[section], size / section.size)
            seen[section].add(number)
    # What each runs is to be in one piece: what the first alone runs, what it has in common with others, then what only those run.
    def place(section):
        by = sorted(seen[section])
        return (0 not in by, len(by) if 0 in by else -len(by), by, share[section] < PART, section.name, section.file)

    order = sorted(seen, key=place)
    whole, touched = collections.Counter(), collections.Counter()
    for section in code:
        name = function(section) and without_hash(function(section))
        whole[name] += section.size
        touched[name] += section.size if section in seen else 0
    del touched[None]
    alike = dict.fromkeys(without_hash(function(section)) for section in order if function(section))
    alike = [name for name in alike if touched[name] >= LEAST * whole[name] or whole[name] <= SMALL]
    tables = {lasting(function(section)) for section in listed if section.name.startswith(".rodata") and function(section)}
    patterns = list(dict.fromkeys(map(pattern, order)))
    print(HEAD, end="")
    for section in order:
        name = function(section) and lasting(function(section))
        if name in tables:
            print(f"        *(.rodata*{name}*)")
    print(MIDDLE, end="")
    for name in patterns:
        print(f"        {name}")
    print("        /* what another processor takes of the C library */")
    for kind in sorted({kind[1] for kind in (re.match(r"(.*-)(avx|evex)", name) for name in patterns) if kind}):
        print(f"        {kind}avx*.o(.text .text.*)\n        {kind}evex*.o(.text .text.*)")
    print("        /* the same functions, with whatever hashes */")
    for name in alike:
        if name.startswith("_ZN"):
            print(f"        *(.text*{name})")
    print(TAIL, end="")


if __name__ == "__main__":
    main()
