//! What holm says when it can't do what is wished: what is wrong, from where the wish came, what would help; always 125.

#[expect(dead_code, reason = "nothing here is left running")]
mod patience;

use patience::output;
use std::fs;
use std::process::{Command, Output};
use testkit::{Scratch, holm, run};

/// Standard error of a run that fails with 125.
fn said(done: &Output) -> String {
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(125), "{said}");
    said
}

fn refused(options: &[&str]) -> String {
    said(&output(run().args(options).arg("true")))
}

/// Runs a line of bash in which `holm` is the binary under test.
fn shell(line: &str) -> Output {
    output(Command::new("bash").args(["-c", &line.replace("holm run", &format!("{} run", holm().display()))]))
}

/// Checks the message for these options, and a part of what follows it.
fn expect(cases: &[(&[&str], &str, &str)]) {
    for (options, message, rest) in cases {
        let said = refused(options);
        assert!(said.contains(message) && said.contains(rest), "{options:?}: {said}");
    }
}

#[test]
fn what_cannot_be_mounted_there_is_told_with_what_stands_there() {
    let scratch = Scratch::new("stands");
    fs::write(scratch.join("f"), "").expect("scratch is ours");
    let (on_tmp, data) =
        (format!("{}/f:/tmp", scratch.path().display()), format!("{}/f:/usr", scratch.path().display()));
    expect(&[
        (&["--bind", &on_tmp], "on /tmp, read-only: is a directory", "hint: a file can't be mounted on a directory"),
        (&["--bind-data", &data], "on /usr, read-only: is a directory", "hint: a file can't be mounted on a directory"),
        (&["--bind", "/usr:/etc/passwd"], "/etc/passwd, read-only: not a directory", "a file stands there"),
        (&["--tmpfs", "/etc/passwd"], "cannot mount a tmpfs on /etc/passwd", "a file stands there"),
        (&["--tmpfs", "/etc/passwd/below"], "cannot mount a tmpfs on /etc/passwd/below", "a file stands there"),
        (&["--remount-ro", "/etc"], "cannot make the mount at /etc read-only", "hint: nothing is mounted just there"),
        (&["--chmod", "700:/usr"], "cannot change the mode of /usr", "hint: only what this sandbox has made"),
    ]);
}

#[test]
fn a_missing_source_is_told_with_the_option_that_would_skip_it() {
    expect(&[
        (&["--bind", "/nowhere"], "cannot bind /nowhere: no such file", "; --bind-try skips"),
        (&["--bind-rw", "/nowhere"], "cannot bind /nowhere: no such file", "; --bind-rw-try skips"),
        (&["--bind-dev", "/nowhere"], "cannot bind /nowhere: no such file", "; --bind-dev-try skips"),
    ]);
}

#[test]
fn what_cannot_be_joined_is_told_with_the_reason() {
    expect(&[
        (&["--join", "net=fd:99"], "cannot use descriptor 99: it is not open", "from --join net=fd:99"),
        (&["--join", "user=/proc/self/ns/user"], "cannot enter the user namespace", "in that user namespace already"),
        (&["--join", "pid=1"], "cannot mount proc for a joined pid namespace", "--join user=…"),
        (&["--time-offset", "boot=-20000d"], "cannot shift clocks", "can't go back to before the boot"),
    ]);
}

#[test]
fn a_pid_namespace_without_a_first_process_is_told() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("dead");
    let path = scratch.join("pid").display().to_string();
    let keep = format!("pid={path}");
    assert_eq!(output(run().args(["--keep", &keep, "true"])).status.code(), Some(0));
    let done = output(run().args(["--share", "user", "--join", &keep, "true"]));
    let unmounted = Command::new("umount").arg(&path).status();
    let said = said(&done);
    assert!(said.contains("cannot allocate memory") && said.contains("once its first process has ended"), "{said}");
    assert!(unmounted.expect("umount is there").success());
}

#[test]
fn empty_values_are_named_as_such() {
    expect(&[
        (&["--bind", ""], "the value of --bind '': it is empty", ""),
        (&["--bind", ":/x"], "cannot bind an empty path", "from --bind :/x"),
        (&["--file", ":/x"], "cannot read an empty path", ""),
        (&["--root", ""], "cannot use an empty path as the root", ""),
        (&["--hostname", ""], "cannot set the host name to \"\": it needs 1 to 64 bytes", "from --hostname"),
        (&["--user", ""], "the value of --user '': ", ""),
        (&["--join", ""], "the value of --join '': ", ""),
        (&["--profile", ""], "cannot read an empty path", "from --profile ''"),
        (&["--overlay="], "cannot keep changes in an empty path", "from --overlay"),
        (&["--tmpfs", ""], "cannot use \"\" inside", "from --tmpfs ''"),
    ]);
}

#[test]
fn a_wish_from_a_profile_is_told_with_its_file_and_key() {
    let scratch = Scratch::new("origins");
    let path = scratch.join("web.toml");
    let path = path.to_str().expect("it has a plain name");
    let told = |profile: &str, options: &[&str]| {
        fs::write(path, profile).expect("scratch is ours");
        refused(&[&["--profile", path], options].concat())
    };
    for (line, key) in [
        ("hostname = ''", "hostname"),
        ("chdir = 'relative'", "chdir"),
        ("pass-fd = [99]", "pass-fd"),
        ("tty = 'sometimes'", "tty"),
        ("root = '/nowhere'", "root"),
        ("root = 'bins:no-such-program'", "root bins:no-such-program"),
        ("overlay = '/nowhere'", "overlay"),
        ("user = '5:6'\nmap = ['0:0:1']", "user"),
        ("env = ['=x']", "env"),
        ("chdir = '/nowhere'", "chdir"),
        ("share = ['mnt']\nrw = true", "share mnt"),
        ("share = ['net']\njoin = ['net=1']", "share net, "),
        ("limits = { memory = 0 }", "memory 0"),
        ("limits = { memory = '1M', swap = '999T' }", "swap 999T"),
        ("limits = { pids = 0 }", "pids 0"),
        ("limits = { cpus = 0 }", "cpus 0"),
        ("limits = { io = ['/proc:rbps=1M'] }", "io /proc:rbps=1M"),
        ("limits = { rlimit = ['core=0', 'nofile=5:3'] }", "rlimit nofile=5:3"),
        ("limits = { timeout = '0s' }", "timeout 0s"),
        ("limits = { nice = 20 }", "nice 20"),
        ("limits = { cpu-affinity = '1000' }", "cpu-affinity 1000"),
        ("limits = { oom-score = 1001 }", "oom-score 1001"),
    ] {
        let said = told(line, &[]);
        assert!(said.contains(&format!("{path}: {key}")), "{line}: {said}");
    }
    let said = told("hostname = ''", &["--hostname", ""]);
    assert!(said.contains("from --hostname"), "what counts is the flag: {said}");
    let said = told("limits = { pids = 5, nice = 20 }", &["--pids", "0"]);
    assert!(said.contains("from --pids 0") && said.contains(": nice 20"), "each wish has its own: {said}");
}

#[test]
fn what_a_profile_loosens_is_told_with_its_file_and_key() {
    let scratch = Scratch::new("loosened");
    let path = scratch.join("web.toml").display().to_string();
    let profile = "share = ['net']\nenv-all = true\nrw = true\nseccomp = 'none'\ncap-add = ['NET_RAW', 'CHOWN']\n\
        allow-userns = true\nnew-privs = true\nproc = 'full'\nsys = 'ro'\nlimits = { rlimit = ['core=1'] }";
    fs::write(&path, profile).expect("scratch is ours");
    let told = |options: &[&str]| {
        let done = output(run().args(["--explain", "--profile", &path]).args(options).arg("true"));
        let told = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "{told}{}", String::from_utf8_lossy(&done.stderr));
        told.lines().filter(|line| line.contains("weaker than")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let weaker = told(&[]);
    for key in [
        "share net",
        "env-all",
        "rw",
        "seccomp none",
        "cap-add",
        "allow-userns",
        "new-privs",
        "proc full",
        "sys ro",
        "rlimit core=1",
    ] {
        assert!(weaker.contains(&format!("(from {path}: {key})")), "{key}: {weaker}");
    }
    assert!(!weaker.contains("(from --"), "{weaker}");
    let weaker = told(&["--cap-add", "KILL", "--share", "net"]);
    assert!(weaker.contains(&format!("(from {path}: cap-add, --cap-add)")), "a list has all: {weaker}");
    assert!(weaker.contains("(from --share net)"), "{weaker}");
}

#[test]
fn an_end_by_a_limit_of_a_profile_is_told_with_its_file_and_key() {
    let scratch = Scratch::new("ended");
    let path = scratch.join("web.toml").display().to_string();
    fs::write(&path, "limits = { timeout = '100ms' }").expect("scratch is ours");
    let done = output(run().args(["--profile", &path, "sleep", "60"]));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.code() == Some(124) && said.contains(&format!("({path}: timeout 100ms)")), "{said}");
}

#[test]
fn learning_without_a_filter_names_what_was_typed() {
    let scratch = Scratch::new("learning");
    let path = scratch.join("web.toml").display().to_string();
    fs::write(&path, "seccomp = 'none'").expect("scratch is ours");
    let said = said(&output(Command::new(holm()).args(["learn", "--profile", &path, "true"])));
    assert!(said.contains("cannot tell what is denied") && said.contains("from holm learn"), "{said}");
}

#[test]
fn a_long_path_is_cut_in_every_message() {
    let long = format!("/{}", "x".repeat(3000));
    let scratch = Scratch::new("long");
    fs::write(scratch.join("long.toml"), format!("chdir = '{}'", &long[1..])).expect("scratch is ours");
    let profile = scratch.join("long.toml").display().to_string();
    let bind = format!("/usr:{long}/../x");
    let cases: [&[&str]; 5] =
        [&["--chdir", &long], &["--root", &long], &["--bind", &bind], &["--profile", &profile], &["--keep", &long]];
    for options in cases {
        let said = refused(options);
        assert!(said.len() < 1500 && said.starts_with("error: cannot "), "{said}");
    }
}

#[test]
fn what_has_no_end_is_not_read() {
    let scratch = Scratch::new("endless");
    let fifo = scratch.join("fifo").display().to_string();
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo is there").success());
    let (file, at_fifo) = (format!("{fifo}:/f"), format!("{fifo}: it is a FIFO"));
    expect(&[
        (&["--file", "/dev/zero:/f"], "cannot read /dev/zero: it holds more than 16 MiB", ""),
        (&["--bind-data", "/dev/zero:/etc/passwd"], "cannot read /dev/zero: it holds more than 16 MiB", ""),
        (&["--file", &file], &at_fifo, ""),
        (&["--profile", &fifo], &at_fifo, ""),
        (&["--profile", "/dev/zero"], "cannot read /dev/zero: it holds more than 16 MiB", ""),
        (&["--profile", "/usr"], "cannot read /usr: is a directory", ""),
    ]);
    let said = said(&shell("holm run --file fd:3:/f true 3</dev/zero"));
    assert!(said.contains("file too large") && said.contains("hint: 16 MiB are the most"), "{said}");
}

#[test]
fn pipes_and_standard_input_are_read_to_their_end() {
    for line in [
        "holm run --file <(echo text):/f cat /f",
        "echo text | holm run --file /dev/stdin:/f cat /f",
        "echo text | holm run --file fd:0:/f cat /f",
        "echo text | holm run --bind-data fd:0:/etc/passwd cat /etc/passwd",
        "holm run --profile <(echo 'hostname = \"text\"') hostname",
        "holm run --file /dev/null:/f cat /f; echo text",
    ] {
        let done = shell(line);
        assert_eq!(
            String::from_utf8_lossy(&done.stdout),
            "text\n",
            "{line}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }
}

#[test]
fn limits_of_the_caller_are_holms_own_failure() {
    for number in 4..24 {
        let done = shell(&format!("ulimit -n {number}; exec holm run true"));
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(matches!(done.status.code(), Some(0 | 125)), "{number}: {said}");
        assert!(done.status.success() || said.to_lowercase().contains("too many open files"), "{number}: {said}");
    }
    assert!(said(&shell("ulimit -n 8; exec holm run true")).contains("hint: the limit of open descriptors"));
    let said = said(&shell("ulimit -f 0; exec holm run true"));
    assert!(said.contains("file too large") && said.contains("ulimit -f"), "{said}");
    assert_eq!(shell("holm run --bind /nowhere true 2>/dev/full").status.code(), Some(125));
}

/// Runs a script in a user namespace of its own, as root there.
fn nested(more: &[&str], script: &str) -> Output {
    let script = script.replace("holm run", &format!("{} run", holm().display()));
    output(Command::new("unshare").args(["--user", "--map-root-user"]).args(more).args(["sh", "-c", &script]))
}

#[test]
fn root_of_a_user_namespace_without_rights_over_its_mounts_gets_a_sandbox() {
    let done = nested(&[], "holm run --bind /tmp sh -c 'id -u; ls -d /tmp'");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(String::from_utf8_lossy(&done.stdout), "0\n/tmp\n", "{said}");
    let said = self::said(&nested(&[], "exec holm run --keep uts=./x true"));
    assert!(said.contains("needs CAP_SYS_ADMIN"), "{said}");
}

#[test]
fn ranges_of_users_that_cannot_be_read_are_never_taken_for_none() {
    let etc = |script: &str| nested(&["--mount"], &format!("mount -t tmpfs tmpfs /etc && {script}"));
    for (file, options) in [("subuid", ""), ("subgid", ""), ("subuid", "--map auto")] {
        let said = said(&etc(&format!("mkdir /etc/{file} && exec holm run {options} true")));
        let message = format!("error: cannot choose ids for the sandbox: /etc/{file}: is a directory");
        assert!(said.starts_with(&message) && said.contains("hint: /etc/sub"), "{options}: {said}");
    }
    let done = etc("mkdir /etc/subuid && holm run --userns host true && rmdir /etc/subuid && holm run true");
    assert!(done.status.success(), "not asked for, and not there: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_machine_without_user_namespaces_is_told_by_the_limit_that_is_0() {
    let said = said(&nested(&[], "echo 0 >/proc/sys/user/max_user_namespaces; exec holm run true"));
    assert!(said.contains("hint: user namespaces are switched off: sysctl user.max_user_namespaces is 0"), "{said}");
}

#[test]
fn a_proc_that_is_covered_in_part_is_told() {
    let own = ["--mount", "--pid", "--fork", "--mount-proc"];
    let told =
        |options| said(&nested(&own, &format!("mount -t tmpfs tmpfs /proc/sys && exec holm run {options} true")));
    let limit = told("");
    assert!(limit.contains("cannot allow no further user namespaces") && limit.contains("--allow-userns"), "{limit}");
    let proc = told("--allow-userns");
    assert!(proc.contains("cannot mount proc on /proc") && proc.contains("hint: mount too revealing"), "{proc}");
}
