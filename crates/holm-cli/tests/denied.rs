//! What was refused is told: calls, paths, connections; and a profile can be learned from it. As root and as a user.

use std::process::{Command, Output, Stdio};
use testkit::{Scratch, holm, run};

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("holm starts")
}

/// The denials of a script, as JSON, without the program's own lines.
fn denied(options: &[&str], script: &str) -> Vec<serde_json::Value> {
    let done =
        output(run().arg("--log-denied=json").args(options).args(["sh", "-c", &format!("exec 2>/dev/null; {script}")]));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let document: serde_json::Value =
        serde_json::from_str(said.trim()).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(document["version"], 1);
    document["denied"].as_array().expect("it is a list").clone()
}

#[test]
fn refused_system_calls_are_told_with_arguments_and_count() {
    let call = "perl -e 'for (1..3) { syscall(321, 7, 8, 9) }'";
    let found = denied(&[], call);
    let bpf: Vec<_> = found.iter().filter(|one| one["name"] == "bpf").collect();
    assert_eq!(bpf.len(), 1, "{found:?}");
    assert_eq!((&bpf[0]["count"], &bpf[0]["errno"], &bpf[0]["program"]), (&3.into(), &1.into(), &"perl".into()));
    assert_eq!(bpf[0]["arguments"].as_array().expect("a list")[..3], [7, 8, 9].map(serde_json::Value::from));
    // They answer the same as without.
    let answers = |options: &[&str]| {
        let script =
            "print syscall(321, 0, 0, 0), $!+0, ' ', syscall(41, 40, 1, 0), $!+0, ' ', syscall(435, 0, 0), $!+0";
        let done = output(run().args(options).args(["perl", "-e", script]));
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    assert_eq!(answers(&["--log-denied"]), answers(&[]));
    assert_eq!(answers(&[]), "-11 -197 -138");
}

#[test]
fn paths_that_are_absent_or_read_only_are_told_with_what_would_allow_them() {
    let scratch = Scratch::new("absent");
    std::fs::write(scratch.join("data"), "whole").expect("scratch is ours");
    let path = scratch.join("data");
    let path = path.to_str().expect("a plain name");
    let found = denied(
        &[],
        &format!("cat {path}; cat /no/such/file; true >/usr/bin/env; true >/usr/new; cd /usr && cat bin/nothing"),
    );
    let told: Vec<(&str, &str, &str)> = found
        .iter()
        .map(|one| [&one["kind"], &one["path"], &one["allowed-by"]].map(|v| v.as_str().unwrap_or_default()))
        .map(|[kind, path, by]| (kind, path, by))
        .collect();
    assert_eq!(
        told,
        [
            ("absent", path, &*format!("--bind {path}")),
            ("read-only", "/usr/bin/env", "--bind-rw /usr/bin/env"),
            ("read-only", "/usr/new", "--overlay"),
        ]
    );
    // With what is told it works, and then nothing is.
    assert_eq!(denied(&["--bind", path], &format!("cat {path}")), Vec::<serde_json::Value>::new());
}

#[test]
fn connections_without_a_network_are_told() {
    let connect = |address: &str| {
        format!(
            "perl -MSocket -e 'socket(S,AF_INET,SOCK_STREAM,0); connect(S, pack_sockaddr_in(80, inet_aton(q({address}))))'"
        )
    };
    let found = denied(&[], &format!("{}; {}", connect("192.0.2.1"), connect("127.0.0.1")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["address"], &found[0]["allowed-by"]), (&"192.0.2.1:80".into(), &"--share net".into()));
}

#[test]
fn a_summary_fits_a_terminal_and_escapes_names() {
    let script = "printf 'int main' >/dev/null; cat \"/usr/$(printf 'a\\033[2J')\" >/usr/\"$(printf 'b\\033')\"";
    let done = output(run().arg("--log-denied").args(["sh", "-c", script]));
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let summary = said.split("holm: this was denied\n").nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(summary.contains("is read-only") && !summary.contains('\x1b'), "{said}");
    let done = output(run().args(["--log-denied", "true"]));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "holm: nothing was denied\n");
}

#[test]
fn a_program_that_is_watched_runs_as_without() {
    let script = "for i in 1 2 3 4 5; do (ls / /usr/bin | sort | md5sum) & done; wait; exit 3";
    let run = |options: &[&str]| output(run().args(options).args(["sh", "-c", script]));
    let (plain, watched) = (run(&[]), run(&["--log-denied"]));
    assert_eq!((plain.status.code(), &plain.stdout), (Some(3), &watched.stdout));
    assert_eq!(watched.status.code(), Some(3));
    // Not found is not found; and a filter there must be.
    assert_eq!(output(testkit::run().args(["--log-denied", "nosuchprogram"])).status.code(), Some(127));
    let done = output(testkit::run().args(["--log-denied", "--seccomp", "none", "true"]));
    assert_eq!(done.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&done.stderr).contains("--log-denied"));
}

#[test]
fn a_profile_is_learned_from_one_run() {
    let scratch = Scratch::new("learn");
    std::fs::write(scratch.join("data"), "whole\n").expect("scratch is ours");
    let data = scratch.join("data");
    let learned = output(Command::new(holm()).arg("learn").arg("cat").arg(&data));
    let profile = String::from_utf8_lossy(&learned.stdout).into_owned();
    assert_eq!(learned.status.code(), Some(1), "{profile}");
    assert!(profile.contains(&format!("{{ bind = \"{}\" }}", data.display())), "{profile}");
    std::fs::write(scratch.join("learned.toml"), &profile).expect("scratch is ours");
    let done = output(run().arg("--profile").arg(scratch.join("learned.toml")).arg("cat").arg(&data));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "whole\n", "{done:?}");
}
