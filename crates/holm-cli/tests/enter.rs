//! `holm enter`: what is entered is the place that was named and no other, and brings nothing of the caller's along.

mod patience;

use holm::inspect::enter::{Error, Opened, Wish};
use patience::{Running, output, within};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, children_of, holm, init_of, is_root, run, skip};

fn enter(arguments: &[&str]) -> Command {
    let mut command = Command::new(holm());
    command.arg("enter").args(arguments).stdin(Stdio::null());
    command
}

/// What a command printed on both streams, and its exit code.
fn told(done: &Output) -> (String, String, Option<i32>) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&done.stdout), text(&done.stderr), done.status.code())
}

fn entered(arguments: &[&str]) -> (String, String, Option<i32>) {
    told(&output(&mut enter(arguments)))
}

/// A sandbox with these options, whose program sleeps.
struct Sandbox(Running);

impl Sandbox {
    fn new(options: &[&str]) -> Sandbox {
        let sandbox = Sandbox::of(run().args(options).args(["sh", "-c", "echo ready; exec sleep 80"]));
        // While it becomes that program it has no environment (execve(2)).
        let init = init_of(sandbox.owner()).parse().expect("a number");
        let stat = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let sleeps = || children_of(init).iter().any(|pid| stat(pid).contains("(sleep) S "));
        within(10, "its program sleeps", sleeps);
        sandbox
    }

    fn of(command: &mut Command) -> Sandbox {
        Sandbox(Running::ready(command))
    }

    fn owner(&self) -> u32 {
        self.0.child.id()
    }
}

/// A name that no other test uses.
fn own_name(part: &str) -> String {
    format!("t{}-{part}", std::process::id())
}

/// A process of util-linux's unshare with these options, that runs a script; the pid of the script's shell.
fn unshared(options: &[&str], script: &str) -> (Sandbox, String) {
    let mut command = Command::new("unshare");
    command.args(options).args([
        "--fork",
        "--kill-child",
        "bash",
        "-c",
        &format!("{script}; echo ready; exec sleep 80"),
    ]);
    let place = Sandbox::of(&mut command);
    let child = children_of(place.owner())[0].to_string();
    (place, child)
}

#[test]
fn a_sandbox_is_entered_by_its_name_its_owner_and_its_first_process() {
    let name = own_name("web");
    let sandbox = Sandbox::new(&["--name", &name, "--hostname", "island", "--rlimit", "nofile=77", "--chdir", "/"]);
    let (owner, init) = (sandbox.owner().to_string(), init_of(sandbox.owner()));
    let ask = "echo $(hostname) $(id -u) $(pwd) $(ulimit -n) $(grep -c . /proc/2/comm); exit 7";
    let uid = rustix::process::geteuid().as_raw();
    for target in [&name, &owner, &init] {
        let (text, errors, code) = entered(&[target, "sh", "-c", ask]);
        // The limit is the program's, which the first process doesn't have.
        assert_eq!(
            (text.as_str(), errors.as_str(), code),
            (&*format!("island {uid} / 77 1\n"), "", Some(7)),
            "{target}"
        );
    }
    assert_eq!(entered(&[&name, "nothing-such"]).2, Some(127));
    assert_eq!(entered(&[&name, "/etc"]).2, Some(126));
    assert_eq!(entered(&[&name, "sh", "-c", "kill -9 $$"]).2, Some(137));
}

#[test]
fn what_is_entered_has_no_more_rights_than_what_is_there() {
    let name = own_name("rights");
    let _sandbox = Sandbox::new(&["--name", &name]);
    let (text, ..) = entered(&[&name, "grep", "-E", "^(Cap|NoNewPrivs|Seccomp:)", "/proc/self/status"]);
    let values: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(values, ["0000000000000000"; 5].into_iter().chain(["1", "2"]).collect::<Vec<_>>(), "{text}");
    let (_, errors, code) = entered(&[&name, "unshare", "-U", "true"]);
    assert!(code == Some(1) && errors.contains("not permitted"), "{errors}");
    // Where the process has capabilities over its user namespace, what is entered has the same, and no way to others.
    let (_place, pid) = unshared(&["--user", "--map-root-user", "--pid", "--mount-proc"], "true");
    let status = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let permitted = |status: &str| status.lines().find(|line| line.starts_with("CapPrm")).map(str::to_owned);
    let (text, errors, _) = entered(&[&pid, "cat", "/proc/self/status"]);
    assert_eq!(permitted(&text), permitted(&status(&pid)), "{errors}");
    assert!(text.contains("NoNewPrivs:\t1"), "{text}");
    let (text, ..) = entered(&["--take", "root,ids", &pid, "cat", "/proc/self/status"]);
    assert_eq!(permitted(&text).as_deref(), Some("CapPrm:\t0000000000000000"));
}

#[test]
fn nothing_of_the_callers_comes_along() {
    let name = own_name("clean");
    let _sandbox = Sandbox::new(&["--name", &name, "--env", "MARK=there", "--chdir", "/"]);
    let script = "exec 8</ 9</etc/passwd; exec \"$@\"";
    let ask = "ls /proc/self/fd | tr '\\n' ' '; pwd; env | cut -d= -f1 | sort | tr '\\n' ' '; cat /proc/self/sessionid /proc/$PPID/environ 2>&1 | tail -n 1";
    let binary = holm().display().to_string();
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", &binary, "enter", &name, "sh", "-c", ask]);
    command.stdin(Stdio::null()).current_dir("/etc").env("SECRET", "x").env_remove("TERM").env_remove("LANG");
    let (text, errors, code) = told(&output(&mut command));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines[0], code), ("0 1 2 3 /", Some(0)), "{text}{errors}");
    assert!(lines[1].starts_with("HOME PATH PWD SHELL USER") && !text.contains("SECRET"), "{text}");
    assert!(text.contains("ermission denied"), "the init can be looked into: {text}");
    let (text, ..) = entered(&["--take", "env,root", &name, "printenv", "MARK"]);
    assert_eq!(text, "there\n");
}

#[test]
fn a_long_environment_is_taken_whole() {
    let name = own_name("long");
    let long = format!("LONG={}", "x".repeat(100_000));
    let _sandbox = Sandbox::new(&["--name", &name, "--env", &long, "--env", "ZLAST=end"]);
    let (text, errors, _) = entered(&["--take", "env,root", &name, "sh", "-c", "echo ${#LONG} $ZLAST"]);
    assert_eq!(text, "100000 end\n", "{errors}");
}

#[test]
fn a_user_namespace_in_another_is_entered_through_its_owner() {
    // Bubblewrap makes the mount namespace in an outer user namespace, then goes to an inner one.
    let mut command = Command::new("bwrap");
    command.args(["--unshare-user", "--unshare-pid", "--die-with-parent", "--uid", "5", "--gid", "6"]);
    command.args(["--dev-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--hostname", "inner", "--unshare-uts"]);
    let place = Sandbox::of(command.args(["sh", "-c", "echo ready; exec sleep 80.5"]));
    let program = children_of(children_of(place.owner())[0])[0];
    let user = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/user")).expect("it runs");
    let (text, errors, code) =
        entered(&[&program.to_string(), "sh", "-c", "readlink /proc/self/ns/user; id -u; id -g; hostname; ls /dev"]);
    assert_eq!(code, Some(0), "{errors}");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], [user(&program.to_string()).to_str().expect("text"), "5", "6", "inner"], "{errors}");
    assert!(lines.contains(&"ptmx") && !lines.contains(&"kmsg"), "{text}");
    let (text, ..) = entered(&["--explain", &program.to_string()]);
    assert_eq!(text.matches("enter the user namespace").count(), 2, "{text}");
}

#[test]
fn a_namespace_is_entered_by_path_by_link_and_by_number() {
    let sandbox = Sandbox::new(&["--hostname", "island"]);
    let path = format!("/proc/{}/ns/uts", init_of(sandbox.owner()));
    let link = std::fs::read_link(&path).expect("it runs").display().to_string();
    let number = link.trim_matches(|c: char| !c.is_ascii_digit()).to_owned();
    for target in [&path, &link, &number] {
        let (text, errors, code) = entered(&[target, "sh", "-c", "hostname; test -e /work -o -e /boot && echo host"]);
        assert_eq!((text.as_str(), code), ("island\nhost\n", Some(0)), "{target}: {errors}");
    }
}

/// Whoever is in a pid namespace that is entered never sees a process with the caller's memory or program.
#[test]
fn only_the_init_goes_into_a_pid_namespace() {
    let sandbox = Sandbox::new(&[]);
    let (text, errors, _) = entered(&["--explain", &init_of(sandbox.owner()), "true"]);
    let at = |step: &str| text.find(step).unwrap_or_else(|| panic!("{step}: {text}{errors}"));
    assert!(at("enter the pid namespace") < at("become a small init"));
    assert!(at("become a small init") < at("start the process inside"));
    assert_eq!(text.matches("start the process inside").count(), 1, "{text}");
    let (text, errors, code) =
        entered(&[&init_of(sandbox.owner()), "sh", "-c", "readlink /proc/$PPID/exe; echo $PPID"]);
    assert!(code == Some(0) && !text.contains("holm\n") && text != "0\n", "{text}{errors}");
}

#[test]
fn only_what_is_asked_for_is_entered() {
    let sandbox = Sandbox::new(&["--hostname", "island"]);
    let init = init_of(sandbox.owner());
    let ask = "for kind in uts net mnt pid; do readlink /proc/self/ns/$kind; done";
    let (text, errors, code) = entered(&["--only", "uts", &init, "sh", "-c", ask]);
    assert_eq!(code, Some(0), "{errors}");
    for (line, kind) in text.lines().zip(["uts", "net", "mnt", "pid"]) {
        let there = std::fs::read_link(format!("/proc/{init}/ns/{kind}")).expect("it runs");
        assert_eq!(there.to_str() == Some(line), kind == "uts", "{kind}: {text}");
    }
    let (_, errors, _) = entered(&["--only", "pid", &init, "true"]);
    assert!(errors.contains("/proc shows processes of the caller's pid namespace"), "{errors}");
}

#[test]
fn what_is_no_place_is_refused_in_words() {
    let scratch = Scratch::new("enter-bad");
    let pipe = scratch.join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("it can be made");
    let (pipe, own) = (pipe.display().to_string(), std::process::id().to_string());
    for (arguments, cause) in [
        (&["no-such-thing", "true"][..], "there is no sandbox or container of this name"),
        (&["4194304", "true"], "there is no such process"),
        (&["net:[1]", "true"], "there is no such namespace"),
        (&["/etc/passwd", "true"], "it is no namespace"),
        (&["/no/such/file", "true"], "no such file or directory"),
        (&[&pipe, "true"], "it is no namespace"),
        (&[&own, "true"], "it is where the caller is"),
        (&["/proc/self/ns/net", "true"], "its net namespace is the caller's"),
        (&["--only", "nothing", &own, "true"], "unknown namespace"),
        (&["--take", "everything", &own, "true"], "is none of root, cwd"),
    ] {
        let (text, errors, code) = entered(arguments);
        assert_eq!((text.as_str(), code), ("", Some(125)), "{arguments:?}");
        assert!(errors.starts_with("error: ") && errors.contains(cause), "{arguments:?}: {errors}");
    }
    if !is_root() {
        let (_, errors, code) = entered(&["1", "true"]);
        assert!(code == Some(125) && errors.contains("permission denied"), "{errors}");
    }
}

/// Whoever can make control groups can call one as a container that isn't running, and a program as what would keep it.
#[test]
fn a_forged_keeper_names_no_container() {
    let groups = ["unified", "systemd", ""].map(|name| Path::new("/sys/fs/cgroup").join(name));
    let Some(groups) = groups.into_iter().find(|path| is_root() && path.join("cgroup.procs").exists()) else { return };
    let name = own_name("redis");
    let scratch = Scratch::new("enter-forged");
    let (shim, script) = (scratch.join("containerd-shim-runc-v2"), scratch.join("script"));
    std::os::unix::fs::symlink("/bin/bash", &shim).expect("scratch is ours");
    std::fs::write(&script, "unshare --uts --kill-child sleep 80 & echo $!; wait").expect("it can be written");
    let group = groups.join(&name);
    std::fs::create_dir(&group).expect("this is root");
    let mut command = Command::new(shim);
    let mut keeper = command.arg(script).args(["-namespace", "default", "-id", &name]);
    keeper = keeper.stdout(Stdio::piped()).stdin(Stdio::null());
    let mut keeper = keeper.spawn().expect("it starts");
    let mut line = String::new();
    let mut told = std::io::BufReader::new(keeper.stdout.take().expect("it is a pipe"));
    std::io::BufRead::read_line(&mut told, &mut line).expect("it tells a pid");
    std::fs::write(group.join("cgroup.procs"), line.trim()).expect("it runs");
    let (text, errors, code) = entered(&[&name, "hostname"]);
    // A group as lxc makes one, by root or by who may make some.
    let web = own_name("web");
    let outer = group.join("lxc");
    let inner = outer.join(&web);
    std::fs::create_dir_all(&inner).expect("this is root");
    std::fs::write(inner.join("cgroup.procs"), line.trim()).expect("it runs");
    let by_root = entered(&[&web, "true"]);
    std::os::unix::fs::chown(&inner, Some(12345), None).expect("this is root");
    let by_another = entered(&[&web, "true"]);
    let _ = std::fs::write(groups.join("cgroup.procs"), line.trim());
    std::fs::remove_dir(&inner).and_then(|()| std::fs::remove_dir(&outer)).expect("nobody is in it");
    let pid = rustix::process::Pid::from_raw(line.trim().parse().expect("a number")).expect("it is none");
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    let _ = keeper.wait();
    std::fs::remove_dir(&group).expect("nobody is in it");
    assert!(errors.contains("there is no sandbox or container of this name") && code != Some(0), "{text}{errors}");
    assert_eq!(by_root.2, Some(0), "{}", by_root.1);
    let said = format!("only what others may have named is called so: process {} of user 0", line.trim());
    assert!(by_another.2 == Some(125) && by_another.1.contains(&said), "{}", by_another.1);
}

#[test]
fn the_pid_of_who_is_gone_is_no_number_of_a_namespace() {
    let done = Command::new(testkit::holm()).args(["ls", "--json"]).output().expect("holm starts");
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).expect("it is JSON");
    let numbers = document["namespaces"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_u64());
    let is_free = |number: &u64| *number <= 1 << 22 && !std::path::Path::new(&format!("/proc/{number}")).exists();
    // Kernels before Linux 6.18 have no numbers.
    let Some(number) = numbers.filter(is_free).max() else { return };
    let (_, errors, code) = entered(&[&number.to_string(), "true"]);
    assert!(code == Some(125) && errors.contains("there is no such process"), "{errors}");
}

#[test]
fn a_pid_that_was_given_anew_is_never_entered() {
    let sandbox = Sandbox::new(&[]);
    let init: u32 = init_of(sandbox.owner()).parse().expect("a number");
    let stat = std::fs::read_to_string(format!("/proc/{init}/stat")).expect("it runs");
    let start: u64 = stat
        .rsplit(')')
        .next()
        .and_then(|rest| rest.split_whitespace().nth(19))
        .expect("it is whole")
        .parse()
        .expect("a number");
    assert!(Opened::process(init, Some(start)).is_ok());
    assert_eq!(Opened::process(init, Some(start - 1)).err(), Some(Error::Another));
    drop(sandbox);
    let tell = || Opened::process(init, Some(start)).err();
    within(10, "the sandbox ends", || matches!(tell(), Some(Error::Ended | Error::Another)));
}

#[test]
fn a_place_that_ends_meanwhile_is_not_entered() {
    let sandbox = Sandbox::new(&[]);
    let opened = Opened::process(init_of(sandbox.owner()).parse().expect("a number"), None).expect("it runs");
    let spec = opened.spec("true", &Wish::default(), "a test").expect("it can be entered");
    drop(sandbox);
    within(10, "the pid namespace ends", || spec.spawn().is_err());
    let error = spec.spawn().expect_err("its first process has ended");
    assert!(error.to_string().contains("start the process inside"), "{error}");
}

#[test]
fn the_end_of_the_place_or_of_the_enterer_ends_what_is_entered() {
    let name = own_name("ends");
    let sandbox = Sandbox::new(&["--name", &name]);
    let ready = "echo ready; exec sleep 70.25";
    let mut first = Sandbox::of(&mut enter(&[&name, "sh", "-c", ready]));
    let count = || entered(&[&name, "sh", "-c", "grep -l ^sleep /proc/[0-9]*/comm | wc -l"]).0;
    within(10, "both sleep", || count() == "2\n");
    first.0.child.kill().expect("it runs");
    within(10, "what was entered ends with holm enter", || count() == "1\n");
    let mut second = Sandbox::of(&mut enter(&[&name, "sh", "-c", ready]));
    // By then it isn't only started, it is known to be.
    within(10, "both sleep", || count() == "2\n");
    drop(sandbox);
    assert_eq!(second.0.code(), Some(137));
}

/// The root holds a `sh` that is not one, and a /proc that is none.
#[test]
fn a_hostile_root_gets_nothing_but_what_it_has() {
    let scratch = Scratch::new("enter-hostile");
    let spy = "for (3..99) { open(my $f, '<&', $_) and print qq(open $_\\n) } for (glob '/proc/*') { print qq($_\\n) }";
    let swapped = format!("#!/usr/bin/perl\nprint qq(swapped\\n); {spy} use Cwd; print getcwd, qq(\\n);\n");
    std::fs::write(scratch.join("sh"), swapped).expect("it can be written");
    std::fs::set_permissions(scratch.join("sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .expect("it is ours");
    let at = scratch.join("sh").display().to_string();
    let fake = "mount -t tmpfs none /proc && mkdir /proc/self /proc/1 && cd /proc/1";
    let script = format!("mount --bind {at} $(readlink -f /bin/sh) && {fake}");
    let (_place, pid) = unshared(&["--user", "--map-root-user", "--mount", "--pid"], &script);
    let (text, errors, code) = entered(&[&pid]);
    assert_eq!((&*text, code), ("swapped\n/proc/1\n/proc/self\n/proc/1\n", Some(0)), "{errors}");
    assert!(errors.contains("/proc in there is no proc file system"), "{errors}");
}

/// Root of the place looks for a process of holm's whose program is holm itself.
#[test]
fn nobody_inside_reaches_the_program_of_who_enters() {
    let scratch = Scratch::new("enter-spy");
    let seen = scratch.join("seen");
    let spy = "$| = 1; while (1) { for (glob '/proc/[0-9]*/exe') { my $at = readlink; print qq($at\\n) if $at && !$seen{$at}++ } }";
    let script = format!("perl -e \"{}\" > {} & sleep 0", spy.replace('$', "\\$"), seen.display());
    let (place, pid) = unshared(&["--user", "--map-root-user", "--pid", "--mount-proc"], &script);
    for _ in 0..4 {
        let (_, errors, code) = entered(&[&pid, "sleep", "0.1"]);
        assert_eq!(code, Some(0), "{errors}");
    }
    drop(place);
    let text = std::fs::read_to_string(&seen).expect("it is there");
    assert!(text.contains("/sleep"), "the spy saw nothing: {text}");
    assert!(!text.contains(holm().to_str().expect("it is text")), "{text}");
}

#[test]
fn what_only_looks_like_a_sandbox_of_that_name_is_not_entered() {
    let name = own_name("fake");
    let scratch = Scratch::new("enter-fake");
    // Perl as `holm run --name NAME`, with a child in a memory file that is called as the init is.
    let forged = "$| = 1;
        if (!fork) {
            my $name = 'holm-init';
            my $fd = syscall(319, $name, 0);
            open(my $memory, '>&=', $fd);
            open(my $perl, '<', '/usr/bin/perl');
            binmode $_ for $memory, $perl;
            local $/;
            my $bytes = <$perl>;
            print {$memory} $bytes;
            $memory->flush;
            my $link = qq(/proc/$$/fd/$fd);
            exec {$link} 'holm-init', '-e', '$0 = q(holm-init); $| = 1; print qq(ready\\n); sleep 80';
        }
        sleep 80;";
    std::fs::write(scratch.join("run"), forged).expect("it can be written");
    let at = scratch.path().display().to_string();
    let start = format!("exec {{'/usr/bin/perl'}} 'holm', 'run', '--name', '{name}', 'sh'");
    let _sandbox = Sandbox::of(run().args(["--bind", &at, "--chdir", &at, "perl", "-e", &start]));
    let (text, ..) = told(&output(Command::new(holm()).arg("ps")));
    assert!(text.contains(&name), "the forgery does not even look like one: {text}");
    let (_, errors, code) = entered(&[&name, "true"]);
    assert!(code == Some(125) && errors.contains("there is no sandbox"), "{errors}");
}

#[test]
fn two_of_a_name_are_told_by_their_pids() {
    let name = own_name("twice");
    let (first, _second) = (Sandbox::new(&["--name", &name]), Sandbox::new(&["--name", &name]));
    let (_, errors, code) = entered(&[&name, "true"]);
    let init = init_of(first.owner());
    assert!(code == Some(125) && errors.contains("there are several") && errors.contains(&init), "{errors}");
}

#[test]
fn a_limit_of_processes_binds_what_is_entered() {
    let name = own_name("group");
    let options = ["--name", &name, "--pids", "4"];
    // Others make none under version 1 of control groups.
    if !is_root() {
        return;
    }
    let _sandbox = Sandbox::new(&options);
    let (_, errors, code) = entered(&[&name, "sh", "-c", "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait"]);
    assert!(code != Some(0) && errors.contains("fork"), "{code:?} {errors}");
    assert_eq!(
        entered(&["--take", "root", &name, "sh", "-c", "sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait"]).2,
        Some(0)
    );
}

/// A control group of a hierarchy of version 1 or of version 2, removed when dropped.
struct Group(std::path::PathBuf);

impl Drop for Group {
    fn drop(&mut self) {
        for path in self.0.ancestors().take(3) {
            within(10, "the group is empty", || std::fs::remove_dir(path).is_ok());
        }
    }
}

#[test]
fn a_container_is_entered_by_the_start_of_its_id() {
    // Others make control groups nowhere, or below their own only.
    if !is_root() {
        return;
    }
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("/proc is there");
    let hierarchy = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .find(|fields| matches!(fields[2], "cgroup" | "cgroup2"));
    let Some(hierarchy) = hierarchy else { return skip("no control groups are mounted") };
    let id = format!("{:064x}", 0x4f5e_0c9a_7b3d_u64 << 8 | u64::from(std::process::id() & 0xff));
    let id = format!("c{}", &id[1..]);
    let start = format!("c{}", &"0".repeat(20));
    let group = Group(
        std::path::Path::new(hierarchy[1]).join(format!("holm-test-{}", std::process::id())).join("docker").join(&id),
    );
    std::fs::create_dir_all(&group.0).expect("root may");
    let (place, pid) = unshared(&["--uts", "--mount"], "hostname contained");
    std::fs::write(group.0.join("cgroup.procs"), &pid).expect("root may");
    let (text, errors, code) = entered(&[&start, "hostname"]);
    assert_eq!((text.as_str(), code), ("contained\n", Some(0)), "{errors}");

    // The engine's own file tells its name.
    let (scratch, name) = (Scratch::new("engine"), own_name("sea"));
    let kept = scratch.join("docker/containers").join(&id);
    std::fs::create_dir_all(&kept).expect("scratch is ours");
    std::fs::write(kept.join("config.v2.json"), format!("{{\"ID\":\"{id}\",\"Name\":\"/{name}\"}}"))
        .expect("scratch is ours");
    let by_name =
        |arguments: &[&str]| told(&output(Command::new(holm()).args(arguments).env("XDG_DATA_HOME", scratch.path())));
    let (text, errors, code) = by_name(&["enter", &name, "hostname"]);
    assert_eq!((text.as_str(), code), ("contained\n", Some(0)), "{errors}");
    // It leads the namespace.
    std::fs::write(group.0.join("cgroup.procs"), place.owner().to_string()).expect("root may");
    let (text, ..) = by_name(&["ls", "--made-by", "docker", "--kind", "uts", "--columns", "made-by"]);
    assert!(text.contains(&format!("docker {} ({name})\n", &id[..12])), "{text}");
    drop(place);
}
