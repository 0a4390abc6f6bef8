//! containerd as the kubelet uses it: pods by its CRI socket, holm as a runtime handler. Its client is `cri.py`.

use crate::seen::Seen;
use crate::site::{Site, eventually};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const CLIENT: &str = include_str!("cri.py");
/// What runs in the namespaces: containerd, and the client in front. All ends with it.
const START: &str = r#"
    ip link set lo up; mount -t tmpfs none /run
    [ ! -d /etc/cni ] || mount -t tmpfs none /etc/cni
    mount -t tmpfs none /var/lib; mkdir /var/lib/cni
    containerd --config "$PWD/containerd.toml" --root "$PWD/ctd" --state "$PWD/ctd-state" --address "$PWD/ctd.sock" 2>containerd.log &
    try=0
    until ctr --address "$PWD/ctd.sock" version >/dev/null 2>&1; do try=$((try+1)); [ $try -lt 300 ]; sleep 0.1; done
    for image in tiny pause; do
        ctr --address "$PWD/ctd.sock" --namespace k8s.io images import --base-name docker.io/library/$image $image.oci >&2
    done
    exec /usr/bin/python3 cri.py "$PWD/ctd.sock""#;

/// The pod's number, which the kubelet puts into the name of its control group.
const POD: &str = "0d5f4a3e-1111-2222-3333-444455556666";

/// containerd with its client.
struct Cri {
    site: Site,
    running: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Cri {
    fn start() -> Option<Cri> {
        let needed = ["containerd", "ctr", "unshare", "python3", "ip"];
        let site = Site::new("cri", &needed)?;
        if !std::path::Path::new("/usr/lib/cni/bridge").exists() {
            testkit::skip("containernetworking-plugins is missing: test.sh installs it");
            return None;
        }
        if !Command::new("/usr/bin/python3").args(["-c", "import grpc"]).status().is_ok_and(|done| done.success()) {
            testkit::skip("python3-grpcio is missing: test.sh installs it");
            return None;
        }
        write_settings(&site);
        site.root(&["build", "--quiet", "--file", &site.path("pause.toml"), "pause"]);
        for image in ["tiny", "pause"] {
            site.root(&["export", image, &format!("oci-archive:{}:latest", site.path(&format!("{image}.oci")))]);
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "slave", "--net", "--pid", "--fork", "--mount-proc"]);
        command.args(["--kill-child=KILL", "sh", "-euc", START]).current_dir(site.scratch.path());
        let errors = std::fs::File::create(site.path("errors")).expect("it can be written");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut running = command.spawn().expect("unshare(1) is there");
        let asks = running.stdin.take().expect("it is a pipe");
        let answers = BufReader::new(running.stdout.take().expect("it is a pipe"));
        Some(Cri { site, running, asks, answers })
    }

    /// What a call says that fails, or doesn't.
    fn asked(&mut self, method: &str, request: Value) -> Result<Value, String> {
        writeln!(self.asks, "{}", json!([method, request])).expect("the client reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the client writes");
        let log = |name: &str| std::fs::read_to_string(self.site.path(name)).unwrap_or_default();
        assert!(!line.is_empty(), "{method}: {}{}", log("errors"), log("containerd.log"));
        let answer: Value = serde_json::from_str(&line).expect("it is JSON");
        match answer[0] == "ok" {
            true => Ok(answer[1].clone()),
            false => Err(answer[1].as_str().unwrap_or_default().to_owned()),
        }
    }

    fn call(&mut self, method: &str, request: Value) -> Value {
        self.asked(method, request).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// A program in a container, which a call waits for.
    fn says(&mut self, container: &Value, script: &str) -> String {
        let request = json!({ "container_id": container, "cmd": ["sh", "-c", script], "timeout": 20 });
        let done = self.call("ExecSync", request);
        assert_eq!((&done["exit_code"], &done["stderr"]), (&json!(0), &json!("")), "{done}");
        done["stdout"].as_str().expect("it is text").to_owned()
    }

    /// What comes back through a stream: its channels.
    fn stream(&mut self, method: &str, request: Value, head: u32, sent: &str) -> Value {
        let url = self.call(method, request)["url"].clone();
        let stream = json!({ "url": url, "protocol": "v4.channel.k8s.io", "channel": 0, "head": head, "sent": sent });
        self.call("Stream", stream)
    }

    fn container(&mut self, pod: &Value, config: &Value, name: &str, script: &str) -> Value {
        let security = json!({
            "capabilities": { "drop_capabilities": ["ALL"], "add_capabilities": ["NET_BIND_SERVICE"] },
            "namespace_options": { "pid": 1 }, "no_new_privs": 1, "masked_paths": ["/proc/kcore"],
            "readonly_paths": ["/proc/sys"], "seccomp": { "profile_type": 0 },
        });
        let limits = json!({ "memory_limit_in_bytes": 64 << 20, "cpu_quota": 50000, "cpu_period": 100_000, "oom_score_adj": 900 });
        let mounts = json!([{ "container_path": "/logs", "host_path": config["log_directory"], "readonly": 1 }]);
        let container = json!({
            "metadata": { "name": name }, "image": { "image": "docker.io/library/tiny:latest" },
            "command": ["sh", "-c", script], "envs": [{ "key": "A", "value": "b" }], "log_path": format!("{name}.log"),
            "mounts": mounts, "linux": { "resources": limits, "security_context": security },
        });
        let request = json!({ "pod_sandbox_id": pod, "config": container, "sandbox_config": config });
        let made = self.call("CreateContainer", request)["container_id"].clone();
        self.call("StartContainer", json!({ "container_id": made }));
        made
    }

    fn stop(&mut self) {
        let _ = self.running.kill();
        let _ = self.running.wait();
    }
}

impl Drop for Cri {
    fn drop(&mut self) {
        self.stop();
    }
}

fn write_settings(site: &Site) {
    let write = |name: &str, text: &str| std::fs::write(site.path(name), text).expect("it can be written");
    write("cri.py", CLIENT);
    write("pause.toml", "source = \"bins:sleep\"\ncommand = [\"/usr/bin/sleep\", \"infinity\"]\n");
    std::fs::create_dir(site.path("net")).expect("it is new");
    std::fs::create_dir(site.path("logs")).expect("it is new");
    let addresses =
        json!({ "type": "host-local", "dataDir": site.path("ipam"), "ranges": [[{ "subnet": "10.213.8.0/24" }]] });
    let bridge = json!({ "type": "bridge", "bridge": "own", "isGateway": true, "ipam": addresses });
    write("net/10-own.conflist", &json!({ "cniVersion": "0.4.0", "name": "own", "plugins": [bridge] }).to_string());
    // Whoever runs the tests may lack the right to a score below its own, which pods are given.
    let cri = format!(
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"docker.io/library/pause:latest\"\n\
        stream_server_address = \"127.0.0.1\"\nstream_server_port = \"0\"\nrestrict_oom_score_adj = true\nnetns_mounts_under_state_dir = true\n\
        [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"/usr/lib/cni\"\nconf_dir = {:?}\n\
        [plugins.\"io.containerd.grpc.v1.cri\".containerd]\ndefault_runtime_name = \"holm\"\n\
        [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.holm]\nruntime_type = \"io.containerd.runc.v2\"\n\
        [plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.holm.options]\nBinaryName = {:?}\n",
        site.path("net"),
        site.runtime()
    );
    write("containerd.toml", &(cri + &site.containerd_places()));
}

#[test]
fn the_kubelets_calls_run_a_pod_of_two_containers() {
    if !testkit::is_root() {
        return;
    }
    let Some(mut cri) = Cri::start() else { return };
    assert_eq!(cri.call("Version", json!({}))["runtime_name"], "containerd");
    let config = json!({
        "metadata": { "name": "pod", "uid": "one", "namespace": "test" }, "hostname": "island",
        "log_directory": cri.site.path("logs"),
        "linux": {
            "cgroup_parent": format!("/{}/kubepods/besteffort/pod{POD}", cri.site.group()), "sysctls": { "net.ipv4.ip_unprivileged_port_start": "70" },
            "security_context": { "namespace_options": { "pid": 1 } },
        },
    });
    let pod =
        cri.call("RunPodSandbox", json!({ "config": config, "runtime_handler": "holm" }))["pod_sandbox_id"].clone();
    let status = cri.call("PodSandboxStatus", json!({ "pod_sandbox_id": pod }))["status"].clone();
    assert_eq!((&status["state"], &status["runtime_handler"]), (&json!(0), &json!("holm")));
    assert!(status["network"]["ip"].as_str().is_some_and(|address| address.starts_with("10.213.8.")), "{status}");
    let serve = "echo begun; echo wrong >&2; mkdir /www; echo hello >/www/page; exec busybox httpd -f -p 80 -h /www";
    let web = cri.container(&pod, &config, "web", serve);
    let wait = "trap 'exit 4' TERM; echo $HOME; while :; do sleep 0.05; done";
    let side = cri.container(&pod, &config, "side", wait);
    containers_are_as_the_kubelet_wishes(&mut cri, &side);
    streams_lead_into_the_pod(&mut cri, &pod, &web);
    one_that_runs_is_seen(&mut cri, &pod, &config);
    containers_end_and_the_pod_with_them(&mut cri, &pod, &web, &side);
    cri.stop();
    cri.site.expect_nothing_left();
}

fn one_that_runs_is_seen(cri: &mut Cri, pod: &Value, config: &Value) {
    let id = cri.container(pod, config, "lighthouse", "exec sleep 1003.25");
    let target = id.as_str().expect("it is text");
    let maker = format!("kubernetes {POD}");
    Seen { site: &cri.site, sleeps: "1003.25", maker: &maker, target, hostname: "island" }.by_all();
    cri.call("StopContainer", json!({ "container_id": id, "timeout": 0 }));
    cri.call("RemoveContainer", json!({ "container_id": id }));
}

fn containers_are_as_the_kubelet_wishes(cri: &mut Cri, side: &Value) {
    let fetch = "i=0; until busybox wget -q -O - http://127.0.0.1/page; do i=$((i+1)); [ $i -lt 100 ] || exit 1; sleep 0.1; done 2>/dev/null";
    assert_eq!(cri.says(side, fetch), "hello\n");
    let facts = "uname -n; echo $A; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; cat /proc/self/oom_score_adj; ls /logs
        cat /proc/1/comm; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; touch /logs/new 2>/dev/null || echo refused";
    let expected =
        "island\nb\nCapBnd:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t2\n900\nside.log\nweb.log\nsh\n70\nrefused\n";
    assert_eq!(cri.says(side, facts), expected);
    let exec = |program: &[&str], timeout: u32| json!({ "container_id": side, "cmd": program, "timeout": timeout });
    let failed = cri.call("ExecSync", exec(&["sh", "-c", "echo said; echo wrong >&2; exit 3"], 20));
    assert_eq!(failed, json!({ "stdout": "said\n", "stderr": "wrong\n", "exit_code": 3 }));
    let missing = cri.asked("ExecSync", exec(&["nosuch"], 20)).expect_err("there is none");
    assert!(missing.contains("executable file `nosuch` not found in $PATH"), "{missing}");
    let late = cri.asked("ExecSync", exec(&["sleep", "1000"], 1)).expect_err("it takes too long");
    assert!(late.contains("timeout 1s exceeded"), "{late}");
    let stats = cri.call("ContainerStats", json!({ "container_id": side }))["stats"].clone();
    let amount = |kind: &str| stats[kind]["amount"].as_u64().expect("it is a number");
    assert!(amount("cpu") > 0 && (1..64 << 20).contains(&amount("memory")), "{stats}");
    let limits = json!({ "container_id": side, "linux": { "memory_limit_in_bytes": 32 << 20 } });
    cri.call("UpdateContainerResources", limits);
    let file = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    assert_eq!(cri.says(side, &format!("cat {} 2>/dev/null || cat {}", file[0], file[1])), "33554432\n");
}

fn streams_lead_into_the_pod(cri: &mut Cri, pod: &Value, web: &Value) {
    let exec = json!({ "container_id": web, "cmd": ["sh", "-c", "read x; echo got $x; exit 5"], "stdin": 1, "stdout": 1, "stderr": 1 });
    let said = cri.stream("Exec", exec, 0, "word\n");
    assert_eq!(said["1"], "got word\n");
    assert!(said["3"].as_str().is_some_and(|end| end.contains("exit code 5")), "{said}");
    let exec = json!({ "container_id": web, "cmd": ["sh", "-c", "test -t 0 && echo terminal"], "tty": 1, "stdin": 1, "stdout": 1 });
    assert_eq!(cri.stream("Exec", exec, 0, "")["1"], "terminal\r\n");
    let said =
        cri.stream("PortForward", json!({ "pod_sandbox_id": pod, "port": [80] }), 2, "GET /page HTTP/1.0\r\n\r\n");
    assert!(said["0"].as_str().is_some_and(|page| page.ends_with("\r\n\r\nhello\n")), "{said}");
}

fn containers_end_and_the_pod_with_them(cri: &mut Cri, pod: &Value, web: &Value, side: &Value) {
    let log = |cri: &Cri, name: &str| std::fs::read_to_string(cri.site.path(name)).expect("containerd writes it");
    // TIME STREAM F TEXT (the kubelet's log format).
    let lines = |text: String| {
        text.lines().map(|line| line.split_once(' ').expect("it has a time").1.to_owned()).collect::<Vec<_>>()
    };
    eventually(|| lines(log(cri, "logs/web.log")).len() == 2);
    let mut said = lines(log(cri, "logs/web.log"));
    said.sort();
    assert_eq!(said, ["stderr F wrong", "stdout F begun"]);
    assert_eq!(lines(log(cri, "logs/side.log")), ["stdout F /root"]);
    for (container, timeout, code) in [(side, 20, 4), (web, 1, 137)] {
        cri.call("StopContainer", json!({ "container_id": container, "timeout": timeout }));
        let status = cri.call("ContainerStatus", json!({ "container_id": container }))["status"].clone();
        assert_eq!((&status["state"], &status["exit_code"]), (&json!(2), &json!(code)), "{status}");
    }
    cri.call("RemoveContainer", json!({ "container_id": side }));
    let pod = json!({ "pod_sandbox_id": pod });
    cri.call("StopPodSandbox", pod.clone());
    assert_eq!(cri.call("PodSandboxStatus", pod.clone())["status"]["state"], 1);
    cri.call("RemovePodSandbox", pod);
    assert_eq!(cri.call("ListContainers", json!({}))["containers"], json!([]));
    assert_eq!(cri.call("ListPodSandbox", json!({}))["items"], json!([]));
}
