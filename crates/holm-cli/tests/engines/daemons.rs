//! dockerd with its containerd, in mount, network and pid namespaces of their own: they write to /run and /etc, and all that
//! they start ends with them.

use crate::site::{Done, Site, eventually};
use std::process::{Child, Command, Stdio};

/// What runs in the namespaces. Sockets and files that others use are in the site's directory.
const START: &str = r#"
    mount -t tmpfs none /run; mkdir -p /etc/docker; mount -t tmpfs none /etc/docker
    containerd --config "$PWD/containerd.toml" --root "$PWD/ctd" --state "$PWD/ctd-state" --address "$PWD/ctd.sock" 2>containerd.log &
    exec dockerd --config-file "$PWD/daemon.json" --containerd "$PWD/ctd.sock" --host "unix://$PWD/docker.sock" 2>dockerd.log"#;

struct Daemons {
    site: Site,
    running: Child,
}

impl Daemons {
    fn start(name: &str) -> Option<Daemons> {
        let site = Site::new(name, &["dockerd", "docker", "containerd", "ctr", "unshare"])?;
        let path = |name| site.path(name);
        let settings = serde_json::json!({
            "data-root": path("data"), "exec-root": path("exec"), "pidfile": path("pid"), "storage-driver": "overlay2",
            "bridge": "none", "iptables": false, "ip6tables": false, "ip-forward": false, "ip-masq": false,
            "runtimes": { "holm": { "path": site.runtime() } }, "default-runtime": "holm",
            "cgroup-parent": format!("/{}", site.group()),
        });
        std::fs::write(path("daemon.json"), settings.to_string()).expect("it can be written");
        let config = "version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n";
        std::fs::write(path("containerd.toml"), config).expect("it can be written");
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "--propagation",
            "slave",
            "--net",
            "--pid",
            "--fork",
            "--mount-proc",
            "--kill-child=KILL",
        ]);
        command.args(["sh", "-euc", START]).current_dir(site.scratch.path());
        let running = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("unshare(1) is there");
        let daemons = Daemons { site, running };
        eventually(|| daemons.docker(&["version"]).code == 0);
        Some(daemons)
    }

    fn docker(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new("docker");
        command.env("DOCKER_CONFIG", self.site.path("client")).arg("--host");
        command.arg(format!("unix://{}", self.site.path("docker.sock"))).args(arguments);
        self.site.done(command)
    }

    fn once(&self, arguments: &[&str]) -> Done {
        self.docker(&[&["run", "--rm"], arguments].concat())
    }

    fn says(&self, options: &[&str], script: &str) -> String {
        self.once(&[options, &["tiny", "sh", "-c", script]].concat()).text()
    }

    fn ctr(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.site.path("ctd.sock")]).args(arguments);
        self.site.done(command)
    }

    /// `ctr run` of the image with the runtime.
    fn ctr_run(&self, id: &str, options: &[&str], program: &[&str]) -> Done {
        let (runtime, fifos) = (self.site.path("holm-oci"), self.site.path("fifos"));
        let group = format!("/{}/{id}", self.site.group());
        let common = ["--runc-binary", &runtime, "--fifo-dir", &fifos, "--cgroup", &group];
        self.ctr(&[&["run"], &common[..], options, &["docker.io/library/tiny:latest", id], program].concat())
    }

    fn end(mut self) {
        self.stop();
        self.site.expect_nothing_left();
    }

    fn stop(&mut self) {
        // Everybody inside is killed with the first of them.
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

impl Drop for Daemons {
    fn drop(&mut self) {
        self.stop();
    }
}

#[test]
fn docker_and_containerd_run_containers() {
    if !testkit::is_root() {
        return;
    }
    let Some(daemons) = Daemons::start("docker") else { return };
    daemons.docker(&["import", "tiny.tar", "tiny"]).expect_code(0);
    programs_end_as_docker_knows_it(&daemons);
    a_container_lives_stops_and_starts_again(&daemons);
    what_is_wished_of_docker_holds(&daemons);
    containerd_runs_tasks(&daemons);
    daemons.end();
}

fn programs_end_as_docker_knows_it(daemons: &Daemons) {
    assert_eq!(daemons.says(&[], "id -u; echo $$"), "0\n1\n");
    daemons.once(&["tiny", "sh", "-c", "exit 7"]).expect_code(7);
    daemons.once(&["tiny", "nosuch"]).expect_code(127);
    daemons.once(&["tiny", "/etc"]).expect_code(126);
}

fn a_container_lives_stops_and_starts_again(daemons: &Daemons) {
    let script = "echo begun; trap 'exit 4' TERM; while :; do sleep 0.05; done";
    daemons.docker(&["run", "--detach", "--name", "one", "tiny", "sh", "-c", script]).expect_code(0);
    let log = || daemons.docker(&["logs", "one"]).text();
    eventually(|| log() == "begun\n");
    let state =
        |field: &str| daemons.docker(&["inspect", "--format", &format!("{{{{.State.{field}}}}}"), "one"]).text();
    let exec = |arguments: &[&str]| daemons.docker(&[&["exec"], arguments].concat());
    assert_eq!(
        exec(&["--user", "5:6", "-e", "A=b", "-w", "/usr", "one", "sh", "-c", "id -u; id -g; echo $A; pwd"]).text(),
        "5\n6\nb\n/usr\n"
    );
    exec(&["one", "sh", "-c", "exit 9"]).expect_code(9);
    let missing = exec(&["one", "nosuch"]);
    assert!([126, 127].contains(&missing.code), "{}", missing.err);
    daemons.docker(&["pause", "one"]).expect_code(0);
    assert_eq!(state("Status"), "paused\n");
    daemons.docker(&["unpause", "one"]).expect_code(0);
    daemons.docker(&["stop", "one"]).expect_code(0);
    assert_eq!((state("Status"), state("ExitCode")), ("exited\n".to_owned(), "4\n".to_owned()));
    daemons.docker(&["restart", "one"]).expect_code(0);
    eventually(|| log() == "begun\nbegun\n");
    daemons.docker(&["kill", "one"]).expect_code(0);
    eventually(|| state("ExitCode") == "137\n");
    daemons.docker(&["start", "one"]).expect_code(0);
    daemons.docker(&["rm", "--force", "one"]).expect_code(0);
    assert_eq!(daemons.docker(&["ps", "--all", "--quiet"]).text(), "");
}

fn what_is_wished_of_docker_holds(daemons: &Daemons) {
    let shared = daemons.site.path("shared");
    std::fs::create_dir(&shared).expect("it is new");
    daemons.says(&["-v", &format!("{shared}:/v")], "echo inside >/v/note");
    let refused = daemons.once(&["-v", &format!("{shared}:/v:ro"), "tiny", "touch", "/v/note"]).expect_code(1);
    assert!(refused.err.contains("Read-only file system"), "{}", refused.err);
    let options =
        ["--read-only", "--tmpfs", "/t", "--user", "12:34", "-w", "/usr", "-e", "A=b c", "--hostname", "island"];
    let script = "id -u; id -g; pwd; echo $A; uname -n; touch /t/new; stat -f -c %T /t";
    assert_eq!(daemons.says(&options, script), "12\n34\n/usr\nb c\nisland\ntmpfs\n");
    // A warning of the runtime's goes to the engine's log, not among what the program says.
    assert_eq!(daemons.says(&["--privileged"], "echo $$"), "1\n");
    assert_eq!(daemons.says(&["-t"], "stat -c %t:%T /dev/console"), "88:0\r\n");
    assert_eq!(daemons.says(&["--cap-drop", "all"], "grep CapBnd /proc/self/status"), "CapBnd:\t0000000000000000\n");
    assert_eq!(daemons.says(&["--init"], "ps -o comm= | grep -c docker-init"), "1\n");
    let file = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = format!("cat {} 2>/dev/null || cat {}", file[0], file[1]);
    assert_eq!(daemons.says(&["--memory", "64m"], &limit), "67108864\n");
}

fn containerd_runs_tasks(daemons: &Daemons) {
    let archive = format!("oci-archive:{}:latest", daemons.site.path("tiny.oci"));
    daemons.site.root(&["export", "tiny", &archive]);
    daemons.ctr(&["images", "import", "--index-name", "docker.io/library/tiny:latest", "tiny.oci"]).expect_code(0);
    let once = daemons.ctr_run("one", &["--rm"], &["sh", "-c", "echo said; exit 5"]).expect_code(5);
    assert_eq!(once.out, "said\n");
    daemons.ctr_run("two", &["--detach"], &["sleep", "1000"]).expect_code(0);
    let state = || daemons.ctr(&["tasks", "list"]).text();
    assert!(state().contains("RUNNING"), "{}", state());
    let fifos = daemons.site.path("fifos");
    let exec = daemons.ctr(&[
        "tasks",
        "exec",
        "--fifo-dir",
        &fifos,
        "--exec-id",
        "more",
        "two",
        "sh",
        "-c",
        "echo $$; exit 4",
    ]);
    assert!(exec.expect_code(4).out.trim().parse::<u32>().is_ok_and(|pid| pid > 1));
    daemons.ctr(&["tasks", "kill", "--signal", "KILL", "two"]).expect_code(0);
    eventually(|| state().contains("STOPPED"));
    let deleted = daemons.ctr(&["tasks", "delete", "two"]).expect_code(0);
    assert!(deleted.err.contains("code 137"), "{}", deleted.err);
    daemons.ctr(&["containers", "delete", "two"]).expect_code(0);
    assert_eq!(daemons.ctr(&["containers", "list", "--quiet"]).text(), "");
}
