//! Labels of security modules: which are planned, in what order, and that nothing runs without its own.

use holm::host::Host;
use holm::model::label::{Label, Module};
use holm::plan::Plan;
use holm::spec::filesystem::Root;
use holm::{Error, Spec};

fn labelled(labels: &[(Module, &str)]) -> Spec {
    let mut spec = Spec { root: Root::Empty, ..Spec::new("true") };
    spec.policy.labels = labels.iter().map(|(module, text)| Label { module: *module, text: (*text).into() }).collect();
    spec
}

const BOTH: [(Module, &str); 2] = [(Module::AppArmor, "some"), (Module::Selinux, "u:r:t:s0")];

#[test]
fn labels_are_the_last_that_is_done_and_keyrings_have_theirs_before() {
    let host = Host { modules: vec![Module::AppArmor, Module::Selinux], ..Host::default() };
    let plan = Plan::new(&labelled(&BOTH), &host).expect("it can be planned");
    let acts: Vec<String> = plan.steps().iter().map(|step| step.act.to_string()).collect();
    let end =
        ["become a small init", "run under AppArmor profile some", "run under SELinux label u:r:t:s0", "run true"];
    assert!(acts.ends_with(&end.map(str::to_owned)), "{acts:#?}");
    let keys = ["make keyrings under SELinux label u:r:t:s0", "join an empty session keyring"].map(str::to_owned);
    assert!(acts.windows(2).any(|pair| pair == keys), "{acts:#?}");
}

#[test]
fn a_label_of_a_module_that_is_not_in_force_is_refused() {
    let refused = |labels: &[(Module, &str)], modules: &[Module]| {
        let host = Host { modules: modules.to_vec(), ..Host::default() };
        Plan::new(&labelled(labels), &host).expect_err("it is wrong").to_string()
    };
    let off = |module: Module| format!("{module} is not enabled on this machine");
    assert!(refused(&BOTH[..1], &[Module::Selinux]).ends_with(&off(Module::AppArmor)));
    assert!(refused(&BOTH[1..], &[Module::AppArmor]).ends_with(&off(Module::Selinux)));
    let both = refused(&BOTH, &[]);
    assert!(both.contains(&off(Module::AppArmor)) && both.contains(&off(Module::Selinux)), "{both}");
    let long = "a".repeat(Label::MOST + 1);
    for text in ["", "a\nb", "a\0", &long] {
        let said = refused(&[(Module::AppArmor, text)], &[Module::AppArmor]);
        assert!(said.ends_with("it is no profile, or there is another one"), "{said}");
    }
    let said = refused(&[BOTH[0], BOTH[0]], &[Module::AppArmor]);
    assert!(said.ends_with("or there is another one"), "{said}");
}

/// Whatever the machine has: there is no such profile, or no AppArmor; no /proc, or none that is a proc.
#[test]
fn nothing_runs_without_the_label_that_it_is_to_have() {
    for root in [Root::Host, Root::Empty] {
        let spec = Spec { root: root.clone(), ..labelled(&[(Module::AppArmor, "holm-test-none")]) };
        let host = Host { modules: vec![Module::AppArmor], ..Host::probe(&spec) };
        let plan = Plan::new(&spec, &host).expect("it can be planned");
        let step = plan.steps().iter().position(|step| step.act.to_string().contains("holm-test-none"));
        match plan.spawn() {
            Err(Error::Failed(failure)) => assert_eq!(Some(failure.step), step.map(|place| place + 1), "{failure:?}"),
            other => panic!("{root:?}: {other:?}"),
        }
    }
}
