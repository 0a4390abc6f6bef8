//! docker: what it has a runtime do for containers, networks and services.

use crate::daemons::Daemons;
use crate::seen::Seen;
use crate::site::eventually;

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
    containers_on_a_network_find_each_other_by_name(&daemons);
    one_that_fails_is_started_again(&daemons);
    one_that_runs_is_looked_at_and_changed(&daemons);
    namespaces_are_shared_as_wished(&daemons);
    one_that_runs_is_seen(&daemons);
    doctor_knows_where_it_is(&daemons);
    a_service_of_a_swarm_has_its_replicas(&daemons);
    crate::containerd::runs_tasks(&daemons);
    daemons.end();
}

fn programs_end_as_docker_knows_it(daemons: &Daemons) {
    assert_eq!(daemons.says(&[], "id -u; echo $$; echo $HOME"), "0\n1\n/root\n");
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
    let status = "grep NoNewPrivs /proc/self/status";
    assert_eq!(daemons.says(&["--security-opt", "no-new-privileges"], status), "NoNewPrivs:\t1\n");
    assert_eq!(daemons.says(&["--init"], "ps -o comm= | grep -c docker-init"), "1\n");
    let file = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = format!("cat {} 2>/dev/null || cat {}", file[0], file[1]);
    assert_eq!(daemons.says(&["--memory", "64m"], &limit), "67108864\n");
}

/// As compose would have it: a server and a client on a network of their own.
fn containers_on_a_network_find_each_other_by_name(daemons: &Daemons) {
    daemons.docker(&["network", "create", "own"]).expect_code(0);
    let serve = "mkdir /www; echo hello >/www/page; exec busybox httpd -f -p 80 -h /www";
    let options = ["--detach", "--name", "web", "--network", "own"];
    daemons.docker(&[&["run"], &options[..], &["tiny", "sh", "-c", serve]].concat()).expect_code(0);
    let fetch =
        "i=0; until busybox wget -q -O - http://web/page; do i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done";
    assert_eq!(daemons.says(&["--network", "own"], fetch), "hello\n");
    assert_eq!(daemons.says(&["--network", "container:web"], "busybox wget -q -O - http://127.0.0.1/page"), "hello\n");
    daemons.docker(&["rm", "--force", "web"]).expect_code(0);
    daemons.docker(&["network", "rm", "own"]).expect_code(0);
}

fn one_that_fails_is_started_again(daemons: &Daemons) {
    let script = "trap 'exit 3' TERM; echo begun; while :; do sleep 0.05; done";
    let options = ["--detach", "--name", "again", "--restart", "on-failure"];
    daemons.docker(&[&["run"], &options[..], &["tiny", "sh", "-c", script]].concat()).expect_code(0);
    let log = || daemons.docker(&["logs", "again"]).text();
    eventually(|| log() == "begun\n");
    daemons.docker(&["exec", "again", "sh", "-c", "kill -TERM 1"]).expect_code(0);
    eventually(|| log() == "begun\nbegun\n");
    let state = daemons.docker(&["inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "again"]).text();
    assert_eq!(state, "1 running\n");
    daemons.docker(&["rm", "--force", "again"]).expect_code(0);
}

fn one_that_runs_is_looked_at_and_changed(daemons: &Daemons) {
    let check = ["--health-cmd", "test -e /healthy", "--health-interval", "300ms", "--health-retries", "1"];
    let options = [&["run", "--detach", "--name", "seen"][..], &check, &["tiny", "sleep", "1000"]];
    daemons.docker(&options.concat()).expect_code(0);
    let health = || daemons.docker(&["inspect", "--format", "{{.State.Health.Status}}", "seen"]).text();
    eventually(|| health() == "unhealthy\n");
    daemons.docker(&["exec", "seen", "touch", "/healthy"]).expect_code(0);
    eventually(|| health() == "healthy\n");
    daemons.docker(&["update", "--memory", "48m", "--memory-swap", "48m", "--pids-limit", "50", "seen"]).expect_code(0);
    let file = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    let limit = format!("cat {} 2>/dev/null || cat {}", file[0], file[1]);
    assert_eq!(daemons.docker(&["exec", "seen", "sh", "-c", &limit]).text(), "50331648\n");
    let stats = || daemons.docker(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "seen"]).text();
    // A check of its health may be a process of it, too.
    eventually(|| stats().contains(" / 48MiB ") && stats().ends_with(" 1\n"));
    let top = daemons.docker(&["top", "seen", "-o", "pid,comm"]).text();
    assert!(top.ends_with("sleep\n") && top.lines().count() == 2, "{top}");
    std::fs::write(daemons.site.path("in"), "carried\n").expect("it can be written");
    daemons.docker(&["cp", "in", "seen:/there"]).expect_code(0);
    assert_eq!(daemons.docker(&["exec", "seen", "cat", "/there"]).text(), "carried\n");
    daemons.docker(&["cp", "seen:/there", "out"]).expect_code(0);
    assert_eq!(std::fs::read_to_string(daemons.site.path("out")).expect("it was copied"), "carried\n");
    assert!(daemons.docker(&["diff", "seen"]).text().contains("A /there\n"));
    // It is pid 1, handles nothing, and so outlives all but a kill (pid_namespaces(7)).
    daemons.docker(&["stop", "--time", "1", "seen"]).expect_code(0);
    assert_eq!(daemons.docker(&["inspect", "--format", "{{.State.ExitCode}}", "seen"]).text(), "137\n");
    daemons.docker(&["rm", "seen"]).expect_code(0);
}

fn namespaces_are_shared_as_wished(daemons: &Daemons) {
    daemons
        .docker(&["run", "--detach", "--name", "whose", "--ipc", "shareable", "tiny", "sleep", "1000"])
        .expect_code(0);
    let link = |kind: &str| format!("busybox readlink /proc/self/ns/{kind}");
    let theirs = |kind: &str| daemons.docker(&["exec", "whose", "sh", "-c", &link(kind)]).text();
    for (option, kind) in [("--ipc", "ipc"), ("--pid", "pid"), ("--network", "net")] {
        assert_eq!(daemons.says(&[option, "container:whose"], &link(kind)), theirs(kind), "{kind}");
        assert_ne!(daemons.says(&[], &link(kind)), theirs(kind), "{kind}");
    }
    assert_eq!(daemons.says(&["--pid", "host"], "cat /proc/1/comm"), "dockerd\n");
    daemons.docker(&["rm", "--force", "whose"]).expect_code(0);
}

fn one_that_runs_is_seen(daemons: &Daemons) {
    let site = &daemons.site;
    std::fs::create_dir(site.path("files")).expect("it is new");
    std::os::unix::fs::symlink(site.path("data"), site.path("files/docker")).expect("it is new");
    let options = ["run", "--detach", "--name", "lighthouse", "--hostname", "island", "tiny", "sleep", "1000.25"];
    let id = daemons.docker(&options).text();
    let maker = format!("docker {} (lighthouse)", &id[..12]);
    let seen = Seen { site, sleeps: "1000.25", maker: &maker, target: "", hostname: "island" };
    seen.by_all();
    // In a group of any name its keeper alone tells whose it is; that one is in a pid namespace of its own here, and might say anything.
    for target in ["lighthouse", id.trim()] {
        seen.is_not_entered_by(target);
    }
    daemons.docker(&["rm", "--force", "lighthouse"]).expect_code(0);
}

fn doctor_knows_where_it_is(daemons: &Daemons) {
    let bound = format!("{}:/holm:ro", testkit::holm().display());
    let said = daemons.once(&["-v", &bound, "tiny", "/holm", "doctor"]);
    let of = |check: &str| said.out.split("\n\n").find(|part| part.contains(check)).unwrap_or_default();
    // Docker's own filter allows none of what a start takes, and its groups are mounted read-only.
    let calls = of("fatal: system calls are refused that every sandbox needs");
    for part in ["(docker)", "lost     holm run, holm enter", "outside  docker run --security-opt seccomp=unconfined"] {
        assert!(calls.contains(part), "{part}\n{}{}", said.out, said.err);
    }
    assert!(of("can't limit by control groups").contains("outside  limit the container around"), "{}", said.out);
    assert!(of("works").contains("container around: docker"), "{}", said.out);
    assert_eq!(said.code, 2);
}

fn a_service_of_a_swarm_has_its_replicas(daemons: &Daemons) {
    daemons.docker(&["swarm", "init", "--advertise-addr", "127.0.0.1"]).expect_code(0);
    let options =
        ["--quiet", "--detach", "--no-resolve-image", "--name", "many", "--replicas", "2", "--restart-delay", "0s"];
    let create = [&["service", "create"], &options[..], &["tiny", "sleep", "1000"]].concat();
    daemons.docker(&create).expect_code(0);
    let running = || daemons.docker(&["ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=many"]).text();
    eventually(|| running().lines().count() == 2);
    let first = running().lines().next().expect("there are two").to_owned();
    let runtime = daemons.docker(&["inspect", "--format", "{{.HostConfig.Runtime}}", &first]).text();
    assert_eq!(runtime, "holm\n");
    daemons.docker(&["kill", &first]).expect_code(0);
    eventually(|| !running().contains(&first) && running().lines().count() == 2);
    daemons.docker(&["service", "rm", "many"]).expect_code(0);
    eventually(|| running().is_empty());
    daemons.docker(&["swarm", "leave", "--force"]).expect_code(0);
}
