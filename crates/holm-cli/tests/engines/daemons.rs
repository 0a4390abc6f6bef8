//! dockerd with its containerd, in mount, network and pid namespaces of their own: they write to /run and /etc, and all that
//! they start ends with them.

use crate::site::{Done, Site, eventually};
use std::process::{Child, Command, Stdio};

/// What runs in the namespaces. Sockets and files that others use are in the site's directory.
const START: &str = r#"
    ip link set lo up
    mount -t tmpfs none /run; mkdir -p /etc/docker; mount -t tmpfs none /etc/docker
    containerd --config "$PWD/containerd.toml" --root "$PWD/ctd" --state "$PWD/ctd-state" --address "$PWD/ctd.sock" 2>containerd.log &
    exec dockerd --config-file "$PWD/daemon.json" --containerd "$PWD/ctd.sock" --host "unix://$PWD/docker.sock" 2>dockerd.log"#;

pub(crate) struct Daemons {
    pub(crate) site: Site,
    running: Child,
}

impl Daemons {
    pub(crate) fn start(name: &str) -> Option<Daemons> {
        let site = Site::new(name, &["dockerd", "docker", "containerd", "ctr", "unshare", "ip", "iptables"])?;
        let path = |name| site.path(name);
        let settings = serde_json::json!({
            "data-root": path("data"), "exec-root": path("exec"), "pidfile": path("pid"), "storage-driver": "overlay2",
            "bridge": "none", "ip6tables": false, "default-address-pools": [{ "base": "10.213.16.0/20", "size": 24 }],
            "runtimes": { "holm": { "path": site.runtime() } }, "default-runtime": "holm",
            "cgroup-parent": format!("/{}", site.group()),
        });
        std::fs::write(path("daemon.json"), settings.to_string()).expect("it can be written");
        let config =
            format!("version = 2\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n{}", site.containerd_places());
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

    pub(crate) fn docker(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new("docker");
        command.env("DOCKER_CONFIG", self.site.path("client")).arg("--host");
        command.arg(format!("unix://{}", self.site.path("docker.sock"))).args(arguments);
        self.site.done(command)
    }

    pub(crate) fn once(&self, arguments: &[&str]) -> Done {
        self.docker(&[&["run", "--rm"], arguments].concat())
    }

    pub(crate) fn says(&self, options: &[&str], script: &str) -> String {
        self.once(&[options, &["tiny", "sh", "-c", script]].concat()).text()
    }

    pub(crate) fn ctr(&self, arguments: &[&str]) -> Done {
        let mut command = Command::new("ctr");
        command.args(["--address", &self.site.path("ctd.sock")]).args(arguments);
        self.site.done(command)
    }

    /// `ctr run` of the image with the runtime.
    pub(crate) fn ctr_run(&self, id: &str, options: &[&str], program: &[&str]) -> Done {
        let (runtime, fifos) = (self.site.path("holm-oci"), self.site.path("fifos"));
        let group = format!("/{}/{id}", self.site.group());
        let common = ["--runc-binary", &runtime, "--fifo-dir", &fifos, "--cgroup", &group];
        self.ctr(&[&["run"], &common[..], options, &["docker.io/library/tiny:latest", id], program].concat())
    }

    pub(crate) fn end(mut self) {
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
