//! What is printed of a machine that isn't there.

use super::*;
use holm::doctor::facts::{Caller, Controller, Layout, Outcome, Sandbox, Security, Started, Try};
use holm::model::namespace::Namespace;
use rustix::io::Errno;

/// A desktop that leaves new user namespaces without rights, and hands out no control groups.
fn desktop() -> Facts {
    let refused = (String::from("control group /user is not the caller's to write"), String::new());
    let mut tries = vec![(Try::Namespace(Namespace::User), Outcome::Works)];
    let others = Namespace::ALL.into_iter().filter(|&kind| kind != Namespace::User);
    tries.extend(others.map(|kind| (Try::Namespace(kind), Outcome::Refused(Errno::PERM))));
    let no = Started::No { message: "cannot make namespaces".to_owned(), hint: String::new() };
    Facts {
        caller: Caller {
            uid: 1000,
            name: Some("ann".to_owned()),
            in_first_user_namespace: true,
            program: Some("/usr/local/bin/holm".into()),
            ..Caller::default()
        },
        kernel: "6.8.0-49-generic".to_owned(),
        tries,
        sandboxes: vec![(Sandbox::Default, no)],
        ids: holm::doctor::facts::Ids { own_mapped: true, root_mapped: true, ..Default::default() },
        security: Security { apparmor_restrict: Some(1), landlock: 4, ..Security::default() },
        layout: Layout::Unified,
        controllers: vec![Controller { option: "--memory", name: "memory", refused: Some(refused) }],
        ..Facts::default()
    }
}

const SHOWN: &str = "\
holm can't start sandboxes here, for ann (1000) on Linux
6.8.0-49-generic

fatal: new user namespaces give no rights
  seen     kernel.apparmor_restrict_unprivileged_userns = 1
  cause    AppArmor takes all rights in new user namespaces from
           programs that have no profile with 'userns,'
  lost     holm run, holm enter and roots that are built
  as root  write /etc/apparmor.d/holm:
      | abi <abi/4.0>,
      | include <tunables/global>
      |
      | profile holm /usr/local/bin/holm flags=(unconfined) {
      |   userns,
      |   include if exists <local/holm>
      | }
  and      apparmor_parser -r /etc/apparmor.d/holm
  reach    this program; whoever can write that file, or run it, may
           make user namespaces: keep it where only root writes
  as root  sysctl -w kernel.apparmor_restrict_unprivileged_userns=0
  and      write /etc/sysctl.d/90-holm-apparmor_restrict_unprivileged_userns.conf:
      | kernel.apparmor_restrict_unprivileged_userns = 0
  reach    the whole machine; any user may make user namespaces, and
           so reach more of the kernel
";

#[test]
fn a_machine_is_told_the_worst_first() {
    let facts = desktop();
    let findings = judge(&facts);
    let screen = Screen::document().with_width(70);
    let shown = print(&facts, &findings, &screen);
    assert!(shown.starts_with(SHOWN), "{shown}");
    let (bad, good) = shown.split_once("\nmissing, and not missed\n").expect("something is missing");
    assert!(bad.contains("\nlost: the caller can't limit by control groups: memory\n"), "{bad}");
    let rest = "  Landlock can't keep signals and abstract sockets apart: it has\n  version 4 of 6 (Linux 6.12); namespaces do it alone\n\nworks\n";
    assert!(good.starts_with(rest), "{good}");
    let folds = |line: &str| !line.starts_with("      |") && !line.contains("write /");
    let unfolded = |line: &&str| folds(line) && line.chars().count() > 70;
    assert_eq!(shown.lines().find(unfolded), None);
}

#[test]
fn the_document_has_all_of_it() {
    let facts = desktop();
    let findings = judge(&facts);
    let document = json::document(&facts, &findings, 2);
    assert_eq!((&document["version"], &document["exit-code"]), (&1.into(), &2.into()));
    let first = &document["findings"][0];
    assert_eq!((&first["check"], &first["status"]), (&"namespace-rights".into(), &"fatal".into()));
    let deed = &first["remedies"][0]["deeds"][0];
    assert_eq!((&deed["is"], &deed["path"]), (&"file".into(), &"/etc/apparmor.d/holm".into()));
    assert_eq!(document["findings"].as_array().map(Vec::len), Some(findings.len()));
}
