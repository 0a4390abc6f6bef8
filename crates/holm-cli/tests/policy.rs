//! What the program may ask of the kernel: the default, and each way to loosen it. Run as root and as an ordinary user.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, holm, run};

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("holm starts")
}

/// Standard output and error of a script inside, and its exit code.
fn told(options: &[&str], script: &str) -> (String, i32) {
    let done = output(run().args(options).args(["sh", "-c", &format!("exec 2>&1; {script}")]));
    let mut text = String::from_utf8_lossy(&done.stdout).into_owned();
    text += &String::from_utf8_lossy(&done.stderr);
    (text.trim_end().to_owned(), done.status.code().expect("it exits"))
}

/// What a system call answers inside: 0 or above, or the name of its errno.
fn call(options: &[&str], number: u32, arguments: &str) -> String {
    let arguments = if arguments.is_empty() { String::new() } else { format!(", {arguments}") };
    let script = format!("$r = syscall({number}{arguments}); print $r < 0 ? $!+0 : 'done';");
    let done = output(run().args(options).args(["perl", "-e", &script]));
    assert!(done.status.success(), "{options:?} {number}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

const EPERM: &str = "1";
const ENOSYS: &str = "38";
const EAFNOSUPPORT: &str = "97";

#[test]
fn dangerous_system_calls_are_refused() {
    for (name, number, arguments) in [
        ("bpf", 321, "0, 0, 0"),
        ("perf_event_open", 298, "0, 0, 0, 0, 0"),
        ("userfaultfd", 323, "0"),
        ("io_uring_setup", 425, "1, 0"),
        ("keyctl", 250, "0, -3, 0"),
        ("add_key", 248, "0, 0, 0, 0, 0"),
        ("open_by_handle_at", 304, "0, 0, 0"),
        ("mount", 165, "0, 0, 0, 0, 0"),
        ("fsopen", 430, "0, 0"),
        ("open_tree", 428, "-100, 0, 0"),
        ("setns", 308, "0, 0"),
        ("unshare", 272, "0x10000000"),
        ("clone", 56, "0x10000011, 0, 0, 0, 0"),
        ("personality", 135, "0x0040000"),
        ("ptrace", 101, "16, 1, 0, 0"),
        ("kcmp", 312, "1, 1, 0, 0, 0"),
        ("syslog", 103, "3, 0, 0"),
        ("fanotify_init", 300, "0, 0"),
        ("quotactl", 179, "0, 0, 0, 0"),
        ("reboot", 169, "0, 0, 0, 0"),
        ("init_module", 175, "0, 0, 0"),
        ("clock_settime", 227, "0, 0"),
        ("process_vm_readv", 310, "1, 0, 0, 0, 0, 0"),
        ("pidfd_getfd", 438, "0, 0, 0"),
    ] {
        assert_eq!(call(&[], number, arguments), EPERM, "{name}");
        assert_eq!(call(&["--seccomp", "strict"], number, arguments), EPERM, "{name}");
    }
    // A C library falls back only for this answer.
    assert_eq!(call(&[], 435, "0, 0"), ENOSYS, "clone3");
    assert_eq!(call(&[], 400, "0"), ENOSYS, "a number that Linux doesn't have");
}

#[test]
fn sockets_are_of_families_that_stay_in_the_sandbox() {
    for (family, kind, protocol, answer) in [
        (1, 1, 0, "done"),
        (2, 1, 0, "done"),
        (10, 2, 0, "done"),
        (16, 3, 0, "done"),
        (16, 3, 12, EAFNOSUPPORT),
        (17, 3, 0, EAFNOSUPPORT),
        (38, 5, 0, EAFNOSUPPORT),
        (40, 1, 0, EAFNOSUPPORT),
    ] {
        assert_eq!(call(&[], 41, &format!("{family}, {kind}, {protocol}")), answer, "family {family}, {protocol}");
    }
}

#[test]
fn keystrokes_cannot_be_put_into_a_terminal() {
    // TIOCSTI and TIOCLINUX, also with bits set that the kernel ignores.
    for request in ["0x5412", "0x541c", "0x100005412"] {
        assert_eq!(call(&[], 16, &format!("0, {request}, 0")), EPERM, "{request}");
    }
}

/// A static program of these instructions.
fn program(scratch: &Scratch, code: &[u8]) -> PathBuf {
    let base = 0x40_0000u64;
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    let half = |elf: &mut Vec<u8>, n: u16| elf.extend(n.to_le_bytes());
    let wide = |elf: &mut Vec<u8>, n: u64| elf.extend(n.to_le_bytes());
    half(&mut elf, 2);
    half(&mut elf, 62);
    elf.extend(1u32.to_le_bytes());
    wide(&mut elf, base + 120);
    wide(&mut elf, 64);
    wide(&mut elf, 0);
    elf.extend(0u32.to_le_bytes());
    for n in [64, 56, 1, 0, 0, 0] {
        half(&mut elf, n);
    }
    elf.extend(1u32.to_le_bytes());
    elf.extend(5u32.to_le_bytes());
    let length = 120 + code.len() as u64;
    for n in [0, base, base, length, length, 0x1000] {
        wide(&mut elf, n);
    }
    elf.extend(code);
    let path = scratch.join("program");
    std::fs::write(&path, elf).expect("scratch is ours");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    path
}

#[test]
fn calls_of_other_architectures_end_the_program() {
    let scratch = Scratch::new("architectures");
    // getpid by its number, then exit_group(0).
    let exit: &[u8] = b"\x31\xff\xb8\xe7\x00\x00\x00\x0f\x05";
    for (name, ask, allowed, refused) in [
        ("x86-64", &b"\xb8\x27\x00\x00\x00\x0f\x05"[..], 0, 0),
        // Without the filter the kernel has no x32 and says so, which the program doesn't mind.
        ("x32", b"\xb8\x27\x00\x00\x40\x0f\x05", 0, 128 + 31),
    ] {
        let path = program(&scratch, &[ask, exit].concat());
        let with = |options: &[&str]| {
            output(run().args(options).arg("--bind").arg(&path).arg(&path)).status.code().expect("it exits")
        };
        assert_eq!(with(&["--seccomp", "none"]), allowed, "{name}");
        assert_eq!(with(&[]), refused, "{name}");
    }
    // int 0x80 is i386's getpid, number 20; a kernel without i386 ends the program by SIGSEGV in any case.
    let path = program(&scratch, &[&b"\xb8\x14\x00\x00\x00\xcd\x80"[..], exit].concat());
    let code = output(run().arg("--bind").arg(&path).arg(&path)).status.code().expect("it exits");
    let bare = Command::new(&path).status().expect("it starts");
    assert_eq!(code, if bare.signal() == Some(11) { 128 + 11 } else { 128 + 31 });
}

#[test]
fn no_further_user_namespace_is_made() {
    assert_eq!(told(&[], "unshare --user true").1, 1);
    // The second wall holds without the first: a limit of the sandbox's own user namespace.
    let (text, code) = told(&["--seccomp", "none"], "unshare --user true; cat /proc/sys/user/max_user_namespaces");
    assert!(text.contains("No space left on device") && text.ends_with('0') && code == 0, "{text}");
    let (text, code) = told(&["--allow-userns", "--map", "auto", "--user", "root"], "unshare --user --mount true");
    assert!(code == 0 || text.contains("subuid"), "{text}");
}

#[test]
fn the_session_keyring_is_a_new_one() {
    let ask = "print syscall(250, 0, -3, 0)";
    let inside = output(run().args(["--seccomp", "none", "perl", "-e", ask]));
    // A keyring of the test's own, so that there is one outside.
    let command = format!(
        "syscall(250, 1, 0); $r = syscall(250, 0, -3, 0); print \"$r \"; $| = 1; system('{} run --seccomp none perl -e \"{ask}\"')",
        holm().display()
    );
    let both = output(Command::new("perl").args(["-e", &command]));
    let both = String::from_utf8_lossy(&both.stdout).into_owned();
    let ids: Vec<&str> = both.split_whitespace().collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| id.parse::<i64>().is_ok_and(|id| id > 0)), "{both}");
    assert_ne!(ids[0], ids[1], "the caller's session keyring is inside");
    assert!(inside.status.success());
}

#[test]
fn no_core_file_is_written_and_no_limit_can_be_raised_for_one() {
    assert_eq!(told(&[], "ulimit -c; ulimit -Hc"), ("0\n0".to_owned(), 0));
}

#[test]
fn what_tells_about_the_machine_is_hidden_in_proc() {
    let names = "config.gz interrupts kallsyms kcore key-users keys latency_stats sched_debug timer_list timer_stats";
    for name in names.split_whitespace() {
        assert_eq!(told(&[], &format!("[ ! -e /proc/{name} ] || cat /proc/{name}")), (String::new(), 0), "{name}");
    }
    for name in ["acpi", "asound", "scsi"] {
        assert_eq!(told(&[], &format!("[ ! -e /proc/{name} ] || ls -A /proc/{name}")), (String::new(), 0), "{name}");
    }
    let (text, code) = told(&[], "echo 1 >/proc/sys/kernel/ns_last_pid");
    assert!(text.contains("Read-only file system") && code != 0, "{text}");
    assert!(!told(&["--proc", "full"], "cat /proc/interrupts").0.is_empty());
    assert_eq!(told(&["--proc", "pids"], "ls -d /proc/[a-z]*").0, "/proc/self\n/proc/thread-self");
    // The same of every other one.
    assert_eq!(told(&["--proc", "/run/proc"], "cat /run/proc/keys /run/proc/interrupts"), (String::new(), 0));
}

#[test]
fn sys_is_absent_or_read_only() {
    assert_eq!(told(&[], "ls /sys").1, 2);
    let (text, code) = told(&["--sys", "ro"], "ls -A /sys/kernel/debug /sys/fs/cgroup; mkdir /sys/x");
    assert!(text.contains("Read-only file system") && code != 0, "{text}");
    assert!(!told(&["--sys", "ro"], "ls /sys/class").0.is_empty());
}

#[test]
fn a_descriptor_that_reads_cannot_be_opened_again_to_write() {
    let scratch = Scratch::new("again");
    std::fs::write(scratch.join("file"), "whole").expect("scratch is ours");
    std::fs::set_permissions(scratch.join("file"), std::fs::Permissions::from_mode(0o666)).expect("it is ours");
    let mut command = run();
    command.args(["sh", "-c", "cat; echo more >/proc/self/fd/0"]);
    command.stdin(std::fs::File::open(scratch.join("file")).expect("it was just made"));
    let done = command.output().expect("holm starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout), "whole");
    assert!(String::from_utf8_lossy(&done.stderr).contains("Permission denied"), "{done:?}");
    assert_eq!(std::fs::read(scratch.join("file")).expect("it is there"), b"whole");
    // One that writes can.
    let out = std::fs::File::create(scratch.join("out")).expect("scratch is ours");
    // As root ids inside are others outside, and the file is the host's.
    std::fs::set_permissions(scratch.join("out"), std::fs::Permissions::from_mode(0o666)).expect("it is ours");
    let done = run().args(["sh", "-c", "echo told >/dev/stdout"]).stdout(out).output().expect("holm starts");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(std::fs::read(scratch.join("out")).expect("it is there"), b"told\n");
}

#[test]
fn message_queues_are_made_and_written() {
    // mq_open with O_CREAT | O_RDWR.
    for options in [&[][..], &["--user", "root"], &["--new-privs"]] {
        assert_eq!(call(options, 240, "my $name = \"queue\", 66, 384, 0"), "done", "{options:?}");
    }
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach_even_on_its_network() {
    let name = format!("abstract-test-{}", std::process::id());
    let listen = format!(
        "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un(\"\\0{name}\")) or die; listen(S, 9); $| = 1; print \"ready\\n\"; <STDIN>"
    );
    let mut listener = Command::new("perl")
        .args(["-e", &listen])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("perl is there");
    let mut ready = [0; 6];
    listener.stdout.as_mut().expect("it is piped").read_exact(&mut ready).expect("it listens");
    let connect = format!(
        "use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); print connect(S, pack_sockaddr_un(\"\\0{name}\")) ? 'connected' : $!"
    );
    let inside = |options: &[&str]| {
        let done = output(run().args(options).args(["perl", "-e", &connect]));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let answers = [inside(&[]), inside(&["--share", "net"])];
    drop(listener.stdin.take());
    listener.wait().expect("it can be waited for");
    assert_eq!(answers[0], "Connection refused");
    assert_eq!(answers[1], "Operation not permitted");
}

#[test]
fn capabilities_are_the_wished_ones() {
    let sets = |options: &[&str]| told(options, "grep -E '^(Cap|NoNew)' /proc/self/status | cut -f2 | tr '\\n' ' '").0;
    let raw = "0000000000002000";
    assert_eq!(sets(&["--cap-add", "net_raw"]), [raw, raw, raw, raw, raw, "1"].join(" "));
    assert_eq!(sets(&["--cap-add", "CAP_NET_RAW", "--user", "root"]), [raw, raw, raw, raw, raw, "1"].join(" "));
    assert!(sets(&["--new-privs"]).ends_with(" 0"));
    assert_eq!(call(&["--cap-add", "net_raw"], 41, "17, 3, 0"), "done");
    assert_eq!(call(&["--cap-add", "net_admin"], 41, "16, 3, 12"), "done");
    let (text, code) = told(&["--cap-add", "sys_admin"], "mount -t tmpfs none /tmp && echo mounted");
    assert_eq!((text.as_str(), code), ("mounted", 0));
}

#[test]
fn a_filter_in_ocis_form_holds() {
    let scratch = Scratch::new("filter");
    let path = scratch.join("filter.json");
    let write = |text: &str| std::fs::File::create(&path).and_then(|mut f| f.write_all(text.as_bytes())).expect("ours");
    let option = path.to_str().expect("a plain name").to_owned();
    write(
        r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28 }] }"#,
    );
    let (text, code) = told(&["--seccomp", &option], "mkdir /tmp/x");
    assert!(text.contains("No space left on device") && code == 1, "{text}");
    for (document, part) in [
        (
            r#"{ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{ "names": ["mkdri"], "action": "SCMP_ACT_ERRNO" }] }"#,
            "unknown system call \"mkdri\"",
        ),
        (
            r#"{ "defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{ "names": ["read"], "action": "SCMP_ACT_ALLOW" }] }"#,
            "it refuses close, poll",
        ),
        ("{", "EOF while parsing"),
    ] {
        write(document);
        let (text, code) = told(&["--seccomp", &option], "true");
        assert!(text.contains(part) && code == 125, "{text}");
        assert!(text.contains("--seccomp"), "{text}");
    }
}

#[test]
fn explain_says_what_is_weaker() {
    let weaker = |options: &[&str]| {
        let done = output(run().arg("--explain").args(options).arg("true"));
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        text.lines().filter(|line| line.contains("weaker than the default")).map(str::to_owned).collect::<Vec<_>>()
    };
    let default = weaker(&[]);
    for (option, origin) in [
        (&["--share", "net"][..], "--share net"),
        (&["--cap-add", "net_raw"], "--cap-add"),
        (&["--seccomp", "none"], "--seccomp none"),
        (&["--allow-userns"], "--allow-userns"),
        (&["--new-privs"], "--new-privs"),
        (&["--proc", "full"], "--proc full"),
        (&["--sys", "ro"], "--sys ro"),
        (&["--bind-rw", "/tmp"], "--bind-rw /tmp"),
        (&["--env-all"], "--env-all"),
    ] {
        let lines = weaker(option);
        let new: Vec<_> = lines.iter().filter(|line| !default.contains(line)).collect();
        assert!(new.len() == 1 && new[0].contains(&format!("(from {origin})")), "{option:?}: {lines:?}");
    }
}
