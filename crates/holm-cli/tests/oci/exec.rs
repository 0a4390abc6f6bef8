//! `holm oci exec`: one more program in a container is where the container is, and may do no more than was asked for.

use super::container::Container;
use super::patience::within;
use super::screen::Screen;
use super::text;
use serde_json::json;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use testkit::{holm, is_root};

const SLEEP: &str = "exec sleep 1000";

#[test]
fn a_further_program_is_where_the_container_is() {
    let container = Container::new("exec", SLEEP);
    let pid = container.pid();
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user"] {
        let theirs = std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).expect("it runs");
        let said = container.says(&[], &format!("readlink /proc/self/ns/{kind}"));
        assert_eq!(said.trim(), theirs.to_str().expect("it is text"));
    }
    let theirs = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    assert_eq!(container.says(&[], "cat /proc/self/cgroup"), theirs);
    assert_eq!(container.says(&[], "cat /proc/1/comm; ls /; pwd"), "sleep\nbin\ndev\nlib\nlib64\nproc\nsbin\nusr\n/\n");
    // No other process of holm's is beside it.
    assert_eq!(container.says(&[], "for p in /proc/[0-9]*; do cat $p/comm; done"), "sleep\nsh\n");
    assert_eq!(container.exec(&[], "exit 7").status.code(), Some(7));
    assert_eq!(container.exec(&[], "kill -9 $$").status.code(), Some(137));
    let mut cat = container.command(&["exec", &container.id, "cat"]);
    let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("holm starts");
    cat.stdin.take().expect("it is a pipe").write_all(b"through\n").expect("it reads");
    let mut said = String::new();
    cat.stdout.take().expect("it is a pipe").read_to_string(&mut said).expect("it is text");
    assert_eq!((said.as_str(), cat.wait().expect("it ends").code()), ("through\n", Some(0)));
}

#[test]
fn without_a_pid_namespace_of_its_own_it_has_its_streams_all_the_same() {
    let container = Container::with("exec-shared", SLEEP, |config| {
        let namespaces = config["linux"]["namespaces"].as_array_mut().expect("it is a list");
        namespaces.retain(|one| one["type"] != "pid");
        // A proc of a pid namespace that isn't the container's own can't be mounted by everybody.
        let proc = config["mounts"].as_array_mut().expect("it is a list");
        let bind = json!({ "destination": "/proc", "type": "bind", "source": "/proc", "options": ["rbind"] });
        *proc.iter_mut().find(|one| one["type"] == "proc").expect("it is there") = bind;
    });
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", container.pid())).expect("it runs").count();
    assert_eq!(descriptors, 3, "none of the three is closed");
    assert_eq!(container.says(&[], "test -e /proc/self/fd/0; echo $?"), "0\n");
}

const FACTS: &str = "id -u; id -g; umask; pwd; echo $A; ulimit -n; cat /proc/self/oom_score_adj
    grep -E 'CapPrm|CapBnd|NoNewPrivs|^Seccomp:|^Groups' /proc/self/status";

#[test]
fn it_is_as_the_containers_own_process_but_for_what_the_options_say() {
    let container = Container::with("exec-own", SLEEP, |config| {
        let process = &mut config["process"];
        process["user"]["umask"] = json!(0o27);
        process["cwd"] = json!("/usr/lib");
        process["env"] = json!(["PATH=/usr/bin", "A=b"]);
        process["oomScoreAdj"] = json!(500);
        process["rlimits"] = json!([{ "type": "RLIMIT_NOFILE", "soft": 100, "hard": 200 }]);
        process["capabilities"] =
            json!({ "bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"] });
        process["noNewPrivileges"] = json!(false);
        let kept = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95 }]);
        config["linux"]["seccomp"] = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": kept });
    });
    // What becomes of the bundle meanwhile doesn't count.
    std::fs::remove_file(container.scratch.join("config.json")).expect("it was read");
    let groups = |all: &str| if is_root() { format!("Groups:\t{all} \n") } else { String::new() };
    let said = |options: &[&str], script: &str| {
        let said = container.says(options, script);
        // Which ones a user keeps who may drop none is the machine's affair.
        said.lines()
            .filter(|line| is_root() || !line.starts_with("Groups"))
            .map(|line| format!("{line}\n"))
            .collect::<String>()
    };
    let status = |set: u32, new: u32, all: &str| {
        format!("{}CapPrm:\t{set:016x}\nCapBnd:\t{set:016x}\nNoNewPrivs:\t{new}\nSeccomp:\t2\n", groups(all))
    };
    assert_eq!(said(&[], FACTS), format!("0\n0\n0027\n/usr/lib\nb\n100\n500\n{}", status(0x20, 0, "")));
    let options = ["--cwd", "/dev", "-e", "A=c d", "--cap", "CAP_CHOWN", "--no-new-privs"];
    assert_eq!(said(&options, FACTS), format!("0\n0\n0027\n/dev\nc d\n100\n500\n{}", status(0x21, 1, "")));
    let refused = container.exec(&[], "mkdir /dev/x");
    assert!(text(&refused.stderr).contains("Operation not supported"), "{}", text(&refused.stderr));
    if is_root() {
        let options = ["--user", "7:8", "--additional-gids", "9", "-g", "10", "-g", "9", "--cap", "CHOWN"];
        let said = container.says(&options, "id -u; id -g; grep -E 'Groups|CapEff' /proc/self/status");
        assert_eq!(said, "7\n8\nGroups:\t9 10 \nCapEff:\t0000000000000000\n");
    }
}

#[test]
fn the_callers_groups_stay_by_an_annotation_alone() {
    if !is_root() {
        return;
    }
    for (value, expected) in [(json!("1"), "Groups:\t1234 \n"), (json!("0"), "Groups:\t \n")] {
        let container = Container::with("exec-groups", SLEEP, |config| {
            config["annotations"] = json!({ "run.oci.keep_original_groups": value });
        });
        let holm = container.command(&["exec", &container.id, "grep", "Groups", "/proc/self/status"]);
        let mut caller = Command::new("setpriv");
        caller.args(["--groups", "1234"]).arg(holm.get_program()).arg("oci").args(holm.get_args());
        let output = caller.stdin(Stdio::null()).output().expect("setpriv(1) is there");
        assert_eq!(text(&output.stdout), expected, "{}", text(&output.stderr));
    }
}

#[test]
fn what_cannot_be_run_is_told_at_once_in_words_that_engines_know() {
    let container = Container::new("exec-wrong", "printf x >/dev/data; exec sleep 1000");
    within(20, "the container has begun", || container.exec(&[], "test -s /dev/data").status.success());
    let id = container.id.as_str();
    for (arguments, expected) in [
        (
            vec!["exec", id, "nosuchprogram"],
            "cannot run nosuchprogram: executable file `nosuchprogram` not found in $PATH: no such file or directory",
        ),
        (vec!["exec", id, "/dev/data"], "cannot run /dev/data: open executable: permission denied"),
        (vec!["exec", id, "/usr"], "cannot run /usr: open executable: permission denied"),
        (
            vec!["exec", "--cwd", "/no/such", id, "true"],
            "cannot change directory to /no/such: no such file or directory",
        ),
        (vec!["exec", "--cwd", "no", id, "true"], "cannot start in \"no\": it is not an absolute path"),
        (vec!["exec", "--user", "me", id, "true"], "cannot run as \"me\": it is no UID[:GID]"),
        (
            vec!["exec", "-d", "-t", id, "true"],
            "cannot allocate tty if runc will detach without setting console socket",
        ),
        (vec!["exec", "-e", "none", id, "true"], "cannot set variable \"none\": it is no NAME=VALUE"),
        (vec!["exec", "--process", "/no/such", id], "cannot read /no/such: no such file or directory"),
        (vec!["exec", id], "cannot run nothing: process.args is empty"),
        (vec!["exec", "missing", "true"], "cannot find container missing: container does not exist"),
    ] {
        let said = container.fails(255, &arguments);
        assert!(said.starts_with(&format!("error: {expected}\n")), "{arguments:?}: {said}");
    }
    container.succeeds(&["kill", id, "KILL"]);
    within(20, "it ends", || container.state()["status"] == "stopped");
    let said = container.fails(255, &["exec", id, "true"]);
    assert_eq!(said, format!("error: cannot exec in container {id}: cannot exec in a stopped container\n"));
}

#[test]
fn one_that_is_left_alone_has_a_pid_and_perhaps_a_terminal() {
    let container = Container::new("exec-alone", SLEEP);
    let scratch = &container.scratch;
    let write = |terminal: bool, args: &[&str]| {
        let process = json!({ "terminal": terminal, "consoleSize": { "height": 7, "width": 9 }, "user": { "uid": 0, "gid": 0 },
            "args": args, "env": ["PATH=/usr/bin"], "cwd": "/", "execCPUAffinity": { "final": "0" } });
        std::fs::write(scratch.join("process.json"), process.to_string())
            .expect("the scratch directory can be written");
        scratch.join("process.json").display().to_string()
    };
    let file = write(false, &["sleep", "999"]);
    let pid_file = scratch.join("pid");
    let named = pid_file.display().to_string();
    let mut command = container.command(&["exec", "--process", &file, "--detach", "--pid-file", &named, &container.id]);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success());
    let pid = std::fs::read_to_string(&pid_file).expect("it was written");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    assert!(status.contains("Cpus_allowed_list:\t0\n"), "{status}");
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).expect("it runs");
    assert_eq!(text(&line), "sleep\0999\0");
    // It ends with the container.
    let socket = scratch.join("socket");
    let listener = UnixListener::bind(&socket).expect("the name is short enough");
    let file = write(true, &["sh", "-c", "tty; stty size; exec sleep 999"]);
    let socket = socket.display().to_string();
    let mut command = container.command(&["exec", "-p", &file, "-d", "-t", "--console-socket", &socket, &container.id]);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("holm starts").success());
    let (stream, _) = listener.accept().expect("it was called");
    let mut terminal = std::fs::File::from(receive(&stream));
    let mut said = String::new();
    while !said.ends_with("7 9\r\n") {
        let mut part = [0; 100];
        let length = terminal.read(&mut part).expect("somebody has it open");
        said += std::str::from_utf8(&part[..length]).expect("it is text");
    }
    assert_eq!(said, "/dev/pts/0\r\n7 9\r\n");
    container.succeeds(&["delete", "--force", &container.id]);
    within(20, "it ends with the container", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
}

/// The descriptor in a message.
pub(crate) fn receive(stream: &std::os::unix::net::UnixStream) -> OwnedFd {
    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = [0; 100];
    recvmsg(stream, &mut [std::io::IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .expect("there is a message");
    let mut rights = ancillary.drain().filter_map(|part| match part {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    rights.next().and_then(|mut rights| rights.next()).expect("it carries a descriptor")
}

#[test]
fn at_a_terminal_it_gets_one_of_the_containers_with_the_size_of_the_callers() {
    let container = Container::new("exec-screen", SLEEP);
    let (binary, state) = (holm().display().to_string(), container.scratch.join("state").display().to_string());
    let mut screen = Screen::new(&[&binary, "oci", "--root", &state, "exec", "-t", &container.id, "sh"]);
    screen.keys("echo size $(stty size) name $(tty)\n");
    screen.expect("size 24 100 name /dev/pts/0");
    screen.keys("exit 5\n");
    screen.ends_with(5);
}

/// As of CVE-2016-9962, CVE-2019-5736, CVE-2024-21626: what the caller has open is out of reach, and so is its program.
#[test]
fn nothing_of_the_callers_is_left_open_to_it() {
    let container = Container::new("exec-open", SLEEP);
    let (binary, state) = (holm().display().to_string(), container.scratch.join("state").display().to_string());
    let place = container.scratch.join(".").display().to_string();
    let inherited = |options: &[&str], script: &str| {
        let mut command = Command::new("sh");
        let words =
            ["-c", "place=$1; shift; exec \"$@\" 3<$place 4<&-", "-", &place, &binary, "oci", "--root", &state, "exec"];
        command.args(words).args(options).args([&container.id, "sh", "-c", script]).stdin(Stdio::null());
        let output = command.output().expect("a shell starts");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(inherited(&[], "ls /proc/self/fd"), (Some(0), "0\n1\n2\n3\n".into(), String::new()), "3 is ls's own");
    let (code, said, error) = inherited(&["--preserve-fds", "1"], "ls /proc/self/fd/3/");
    assert!(code == Some(0) && said.contains("config.json"), "{code:?} {said}{error}");
    // What is not open is left out, and what holm has opened itself by then is no descriptor of the caller's.
    let (code, said, error) = inherited(&["--preserve-fds", "2"], "ls /proc/self/fd");
    assert_eq!((code, said, error), (Some(0), "0\n1\n2\n3\n4\n".into(), String::new()), "4 is ls's own");
    let command = [&place, "ls", "/proc/self/fd"];
    let open = Command::new("sh").args(["-c", "place=$0; exec \"$@\" 3<$place 4<&-"]).args(command).output();
    let (_, said, _) = inherited(&["--preserve-fds", "1000"], "ls /proc/self/fd");
    assert_eq!(said, text(&open.expect("a shell starts").stdout), "as without holm");
    for place in ["/proc/self/fd/3", "/proc/self/fd/3/rootfs", "/proc/thread-self/cwd"] {
        let (code, _, said) = inherited(&["--cwd", place], "pwd; ls");
        // Who looks for it isn't in the container's pid namespace, and has no place in its /proc.
        assert!(code == Some(255) && said.contains(": no such file or directory"), "{place}: {said}");
    }
    // Who looks for the program has no place in the container's /proc; who would run it is another one, sealed.
    let output = container.run(&["exec", &container.id, "/proc/self/exe", "--version"]);
    let (code, said, error) = (output.status.code(), text(&output.stdout), text(&output.stderr));
    assert!(code == Some(255) && said.is_empty() && !error.contains("version"), "{code:?} {said}{error}");
}

#[test]
fn the_containers_own_process_says_which_cpus_it_has() {
    let container = Container::with("exec-cpus", "exec sleep 1000", |config| {
        config["process"]["execCPUAffinity"] = serde_json::json!({ "initial": "0", "final": "0" });
    });
    let said = container.says(&[], "while read -r name value; do echo $name $value; done </proc/self/status");
    assert!(said.contains("Cpus_allowed_list: 0\n"), "{said}");
    let output = container.run(&["--debug", "exec", &container.id, "true"]);
    let said = text(&output.stderr);
    assert!(said.contains(" level=debug msg=\"nsexec: affinity: 0x1\"\n"), "{said}");
    // Which CPU the set-up has is the caller's affair: one that it hasn't is refused.
    let process = container.scratch.join("process.json");
    let wish = serde_json::json!({ "user": { "uid": 0, "gid": 0 }, "cwd": "/", "args": ["true"],
        "execCPUAffinity": { "initial": "1023" } });
    std::fs::write(&process, wish.to_string()).expect("scratch is ours");
    let said = container.fails(255, &["exec", "--process", &process.to_string_lossy(), &container.id]);
    assert!(said.contains("CPU") && said.contains("1023"), "{said}");
}

#[test]
fn how_it_is_scheduled_survives_the_forks_of_set_up() {
    let container = Container::new("exec-scheduler", "exec sleep 1000");
    let process = container.scratch.join("process.json");
    let wish = serde_json::json!({ "cwd": "/", "args": ["sh", "-c", "chrt -p $$"], "env": ["PATH=/usr/bin"],
        "scheduler": { "policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_RESET_ON_FORK"] } });
    std::fs::write(&process, wish.to_string()).expect("scratch is ours");
    let said = container.succeeds(&["exec", "--process", &process.to_string_lossy(), &container.id]);
    assert!(said.contains("SCHED_BATCH|SCHED_RESET_ON_FORK"), "{said}");
}
