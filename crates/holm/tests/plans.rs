//! Decisions, without any privilege: plans for machines that aren't there.

use holm::Spec;
use holm::host::{Account, Host, RootFacts, Top};
use holm::model::id::IdMap;
use holm::model::mount::{Attributes, Propagation, Reach};
use holm::model::namespace::Namespace;
use holm::plan::Plan;
use holm::spec::Unsaid;
use holm::spec::filesystem::{Access, BindSource, Entry, Missing, Operation, Owners, Root, Source, Upper, Writes};
use holm::spec::identity::{Maps, User};
use holm::spec::namespaces::{Choice, Keep, Target};
use holm::spec::origins::Wish;
use rustix::io::Errno;

fn alice() -> Host {
    let user = Account { name: "alice".into(), home: "/home/alice".into(), shell: "/bin/bash".into() };
    Host { uid: 1000, gid: 1000, user: Some(user), directory: Some("/home/alice".into()), ..Host::default() }
}

/// The acts of a plan, one a line.
fn acts(spec: &Spec, host: &Host) -> Vec<String> {
    Plan::new(spec, host).expect("it can be planned").steps().iter().map(|step| step.act.to_string()).collect()
}

#[test]
fn an_empty_root_for_an_ordinary_user() {
    let spec = Spec { root: Root::Empty, ..Spec::new("true") };
    let expected = [
        "start the child in new namespaces: user, cgroup, ipc, uts, pid, mnt",
        "enter the new user namespace",
        "make a new net namespace",
        "set the loopback interface up",
        "map users 1000:1000:1 and groups 1000:1000:1",
        "allow no further user namespaces",
        "set the host name to holm",
        "mount an empty tmpfs as the new root",
        "pivot_root to the new root and let go of the old one",
        "enter the new net namespace",
        "join an empty session keyring",
        "set the limit of core files to 0",
        "drop all capabilities, for good",
        "set the umask to 022",
        "change directory to /home/alice (/ if it is not there)",
        "filter system calls",
        "close descriptors above 2",
        "become a small init",
        "run true",
    ];
    assert_eq!(acts(&spec, &alice()), expected);
}

#[test]
fn root_drops_groups_and_opens_sources_outside() {
    let host = Host { privileged: true, ..Host::default() };
    let root = Root::Directory("/srv/root".into());
    let host = Host { root: Some(Ok(RootFacts { missing: Vec::new() })), ..host };
    let acts = acts(&Spec { root, ..Spec::new("true") }, &host);
    assert!(acts.contains(&"drop supplementary groups".to_owned()), "{acts:#?}");
    assert!(acts.contains(&"bind /srv/root as the new root, read-only".to_owned()), "{acts:#?}");
}

#[test]
fn a_directory_of_the_host_that_cannot_be_looked_at_is_refused_where_it_is_shown() {
    let tops = vec![("/bin".into(), Ok(Top::Link("usr/bin".into()))), ("/lib64".into(), Err(Errno::ACCESS))];
    let host = Host { tops, ..alice() };
    let refusal = Plan::new(&Spec::new("true"), &host).expect_err("nothing could be loaded");
    assert_eq!(refusal.to_string(), "cannot look at /lib64 of the host: permission denied");
    assert!(refusal.reasons[0].hint.contains("ls -ld /lib64"), "{:?}", refusal.reasons);
    assert!(Plan::new(&Spec { root: Root::Empty, ..Spec::new("true") }, &host).is_ok());
}

#[test]
fn mount_points_that_a_directory_lacks_are_laid_over_it() {
    let facts = RootFacts { missing: vec!["/proc".into(), "/tmp".into()] };
    let host = Host { root: Some(Ok(facts)), ..alice() };
    let mut spec = Spec { root: Root::Directory("/srv/root".into()), ..Spec::new("true") };
    let overlay = "mount an overlay as the new root, of what was made so far over /srv/root, read-only";
    assert!(acts(&spec, &host).contains(&overlay.to_owned()));
    spec.writes = Writes::Through;
    let refusal = Plan::new(&spec, &host).expect_err("there is nowhere to make them");
    assert_eq!(refusal.reasons.len(), 2, "{refusal}");
}

#[test]
fn ranges_need_helpers_and_are_laid_around_the_own_id() {
    let host = Host { subuid: vec![(100_000, 65_536)], subgid: vec![(100_000, 65_536)], ..alice() };
    let mut spec = Spec::new("true");
    spec.identity.maps = Maps::Subordinate;
    spec.identity.user = User::Ids { uid: 0, gid: 0 };
    let refusal = Plan::new(&spec, &host).expect_err("newuidmap is missing");
    assert!(refusal.reasons[0].hint.contains("uidmap"), "{refusal}");
    let host =
        Host { newuidmap: Some("/usr/bin/newuidmap".into()), newgidmap: Some("/usr/bin/newgidmap".into()), ..host };
    let maps = "map users 0:1000:1,1:100000:65536 and groups 0:1000:1,1:100000:65536 by newuidmap and newgidmap";
    assert!(acts(&spec, &host).contains(&maps.to_owned()));
}

#[test]
fn the_same_wish_and_facts_give_the_same_plan() {
    let spec = Spec::new("bash").arg("-l");
    assert_eq!(Plan::new(&spec, &alice()), Plan::new(&spec, &alice()));
}

/// The one reason why `spec` is refused.
fn reason(spec: &Spec, host: &Host) -> holm::plan::Reason {
    let mut refusal = Plan::new(spec, host).expect_err("it is to be refused");
    assert_eq!(refusal.reasons.len(), 1, "{refusal}");
    refusal.reasons.remove(0)
}

fn operation(operation: Operation) -> Vec<Entry> {
    vec![Entry { operation, origin: "a test".into() }]
}

#[test]
fn maps_that_do_not_fit_into_a_page_are_refused() {
    let host = Host { privileged: true, ..Host::default() };
    let maps = |first: u32| (0..340).map(|n| IdMap { inside: n * 2, outside: first + n * 2, count: 1 }).collect();
    let mut spec = Spec::new("true");
    spec.identity.maps = Maps::Listed { uid: maps(0), gid: vec![IdMap::single(0, 0)] };
    assert!(Plan::new(&spec, &host).is_ok(), "340 lines of numbers of three digits");
    spec.identity.maps = Maps::Listed { uid: maps(1_000_000), gid: vec![IdMap::single(0, 0)] };
    let refused = reason(&spec, &host);
    assert_eq!(refused.message, "cannot map users: the lines have 4705 bytes, the kernel takes 4095");
}

#[test]
fn groups_are_dropped_only_where_newgidmap_leaves_setgroups() {
    let helper = |name: &str| Some(format!("/usr/bin/{name}").into());
    let (newuidmap, newgidmap) = (helper("newuidmap"), helper("newgidmap"));
    let range = vec![(100_000, 65_536)];
    let host = Host { subuid: range.clone(), subgid: range, newuidmap, newgidmap, ..alice() };
    let drops = |gid: Vec<IdMap>| {
        let mut spec = Spec::new("true");
        spec.identity.user = User::Ids { uid: 0, gid: 0 };
        spec.identity.maps = Maps::Listed { uid: vec![IdMap::single(0, 100_000)], gid };
        acts(&spec, &host).contains(&"drop supplementary groups".to_owned())
    };
    assert!(drops(vec![IdMap::single(0, 100_000)]));
    assert!(!drops(vec![IdMap::single(0, 1000)]), "only the own group");
    assert!(!drops(Vec::new()), "only the own group, by default");
}

#[test]
fn too_many_layers_are_refused() {
    let usr = std::path::PathBuf::from("/usr");
    let host = Host { sources: vec![(usr.clone(), Ok(holm::host::Kind::Directory))], ..alice() };
    let of = |count| Operation::Overlay { at: "/o".into(), lower: vec![usr.clone(); count], upper: Upper::None };
    let mut spec = Spec { filesystem: operation(of(60)), ..Spec::new("true") };
    assert!(Plan::new(&spec, &host).is_ok());
    spec.filesystem = operation(of(61));
    assert_eq!(reason(&spec, &host).message, "cannot lay 61 directories over each other: 60 are the most");
}

#[test]
fn proc_of_a_joined_pid_namespace_needs_its_user_namespace() {
    let host = Host { privileged: true, ..Host::default() };
    let mut spec = Spec::new("true");
    let join = |kind| (kind, Choice::Join(Target::Process(7), "a test".into()));
    spec.namespaces.choices = vec![join(Namespace::Pid)];
    assert!(reason(&spec, &host).hint.contains("--join user="));
    for more in [join(Namespace::User), (Namespace::User, Choice::Share), join(Namespace::Mount)] {
        spec.namespaces.choices = vec![join(Namespace::Pid), more];
        assert!(Plan::new(&spec, &host).is_ok());
    }
    spec.namespaces.choices = vec![join(Namespace::Pid)];
    let empty = Spec { root: Root::Empty, ..spec };
    assert!(Plan::new(&empty, &host).is_ok(), "nothing is mounted in it");
}

#[test]
fn a_descriptor_that_is_not_open_is_told_with_who_named_it() {
    let host = Host { closed: vec![9], ..alice() };
    let mut spec = Spec::new("true");
    spec.namespaces.choices = vec![(Namespace::Net, Choice::Join(Target::Descriptor(9), "the join".into()))];
    assert_eq!(reason(&spec, &host).origin, "the join");
    let bind = Operation::Bind {
        source: Source::Descriptor(9),
        at: "/x".into(),
        access: Access::ReadOnly,
        missing: Missing::Refuse,
    };
    spec.filesystem = operation(bind);
    assert_eq!(reason(&spec, &host).origin, "a test");
    spec.descriptors = vec![9];
    assert_eq!(reason(&spec, &host).origin, "--pass-fd");
    spec.origins.set(Wish::Descriptors, "web.toml: pass-fd");
    assert_eq!(reason(&spec, &host).origin, "web.toml: pass-fd");
}

#[test]
fn a_name_for_a_kept_namespace_has_its_directories_made() {
    let host = Host { privileged: true, owns_mounts: true, ..Host::default() };
    let mut spec = Spec::new("true");
    let keep = |path: &str| vec![Keep { namespace: Namespace::Net, path: path.into(), origin: String::new() }];
    let made = |spec: &Spec| -> Vec<String> {
        acts(spec, &host).into_iter().filter(|act| act.starts_with("make directory /run/holm")).collect()
    };
    spec.namespaces.keep = keep("/run/holm/ns/net/blue");
    let all = ["/run/holm", "/run/holm/ns", "/run/holm/ns/net"].map(|path| format!("make directory {path} outside"));
    assert_eq!(made(&spec), all);
    spec.namespaces.keep = keep("/run/holm/ns/other/blue");
    assert!(made(&spec).is_empty());
    let without = Plan::new(&spec, &Host { owns_mounts: false, ..host.clone() }).expect_err("it can't be mounted");
    assert!(without.to_string().contains("CAP_SYS_ADMIN"), "{without}");
}

#[test]
fn what_a_root_that_stands_apart_cannot_have_is_refused_by_name() {
    let mut spec = Spec { root: Root::Directory("/srv".into()), unsaid: Unsaid::Nothing, ..Spec::new("true") };
    for kind in [Namespace::Mount, Namespace::User] {
        spec.namespaces.choices.push((kind, Choice::Join(Target::Path("/ns".into()), String::new())));
    }
    let bind = |at: &str, propagation: Propagation, owners: Owners| {
        let (reach, attributes, below) = (Reach::Tree, Attributes::default(), Attributes::default());
        let source = BindSource::Outside("/usr".into());
        let operation = Operation::Attach { source, at: at.into(), reach, attributes, below, propagation, owners };
        Entry { operation, origin: String::new() }
    };
    spec.filesystem = vec![
        bind("/heard", Propagation::Slave, Owners::Outside),
        bind("/told", Propagation::Shared, Owners::Outside),
        bind("/shown", Propagation::Private, Owners::Inside(Reach::One)),
    ];
    let host = Host { privileged: true, owns_mounts: true, ..Host::default() };
    let said = Plan::new(&spec, &host).expect_err("it can't be made").to_string();
    for part in [
        "another user namespace has no right over it",
        "cannot bind on /heard as slave or shared",
        "cannot bind on /told as slave or shared",
        "cannot show other owners: what is opened outside",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}
