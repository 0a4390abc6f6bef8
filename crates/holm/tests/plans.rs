//! Decisions, without any privilege: plans for machines that aren't there.

use holm::Spec;
use holm::host::{Account, Host, RootFacts};
use holm::plan::Plan;
use holm::spec::filesystem::{Root, Writes};
use holm::spec::identity::{Maps, User};

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
