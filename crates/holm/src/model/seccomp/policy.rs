//! The built-in policies: what programs need, and nothing that reaches for the machine or for other programs.
//!
//! The base is the list that container engines share. A call that Linux has and that isn't listed fails with EPERM; one
//! that the list doesn't know fails with ENOSYS, so that a C library falls back to an older one.

use super::{Action, Comparison, Condition, ENOSYS, EPERM, Filter, Rule};
use std::collections::BTreeMap;
use syscalls::x86_64::Sysno;

/// How much is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// What ordinary programs need.
    Default,
    /// Without tracing, System V and POSIX IPC, asynchronous IO, NUMA and netlink.
    Strict,
}

/// Something more that is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// Making and joining namespaces.
    Namespaces,
    /// Mounting, changing the root, and host names.
    Mounts,
    /// chroot(2).
    Chroot,
    /// Looking into and changing other processes.
    Tracing,
    /// Placing memory on nodes.
    Placement,
    /// Packet sockets.
    Packets,
    /// Every family of netlink.
    Netlink,
}

/// `EAFNOSUPPORT`, errno(3).
const EAFNOSUPPORT: u16 = 97;
/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID`, `NEWNET` (clone(2)).
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// For unshare(2); in clone(2) this bit is part of the exit signal.
const NEW_TIME: u64 = 0x80;
const INT: u64 = 0xffff_ffff;

impl Policy {
    /// The filter of this policy with `openings`.
    pub fn filter(self, openings: &[Opening]) -> Filter {
        let open = |opening| openings.contains(&opening);
        let mut calls: BTreeMap<u32, Vec<Rule>> = Sysno::iter().map(|call| (call as u32, vec![fail(EPERM)])).collect();
        let unknown_from = calls.last_key_value().map_or(0, |(number, _)| number + 1);
        let mut set = |name: &str, rules: Vec<Rule>| {
            calls.insert(number(name), rules);
        };
        for name in COMMON.iter().flat_map(|line| line.split_whitespace()) {
            set(name, vec![allow()]);
        }
        if self == Policy::Strict {
            for name in NOT_STRICT.split_whitespace() {
                set(name, vec![fail(EPERM)]);
            }
        } else {
            let others = [0x10, 0x4206]; // PTRACE_ATTACH, PTRACE_SEIZE
            set(
                "ptrace",
                others
                    .map(|request| when(equal(0, u64::MAX, request), fail(EPERM)))
                    .into_iter()
                    .chain([allow()])
                    .collect(),
            );
        }
        set("socket", sockets(self, openings));
        set("socketpair", vec![when(equal(0, INT, 1), allow()), fail(EAFNOSUPPORT)]);
        // The kernel takes a request as 32 bits: TIOCSTI and TIOCLINUX type into a terminal (ioctl_tty(2)).
        let typing = [0x5412, 0x541c].map(|request| when(equal(1, INT, request), fail(EPERM)));
        set("ioctl", typing.into_iter().chain([allow()]).collect());
        let personalities = [0, 8, 0x2_0000, 0x2_0008, INT];
        let usual = personalities.map(|persona| when(equal(0, INT, persona), allow()));
        set("personality", usual.into_iter().chain([fail(EPERM)]).collect());
        if open(Opening::Namespaces) {
            ["clone", "clone3", "unshare", "setns"].iter().for_each(|name| set(name, vec![allow()]));
        } else {
            let none_of = |flags| vec![when(equal(0, flags, 0), allow()), fail(EPERM)];
            set("clone", none_of(NEW_NAMESPACES));
            set("unshare", none_of(NEW_NAMESPACES | NEW_TIME));
            // Its flags are in memory, where no filter can look.
            set("clone3", vec![fail(ENOSYS)]);
        }
        for (opening, names) in OPENED {
            for name in names.split_whitespace().filter(|_| open(*opening)) {
                set(name, vec![allow()]);
            }
        }
        Filter { calls, otherwise: Action::Errno(ENOSYS), unknown_from, flags: 0 }
    }
}

fn sockets(policy: Policy, openings: &[Opening]) -> Vec<Rule> {
    // AF_UNIX, AF_INET, AF_INET6.
    let mut rules: Vec<Rule> = [1, 2, 10].map(|family| when(equal(0, INT, family), allow())).into();
    let netlink = equal(0, INT, 16);
    if openings.contains(&Opening::Netlink) {
        rules.push(when(netlink, allow()));
    } else if policy == Policy::Default {
        // NETLINK_ROUTE: getaddrinfo(3) and `ip addr` read by it.
        rules.push(Rule { conditions: vec![netlink, equal(2, INT, 0)], action: Action::Allow });
    }
    if openings.contains(&Opening::Packets) {
        rules.push(when(equal(0, INT, 17), allow()));
    }
    rules.push(fail(EAFNOSUPPORT));
    rules
}

fn number(name: &str) -> u32 {
    name.parse::<Sysno>().unwrap_or_else(|_| panic!("{name} is a system call")) as u32
}

fn allow() -> Rule {
    Rule { conditions: Vec::new(), action: Action::Allow }
}

fn fail(errno: u16) -> Rule {
    Rule { conditions: Vec::new(), action: Action::Errno(errno) }
}

fn when(condition: Condition, then: Rule) -> Rule {
    Rule { conditions: vec![condition], ..then }
}

fn equal(argument: u8, mask: u64, value: u64) -> Condition {
    Condition { argument, mask, comparison: Comparison::Equal, value }
}

/// What more some openings allow.
const OPENED: &[(Opening, &str)] = &[
    (
        Opening::Mounts,
        "mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr statmount
         listmount sethostname setdomainname",
    ),
    (Opening::Chroot, "chroot"),
    (Opening::Tracing, "ptrace process_vm_readv process_vm_writev pidfd_getfd kcmp process_madvise"),
    (Opening::Placement, "mbind set_mempolicy get_mempolicy set_mempolicy_home_node move_pages migrate_pages"),
];

/// What the strict policy takes away.
const NOT_STRICT: &str = "
    personality modify_ldt memfd_secret remap_file_pages name_to_handle_at
    io_setup io_submit io_cancel io_getevents io_pgetevents io_destroy
    msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget
    mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr
    adjtimex clock_adjtime ioprio_set process_mrelease mknod mknodat";

/// What every program may do, whatever its arguments.
const COMMON: &[&str] = &[
    // Files.
    "access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
     fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
     fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch
     inotify_init inotify_init1 inotify_rm_watch lchown lgetxattr link linkat listxattr listxattrat llistxattr lremovexattr
     lseek lsetxattr lstat mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 pread64 preadv
     preadv2 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv removexattr removexattrat rename renameat
     renameat2 rmdir sendfile setxattr setxattrat splice stat statfs statx symlink symlinkat sync sync_file_range syncfs
     tee truncate umask unlink unlinkat utime utimensat utimes vmsplice write writev",
    // Waiting.
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2
     pause poll ppoll pselect6 select signalfd signalfd4 timerfd_create timerfd_gettime timerfd_settime",
    // Pipes, sockets and System V and POSIX IPC, each in a namespace of its own.
    "accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
     mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd pipe pipe2 recvfrom recvmmsg recvmsg semctl semget semop semtimedop
     sendmmsg sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown",
    // Memory.
    "brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mprotect
     mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages",
    // Processes and threads.
    "arch_prctl execve execveat exit exit_group fork futex futex_requeue futex_wait futex_waitv futex_wake get_robust_list
     get_thread_area getcpu getpgid getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid ioprio_get ioprio_set
     kill modify_ldt pidfd_open pidfd_send_signal prctl prlimit64 process_mrelease restart_syscall rseq
     sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
     sched_rr_get_interval sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp
     set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid tgkill tkill vfork wait4 waitid",
    // Identity: what it may change is for the user namespace to say.
    "capget capset getegid geteuid getgid getgroups getresgid getresuid getuid setfsgid setfsuid setgid setgroups setregid
     setresgid setresuid setreuid setuid",
    // Signals and time.
    "adjtimex alarm clock_adjtime clock_getres clock_gettime clock_nanosleep getitimer gettimeofday nanosleep rt_sigaction
     rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo setitimer
     sigaltstack time timer_create timer_delete timer_getoverrun timer_gettime timer_settime times",
    // Asynchronous IO of the older kind.
    "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit",
    // The rest; by the last two the kernel comes back from probes that the host has set.
    "getrandom landlock_add_rule landlock_create_ruleset landlock_restrict_self sysinfo uname uprobe uretprobe",
];
