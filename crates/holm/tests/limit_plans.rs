//! Plans of limits for machines that aren't there: version 1, version 2, both; what is refused, and with which hint.

use holm::Spec;
use holm::host::Host;
use holm::host::groups::{Groups, Legacy, Members, Unified};
use holm::host::limits::LimitFacts;
use holm::plan::step::Act;
use holm::plan::{Plan, Refusal};
use holm::spec::limits::{Disk, DiskLimit, Limits, Presence, ResctrlGroup};
use holm::spec::origins::Wish;
use std::time::Duration;

/// A machine with 8 GiB, four CPUs, a disk, and these groups.
fn machine(groups: Groups) -> Host {
    let limits = LimitFacts {
        memory: 8 << 30,
        swap: 1 << 30,
        pids: 4_194_304,
        open_files: 1_048_576,
        cpus: "0-3".parse().expect("it is right"),
        hard: vec![(
            "nofile=4096".parse::<holm::model::limit::ResourceLimit>().expect("it is right").resource,
            Some(4096),
        )],
        disks: vec![(Disk::Holding("/".into()), Ok((8, 0)))],
        groups,
        ..LimitFacts::default()
    };
    Host { uid: 1000, gid: 1000, limits, ..Host::default() }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn legacy(controllers: &str, writable: bool) -> Legacy {
    let directory = format!("/sys/fs/cgroup/{controllers}/me").into();
    Legacy { controllers: controllers.split(',').map(str::to_owned).collect(), directory, writable }
}

fn unified(path: &str, enabled: &str, members: Members) -> Unified {
    Unified {
        directory: format!("/sys/fs/cgroup{path}").into(),
        available: words("cpu io memory pids"),
        enabled: words(enabled),
        writable: true,
        members,
        top: false,
    }
}

fn only(places: Vec<Unified>) -> Groups {
    Groups { legacy: Vec::new(), unified: places }
}

fn wish(limits: Limits) -> Spec {
    Spec { limits, ..Spec::new("true") }
}

/// Memory, swap, processes, CPU time and a disk.
fn all() -> Spec {
    wish(Limits {
        memory: Some(512 << 20),
        swap: Some(0),
        pids: Some(64),
        cpus: Some("1.5".parse().expect("it is right")),
        io: vec![DiskLimit {
            disk: Disk::Holding("/".into()),
            rates: "rbps=10M,wiops=5".parse().expect("it is right"),
        }],
        ..Limits::default()
    })
}

/// The steps about limits, as the script by hand does them.
fn script(spec: &Spec, host: &Host) -> Vec<String> {
    let script = Plan::new(spec, host).expect("it can be planned").script();
    let text = String::from_utf8(script).expect("it holds no odd path");
    let is_ours = |line: &&str| ["group", "mkdir -p", "echo "].iter().any(|start| line.starts_with(start));
    text.lines().take_while(|line| !line.starts_with("room=")).filter(is_ours).map(str::to_owned).collect()
}

fn refused(spec: &Spec, host: &Host) -> Refusal {
    Plan::new(spec, host).expect_err("it can't be planned")
}

#[test]
fn version_two_with_a_group_of_its_own() {
    let host = machine(only(vec![unified("/me", "", Members::Caller)]));
    let expected = [
        "mkdir -p /sys/fs/cgroup/me/holm-by-hand-aside",
        "echo $$ > /sys/fs/cgroup/me/holm-by-hand-aside/cgroup.procs",
        "echo +memory +pids +cpu +io > /sys/fs/cgroup/me/cgroup.subtree_control",
        "group0=/sys/fs/cgroup/me",
        "group0=$group0/holm-by-hand-$$",
        "echo '65' >\"$group0/pids.max\"",
        "echo '150000 100000' >\"$group0/cpu.max\"",
        "echo '8:0 rbps=10485760 wiops=5' >\"$group0/io.max\"",
        "echo $$ >\"$group0/cgroup.procs\"",
        "echo '536870912' >\"$group0/memory.max\"",
        "echo '0' >\"$group0/memory.swap.max\"",
    ];
    assert_eq!(script(&all(), &host), expected);
}

#[test]
fn version_one_has_a_group_for_each_controller() {
    let legacy = ["memory", "pids", "cpu,cpuacct", "blkio"].map(|names| legacy(names, true)).to_vec();
    let host = machine(Groups { legacy, unified: Vec::new() });
    let shown = script(&all(), &host);
    let expected = [
        "group2=/sys/fs/cgroup/cpu,cpuacct/me",
        "echo '65' >\"$group1/pids.max\"",
        "echo '100000' >\"$group2/cpu.cfs_period_us\"",
        "echo '150000' >\"$group2/cpu.cfs_quota_us\"",
        "echo '8:0 10485760' >\"$group3/blkio.throttle.read_bps_device\"",
        "echo '8:0 5' >\"$group3/blkio.throttle.write_iops_device\"",
        "echo '536870912' >\"$group0/memory.limit_in_bytes\"",
        "echo '536870912' >\"$group0/memory.memsw.limit_in_bytes\"",
    ];
    assert!(expected.iter().all(|line| shown.contains(&(*line).to_owned())), "{shown:#?}");
}

#[test]
fn each_controller_has_its_place_on_a_hybrid_machine() {
    let groups =
        Groups { legacy: vec![legacy("memory", true)], unified: vec![unified("/me", "pids", Members::Nobody)] };
    let spec = wish(Limits { memory: Some(1 << 20), pids: Some(4), ..Limits::default() });
    let shown = script(&spec, &machine(groups));
    assert!(shown.contains(&"echo '5' >\"$group1/pids.max\"".to_owned()), "{shown:#?}");
    assert!(!shown.iter().any(|line| line.contains("subtree_control")), "pids is enabled: {shown:#?}");
}

#[test]
fn the_cgroup_namespace_is_made_after_the_group_was_entered() {
    let host = machine(only(vec![unified("/me", "memory", Members::Nobody)]));
    let spec = wish(Limits { memory: Some(1 << 20), ..Limits::default() });
    let plan = Plan::new(&spec, &host).expect("it can be planned");
    let acts: Vec<String> = plan.steps().iter().map(|step| step.act.to_string()).collect();
    let at = |act: &str| acts.iter().position(|a| a == act).unwrap_or_else(|| panic!("{act} is not in {acts:#?}"));
    let enter = at("put the process inside into its control group");
    assert!(at("start the child in new namespaces: user, ipc, uts, pid, mnt") < enter);
    assert!(enter < at("make a new cgroup namespace"));
    assert!(at("become a small init") < at("limit memory to 1M"), "the set-up shares the caller's memory");
}

#[test]
fn a_group_with_others_in_it_is_refused_and_the_topmost_is_not() {
    let spec = wish(Limits { pids: Some(4), ..Limits::default() });
    let crowded = unified("/me", "", Members::Others);
    let refusal = refused(&spec, &machine(only(vec![crowded.clone()])));
    let reason = &refusal.reasons[0];
    assert_eq!(
        reason.message,
        "cannot limit processes and threads to 4: other processes are in control group /sys/fs/cgroup/me, so it can't limit groups below"
    );
    assert_eq!(reason.origin, "--pids");
    assert!(reason.hint.contains("systemd-run --user --scope -p Delegate=yes"), "{}", reason.hint);
    let top = Unified { top: true, ..unified("", "cpu", Members::Others) };
    let shown = script(&spec, &machine(only(vec![crowded, top])));
    assert_eq!(shown[..2], ["echo +pids > /sys/fs/cgroup/cgroup.subtree_control", "group0=/sys/fs/cgroup"]);
}

#[test]
fn each_way_to_have_no_group_has_its_reason() {
    let spec = wish(Limits { memory: Some(1 << 20), ..Limits::default() });
    let cause = |groups: Groups| {
        let reason = refused(&spec, &machine(groups)).reasons.remove(0);
        assert!(!reason.hint.is_empty() && reason.origin == "--memory", "{reason:?}");
        reason.message.split_once(": ").expect("it has a cause").1.to_owned()
    };
    let place = unified("/me", "memory", Members::Nobody);
    let foreign = Unified { writable: false, ..place.clone() };
    assert_eq!(cause(only(vec![foreign])), "control group /sys/fs/cgroup/me is not the caller's to write");
    let poor = Unified { available: words("pids"), ..place };
    assert_eq!(cause(only(vec![poor])), "control group /sys/fs/cgroup/me was not given the controller memory");
    assert_eq!(cause(Groups::default()), "no mounted hierarchy of control groups has the controller memory");
    let legacy = Groups { legacy: vec![legacy("memory", false)], unified: Vec::new() };
    assert_eq!(cause(legacy), "control group /sys/fs/cgroup/memory/me is not the caller's to write");
}

#[test]
fn what_makes_no_sense_is_refused_at_once() {
    let limits = Limits {
        swap: Some(2 << 30),
        pids: Some(0),
        cpus: Some("4.001".parse().expect("it is right")),
        io: vec![DiskLimit { disk: Disk::Holding("/".into()), rates: "rbps=0".parse().expect("it is right") }],
        resources: vec!["nofile=9:8".parse().expect("it is right"), "nofile=8192".parse().expect("it is right")],
        timeout: Some(Duration::ZERO),
        nice: Some(-1),
        affinity: Some("2-4".parse().expect("it is right")),
        oom_score: Some(-1),
        ..Limits::default()
    };
    let host = machine(only(vec![Unified { writable: false, ..unified("/me", "", Members::Nobody) }]));
    let mut spec = wish(limits);
    spec.origins.set(Wish::Resource(1), "web.toml: rlimit nofile=8192");
    let refusal = refused(&spec, &host);
    let origins: Vec<&str> = refusal.reasons.iter().map(|reason| &*reason.origin).collect();
    let expected = [
        "--swap",
        "--swap",
        "--pids",
        "--cpus",
        "--io",
        "--rlimit",
        "web.toml: rlimit nofile=8192",
        "--timeout",
        "--nice",
        "--cpu-affinity",
        "--oom-score",
        "--swap",
        "--pids",
        "--cpus",
        "--io",
    ];
    assert_eq!(origins, expected, "{refusal}");
}

#[test]
fn a_hard_limit_goes_up_only_for_who_may() {
    let spec = wish(Limits { resources: vec!["nofile=8192".parse().expect("it is right")], ..Limits::default() });
    let mut host = machine(Groups::default());
    assert!(refused(&spec, &host).to_string().contains("above the caller's own"));
    host.limits.may_raise = true;
    let plan = Plan::new(&spec, &host).expect("it can be planned");
    let raise = "allow a hard limit above the caller's: nofile=8192:8192";
    assert!(plan.steps().iter().any(|step| step.act.to_string() == raise));
}

#[test]
fn nothing_is_limited_by_default() {
    let steps = Plan::new(&Spec::new("true"), &machine(Groups::default())).expect("it can be planned").steps().to_vec();
    assert!(!steps.iter().any(|step| matches!(step.act, Act::Limit(_))), "{steps:#?}");
}

#[test]
fn a_group_of_resctrl_has_a_name_right_below_the_top() {
    let group = |name: &str, counting: &str| ResctrlGroup {
        mounted: "/sys/fs/resctrl".into(),
        name: Some(name.to_owned()),
        presence: Presence::Allowed,
        agreed: vec!["L3:0=f".to_owned()],
        written: vec!["L2:0=3".to_owned()],
        monitored: Some((counting.to_owned(), Presence::Refused)),
    };
    let plan = |group| {
        let mut spec = wish(Limits { resctrl: Some(group), ..Limits::default() });
        spec.origins.set(Wish::Resctrl, "linux.intelRdt");
        Plan::new(&spec, &machine(Groups::default()))
    };
    let steps = plan(group("web", "c1")).expect("it is planned");
    let steps: Vec<String> = steps.steps().iter().map(|step| step.act.to_string()).collect();
    let expected = [
        "use resctrl group web, made if it is missing, whose schemata say L3:0=f, and set its schemata to L2:0=3",
        "make monitoring group c1 in it",
    ];
    assert_eq!(steps[..2], expected);
    let refusal = plan(group("../a", "info")).expect_err("they are none");
    let told: Vec<_> = refusal.reasons.iter().map(|one| (one.message.as_str(), one.origin.as_str())).collect();
    let expected = [
        ("cannot use resctrl group \"../a\": it has a slash", "linux.intelRdt"),
        ("cannot use monitoring group \"info\": it is the kernel's own", "linux.intelRdt"),
    ];
    assert_eq!(told, expected);
}
