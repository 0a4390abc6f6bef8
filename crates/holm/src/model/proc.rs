//! What of a /proc tells about the machine, or changes it (proc(5)). Not every kernel has each of these.

use std::ffi::CStr;

/// Files that tell about the machine.
pub(crate) const FILES: [&CStr; 10] = [
    c"config.gz",
    c"interrupts",
    c"kallsyms",
    c"kcore",
    c"key-users",
    c"keys",
    c"latency_stats",
    c"sched_debug",
    c"timer_list",
    c"timer_stats",
];

/// Directories that do.
pub(crate) const DIRECTORIES: [&CStr; 3] = [c"acpi", c"asound", c"scsi"];

/// What changes the machine when it is written.
pub(crate) const SETTINGS: [&CStr; 5] = [c"bus", c"fs", c"irq", c"sys", c"sysrq-trigger"];
