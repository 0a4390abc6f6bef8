//! Bad input, by a table over every option, every key of a profile and every field of a filter: each is refused with 125
//! before anything starts, and the message names the option, the key or the field.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use testkit::{Scratch, Traces, run};

/// Values that are wrong for each of the options, which the options are told with.
const VALUES: &[(&[&str], &[&str])] = &[
    (&["share"], &["", "nett", "net,", ",net", "net,,pid", "net ipc", "NET", "-1", "net\n", "all"]),
    (
        &["join"],
        &["", "net", "net=", "=x", "nett=1", "net=0", "net=-1", "net=fd:", "net=fd:x", "net=fd:-1", "net=fd:99"],
    ),
    (&["join"], &["net=/no/such", "net=/etc/passwd", "pid=/proc/self/ns/net", "net=no-such-name", "net=2147483647"]),
    (&["keep"], &["", "net", "net=", "=x", "nett=x", "x=/tmp/y"]),
    (
        &["time-offset"],
        &["", "boot", "boot=", "boot=x", "boot=1y", "boot=1.5h", "mono=", "x=1", "boot=1,", "boot=999999999d"],
    ),
    (&["user"], &["", "alice", "-1", "1:", ":1", "1:2:3", "4294967295", "4294967296", "0x10", "1 2", "root:root"]),
    (
        &["map"],
        &["", "x", "0", "0:0", "0:0:x", "0:0:-1", "0:0:1:1", "u:", "u:0:0", "x:0:0:1", "auto:1", "4294967296:0:1"],
    ),
    (&["cap-add"], &["", "x", "CAP_", "CAP_NOPE", "net_admin,", "net_admin,x", "-1", "cap net_raw"]),
    (&["seccomp"], &["", "/no/such/file", "/", "/etc/passwd", "Default", "nothing"]),
    (&["sys"], &["", "rw", "RO", "full", "1"]),
    (&["userns"], &["", "new", "HOST", "1"]),
    (&["memory"], &["", "0", "x", "-1", "512X", "99999999999T", "1.5M"]),
    (&["swap"], &["", "x", "-1", "1P"]),
    (&["pids"], &["", "0", "x", "-1", "1.5", "99999999999"]),
    (&["cpus"], &["", "0", "x", "-1", "inf", "nan", "1.2345", "1e3"]),
    (&["timeout"], &["", "0", "x", "-1s", "1y", "1.5s"]),
    (&["nice"], &["", "x", "20", "-21", "1.5"]),
    (&["cpu-affinity"], &["", "x", "9999", "3-1", "0,", "-1", "1-"]),
    (&["oom-score"], &["", "x", "1001", "-1001"]),
    (&["io"], &["", "/", "/:", "/:rbps", "/:rbps=x", "/:speed=1", "/no/such:rbps=1M", "1:2:3"]),
    (&["rlimit"], &["", "x", "nofile", "nofile=", "nofile=x", "nofile=2:1", "nope=1", "nofile=1:2:3", "nofile=-1"]),
    (&["stats"], &["", "yaml", "JSON"]),
    (&["hostname"], &["", "0123456789012345678901234567890123456789012345678901234567890123456789"]),
    (&["chdir"], &["", "relative", "./x", "../x", "/a/../b", "/no/such/directory"]),
    (&["env"], &["", "=x", "="]),
    (&["pass-fd"], &["", "x", "-1", "0", "1", "2", "99", "1.5", "2147483648"]),
    (&["tty"], &["", "yes", "Always", "1"]),
    (
        &["root"],
        &["", "/no/such/root", "/etc/passwd", "bins:", "bins:no-such-program", "bins:,", "bins:bash,no-such-program"],
    ),
    (&["overlay"], &["/no/such/directory"]),
    (&["profile"], &["", "/no/such.toml", "/", "/etc/passwd"]),
    (&["explain"], &["", "yaml", "TABLE", "1"]),
    (
        &["bind", "bind-rw", "bind-dev"],
        &["", ":", ":/a", "/no/such:/a", "/usr:a", "/usr:", "/usr:/a/../b", "/usr:/a:b", "fd:9"],
    ),
    (
        &["bind", "bind-rw", "bind-dev"],
        &["fd:x:/a", "fd:-1:/a", "/usr:/", "/usr/bin/env/x:/a", "/usr:../a", "fd::/a", "fd:99:/a"],
    ),
    (
        &["bind-try", "bind-rw-try", "bind-dev-try"],
        &["/usr:a", "/usr:", "/usr:/a/../b", "/a:/b:/c", "fd:9", "fd:x:/a", "/usr:/"],
    ),
    (
        &["bind-data", "bind-data-rw", "file"],
        &["", ":/a", "/no/such:/a", "/etc/passwd", "/etc/passwd:", "/etc/passwd:a", "/:/a"],
    ),
    (
        &["bind-data", "bind-data-rw", "file"],
        &["/etc/passwd:/a:9", "/etc/passwd:/a:77777", "/etc/passwd:/a:-1", "/etc/passwd:/a:rw"],
    ),
    (
        &["bind-data", "bind-data-rw", "file"],
        &["/etc/passwd:/a:644:1", "fd:x:/a", "fd:99:/a", "fd:9", "/etc/passwd:/a/../b", "/etc/passwd:/"],
    ),
    (
        &["tmpfs"],
        &["", "a", "/", "/a/..", "/a:b", "/a:size=", "/a:size=0", "/a:size=x", "/a:size=-1", "/a:size=1P", "/a:mode="],
    ),
    (
        &["tmpfs"],
        &[
            "/a:mode=8",
            "/a:mode=77777",
            "/a:mode=0x1",
            "/a:size=1:mode=1",
            "/a:,",
            "/a:size=99999999999999T",
            "/a:uid=0",
        ],
    ),
    (
        &["overlay-mount"],
        &["", "/a", "/a:", "/a:lower=", "/a:lower=/usr", "/a:tmp", "/a:lower=/usr,upper=/tmp", "/a:x=1", "/a:lower"],
    ),
    (&["overlay-mount"], &["/a:lower=/usr,work=/tmp", "/a:lower=/no/such,tmp", "a:lower=/usr,tmp", "/:lower=/usr,tmp"]),
    (
        &["overlay-mount"],
        &[
            "/a:lower=/usr,tmp,upper=/a,work=/b",
            "/a:lower=/etc/passwd:tmp",
            "/a:lower=/no/such,lower=/usr",
            "/a/../b:lower=/usr,tmp",
        ],
    ),
    (&["dir"], &["", "a", "/", "/a/../b", "/a:8", "/a:77777", "/a:", "/a:7:7", "/a:x", "./a"]),
    (&["symlink"], &["", "x", ":/a", "x:", "x:a", "x:/", "x:/a/../b", "a:b:c", "x:/a:/b"]),
    (
        &["chmod"],
        &["", "755", "x:/a", "8:/a", "77777:/a", "755:", "755:a", "755:/a/../b", "755:/a:/b", "-1:/a", "u+x:/a"],
    ),
    (&["proc"], &["", "proc", "Guarded", "none", "../proc", "/a/../b", "/"]),
    (&["dev", "mqueue"], &["", "dev", "/", "/a/../b", "./dev"]),
    (&["remount-ro", "mask"], &["", "a", "/a/../b", "../a"]),
];

/// Options without a value that don't take one.
const SWITCHES: &[&str] = &["rw", "env-all", "wait-all", "allow-userns", "new-privs"];

/// Wishes that contradict each other or what there is; the second is what the message has to hold.
const TOGETHER: &[(&str, &str)] = &[
    ("--rw --overlay", "rw"),
    ("--share uts --hostname x", "--hostname"),
    ("--share user --map 0:0:1", "--map"),
    ("--share mnt --tmpfs /a", "--share mnt"),
    ("--share mnt --rw", "--share mnt"),
    ("--share ipc --mqueue /q", "--mqueue"),
    ("--map auto --map 0:0:1", "map"),
    ("--map 0:0:1 --map 0:1:1", "--map"),
    ("--map 0:0:0", "--map"),
    ("--map 4294967295:0:2", "--map"),
    ("--user 5 --map 0:0:1", "--user"),
    ("--root none --rw", "--rw"),
    ("--root none --overlay=/tmp", "--overlay"),
    ("--no-such-option", "--no-such-option"),
    ("--bind", "--bind"),
    ("--tmpfs", "--tmpfs"),
    ("-x", "-x"),
    ("--root /no/such --hostname  --chdir relative", "--root"),
];

/// Profiles, and what their messages have to hold.
const PROFILES: &[(&str, &str)] = &[
    ("root", ":1:"),
    ("root =", ":1:"),
    ("root = 5", ":1:8"),
    ("root = []", ":1:8"),
    ("root = \"host\"\nroot = \"none\"", ":2:"),
    ("rot = \"host\"", "unknown field `rot`"),
    ("Root = \"host\"", "unknown field `Root`"),
    ("rw = \"yes\"", ":1:6"),
    ("rw = 1", ":1:6"),
    ("overlay = 5", "expected true or a directory"),
    ("overlay = [\"/tmp\"]", "expected true or a directory"),
    ("share = \"net\"", ":1:9"),
    ("share = [1]", ":1:10"),
    ("env = \"A=1\"", ":1:7"),
    ("env-all = \"yes\"", ":1:11"),
    ("env_all = true", "unknown field `env_all`"),
    ("pass-fd = [\"3\"]", ":1:12"),
    ("pass-fd = [3.5]", ":1:12"),
    ("pass-fd = [99999999999]", ":1:12"),
    ("wait-all = 1", ":1:12"),
    ("cap-add = \"all\"", ":1:11"),
    ("seccomp = true", ":1:11"),
    ("allow-userns = \"no\"", ":1:16"),
    ("new-privs = 0", ":1:13"),
    ("hostname = 1", ":1:12"),
    ("mounts = \"/\"", ":1:10"),
    ("mounts = [\"/\"]", "a table with one operation"),
    ("mounts = [{}]", "an empty table"),
    ("mounts = [{ bnd = \"/usr\" }]", "unknown operation `bnd`"),
    ("mounts = [{ bind = \"/usr\", tmpfs = \"/a\" }]", "two operations"),
    ("mounts = [{ bind = 5 }]", ":1:20"),
    ("mounts = [{ root = \"/\" }]", "unknown operation `root`"),
    ("[mounts]\nbind = \"/usr\"", ":1:1"),
    ("[root]\npath = \"/\"", ":1:1"),
    ("[[mounts]]\nbind = \"/usr\"\ntmpfs = \"/a\"", "two operations"),
    ("\u{0}", ":1:"),
    ("root = \"host", ":1:"),
    ("root = 'host\"", ":1:"),
    ("= 1", ":1:"),
    ("profile = \"x.toml\"", "unknown field `profile`"),
    ("explain = \"sh\"", "unknown field `explain`"),
];

/// Fields of a filter with a value that is wrong, and what the message has to hold.
const FILTERS: &[(&str, &str)] = &[
    ("", "EOF"),
    ("[]", "line 1"),
    ("{}", "defaultAction"),
    ("{ \"defaultAction\": 5 }", "line 1"),
    ("{ \"defaultAction\": \"ALLOW\" }", "ALLOW"),
    ("{ \"defaultAction\": \"SCMP_ACT_NOTIFY\" }", "SCMP_ACT_NOTIFY"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"defaultErrnoRet\": -1 }", "line 1"),
    ("{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 4096 }", "4096"),
    ("{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 70000 }", "line 1"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": [\"SCMP_ARCH_X86\"] }", "SCMP_ARCH_X86_64"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"architectures\": \"SCMP_ARCH_X86_64\" }", "line 1"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"archMap\": [] }", "archMap"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"flags\": [\"SECCOMP_FILTER_FLAG_NEW_LISTENER\"] }", "NEW_LISTENER"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"listenerPath\": \"/x\" }", "listenerPath"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": {} }", "line 1"),
    ("{ \"defaultAction\": \"SCMP_ACT_ERRNO\" }", "--seccomp"),
    ("{ \"defaultAction\": \"SCMP_ACT_KILL\", \"syscalls\": [] }", "--seccomp"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\" ", "EOF"),
    ("{ \"defaultAction\": \"SCMP_ACT_ALLOW\" } x", "trailing"),
];

/// Entries of `syscalls`.
const ENTRIES: &[(&str, &str)] = &[
    ("5", "line 1"),
    ("{}", "names"),
    ("{ \"names\": [\"read\"] }", "action"),
    ("{ \"names\": \"read\", \"action\": \"SCMP_ACT_ALLOW\" }", "line 1"),
    ("{ \"names\": [\"raed\"], \"action\": \"SCMP_ACT_ALLOW\" }", "raed"),
    ("{ \"names\": [\"\"], \"action\": \"SCMP_ACT_ALLOW\" }", "unknown system call"),
    ("{ \"names\": [\"READ\"], \"action\": \"SCMP_ACT_ALLOW\" }", "READ"),
    ("{ \"names\": [1], \"action\": \"SCMP_ACT_ALLOW\" }", "line 1"),
    ("{ \"name\": \"read\", \"action\": \"SCMP_ACT_ALLOW\" }", "name"),
    ("{ \"names\": [\"read\"], \"action\": \"allow\" }", "allow"),
    ("{ \"names\": [\"read\"], \"action\": \"SCMP_ACT_NOTIFY\" }", "SCMP_ACT_NOTIFY"),
    ("{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 5000 }", "5000"),
    ("{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": {} }", "line 1"),
    ("{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{}] }", "index"),
    (
        "{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{ \"index\": 6, \"value\": 0, \"op\": \"SCMP_CMP_EQ\" }] }",
        "argument 6",
    ),
    (
        "{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{ \"index\": -1, \"value\": 0, \"op\": \"SCMP_CMP_EQ\" }] }",
        "line 1",
    ),
    (
        "{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{ \"index\": 0, \"value\": -1, \"op\": \"SCMP_CMP_EQ\" }] }",
        "line 1",
    ),
    (
        "{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{ \"index\": 0, \"value\": 0, \"op\": \"EQ\" }] }",
        "EQ",
    ),
    (
        "{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"args\": [{ \"index\": 0, \"op\": \"SCMP_CMP_EQ\" }] }",
        "value",
    ),
    ("{ \"names\": [\"mknod\"], \"action\": \"SCMP_ACT_ERRNO\", \"includes\": {} }", "includes"),
    ("{ \"names\": [\"execve\"], \"action\": \"SCMP_ACT_ERRNO\" }", "execve"),
];

#[derive(Default)]
struct Table {
    seen: BTreeSet<Vec<String>>,
    wrong: Vec<String>,
}

impl Table {
    /// Runs holm with `options`; `named` has to be in its message.
    fn refused(&mut self, options: &[&str], named: &str) {
        if !self.seen.insert(options.iter().map(|&option| option.to_owned()).collect()) {
            return;
        }
        let mut command = run();
        command.args(options).args(["echo", "it started"]).current_dir("/").stdin(Stdio::null());
        let done = command.output().expect("holm starts");
        let (output, errors) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        let right = done.status.code() == Some(125)
            && output.is_empty()
            && errors.starts_with("error: ")
            && errors.contains(named)
            && !errors.contains("panicked");
        if !right {
            self.wrong.push(format!("{options:?} ({named:?}): {:?}, {output:?}, {errors:?}", done.status));
        }
    }

    fn options(&mut self) {
        for (names, values) in VALUES {
            for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
                self.refused(&[&format!("--{name}={value}")], &format!("--{name}"));
            }
        }
        for name in SWITCHES {
            self.refused(&[&format!("--{name}=x")], &format!("--{name}"));
        }
        for (options, named) in TOGETHER {
            self.refused(&options.split(' ').collect::<Vec<_>>(), named);
        }
    }

    /// The same values in a profile, which names its file and the key; and files that are none.
    fn profiles(&mut self, scratch: &Path) {
        let path = scratch.join("wrong.toml");
        let mut refused = |text: &str, named: &str, number: usize| {
            let path = path.with_file_name(format!("wrong-{number}.toml"));
            std::fs::write(&path, text).expect("scratch is ours");
            self.refused(&["--profile", &path.to_string_lossy()], named);
        };
        let lists = ["share", "join", "keep", "map", "cap-add", "env"];
        let single = ["time-offset", "user", "userns", "sys", "seccomp", "hostname", "chdir", "root", "tty"];
        let limits = ["memory", "swap", "pids", "cpus", "timeout", "nice", "cpu-affinity", "oom-score"];
        let mut number = 0;
        for (names, values) in VALUES {
            for (name, value) in names.iter().flat_map(|name| values.iter().map(move |value| (name, value))) {
                let text = match name {
                    _ if lists.contains(name) => format!("{name} = [{value:?}]"),
                    _ if single.contains(name) => format!("{name} = {value:?}"),
                    _ if limits.contains(name) => format!("limits = {{ {name} = {value:?} }}"),
                    // Lists of the same table.
                    &"io" | &"rlimit" => format!("limits = {{ {name} = [{value:?}] }}"),
                    &"pass-fd" | &"profile" | &"explain" | &"overlay" | &"proc" | &"stats" => continue,
                    _ => format!("mounts = [{{ {name} = {value:?} }}]"),
                };
                number += 1;
                refused(&text, name, number);
            }
        }
        for (text, named) in PROFILES {
            number += 1;
            refused(text, named, number);
        }
    }

    fn filters(&mut self, scratch: &Path) {
        let whole = FILTERS.iter().map(|(text, named)| (text.to_string(), *named));
        let entries = ENTRIES.iter().map(|(entry, named)| {
            (format!("{{ \"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [{entry}] }}"), *named)
        });
        for (number, (text, named)) in whole.chain(entries).enumerate() {
            let path = scratch.join(format!("filter-{number}.json"));
            std::fs::write(&path, text).expect("scratch is ours");
            self.refused(&["--seccomp", &path.to_string_lossy()], named);
        }
    }
}

#[test]
fn each_bad_input_is_refused_with_its_field_named() {
    let scratch = Scratch::new("proof-input");
    let before = Traces::now();
    let mut table = Table::default();
    table.options();
    table.profiles(scratch.path());
    table.filters(scratch.path());
    eprintln!("{} bad inputs", table.seen.len());
    assert_eq!(Traces::left(&before, scratch.path()), [""; 0]);
    assert!(table.seen.len() >= 400, "{}", table.seen.len());
    assert!(table.wrong.is_empty(), "{} wrong:\n{}", table.wrong.len(), table.wrong.join("\n"));
}
