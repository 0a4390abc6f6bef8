//! Each step of several plans is made to fail in turn. The failure names that step, and nothing is left behind: no
//! descriptor, mount, process or control group.

use holm::model::group::Version;
use holm::model::limit::CpuList;
use holm::model::mount::{Attributes, Propagation, Reach};
use holm::model::namespace::Namespace;
use holm::model::schedule::{IoClass, IoPriority, MemoryPolicy, Personality, Scheduler, SchedulerPolicy};
use holm::plan::Plan;
use holm::run::Door;
use holm::spec::Unsaid;
use holm::spec::filesystem::{
    Access, Beneath, BindSource, Content, Entry, Missing, NodeKind, Operation, Owners, Root, Source, Upper, Writes,
};
use holm::spec::identity::{Groups, Maps, User};
use holm::spec::life::{Lifetime, Stdio, Terminal};
use holm::spec::limits::NamedGroup;
use holm::spec::namespaces::{Choice, Keep, TimeOffsets};
use holm::spec::policy::CapabilitySets;
use holm::{Error, Spec};
use std::os::fd::AsFd;
use std::path::PathBuf;
use testkit::{Scratch, Traces};

const EIO: i32 = 5;

fn fail_each_step(spec: &Spec) -> usize {
    fail_each(spec, |plan| plan.spawn().err())
}

fn fail_each(spec: &Spec, start: impl Fn(&Plan) -> Option<Error>) -> usize {
    let plan = spec.plan().expect("the wish can be planned");
    let steps = plan.steps().len();
    let before = Traces::now();
    for number in 1..=steps {
        let mut plan = plan.clone();
        plan.fail_step(number, EIO);
        let error = start(&plan).unwrap_or_else(|| panic!("step {number} did not fail"));
        let Error::Failed(failure) = &error else { panic!("step {number}: {error}") };
        assert_eq!((failure.step, failure.errno), (number, EIO), "{error}");
        let expected = plan.steps()[number - 1].act.to_string();
        assert_eq!(failure.act, expected);
        assert_eq!(Traces::now(), before, "after step {number}: {expected}");
    }
    steps
}

/// Everything that can be limited here.
fn limited() -> Spec {
    let mut spec = Spec::new("true");
    spec.limits.resources = vec!["nofile=64".parse().expect("it is right"), "core=0".parse().expect("it is right")];
    spec.limits.timeout = Some(std::time::Duration::from_secs(600));
    spec.limits.nice = Some(1);
    spec.limits.affinity = Some("0".parse().expect("it is right"));
    spec.limits.oom_score = Some(1000);
    let mut grouped = spec.clone();
    grouped.limits.memory = Some(64 << 20);
    grouped.limits.pids = Some(16);
    grouped.limits.cpus = Some("0.5".parse().expect("it is right"));
    match grouped.plan() {
        Ok(_) => grouped,
        // As a user without a group of its own: that is told by the tests of limits.
        Err(_) => spec,
    }
}

/// What a configuration of a container can ask for; as root with control groups, a device and groups of its own.
fn says_all(root: &std::path::Path) -> Spec {
    let mut spec = Spec::new("sh");
    spec.unsaid = Unsaid::Nothing;
    spec.lifetime = Lifetime::Detached;
    spec.root = Root::Directory(root.to_owned());
    spec.writes = Writes::Through;
    spec.propagation = Propagation::Shared;
    let (attributes, below) = (Attributes::default(), Attributes::READ_ONLY);
    let bind = |source: &str, at: &str| Operation::Attach {
        source: BindSource::Outside(source.into()),
        at: at.into(),
        reach: Reach::Tree,
        attributes,
        below,
        propagation: Propagation::Slave,
        owners: Owners::Outside,
    };
    let tmpfs = |at: &str| {
        let (kind, source, options) = ("tmpfs".into(), "tmpfs".into(), vec![("mode".into(), Some("755".into()))]);
        let (propagation, beneath) = (Propagation::Shared, Beneath::Content);
        Operation::Mount { kind, source, at: at.into(), options, attributes, propagation, beneath }
    };
    let mut operations: Vec<Operation> = ["bin", "lib", "lib64"]
        .map(|name| Operation::Symlink { target: format!("usr/{name}").into(), at: format!("/{name}").into() })
        .into();
    let mut again = bind("", "/again");
    if let Operation::Attach { source, .. } = &mut again {
        *source = BindSource::Inside("/usr/share".into());
    }
    operations.extend([bind("/usr", "/usr"), again, tmpfs("/m"), Operation::Protect { at: "/m".into() }]);
    let kind = if testkit::is_root() { NodeKind::Character(1, 3) } else { NodeKind::Pipe };
    operations.push(Operation::Node { at: "/n".into(), kind, mode: 0o600, owner: (0, 0) });
    spec.filesystem = operations.into_iter().map(|operation| Entry { operation, origin: "a test".into() }).collect();
    spec.domain = Some("islands".into());
    spec.personality = Some(Personality::Linux);
    spec.limits.memory_policy = Some(MemoryPolicy { mode: 0, nodes: CpuList::default() });
    spec.limits.io_priority = Some(IoPriority { class: IoClass::BestEffort, level: 7 });
    let (policy, flags, nice, priority) = (SchedulerPolicy::Batch, 0, 5, 0);
    spec.limits.scheduler = Some(Scheduler { policy, flags, nice, priority, runtime: 0, deadline: 0, period: 0 });
    spec.settings = vec![("net/ipv4/ip_forward".into(), "1".into())];
    spec.identity.user = User::Ids { uid: 0, gid: 0 };
    spec.policy.sets = Some(CapabilitySets::default());
    if testkit::is_root() {
        spec.identity.groups = Groups::Listed(vec![7]);
        spec.namespaces.choices.push((Namespace::User, Choice::Share));
        let pids = std::path::Path::new("/sys/fs/cgroup/pids");
        if pids.join("cgroup.procs").exists() {
            let files = vec![("pids.max".into(), "9".into())];
            spec.limits.groups.push(NamedGroup {
                directory: pids.join("holm-faults/deep"),
                version: Version::One,
                files,
                devices: Vec::new(),
            });
        }
    }
    spec
}

#[test]
fn every_step_that_fails_is_named_and_leaves_nothing() {
    // One test: others in the same process would be seen as traces.
    let scratch = Scratch::new("faults");
    assert!(fail_each_step(&Spec::new("true")) > 30);

    let mut rich = Spec::new("true");
    let at = |path: &str| PathBuf::from(path);
    let source = scratch.join("source");
    std::fs::create_dir(&source).expect("the scratch directory can be written");
    let operations = [
        Operation::Bind {
            source: Source::Path(source.clone()),
            at: at("/s"),
            access: Access::ReadWrite,
            missing: Missing::Refuse,
        },
        Operation::Tmpfs { at: at("/m"), size: None, mode: 0o755 },
        Operation::Overlay { at: at("/o"), lower: vec![source.clone()], upper: Upper::Temporary },
        Operation::File { at: at("/f"), content: Content::Bytes(vec![1]), mode: 0o644 },
        Operation::BindData { at: at("/g"), content: Content::Bytes(vec![2]), mode: 0o644, access: Access::ReadOnly },
        Operation::Symlink { target: at("f"), at: at("/l") },
        Operation::Chmod { at: at("/f"), mode: 0o600 },
        Operation::Mask { at: at("/f") },
        Operation::RemountReadOnly { at: at("/m") },
        Operation::Mqueue { at: at("/q") },
    ];
    rich.filesystem = operations.map(|operation| Entry { operation, origin: "a test".into() }).to_vec();
    rich.namespaces.time = Some(TimeOffsets { boot: 5_000_000_000, monotonic: -1 });
    rich.identity.user = User::Ids { uid: 0, gid: 0 };
    rich.terminal = Terminal::Own;
    fail_each_step(&rich);

    let mut watched = Spec::new("true");
    watched.policy.denials = holm::spec::policy::Denials::Told;
    fail_each_step(&watched);

    let mut directory = Spec::new("true");
    directory.root = Root::Directory(source.clone());
    directory.stdio = [Stdio::Piped, Stdio::Piped, Stdio::Null];
    fail_each_step(&directory);

    fail_each_step(&limited());

    let directory = std::fs::File::open(scratch.join("source")).expect("it is there");
    let mut detached = limited();
    detached.limits.timeout = None;
    detached.lifetime = Lifetime::Detached;
    let hold = |plan: &Plan| {
        let door = Door::make(directory.as_fd(), "door").expect("the scratch directory can be written");
        std::fs::remove_file(source.join("door")).expect("it was made");
        plan.hold(Some(door)).err()
    };
    fail_each(&detached, hold);

    let root = scratch.join("root");
    std::fs::create_dir(&root).expect("the scratch directory can be written");
    fail_each(&says_all(&root), hold);
    let mut apart = says_all(&root);
    apart.namespaces.choices.push((Namespace::Mount, Choice::Share));
    for entry in &mut apart.filesystem {
        if let Operation::Attach { propagation, .. } = &mut entry.operation {
            *propagation = Propagation::Private;
        }
    }
    if testkit::is_root() && holm::host::kernel() >= Some((6, 15)) {
        fail_each(&apart, hold);
    }
    let place = Spec::new("sleep").arg("600").spawn().expect("it starts");
    let opened = holm::inspect::enter::Opened::process(place.id() as u32, None).expect("it runs");
    let entry = opened.spec("true", &holm::inspect::enter::Wish::default(), "a test").expect("it can be entered");
    assert!(fail_each_step(&entry) > 20);
    drop(place);

    let kept = scratch.join("kept");
    std::fs::create_dir(&kept).expect("the scratch directory can be written");
    let mut overlay = Spec::new("true");
    overlay.writes = Writes::Kept(kept);
    fail_each_step(&overlay);

    if testkit::is_root() {
        let mut keep = Spec::new("true");
        let path = scratch.join("net");
        keep.namespaces.keep = vec![Keep { namespace: Namespace::Net, path: path.clone(), origin: String::new() }];
        fail_each_step(&keep);
        assert!(!path.exists(), "the file for the namespace is gone, too");
    } else {
        let mut ranges = Spec::new("true");
        ranges.identity.maps = Maps::Subordinate;
        match ranges.plan() {
            Ok(_) => drop(fail_each_step(&ranges)),
            Err(refusal) => testkit::skip(&refusal.to_string()),
        }
    }
}
