//! containerd by its own client.

use crate::daemons::Daemons;
use crate::seen::Seen;
use crate::site::eventually;

pub(crate) fn runs_tasks(daemons: &Daemons) {
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
    let id = "lighthouse";
    daemons.ctr_run(id, &["--detach"], &["sleep", "1001.25"]).expect_code(0);
    let site = &daemons.site;
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("it is there");
    let seen = Seen { site, sleeps: "1001.25", maker: "containerd lighthouse", target: "", hostname: hostname.trim() };
    seen.by_all();
    seen.is_not_entered_by(id);
    daemons.ctr(&["tasks", "delete", "--force", id]).expect_code(0);
    daemons.ctr(&["containers", "delete", id]).expect_code(0);
    daemons.ctr(&["tasks", "kill", "--signal", "KILL", "two"]).expect_code(0);
    eventually(|| state().contains("STOPPED"));
    let deleted = daemons.ctr(&["tasks", "delete", "two"]).expect_code(0);
    assert!(deleted.err.contains("code 137"), "{}", deleted.err);
    daemons.ctr(&["containers", "delete", "two"]).expect_code(0);
    assert_eq!(daemons.ctr(&["containers", "list", "--quiet"]).text(), "");
}
