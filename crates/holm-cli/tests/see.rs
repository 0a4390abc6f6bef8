//! What `holm ls` and its neighbours print: hostile names, screens, and bad input.

#[expect(dead_code, reason = "other tests use the rest")]
mod patience;

use patience::{Running, within};
use std::process::Command;
use testkit::{children_of, holm, is_root};

fn see(arguments: &[&str]) -> (String, String, Option<i32>) {
    let done = Command::new(holm()).args(arguments).output().expect("holm starts");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it prints UTF-8");
    (text(&done.stdout), text(&done.stderr), done.status.code())
}

/// A process in namespaces of its own, until dropped.
struct Inside(Running);

impl Inside {
    /// Runs a script of perl's there, which prints a line when it is ready.
    fn new(script: &str) -> Inside {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--net", "--uts", "--pid", "--fork", "--kill-child"]);
        let script = format!("$| = 1; {script}; print qq(\\n); sleep 60");
        Inside(Running::ready(command.args(["perl", "-e", &script])))
    }

    /// The pid of the process inside.
    fn pid(&self) -> String {
        children_of(self.0.child.id())[0].to_string()
    }
}

#[test]
fn a_name_with_control_characters_does_not_reach_the_terminal() {
    let inside = Inside::new("$0 = qq(\\e[2J\\n\\xff\\xe2\\x80\\xae)");
    let (pid, own) = (inside.pid(), format!("/proc/{}/ns/uts", inside.pid()));
    for arguments in [
        &["ls", "--pid", &pid][..],
        &["tree"],
        &["tree", "--by", "pid"],
        &["tree", "--by", "process"],
        &["tree", "--by", "container"],
        &["matrix"],
        &["why", &own],
        &["caps", &pid, &own],
        &["diff", &pid, &pid],
    ] {
        let (text, ..) = see(arguments);
        assert!(text.contains("\\u{1b}[2J\\n\\xff\\u{202e}"), "{arguments:?}: {text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
    }
}

#[test]
fn json_lists_the_same_and_can_be_read() {
    let inside = Inside::new("1");
    let (text, errors, code) = see(&["ls", "--json", "--pid", &inside.pid()]);
    assert_eq!((errors.as_str(), code), ("", Some(0)));
    let document: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert_eq!(document["version"], 1);
    let namespaces = document["namespaces"].as_array().expect("a list");
    assert_eq!(namespaces.len(), 8);
    let of = |kind: &str| namespaces.iter().find(|one| one["kind"] == kind).expect("it is listed");
    assert_eq!(of("net")["owner"]["inode"], of("user")["inode"]);
    assert_eq!(of("user")["uid"], rustix::process::geteuid().as_raw());
    assert_eq!(of("pid")["leader"].to_string(), inside.pid());
    assert_eq!(of("pid")["processes"].as_array().map(Vec::len), Some(1));
    let pid: u32 = inside.pid().parse().expect("a number");
    let own = document["processes"].as_array().expect("a list").iter().find(|one| one["pid"] == pid);
    assert_eq!(own.expect("it is listed")["namespaces"]["net"], of("net")["inode"]);
}

#[test]
fn without_a_locale_all_is_ascii() {
    let _inside = Inside::new("$0 = qq(\\xc3\\xa9)");
    let done = Command::new(holm()).arg("ls").env_remove("LC_ALL").env_remove("LC_CTYPE").env("LANG", "C").output();
    let done = done.expect("holm starts");
    assert!(done.stdout.is_ascii() && String::from_utf8_lossy(&done.stdout).contains("\\u{e9}"));
}

#[test]
fn wrong_options_are_refused_with_what_would_do() {
    for (arguments, message) in [
        (&["ls", "--kind", "net,disk"][..], "unknown namespace \"disk\""),
        (&["ls", "--columns", "kind,size"], "unknown column \"size\""),
        (&["ls", "--pid", "0"], "cannot show process 0"),
        (&["ls", "--made-by", "nobody"], "unknown tool \"nobody\": the tools are holm, "),
        (&["ls", "--pid", "4294967296"], "invalid value"),
    ] {
        let (text, errors, code) = see(arguments);
        assert!(errors.contains(message) && text.is_empty() && code == Some(125), "{arguments:?}: {errors}");
    }
}

#[test]
fn who_has_ended_is_in_no_set_and_said_to_have() {
    let mut child = Command::new("true").spawn().expect("it starts");
    let pid = child.id().to_string();
    // In the state of a zombie, which nobody but this process ends (proc_pid_stat(5)).
    within(20, "it ends", || {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| text.contains(") Z "))
    });
    for arguments in [
        &["ls", "--pid", &pid][..],
        &["caps", &pid, "/proc/self/ns/net"],
        &["diff", "1", &pid],
        &["diff", &pid, "1"],
        &["diagram", &pid],
    ] {
        let (text, errors, code) = see(arguments);
        let cause = format!("cannot show process {pid}: it has ended and is only waited for");
        // The other one may be closed.
        assert!(errors.contains(&cause) || arguments[1] == "1" && errors.contains("closed"), "{arguments:?}: {errors}");
        assert!(text.is_empty() && code == Some(125), "{arguments:?}: {text}");
    }
    let (text, ..) = see(&["matrix"]);
    assert!(!text.contains(&format!(" {pid} true")), "{text}");
    let (text, ..) = see(&["why", "/proc/self/ns/user"]);
    assert!(text.contains(&format!("  {pid} true (ended)\n")), "{text}");
    child.wait().expect("it is ours");
}

#[test]
fn what_is_closed_is_not_taken_for_nothing() {
    if is_root() {
        return;
    }
    for arguments in [&["ls", "--pid", "1"][..], &["caps", "1", "/proc/self/ns/net"], &["diagram", "1"]] {
        let (text, errors, code) = see(arguments);
        assert!(errors.contains("cannot show process 1: its namespaces are closed to you"), "{arguments:?}: {errors}");
        assert!(text.is_empty() && code == Some(125), "{arguments:?}: {text}");
    }
}

#[test]
fn a_tree_shows_pids_on_both_sides_and_maps() {
    let inside = Inside::new("1");
    let (text, ..) = see(&["tree"]);
    let uid = rustix::process::geteuid().as_raw();
    let (pids, ids) = (format!("{}/1 perl", inside.pid()), format!("0={uid} x 1"));
    assert!(text.lines().any(|line| line.contains(" user ") && line.contains(&ids)), "{ids}: {text}");
    let (text, ..) = see(&["tree", "--by", "pid"]);
    assert!(text.lines().any(|line| line.contains("pid 4") && line.ends_with(&pids)), "{pids}: {text}");
    let (text, ..) = see(&["tree", "--by", "process"]);
    assert!(text.contains(&format!("{pids}: other pid")), "{text}");
    let (text, ..) = see(&["diff", &std::process::id().to_string(), &inside.pid()]);
    assert!(text.ends_with("shared: cgroup, ipc, time, mnt\n"), "{text}");
}

#[test]
fn without_proc_there_is_an_error_and_a_hint() {
    let script = format!("mount -t tmpfs none /proc && exec {} ls", holm().display());
    let done = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).output();
    let done = done.expect("unshare is there");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(errors.starts_with("error: cannot read /proc: ") && errors.contains("hint: mount -t proc"), "{errors}");
    assert_eq!(done.status.code(), Some(125));
    let script = format!("exec {} ls", holm().display());
    let done =
        Command::new("unshare").args(["--user", "--map-root-user", "--pid", "--fork", "sh", "-c", &script]).output();
    let errors = String::from_utf8_lossy(&done.expect("unshare is there").stderr).into_owned();
    assert!(errors.contains("it shows another pid namespace"), "{errors}");
}

#[test]
fn a_proc_that_hides_processes_is_told() {
    if !is_root() {
        return;
    }
    let script = format!(
        "mount -t proc -o hidepid=invisible none /proc && exec setpriv --reuid 65533 --regid 65533 --clear-groups --bounding-set=-all {} ls",
        holm().display()
    );
    let done = Command::new("unshare").args(["--mount", "sh", "-c", &script]).output().expect("unshare is there");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(errors.contains("/proc hides processes of others (hidepid)"), "{errors}");
}
