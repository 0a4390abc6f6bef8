//! What podman does with more than one container, and with one that runs: pods, health, use, ranges of ids.

use crate::podman::Podman;
use std::process::Command;

pub(crate) fn run(podman: &Podman) {
    containers_of_a_pod_share_its_namespaces(podman);
    one_that_runs_is_looked_at_and_changed(podman);
    ranges_of_ids_are_chosen(podman);
    let said = podman.says(&["--init"], "ps -o comm= 1");
    assert!(["catatonit\n", "podman-init\n"].contains(&said.as_str()), "{said}");
}

const LINKS: &str = "for kind in net ipc uts pid; do busybox readlink /proc/self/ns/$kind; done";
const SERVE: &str = "mkdir /www; echo hello >/www/page; exec busybox httpd -f -p 8080 -h /www";
const FETCH: &str = "i=0; until busybox wget -q -O - http://127.0.0.1:8080/page; do i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done";

fn containers_of_a_pod_share_its_namespaces(podman: &Podman) {
    let create = [&["pod", "create", "--name", "pod", "--network", "none"], &podman.parent()[..]].concat();
    podman.done(&create).expect_code(0);
    podman.done(&["run", "-d", "--pod", "pod", "--name", "web", "tiny", "sh", "-c", SERVE]).expect_code(0);
    let script = format!("{FETCH}; {LINKS}; uname -n");
    let said = podman.done(&["run", "--rm", "--pod", "pod", "tiny", "sh", "-c", &script]).text();
    let theirs = podman.done(&["exec", "web", "sh", "-c", LINKS]).text();
    let (said, theirs): (Vec<&str>, Vec<&str>) = (said.lines().collect(), theirs.lines().collect());
    assert_eq!((said[0], &said[1..4], said[5]), ("hello", &theirs[..3], "pod"));
    assert_ne!(said[4], theirs[3], "pids are no part of what a pod shares");
    podman.done(&["pod", "stop", "--time", "0", "pod"]).expect_code(0);
    podman.done(&["pod", "start", "pod"]).expect_code(0);
    assert_eq!(podman.done(&["pod", "inspect", "--format", "{{.State}}", "pod"]).text(), "Running\n");
    podman.done(&["pod", "rm", "--force", "--time", "0", "pod"]).expect_code(0);
}

fn one_that_runs_is_looked_at_and_changed(podman: &Podman) {
    // Nothing but systemd would have it checked again and again.
    let check = ["-d", "--name", "seen", "--health-cmd", "test -e /healthy", "--health-interval", "disable"];
    let limit = if testkit::is_root() { &["--memory", "64m"][..] } else { &[] };
    podman.run(&[&check, limit].concat(), &["tiny", "sleep", "1000"]).expect_code(0);
    podman.done(&["healthcheck", "run", "seen"]).expect_code(1);
    podman.done(&["exec", "seen", "touch", "/healthy"]).expect_code(0);
    podman.done(&["healthcheck", "run", "seen"]).expect_code(0);
    let top = podman.done(&["top", "seen", "pid", "comm", "seccomp"]).text();
    let words: Vec<&str> = top.split_whitespace().collect();
    assert_eq!(words, ["PID", "COMMAND", "SECCOMP", "1", "sleep", "filter"]);
    if testkit::is_root() {
        podman.done(&["update", "--memory", "48m", "seen"]).expect_code(0);
        let file = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
        let limit = format!("cat {} 2>/dev/null || cat {}", file[0], file[1]);
        assert_eq!(podman.done(&["exec", "seen", "sh", "-c", &limit]).text(), "50331648\n");
        let stats = podman.done(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "seen"]).text();
        assert!(stats.contains(" / 67.11MB ") && stats.ends_with(" 1\n"), "{stats}");
    }
    podman.done(&["rm", "--force", "--time", "0", "seen"]).expect_code(0);
}

fn ranges_of_ids_are_chosen(podman: &Podman) {
    let options = ["--userns", "auto:size=1000"];
    let maps = ["tiny", "cat", "/proc/self/uid_map"];
    if !testkit::is_root() {
        let said = podman.says(&options, "cat /proc/self/uid_map");
        assert_eq!(said.split_whitespace().last(), Some("1000"), "{said}");
        return;
    }
    assert_eq!(
        map(&podman.once(&[&["--uidmap", "0:200000:1000"], &maps[..]].concat()).text()),
        ["0", "200000", "1000"]
    );
    // podman takes ranges of a user of this name, which only this test's mount namespace has.
    std::fs::write(podman.site.path("ranges"), "containers:300000:5000\n").expect("it can be written");
    let command = podman.command();
    let script = "for list in subuid subgid; do mount --bind ranges /etc/$list; done; exec \"$@\"";
    let mut own = Command::new("unshare");
    own.args(["--mount", "sh", "-euc", script, "sh"]).arg(command.get_program()).args(command.get_args());
    own.args(["run", "--rm", "--network", "none"]).args(podman.parent()).args(options).args(maps);
    own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    assert_eq!(map(&podman.site.done(own).text()), ["0", "300000", "1000"]);
}

fn map(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

const POD: &str = "apiVersion: v1
kind: Pod
metadata: { name: played }
spec:
  containers:
  - name: one
    image: localhost/tiny
    command: [sh, -c, 'echo begun; exec sleep 1000']
    securityContext: { runAsUser: 5, readOnlyRootFilesystem: true, capabilities: { drop: [ALL] } }
    volumeMounts: [{ name: shared, mountPath: /shared }]
  - { name: two, image: localhost/tiny, command: [sleep, '1000'] }
  volumes: [{ name: shared, emptyDir: {} }]
";

/// As an ordinary user alone: root's control groups would be beside this test's, by no option.
pub(crate) fn a_pod_of_kubernetes_is_played(podman: &Podman) {
    std::fs::write(podman.site.path("pod.yaml"), POD).expect("it can be written");
    podman.done(&["play", "kube", "--network", "none", "pod.yaml"]).expect_code(0);
    let script = "id -u; grep CapEff /proc/self/status; touch /new 2>/dev/null || echo refused";
    let said = podman.done(&["exec", "played-one", "sh", "-c", script]).text();
    assert_eq!(said, "5\nCapEff:\t0000000000000000\nrefused\n");
    assert_eq!(podman.done(&["logs", "played-one"]).text(), "begun\n");
    podman.done(&["exec", "played-two", "true"]).expect_code(0);
    podman.done(&["play", "kube", "--down", "pod.yaml"]).expect_code(0);
    assert_eq!(podman.done(&["ps", "--all", "--quiet"]).text(), "");
}
