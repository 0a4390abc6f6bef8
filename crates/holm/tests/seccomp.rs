//! The filter compiler against a plain reading of its rules, on random filters and calls; and what the built-in
//! policies say. No privilege is needed.

#[expect(unreachable_pub, reason = "it is part of a crate of its own elsewhere")]
#[path = "../../../fuzz/src/plain.rs"]
mod plain;

use holm::model::seccomp::policy::{Opening, Policy};
use holm::model::seccomp::{ARCHITECTURE, Action, Call, Comparison, Condition, ENOSYS, Filter, Rule, answer};
use plain::plain;
use std::collections::BTreeMap;
use syscalls::x86_64::Sysno;

/// xorshift64*: the same numbers in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// A number that is likely to meet another one.
    fn number(&mut self) -> u64 {
        let some = self.one_of(&[0, 1, 2, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0001, u64::MAX]);
        if self.below(4) == 0 { self.next() } else { some }
    }
}

fn call(number: u32, arguments: [u64; 6]) -> Call {
    Call { number, architecture: ARCHITECTURE, instruction_pointer: 0x1234_5678_9abc, arguments }
}

fn random_filter(random: &mut Random, calls: u64) -> Filter {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let actions = [Action::Allow, Action::Log, Action::Errno(1), Action::Errno(22), Action::Trap, Action::KillThread];
    let mut filter = Filter {
        calls: BTreeMap::new(),
        otherwise: random.one_of(&actions),
        unknown_from: 300 + random.below(200) as u32,
        flags: 0,
    };
    for _ in 0..random.below(calls) {
        let condition = |random: &mut Random| Condition {
            argument: random.below(6) as u8,
            mask: if random.below(2) == 0 { u64::MAX } else { random.number() },
            comparison: random.one_of(&[Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]),
            value: random.number(),
        };
        let rule = |random: &mut Random| Rule {
            conditions: (0..random.below(4)).map(|_| condition(random)).collect(),
            action: random.one_of(&actions),
        };
        let rules = (0..random.below(4)).map(|_| rule(random)).collect();
        filter.calls.insert(random.below(500) as u32, rules);
    }
    filter
}

#[test]
fn a_compiled_filter_answers_as_its_rules_say() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut compared = 0;
    for _ in 0..400 {
        let filter = random_filter(&mut random, 400);
        let Ok(compiled) = filter.compile() else { continue };
        for _ in 0..500 {
            let arguments = std::array::from_fn(|_| random.number());
            let high = random.one_of(&[0x3fff_ffff, 0x4000_0000, 0x4000_0001, u32::MAX, u32::MAX - 1]);
            let number = if random.below(20) == 0 { high } else { random.below(520) as u32 };
            let mut call = call(number, arguments);
            if random.below(20) == 0 {
                call.architecture = random.one_of(&[0x4000_0003, 0, u32::MAX]);
            }
            assert_eq!(answer(&compiled, &call), plain(&filter, &call), "{call:?} of {filter:?}");
            compared += 1;
        }
    }
    assert!(compared > 150_000, "most random filters fit: {compared}");
}

#[test]
fn a_filter_that_is_too_long_is_refused() {
    let condition = |value| Condition { argument: 0, mask: u64::MAX, comparison: Comparison::Equal, value };
    let rules = (0..2000).map(|n| Rule { conditions: vec![condition(n << 33)], action: Action::Allow }).collect();
    let filter =
        Filter { calls: BTreeMap::from([(1, rules)]), otherwise: Action::Errno(1), unknown_from: 400, flags: 0 };
    let error = filter.compile().expect_err("it has 8,000 instructions").to_string();
    assert!(error.contains("4096"), "{error}");
}

fn says(policy: Policy, openings: &[Opening], name: &str, arguments: [u64; 6]) -> Action {
    let filter = policy.filter(openings).compile().expect("built-in policies fit");
    answer(&filter, &call(name.parse::<Sysno>().expect("it is a call") as u32, arguments))
}

#[test]
fn dangerous_calls_are_refused_by_the_default_policy() {
    let names = "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key
        open_by_handle_at kexec_load kexec_file_load init_module finit_module delete_module mount umount2 pivot_root
        open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr setns process_vm_readv process_vm_writev
        pidfd_getfd quotactl quotactl_fd fanotify_init fanotify_mark kcmp swapon swapoff reboot settimeofday clock_settime
        acct syslog iopl ioperm chroot sethostname setdomainname lookup_dcookie nfsservctl uselib ustat sysfs vhangup
        move_pages migrate_pages mbind set_mempolicy";
    for name in names.split_whitespace() {
        assert_eq!(says(Policy::Default, &[], name, [0; 6]), Action::Errno(1), "{name}");
        assert_eq!(says(Policy::Strict, &[], name, [0; 6]), Action::Errno(1), "{name}");
    }
}

#[test]
fn arguments_decide_where_a_call_is_good_and_bad() {
    let default = |name, arguments| says(Policy::Default, &[], name, arguments);
    let eafnosupport = Action::Errno(97);
    let upper = 0xdead_0000_0000_0000;
    for (name, arguments, action) in [
        ("clone", [0x11, 0, 0, 0, 0, 0], Action::Allow),
        ("clone", [0x1000_0011, 0, 0, 0, 0, 0], Action::Errno(1)),
        ("clone3", [0; 6], Action::Errno(ENOSYS)),
        ("unshare", [0x200, 0, 0, 0, 0, 0], Action::Allow),
        ("unshare", [0x80, 0, 0, 0, 0, 0], Action::Errno(1)),
        ("ioctl", [0, 0x5401, 0, 0, 0, 0], Action::Allow),
        ("ioctl", [0, 0x5412, 0, 0, 0, 0], Action::Errno(1)),
        ("ioctl", [0, upper | 0x5412, 0, 0, 0, 0], Action::Errno(1)),
        ("ioctl", [0, upper | 0x541c, 0, 0, 0, 0], Action::Errno(1)),
        ("socket", [1, 1, 0, 0, 0, 0], Action::Allow),
        ("socket", [upper | 10, 1, 0, 0, 0, 0], Action::Allow),
        ("socket", [16, 3, 0, 0, 0, 0], Action::Allow),
        ("socket", [16, 3, 12, 0, 0, 0], eafnosupport),
        ("socket", [40, 1, 0, 0, 0, 0], eafnosupport),
        ("socket", [upper | 40, 1, 0, 0, 0, 0], eafnosupport),
        ("socket", [38, 5, 0, 0, 0, 0], eafnosupport),
        ("socketpair", [30, 1, 0, 0, 0, 0], eafnosupport),
        ("personality", [0xffff_ffff, 0, 0, 0, 0, 0], Action::Allow),
        ("personality", [0x0004_0000, 0, 0, 0, 0, 0], Action::Errno(1)),
        ("ptrace", [0, 0, 0, 0, 0, 0], Action::Allow),
        ("ptrace", [16, 0, 0, 0, 0, 0], Action::Errno(1)),
        ("ptrace", [0x4206, 0, 0, 0, 0, 0], Action::Errno(1)),
    ] {
        assert_eq!(default(name, arguments), action, "{name} {arguments:x?}");
    }
}

#[test]
fn openings_open_what_they_name_and_no_more() {
    let with = |opening, name| says(Policy::Default, &[opening], name, [0x1000_0000, 0, 0, 0, 0, 0]);
    for (opening, opened, closed) in [
        (Opening::Namespaces, "unshare", "mount"),
        (Opening::Mounts, "mount", "unshare"),
        (Opening::Chroot, "chroot", "mount"),
        (Opening::Tracing, "process_vm_readv", "bpf"),
        (Opening::Placement, "mbind", "kcmp"),
    ] {
        assert_eq!(with(opening, opened), Action::Allow, "{opened}");
        assert_eq!(with(opening, closed), Action::Errno(1), "{closed}");
    }
    assert_eq!(says(Policy::Default, &[Opening::Packets], "socket", [17, 3, 0, 0, 0, 0]), Action::Allow);
    assert_eq!(says(Policy::Default, &[Opening::Netlink], "socket", [16, 3, 12, 0, 0, 0]), Action::Allow);
    assert_eq!(says(Policy::Strict, &[], "socket", [16, 3, 0, 0, 0, 0]), Action::Errno(97));
}

#[test]
fn other_architectures_and_unknown_numbers() {
    let filter = Policy::Default.filter(&[]).compile().expect("it fits");
    let read = call(0, [0; 6]);
    assert_eq!(answer(&filter, &read), Action::Allow);
    assert_eq!(answer(&filter, &Call { architecture: 0x4000_0003, ..read }), Action::KillProcess, "i386");
    assert_eq!(answer(&filter, &Call { number: 0x4000_0000, ..read }), Action::KillProcess, "x32");
    for number in [340, 400, 423, 600, 0x3fff_ffff, u32::MAX] {
        assert_eq!(answer(&filter, &Call { number, ..read }), Action::Errno(ENOSYS), "{number}");
    }
}
