//! podman: as root, with control groups that the runtime makes, and as an ordinary user.

use crate::seen::Seen;
use crate::site::{Done, Site};
use std::process::Command;

/// podman with storage of its own. Limits are said, since it asks for more than a container may have that runs the tests.
pub(crate) struct Podman {
    pub(crate) site: Site,
    parent: String,
}

impl Podman {
    fn new(name: &str, needed: &[&str]) -> Option<Podman> {
        let site = Site::new(name, needed)?;
        let limits = "default_ulimits = [\"nofile=256:512\", \"nproc=1024:1024\"]";
        // podman 4.3 reads the second one without the last letter that its manual has.
        let supports = "runtime_supports_json = [\"holm-oci\"]\nruntime_supports_nocgroup = [\"holm-oci\"]";
        let engine = format!("lock_type = \"file\"\n{supports}\n[engine.runtimes]\nholm-oci = [{:?}]", site.runtime());
        let text = format!("[containers]\n{limits}\n[engine]\n{engine}\n");
        std::fs::write(site.path("containers.conf"), text).expect("it can be written");
        std::fs::create_dir(site.path("user")).expect("it is new");
        let podman = Podman { parent: format!("/{}", site.group()), site };
        podman.done(&["import", "-q", "tiny.tar", "tiny"]).expect_code(0);
        Some(podman)
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("podman");
        command
            .env("CONTAINERS_CONF", self.site.path("containers.conf"))
            .env("XDG_RUNTIME_DIR", self.site.path("user"));
        for (option, name) in
            [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp"), ("--network-config-dir", "net")]
        {
            command.args([option, &self.site.path(name)]);
        }
        command.args(["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]);
        command.args(["--runtime", "holm-oci"]);
        command
    }

    pub(crate) fn done(&self, arguments: &[&str]) -> Done {
        let mut command = self.command();
        command.args(arguments);
        self.site.done(command)
    }

    /// `podman run` without a network, as root in a control group of this test.
    pub(crate) fn run(&self, options: &[&str], arguments: &[&str]) -> Done {
        self.done(&[&["run", "--network", "none"], &self.parent()[..], options, arguments].concat())
    }

    /// The option that puts what root makes below this test's control group.
    pub(crate) fn parent(&self) -> Vec<&str> {
        if testkit::is_root() { vec!["--cgroup-parent", &self.parent] } else { Vec::new() }
    }

    pub(crate) fn once(&self, arguments: &[&str]) -> Done {
        self.run(&["--rm"], arguments)
    }

    /// What a shell says in a container.
    pub(crate) fn says(&self, options: &[&str], script: &str) -> String {
        self.once(&[options, &["tiny", "sh", "-c", script]].concat()).text()
    }

    fn end(self) {
        self.done(&["rm", "--all", "--force", "--time", "0"]).expect_code(0);
        if testkit::is_root() {
            // A podman that fails, as the clean-up of a container that is gone meanwhile, leaves its storage mounted;
            // the next one that ends well unmounts it.
            self.site.expect_no_process();
            self.done(&["ps"]).expect_code(0);
        } else {
            // Ends the process that keeps an ordinary user's namespaces.
            self.done(&["system", "migrate"]).expect_code(0);
        }
        self.site.expect_nothing_left();
    }
}

#[test]
fn podman_runs_containers_as_root() {
    if !testkit::is_root() {
        return;
    }
    let Some(podman) = Podman::new("podman", &["podman", "conmon", "buildah", "unshare", "catatonit"]) else { return };
    programs_end_as_podman_knows_it(&podman);
    a_container_lives_stops_and_starts_again(&podman);
    volumes_and_file_systems_are_as_wished(&podman);
    what_a_process_has_is_as_wished(&podman);
    limits_hold(&podman);
    an_image_is_built(&podman);
    a_bridge_joins_containers(&podman);
    buildah_runs_commands(&podman);
    crate::pods::run(&podman);
    one_that_runs_is_seen(&podman);
    podman.end();
}

#[test]
fn podman_runs_containers_as_an_ordinary_user() {
    if testkit::is_root() {
        return;
    }
    if !testkit::has_ranges() {
        return testkit::skip("the caller has no ranges of ids");
    }
    let Some(podman) = Podman::new("podman", &["podman", "conmon", "catatonit"]) else { return };
    programs_end_as_podman_knows_it(&podman);
    a_container_lives_stops_and_starts_again(&podman);
    volumes_and_file_systems_are_as_wished(&podman);
    what_a_process_has_is_as_wished(&podman);
    ids_are_mapped(&podman);
    assert_eq!(podman.says(&["--cgroups", "disabled"], "id -u"), "0\n");
    crate::pods::run(&podman);
    one_that_runs_is_seen(&podman);
    crate::pods::a_pod_of_kubernetes_is_played(&podman);
    an_image_is_built(&podman);
    podman.end();
}

fn ids_are_mapped(podman: &Podman) {
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(podman.says(&["--userns", "keep-id"], "id -u"), format!("{own}\n"));
    let maps = podman.says(&["--uidmap", "0:1:100"], "cat /proc/self/uid_map");
    assert_eq!(maps.split_whitespace().collect::<Vec<_>>(), ["0", "1", "100"]);
    let mine = podman.site.path("mine");
    std::fs::create_dir(&mine).expect("it is new");
    podman.says(&["-v", &format!("{mine}:/v")], "touch /v/note");
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(mine + "/note").expect("it was made"));
    assert_eq!(owner, own);
}

fn programs_end_as_podman_knows_it(podman: &Podman) {
    podman.once(&["tiny", "sh", "-c", "exit 7"]).expect_code(7);
    let missing = podman.once(&["tiny", "nosuch"]).expect_code(127);
    assert!(missing.err.contains("OCI runtime attempted to invoke a command that was not found"), "{}", missing.err);
    podman.once(&["tiny", "/etc"]).expect_code(126);
    // Pid 1 gets no signal from inside that it doesn't handle (pid_namespaces(7)).
    podman.once(&["tiny", "sh", "-c", "kill -9 $$; exit 3"]).expect_code(3);
}

fn a_container_lives_stops_and_starts_again(podman: &Podman) {
    let script = "echo begun; trap 'exit 4' TERM; while :; do sleep 0.05; done";
    podman.run(&["-d", "--name", "one"], &["tiny", "sh", "-c", script]).expect_code(0);
    let log = || podman.done(&["logs", "one"]).text();
    crate::site::eventually(|| log() == "begun\n");
    let state = |field: &str| podman.done(&["inspect", "--format", &format!("{{{{.State.{field}}}}}"), "one"]).text();
    assert_eq!(state("Status"), "running\n");
    let exec = |arguments: &[&str]| podman.done(&[&["exec"], arguments].concat());
    assert_eq!(
        exec(&[
            "--user",
            "5:6",
            "-e",
            "A=b",
            "-w",
            "/usr",
            "one",
            "sh",
            "-c",
            "id -u; id -g; echo $A; pwd; echo $HOME"
        ])
        .text(),
        "5\n6\nb\n/usr\n/\n"
    );
    exec(&["one", "sh", "-c", "exit 9"]).expect_code(9);
    exec(&["one", "nosuch"]).expect_code(127);
    assert_eq!(exec(&["--tty", "one", "sh", "-c", "test -t 0 && echo tty"]).text(), "tty\r\n");
    if testkit::is_root() {
        podman.done(&["pause", "one"]).expect_code(0);
        assert_eq!(state("Status"), "paused\n");
        exec(&["one", "true"]).expect_code(255);
        podman.done(&["unpause", "one"]).expect_code(0);
        assert_eq!(state("Status"), "running\n");
    }
    podman.done(&["stop", "one"]).expect_code(0);
    assert_eq!((state("Status"), state("ExitCode")), ("exited\n".to_owned(), "4\n".to_owned()));
    podman.done(&["restart", "one"]).expect_code(0);
    crate::site::eventually(|| log() == "begun\nbegun\n");
    podman.done(&["kill", "one"]).expect_code(0);
    podman.done(&["wait", "one"]).expect_code(0);
    assert_eq!(state("ExitCode"), "137\n");
    podman.done(&["start", "one"]).expect_code(0);
    podman.done(&["rm", "--force", "--time", "0", "one"]).expect_code(0);
    assert_eq!(podman.done(&["ps", "--all", "--quiet"]).text(), "");
}

fn one_that_runs_is_seen(podman: &Podman) {
    let site = &podman.site;
    std::fs::create_dir_all(site.path("files/containers")).expect("it is new");
    std::os::unix::fs::symlink(site.path("root"), site.path("files/containers/storage")).expect("it is new");
    let options = ["-d", "--name", "lighthouse", "--hostname", "island"];
    let id = podman.run(&options, &["tiny", "sleep", "1002.25"]).text();
    let maker = format!("podman {} (lighthouse)", &id[..12]);
    for target in ["lighthouse", &id[..12], id.trim()] {
        Seen { site, sleeps: "1002.25", maker: &maker, target, hostname: "island" }.by_all();
    }
    podman.done(&["rm", "--force", "--time", "0", "lighthouse"]).expect_code(0);
}

fn volumes_and_file_systems_are_as_wished(podman: &Podman) {
    let shared = podman.site.path("shared");
    std::fs::create_dir(&shared).expect("it is new");
    podman.says(&["-v", &format!("{shared}:/v")], "echo inside >/v/note");
    assert_eq!(std::fs::read_to_string(format!("{shared}/note")).expect("it was written"), "inside\n");
    let refused = podman.once(&["-v", &format!("{shared}:/v:ro"), "tiny", "touch", "/v/note"]).expect_code(1);
    assert!(refused.err.contains("Read-only file system"), "{}", refused.err);
    podman.says(&["-v", "named:/v"], "echo kept >/v/note");
    assert_eq!(podman.says(&["-v", "named:/v"], "cat /v/note"), "kept\n");
    for word in ["shared", "rslave", "private"] {
        assert_eq!(podman.says(&["-v", &format!("{shared}:/v:{word}")], "cat /v/note"), "inside\n", "{word}");
    }
    podman.once(&["--read-only", "tiny", "touch", "/new"]).expect_code(1);
    assert_eq!(
        podman.says(&["--read-only", "--tmpfs", "/t:size=1m,mode=711"], "touch /t/new && stat -c %a /t"),
        "711\n"
    );
    // podman has a tmpfs begin with what the image has there.
    let listed = "ls /etc | grep -c passwd; touch /etc/new; stat -f -c %T /etc";
    assert_eq!(podman.says(&["--tmpfs", "/etc"], listed), "1\ntmpfs\n");
}

fn what_a_process_has_is_as_wished(podman: &Podman) {
    let options = ["--user", "12:34", "-w", "/usr", "-e", "A=b c", "--hostname", "island", "--umask", "0027"];
    assert_eq!(
        podman.says(&options, "id -u; id -g; pwd; echo $A; uname -n; umask"),
        "12\n34\n/usr\nb c\nisland\n0027\n"
    );
    let limits = ["--ulimit", "nofile=100:200", "--ulimit", "nproc=300:300"];
    assert_eq!(podman.says(&limits, "ulimit -n; ulimit -Hn"), "100\n200\n");
    let status = |options: &[&str], line: &str| podman.says(options, &format!("grep {line} /proc/self/status"));
    assert_eq!(status(&["--cap-drop", "all"], "CapBnd"), "CapBnd:\t0000000000000000\n");
    assert_eq!(status(&["--cap-drop", "all", "--cap-add", "kill"], "CapEff"), "CapEff:\t0000000000000020\n");
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), "NoNewPrivs:\t1\n");
    assert_eq!(status(&[], "Seccomp:"), "Seccomp:\t2\n");
    let terminal = "stat -c %t:%T /dev/console; stat -c %t:%T /dev/pts/0; echo seen >/dev/console";
    assert_eq!(podman.says(&["-t", "--user", "5:5"], terminal), "88:0\r\n88:0\r\nseen\r\n");
    let whole = "stat -c %t:%T /dev/fuse; stat -L -c %t:%T /dev/ptmx; mkdir /made; mount -t tmpfs none /made && stat -f -c %T /made";
    if testkit::is_root() && std::path::Path::new("/dev/fuse").exists() {
        assert_eq!(podman.says(&["--privileged"], whole), "a:e5\n5:2\ntmpfs\n");
    }
    if testkit::is_root() {
        let mut command = podman.command();
        command.args(["run", "--rm", "--network", "none"]).args(podman.parent());
        command.args(["--group-add", "keep-groups", "tiny", "grep", "Groups", "/proc/self/status"]);
        let mut own = Command::new("setpriv");
        own.args(["--groups", "1234"]).arg(command.get_program()).args(command.get_args());
        own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        assert_eq!(podman.site.done(own).text(), "Groups:\t1234 \n");
    }
    assert_eq!(podman.says(&["--sysctl", "net.ipv4.ip_forward=1"], "cat /proc/sys/net/ipv4/ip_forward"), "1\n");
    assert_eq!(podman.says(&["--device", "/dev/full:/dev/mine"], "stat -c %t:%T /dev/mine"), "1:7\n");
}

fn limits_hold(podman: &Podman) {
    let limits = ["--memory", "64m", "--memory-swap", "64m", "--pids-limit", "20", "--cpus", "0.5"];
    let files = match std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        true => ["memory.max", "pids.max", "cpu.max"].map(str::to_owned),
        false => ["memory/memory.limit_in_bytes", "pids/pids.max", "cpu/cpu.cfs_quota_us"].map(str::to_owned),
    };
    let script = files.map(|file| format!("cat /sys/fs/cgroup/{file}")).join("; ");
    let said = podman.says(&limits, &script).replace("50000 100000", "50000");
    assert_eq!(said, "67108864\n20\n50000\n");
    let fork = "for i in 1 2 3 4 5 6 7 8; do sleep 0.2 & done; wait";
    let refused = podman.once(&["--pids-limit", "4", "tiny", "sh", "-c", fork]);
    assert!(refused.code != 0 && refused.err.contains("fork"), "{}", refused.err);
}

fn an_image_is_built(podman: &Podman) {
    let recipe = "FROM localhost/tiny\nRUN id -u >/built && mkdir /made\nCMD [\"cat\", \"/built\"]\n";
    std::fs::write(podman.site.path("Containerfile"), recipe).expect("it can be written");
    // A build is in the group itself, which is to have no others below it.
    let parent = format!("--cgroup-parent=/{}/build", podman.site.group());
    let parent = if testkit::is_root() { vec![parent.as_str()] } else { Vec::new() };
    let build = [&["build", "-q", "--network", "none", "-t", "built"], &parent[..], &["."]].concat();
    podman.done(&build).expect_code(0);
    assert_eq!(podman.once(&["built"]).text(), "0\n");
}

/// In a network namespace of the test's own, which has the bridge, and whatever rules podman adds.
fn a_bridge_joins_containers(podman: &Podman) {
    let done = |arguments: &[&str]| {
        let (mut own, command) = (Command::new("unshare"), podman.command());
        own.args(["--net", "--"]).arg(command.get_program()).args(command.get_args()).args(arguments);
        own.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        podman.site.done(own)
    };
    done(&["network", "create", "--disable-dns", "--subnet", "10.213.7.0/24", "own"]).expect_code(0);
    let parent = format!("--cgroup-parent=/{}", podman.site.group());
    let script = "cat /proc/net/dev /proc/net/fib_trie";
    let said = done(&["run", "--rm", "--network", "own", &parent, "tiny", "sh", "-c", script]).text();
    assert!(said.contains("eth0:") && said.contains("10.213.7.2"), "{said}");
    done(&["network", "rm", "--force", "own"]).expect_code(0);
}

fn buildah_runs_commands(podman: &Podman) {
    let buildah = |arguments: &[&str]| {
        let mut command = Command::new("buildah");
        command.args(["--root", &podman.site.path("root"), "--runroot", &podman.site.path("run")]);
        command.args(["--storage-driver", "overlay"]).args(arguments);
        podman.site.done(command)
    };
    let from = buildah(&["from", "--pull-never", "localhost/tiny"]).text();
    let runtime = podman.site.path("holm-oci");
    let run = |program: &[&str]| {
        let options = ["run", "--isolation", "oci", "--runtime", &runtime, "--network", "none", from.trim(), "--"];
        buildah(&[&options, program].concat())
    };
    assert_eq!(run(&["sh", "-c", "id -u; echo kept >/note"]).text(), "0\n");
    assert_eq!(run(&["cat", "/note"]).text(), "kept\n");
    run(&["sh", "-c", "exit 6"]).expect_code(6);
    buildah(&["rm", from.trim()]).expect_code(0);
}
