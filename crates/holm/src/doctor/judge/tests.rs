//! Machines that aren't there, and what is said of them.

use super::judge;
use crate::doctor::facts::{
    Caller, Container, Controller, Facts, Gauge, Given, Helper, Ids, Layout, Measure, Outcome, Sandbox, Security,
    Sight, Spot, Started, Try,
};
use crate::doctor::needs::{CALLS, INTERFACES};
use crate::doctor::tries::FILE_SYSTEMS;
use crate::doctor::{By, Deed, Finding, Reach, Status, verdict};
use crate::model::limit::Resource;
use crate::model::namespace::Namespace;
use rustix::io::Errno;

/// A machine on which an ordinary user can do all of it.
fn whole() -> Facts {
    let mut tries: Vec<(Try, Outcome)> = Vec::new();
    let mut works = |what| tries.push((what, Outcome::Works));
    CALLS.iter().for_each(|need| works(Try::Call(need.name)));
    INTERFACES.iter().for_each(|need| works(Try::Interface(need.name)));
    Namespace::ALL.into_iter().for_each(|kind| works(Try::Namespace(kind)));
    FILE_SYSTEMS.into_iter().for_each(|kind| works(Try::FileSystem(kind)));
    ["memory", "pids", "cpu", "io"].into_iter().for_each(|name| works(Try::Group(name)));
    for what in [Try::Together, Try::OwnMap, Try::Nested, Try::Offsets, Try::Notify, Try::Keyring] {
        works(what);
    }
    works(Try::Device("/dev/fuse"));
    works(Try::Device("/dev/net/tun"));
    let helper = |name: &str| Helper {
        path: format!("/usr/bin/{name}").into(),
        set_user_id: true,
        capabilities: false,
        nosuid: None,
    };
    let given = || Given { own: vec![(100_000, 65_536)], next: 165_536, ..Given::default() };
    let controller = |option, name| Controller { option, name, refused: None };
    let home = || "/home/ann".into();
    let started = [
        Sandbox::Default,
        Sandbox::Ranges,
        Sandbox::Terminal,
        Sandbox::Clocks,
        Sandbox::Queues,
        Sandbox::Sys,
        Sandbox::Overlay,
        Sandbox::Denials,
        Sandbox::Within,
        Sandbox::Upper(home()),
    ];
    Facts {
        caller: Caller {
            uid: 1000,
            name: Some("ann".to_owned()),
            privileged: false,
            in_first_user_namespace: true,
            program: Some("/usr/local/bin/holm".into()),
        },
        kernel: "6.18.3-test".to_owned(),
        container: None,
        tries,
        sandboxes: started.into_iter().map(|sandbox| (sandbox, Started::Yes)).collect(),
        ids: Ids {
            users: given(),
            groups: given(),
            newuidmap: Some(helper("newuidmap")),
            newgidmap: Some(helper("newgidmap")),
            own_mapped: true,
            root_mapped: true,
            free: false,
        },
        gauges: vec![
            Gauge { name: Measure::Namespaces(Namespace::User), most: 62_000, used: Some(3), hard: None },
            Gauge { name: Measure::Limit(Resource::OPEN_FILES), most: 1024, used: Some(5), hard: Some(4096) },
        ],
        security: Security { landlock: 7, ..Security::default() },
        layout: Layout::Unified,
        controllers: vec![
            controller("--memory", "memory"),
            controller("--pids", "pids"),
            controller("--cpus", "cpu"),
            controller("--io", "io"),
        ],
        sight: Sight { ptrace_scope: Some(1), processes: 80, closed: 70, ..Sight::default() },
        spots: vec![Spot { name: "the store", directory: home(), file_system: "ext4".to_owned(), writable: true }],
        covered: Vec::new(),
        programs: vec![("pasta", true)],
    }
}

impl Facts {
    /// The same with another outcome of one try.
    fn with(mut self, what: Try, outcome: Outcome) -> Facts {
        self.tries.retain(|(tried, _)| *tried != what);
        self.tries.push((what, outcome));
        self
    }

    /// The same with each of these namespaces refused.
    fn without_namespaces(mut self, kinds: &[Namespace], errno: Errno) -> Facts {
        for &kind in kinds {
            self = self.with(Try::Namespace(kind), Outcome::Refused(errno));
        }
        for what in [Try::Together, Try::OwnMap, Try::Nested] {
            self = self.with(what, Outcome::Refused(errno));
        }
        self.no_start("cannot make namespaces: operation not permitted")
    }

    /// The same without any sandbox.
    fn no_start(mut self, message: &str) -> Facts {
        let no = Started::No { message: message.to_owned(), hint: String::new() };
        self.sandboxes = vec![(Sandbox::Default, no)];
        self
    }
}

/// The finding of this check.
fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).unwrap_or_else(|| panic!("no {check} in {findings:#?}"))
}

/// What its remedies do, one after another.
fn deeds(finding: &Finding) -> String {
    let text = |deed: &Deed| match deed {
        Deed::Command(text) | Deed::Options(text) | Deed::Advice(text) => text.clone(),
        Deed::File(path, text) => format!("{path}: {text}"),
    };
    finding.remedies.iter().flat_map(|remedy| &remedy.deeds).map(text).collect::<Vec<_>>().join("\n")
}

#[test]
fn nothing_is_lost_on_a_whole_machine() {
    let findings = judge(&whole());
    let wrong: Vec<&Finding> = findings.iter().filter(|finding| finding.status != Status::Works).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(verdict(&findings), Status::Works);
}

#[test]
fn what_fails_has_a_cause_what_is_lost_and_a_way_out() {
    let machines = [
        whole().without_namespaces(&[Namespace::User], Errno::PERM),
        whole().without_namespaces(&[Namespace::Net], Errno::NOSPC),
        whole().with(Try::Call("clone3"), Outcome::Refused(Errno::NOSYS)).no_start("x"),
        whole().with(Try::FileSystem("overlay"), Outcome::Refused(Errno::NODEV)),
        whole().with(Try::Keyring, Outcome::Refused(Errno::DQUOT)).no_start("x"),
        Facts { kernel: "5.10.0".to_owned(), ..whole() },
    ];
    for facts in machines {
        let findings = judge(&facts);
        let failed: Vec<&Finding> = findings.iter().filter(|finding| finding.status < Status::Absent).collect();
        assert!(!failed.is_empty() && findings.is_sorted_by_key(|finding| finding.status), "{findings:#?}");
        for one in failed.iter().filter(|one| one.check != "start") {
            assert!(!one.cause.is_empty() && !one.lost.is_empty() && !one.remedies.is_empty(), "{one:#?}");
        }
    }
}

#[test]
fn ubuntu_takes_the_rights_unless_there_is_a_profile() {
    let others: Vec<Namespace> = Namespace::ALL.into_iter().filter(|&kind| kind != Namespace::User).collect();
    let mut facts = whole().without_namespaces(&others, Errno::PERM);
    facts.security.apparmor_restrict = Some(1);
    let findings = judge(&facts);
    let fault = of(&findings, "namespace-rights");
    assert_eq!((fault.status, verdict(&findings)), (Status::Fatal, Status::Fatal));
    assert_eq!(fault.value, "kernel.apparmor_restrict_unprivileged_userns = 1");
    // The profile for this program stands before the switch for all.
    assert_eq!([fault.remedies[0].reach, fault.remedies[1].reach], [Reach::Program, Reach::Machine]);
    let deeds = deeds(fault);
    assert!(
        deeds.contains("/etc/apparmor.d/holm: ") && deeds.contains("profile holm /usr/local/bin/holm flags="),
        "{deeds}"
    );
    assert!(deeds.contains("apparmor_parser -r /etc/apparmor.d/holm"), "{deeds}");
    // It is told once: neither each kind nor the sandbox is another finding.
    assert_eq!(findings.iter().filter(|finding| finding.status == Status::Fatal).count(), 1, "{findings:#?}");
}

#[test]
fn the_filter_of_docker_is_told_with_what_it_answers() {
    let mut facts = whole().without_namespaces(&Namespace::ALL, Errno::PERM);
    for name in ["unshare", "setns", "mount", "umount2", "open_tree", "mount_setattr", "fsconfig"] {
        facts = facts.with(Try::Call(name), Outcome::Refused(Errno::PERM));
    }
    for name in ["pivot_root", "move_mount", "fsopen", "fsmount"] {
        facts = facts.with(Try::Call(name), Outcome::Untried);
    }
    facts = facts.with(Try::Call("clone3"), Outcome::Refused(Errno::NOSYS));
    facts.security.filtered = true;
    facts.security.apparmor_profile = Some("docker-default (enforce)".to_owned());
    facts.container = Some(Container::Docker);
    let findings = judge(&facts);
    let fault = of(&findings, "system-calls-needed");
    assert!(
        fault.value.starts_with("function not implemented (clone3); operation not permitted (unshare, setns, "),
        "{fault:#?}"
    );
    assert_eq!(deeds(fault), "docker run --security-opt seccomp=unconfined");
    let fault = of(&findings, "user-namespaces");
    assert!(
        fault.cause.contains("a filter of system calls"),
        "what the filter refuses AppArmor never sees: {fault:#?}"
    );
    assert_eq!(deeds(fault), "docker run --security-opt seccomp=unconfined");
    assert_eq!(of(&findings, "container").title, "container around: docker");
}

#[test]
fn a_profile_of_a_container_is_changed_outside_of_it() {
    let mut facts = whole().without_namespaces(&Namespace::ALL, Errno::ACCESS);
    facts.security.apparmor_profile = Some("docker-default (enforce)".to_owned());
    facts.container = Some(Container::Docker);
    let findings = judge(&facts);
    assert!(of(&findings, "user-namespaces").cause.contains("docker-default"));
    assert_eq!(deeds(of(&findings, "user-namespaces")), "docker run --security-opt apparmor=unconfined");
}

#[test]
fn a_call_that_the_kernel_lacks_is_not_blamed_on_a_filter() {
    let mut facts = whole();
    facts.kernel = "6.1.0-49-cloud-amd64".to_owned();
    for name in ["listmount", "statmount"] {
        facts = facts.with(Try::Call(name), Outcome::Refused(Errno::NOSYS));
    }
    facts = facts.with(Try::Interface("NS_GET_ID"), Outcome::Refused(Errno::NOTTY));
    facts.security.landlock = 2;
    let findings = judge(&facts);
    assert!(findings.iter().all(|finding| !finding.check.starts_with("system-calls-")), "{findings:#?}");
    assert_eq!(of(&findings, "listmount").status, Status::Lost);
    assert_eq!(of(&findings, "listmount").cause, "it came with Linux 6.8");
    assert_eq!([of(&findings, "NS_GET_ID").status, of(&findings, "landlock").status], [Status::Absent; 2]);
}

#[test]
fn a_covered_proc_leaves_sandboxes_without_processes_of_their_own() {
    let refused = Outcome::Refused(Errno::PERM);
    let mut facts = whole().with(Try::FileSystem("proc"), refused).no_start("cannot mount proc on /proc");
    facts.covered = vec!["/proc/kcore".to_owned(), "/proc/keys".to_owned()];
    facts.container = Some(Container::Podman);
    let findings = judge(&facts);
    assert_eq!(of(&findings, "proc").status, Status::Fatal);
    facts.sandboxes.push((Sandbox::SharedPids, Started::Yes));
    let findings = judge(&facts);
    let fault = of(&findings, "proc");
    assert_eq!((fault.status, fault.value.as_str()), (Status::Lost, "mounted over: /proc/kcore, /proc/keys"));
    assert_eq!(
        deeds(fault),
        "holm run --share pid, which needs no /proc of its own\npodman run --security-opt unmask=ALL"
    );
}

#[test]
fn switches_of_distributions_are_named() {
    let mut rhel = whole().without_namespaces(&[Namespace::User], Errno::NOSPC);
    rhel.gauges[0].most = 0;
    let findings = judge(&rhel);
    let fault = of(&findings, "user-namespaces");
    assert_eq!((fault.value.as_str(), fault.status), ("user.max_user_namespaces = 0", Status::Fatal));
    let told = "sysctl -w user.max_user_namespaces=10000\n/etc/sysctl.d/90-holm-max_user_namespaces.conf: user.max_user_namespaces = 10000\n";
    assert_eq!(deeds(fault), told);
    let mut debian = whole().without_namespaces(&[Namespace::User], Errno::PERM);
    debian.security.userns_clone = Some(0);
    assert_eq!(of(&judge(&debian), "user-namespaces").value, "kernel.unprivileged_userns_clone = 0");
    let mut selinux = whole().without_namespaces(&[Namespace::User], Errno::ACCESS);
    selinux.security.selinux_enforcing = Some(true);
    assert!(of(&judge(&selinux), "user-namespaces").cause.contains("SELinux"));
    let mut chroot = whole().without_namespaces(&[Namespace::User], Errno::PERM);
    chroot.security.chroot = true;
    assert!(of(&judge(&chroot), "user-namespaces").cause.contains("chroot(2)"));
}

#[test]
fn a_limit_that_is_reached_is_told_with_use() {
    let mut facts = whole().without_namespaces(&[Namespace::User], Errno::NOSPC);
    facts.gauges[0] = Gauge { name: Measure::Namespaces(Namespace::User), most: 50, used: Some(50), hard: None };
    let findings = judge(&facts);
    let fault = of(&findings, "user-namespaces");
    assert!(fault.cause.contains("50 of this user's are seen"), "{fault:#?}");
    assert_eq!(of(&findings, "limit-namespaces").value, "50 of 50 are used");
    let mut keys = whole();
    keys.gauges.push(Gauge { name: Measure::Keys, most: 200, used: Some(195), hard: None });
    assert_eq!(of(&judge(&keys), "limit-keys").status, Status::Lost);
}

#[test]
fn ranges_and_their_helpers_are_looked_at() {
    let mut none = whole();
    (none.ids.users.own, none.ids.groups.own) = (Vec::new(), Vec::new());
    let findings = judge(&none);
    let told = "usermod --add-subuids 165536-231071 --add-subgids 165536-231071 ann";
    assert_eq!(deeds(of(&findings, "ranges")), told);
    assert_eq!((of(&findings, "ranges").remedies[0].reach, verdict(&findings)), (Reach::User, Status::Lost));
    let mut shared = whole();
    shared.ids.groups.shared_with = vec!["bob".to_owned()];
    assert!(of(&judge(&shared), "shared-ranges").value.ends_with("bob"));
    let helper = |change: fn(&mut Helper)| {
        let mut facts = whole();
        change(facts.ids.newuidmap.as_mut().expect("it is there"));
        of(&judge(&facts), "id-helpers").clone()
    };
    let plain = helper(|one| one.set_user_id = false);
    assert!(deeds(&plain).contains("setcap cap_setuid=ep /usr/bin/newuidmap"), "{plain:#?}");
    let nosuid = helper(|one| one.nosuid = Some("/usr".to_owned()));
    assert_eq!(
        (nosuid.value.as_str(), deeds(&nosuid).as_str()),
        ("/usr is mounted nosuid", "mount -o remount,suid /usr")
    );
    let mut missing = whole();
    missing.ids.newgidmap = None;
    assert!(deeds(of(&judge(&missing), "id-helpers")).contains("apt-get install uidmap"));
    let mut kept = whole();
    kept.security.no_new_privileges = true;
    assert!(of(&judge(&kept), "id-helpers").value.contains("NoNewPrivs"));
}

#[test]
fn root_needs_no_ranges_but_ids_that_are_nobodys() {
    let mut facts = whole();
    facts.caller = Caller { uid: 0, name: Some("root".to_owned()), privileged: true, ..facts.caller };
    facts.ids = Ids { free: true, own_mapped: true, ..Ids::default() };
    assert_eq!(verdict(&judge(&facts)), Status::Works);
    facts.ids.free = false;
    facts.caller.in_first_user_namespace = false;
    assert!(of(&judge(&facts), "free-ids").cause.contains("too few ids"));
}

#[test]
fn control_groups_are_told_by_layout() {
    let refused = |facts: &mut Facts| {
        for one in &mut facts.controllers {
            one.refused =
                Some(("control group /sys/fs/cgroup is not the caller's to write".to_owned(), "do".to_owned()));
        }
    };
    let mut delegated = whole();
    refused(&mut delegated);
    let findings = judge(&delegated);
    let fault = of(&findings, "controllers");
    assert_eq!(fault.lost, "holm run --memory, --pids, --cpus, --io");
    let told = deeds(fault);
    assert!(told.contains("systemd-run --user --scope -p Delegate=yes"), "{told}");
    assert!(told.contains("delegate.conf: [Service]\nDelegate=cpu io memory pids\n"), "{told}");
    let mut old = whole();
    old.layout = Layout::Hybrid;
    refused(&mut old);
    old.controllers[3].refused = Some(("no mounted hierarchy has it".to_owned(), "do".to_owned()));
    let findings = judge(&old);
    let fault = of(&findings, "controllers");
    assert!(deeds(fault).contains("systemd.unified_cgroup_hierarchy=1"));
    let causes = "control group /sys/fs/cgroup is not the caller's to write; no mounted hierarchy has it";
    assert_eq!(fault.cause, causes, "each cause is told once");
    old.container = Some(Container::Docker);
    let findings = judge(&old);
    let told = deeds(of(&findings, "controllers"));
    assert!(told.starts_with("limit the container around") && !told.contains("boot"), "{told}");
    let refuses = whole().with(Try::Group("memory"), Outcome::Refused(Errno::AGAIN));
    assert_eq!(of(&judge(&refuses), "controllers").lost, "holm run --memory");
}

#[test]
fn hidden_processes_and_ptrace_are_told() {
    let mut facts = whole();
    facts.sight.hidden = true;
    facts.sight.ptrace_scope = Some(2);
    let findings = judge(&facts);
    assert!(deeds(of(&findings, "hidepid")).contains("hidepid=0") && of(&findings, "ptrace").value.ends_with("= 2"));
    facts.caller.privileged = true;
    assert!(judge(&facts).iter().all(|finding| finding.check != "ptrace"));
}

#[test]
fn a_file_system_that_bears_no_upper_directory_is_named() {
    let mut facts = whole();
    facts.spots[0].file_system = "overlay".to_owned();
    let directory = facts.spots[0].directory.clone();
    let no = Started::No { message: "cannot mount an overlay".to_owned(), hint: String::new() };
    facts.sandboxes.retain(|(sandbox, _)| *sandbox != Sandbox::Upper(directory.clone()));
    facts.sandboxes.push((Sandbox::Upper(directory), no));
    let findings = judge(&facts);
    assert_eq!(of(&findings, "upper").cause, "overlayfs takes no upper directory on overlay");
    facts.sandboxes.retain(|(sandbox, _)| !matches!(sandbox, Sandbox::Upper(_)));
    assert_eq!(of(&judge(&facts), "place").status, Status::Absent);
    facts.spots[0].writable = false;
    assert_eq!(of(&judge(&facts), "place").status, Status::Lost);
}

#[test]
fn what_kills_is_told_and_a_hang_is_no_refusal() {
    let facts = whole().with(Try::Call("openat2"), Outcome::Killed(libc::SIGSYS)).no_start("x");
    assert_eq!(of(&judge(&facts), "system-calls-needed").value, "killed by a filter (SIGSYS) (openat2)");
    let hung = whole().with(Try::FileSystem("mqueue"), Outcome::Hung);
    assert_eq!(of(&judge(&hung), "mqueue").value, "no answer");
}

#[test]
fn a_way_out_never_lowers_a_limit() {
    let mut facts = whole().with(Try::Nested, Outcome::Refused(Errno::NOSPC));
    facts.gauges[0].most = 96_365;
    let told = deeds(of(&judge(&facts), "nesting"));
    assert!(told.contains("further out\nsysctl -w user.max_user_namespaces=192730\n"), "{told}");
    // The kernel takes no more than that.
    facts.gauges[0].most = i32::MAX as u64;
    let told = deeds(of(&judge(&facts), "nesting"));
    assert!(!told.contains("sysctl -w") && told.contains("as high as it gets"), "{told}");
    let keys = |name, most| {
        let mut facts = whole().with(Try::Keyring, Outcome::Refused(Errno::DQUOT)).no_start("x");
        facts.gauges.push(Gauge { name, most, used: Some(most), hard: None });
        let findings = judge(&facts);
        let told = deeds(of(&findings, "keyring"));
        assert_eq!(told, deeds(of(&findings, "limit-keys")), "one text for one file");
        told.lines().next().expect("there is a command").to_owned()
    };
    assert_eq!(keys(Measure::Keys, 200), "sysctl -w kernel.keys.maxkeys=2000");
    assert_eq!(keys(Measure::Keys, 50_000), "sysctl -w kernel.keys.maxkeys=100000");
    assert_eq!(keys(Measure::RootKeys, 1_000_000), "sysctl -w kernel.keys.root_maxkeys=2000000");
}

#[test]
fn a_file_that_several_findings_write_is_the_same() {
    let mut facts = whole().with(Try::Nested, Outcome::Refused(Errno::NOSPC));
    facts.security.memfd_noexec = Some(2);
    facts.sight.ptrace_scope = Some(3);
    for (name, most) in [(Measure::Pids, 100), (Measure::Mounts, 100), (Measure::Keys, 100)] {
        facts.gauges.push(Gauge { name, most, used: Some(most), hard: None });
    }
    facts.gauges.push(Gauge { name: Measure::Limit(Resource::PROCESSES), most: 100, used: Some(99), hard: Some(100) });
    for (gauge, most) in facts.gauges.iter_mut().zip([62_000, 20]) {
        (gauge.most, gauge.used) = (most, Some(most));
    }
    let findings = judge(&facts);
    let deeds = findings.iter().flat_map(|one| &one.remedies).flat_map(|remedy| &remedy.deeds);
    let files: Vec<_> =
        deeds.filter_map(|deed| if let Deed::File(path, text) = deed { Some((path, text)) } else { None }).collect();
    assert!(files.len() >= 8, "{files:?}");
    for (path, text) in &files {
        assert!(files.iter().all(|(other, more)| other != path || more == text), "{path} is written twice: {files:?}");
    }
}

#[test]
fn a_limit_of_the_users_is_raised_by_the_user_as_far_as_it_may_and_by_root_for_good() {
    let fault = |most, hard| {
        let mut facts = whole();
        facts.gauges[1] =
            Gauge { name: Measure::Limit(Resource::OPEN_FILES), most, used: Some(most), hard: Some(hard) };
        of(&judge(&facts), "limit-resources").clone()
    };
    let both = fault(1024, 4096);
    let told = "ulimit -S -n 4096\n/etc/security/limits.d/90-holm-nofile.conf: ann soft nofile 16384\nann hard nofile 16384\n\nlog in again";
    assert_eq!(deeds(&both), told);
    let who: Vec<(By, Reach)> = both.remedies.iter().map(|remedy| (remedy.by, remedy.reach)).collect();
    assert_eq!(who, [(By::Caller, Reach::Run), (By::Root, Reach::User)]);
    // Neither line may lower what holds now.
    assert!(deeds(&fault(20_000, 500_000)).starts_with("ulimit -S -n 40000\n"));
    assert!(!deeds(&fault(20_000, 500_000)).contains("hard"));
    assert_eq!(fault(1024, 1024).remedies.iter().map(|remedy| remedy.by).collect::<Vec<_>>(), [By::Root]);
    let mut root = whole();
    root.caller.privileged = true;
    root.gauges[1] = Gauge { name: Measure::Limit(Resource::OPEN_FILES), most: 20, used: Some(7), hard: Some(20) };
    assert!(deeds(of(&judge(&root), "limit-resources")).starts_with("ulimit -n 16384\n"), "root goes above");
    assert_eq!(deeds(&fault(1 << 21, 1 << 21)), "end what isn't needed: the limit is high");
}

#[test]
fn what_was_not_tried_is_not_said_to_work() {
    let none = Facts { sandboxes: Vec::new(), ..whole() };
    assert_eq!(verdict(&judge(&none)), Status::Lost);
    let killed = none.with(Try::Call("landlock_create_ruleset"), Outcome::Killed(libc::SIGSYS));
    let findings = judge(&killed);
    assert_eq!(verdict(&findings), Status::Fatal, "each start asks for it");
    assert!(of(&findings, "untried").cause.ends_with(": landlock_create_ruleset"), "{findings:#?}");
    let mut one = whole();
    one.sandboxes.push((Sandbox::Bind("/home/ann".into()), Started::Untried));
    assert_eq!(of(&judge(&one), "untried").status, Status::Lost);
}

#[test]
fn only_what_a_start_makes_keeps_sandboxes_from_being_tried() {
    let killed = Outcome::Killed(libc::SIGSYS);
    let mut facts = whole();
    for what in [Try::Call("name_to_handle_at"), Try::Interface("NS_GET_ID"), Try::Notify] {
        facts = facts.with(what, killed);
    }
    facts = facts.with(Try::Call("landlock_create_ruleset"), Outcome::Refused(Errno::PERM));
    assert!(facts.kills_starts().is_empty());
    assert_eq!(facts.kills_sight(), ["name_to_handle_at", "NS_GET_ID"]);
    let findings = judge(&facts);
    assert_eq!((of(&findings, "sight").status, verdict(&findings)), (Status::Lost, Status::Lost));
    assert!(of(&findings, "system-calls-missed").value.ends_with("(landlock_create_ruleset)"), "{findings:#?}");
    for name in ["openat2", "landlock_create_ruleset"] {
        assert_eq!(whole().with(Try::Call(name), killed).kills_starts(), [name]);
    }
}

#[test]
fn limits_that_are_far_are_not_listed() {
    assert_eq!(of(&judge(&whole()), "limits").title, "limits: all below half, as far as use is seen");
    let mut facts = whole();
    facts.gauges.push(Gauge { name: Measure::Mounts, most: 100, used: Some(60), hard: None });
    let title = "limits: fs.mount-max (60 of 100), all others below half, as far as use is seen";
    assert_eq!(of(&judge(&facts), "limits").title, title);
}
