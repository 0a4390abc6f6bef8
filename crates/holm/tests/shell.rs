//! The script of a plan does what the plan does: a probe tells the same from inside both.
//!
//! Of what is compared only the names of overlay layers differ; the probe doesn't ask for what the script says is `not
//! the same`: the init and the session, descriptors above 9, securebits. As root, all of it is done as a user, too.

use holm::Spec;
use holm::host::{Host, RootFacts};
use holm::model::id::IdMap;
use holm::model::namespace::Namespace;
use holm::plan::Plan;
use holm::spec::filesystem::{Access, Content, Entry, Missing, Operation, Root, Source, Upper, Writes};
use holm::spec::identity::{Maps, User};
use holm::spec::life::Stdio;
use holm::spec::namespaces::{Choice, Keep, Target, TimeOffsets};
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::Scratch;

/// Asks who the program is and what it may do.
const WHO: &str = r#"
echo "ids $(id -u) $(id -g) $(id -G)"; hostname; umask; ulimit -c; pwd; env | sort
# no tool sets a filter: the script says so
grep -E "^(Cap|NoNewPrivs)" /proc/self/status
grep -o '[a-z0-9]*:' /proc/net/dev
cat /proc/self/timens_offsets /proc/self/uid_map /proc/self/gid_map
"#;

/// Asks where the program is.
const WHERE: &str = r#"
set -- /proc/[0-9]*; echo "$# processes, this is $$"
ls -lAd /* /*/[!0-9]* 2>&1 | while read -r mode _ owner group _; do echo "$mode $owner $group"; done
ls -A / /.. /etc /dev 2>&1
while read -r _ at kind options _; do echo "mount $at $kind $options"; done </proc/self/mounts | sort
cat /etc/passwd /etc/hosts 2>&1
"#;

/// A program that tells these things, through a pipe.
fn asking(questions: &[&str]) -> Spec {
    let text = questions.concat() + "exit 7";
    let mut spec = Spec::new("sh").args(["-c", &text]);
    spec.stdio = [Stdio::Null, Stdio::Piped, Stdio::Inherit];
    // No tool shows owners by id maps, and each plan takes another range.
    spec.identity.maps = Maps::Single;
    spec
}

fn probe() -> Spec {
    asking(&[WHO, WHERE])
}

/// Runs the script of `spec` with its own directory for temporary files, of which nothing may be left.
fn run_script(spec: &Spec, scratch: &Scratch, input: &[u8]) -> Output {
    let (file, temporary) = (scratch.join("script"), scratch.join("temporary"));
    std::fs::write(&file, spec.plan().expect("it can be planned").script())
        .expect("the scratch directory can be written");
    std::fs::create_dir_all(&temporary).expect("the scratch directory can be written");
    // A script that waits for ever is a failure, not a hang.
    let mut command = Command::new("timeout");
    command.args(["--signal=KILL", "60", "sh"]).arg(&file).env("TMPDIR", &temporary);
    let stdio = std::process::Stdio::piped;
    let mut child = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().expect("timeout is there");
    child.stdin.take().expect("it is piped").write_all(input).expect("the script takes its input");
    let output = child.wait_with_output().expect("it can be waited for");
    let left: Vec<_> = std::fs::read_dir(&temporary).expect("it was made").flatten().map(|e| e.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("/proc is there");
    assert!(!mounts.contains(&*temporary.to_string_lossy()), "a mount is left behind");
    output
}

/// Layers of an overlay are named by number in the one, by path in the other.
fn without_layers(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let lines = text.lines().map(|line| match line.split_once(",lowerdir=") {
        Some((before, _)) if line.starts_with("mount ") => before,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn assert_same(name: &str, spec: &Spec) {
    let scratch = Scratch::new(name);
    let mut child = spec.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut told = Vec::new();
    child.stdout.take().expect("it is piped").read_to_end(&mut told).expect("the probe tells");
    let exit = child.wait().expect("it can be waited for");
    let output = run_script(spec, &scratch, b"");
    let errors = String::from_utf8_lossy(&output.stderr);
    let [script, own] = [&output.stdout, &told].map(|text| without_layers(text));
    let only = |here: &str, there: &str| {
        let lines = here.lines().filter(|line| !there.lines().any(|other| other == *line));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (script_only, own_only) = (only(&script, &own), only(&own, &script));
    assert!(script == own, "{name}: the script's {script_only:#?}, the plan's {own_only:#?}; {errors}");
    assert_eq!(output.status.code(), Some(exit.code().into()), "{name}: {errors}");
    assert!(told.len() > 300, "{name}: the probe has told little");
}

fn at(path: &str) -> PathBuf {
    PathBuf::from(path)
}

fn entries(operations: impl IntoIterator<Item = Operation>) -> Vec<Entry> {
    operations.into_iter().map(|operation| Entry { operation, origin: "a test\n".into() }).collect()
}

fn operations(source: &Path) -> Vec<Entry> {
    let bind = |to: &str, access| Operation::Bind {
        source: Source::Path(source.to_owned()),
        at: at(to),
        access,
        missing: Missing::Refuse,
    };
    entries([
        bind("/ro", Access::ReadOnly),
        bind("/rw", Access::ReadWrite),
        Operation::Tmpfs { at: at("/m"), size: Some(1 << 20), mode: 0o1777 },
        Operation::Tmpfs { at: at("/sealed"), size: None, mode: 0o755 },
        Operation::RemountReadOnly { at: at("/sealed") },
        Operation::Overlay { at: at("/o"), lower: vec![source.to_owned()], upper: Upper::Temporary },
        Operation::Directory { at: at("/m/a b/c"), mode: 0o700 },
        Operation::File { at: at("/m/f"), content: Content::Bytes((0..=255).collect()), mode: 0o640 },
        Operation::BindData {
            at: at("/m/g"),
            content: Content::Bytes(b"it's\n".to_vec()),
            mode: 0o600,
            access: Access::ReadOnly,
        },
        Operation::Symlink { target: at("f"), at: at("/m/l") },
        Operation::Chmod { at: at("/m/f"), mode: 0o604 },
        Operation::Mqueue { at: at("/q") },
        Operation::Mask { at: at("/ro/hidden") },
        Operation::Mask { at: at("/ro/file") },
        Operation::Mask { at: at("/nothing") },
    ])
}

/// A directory of the caller's to bind, with odd names in it.
fn tree(scratch: &Scratch) -> PathBuf {
    let source = scratch.join("so:ur,ce it's");
    std::fs::create_dir_all(source.join("hidden/deep")).expect("the scratch directory can be written");
    std::fs::write(source.join("file"), "text\n").expect("the scratch directory can be written");
    source
}

/// Copies programs with their libraries, which makes a root of them.
fn root_of(root: &Path, programs: &[&str]) {
    let copy = |from: &Path, to: PathBuf| {
        std::fs::create_dir_all(to.parent().expect("it is in the root")).expect("the scratch directory can be written");
        std::fs::copy(from, to).expect("a program can be copied");
    };
    for name in programs {
        let path = ["/bin", "/usr/bin"].map(|d| Path::new(d).join(name)).into_iter().find(|path| path.exists());
        let path = path.unwrap_or_else(|| panic!("{name} is not installed"));
        copy(&path, root.join("bin").join(name));
        let libraries = Command::new("ldd").arg(&path).output().expect("ldd is there").stdout;
        let libraries = String::from_utf8(libraries).expect("ldd writes text");
        for library in libraries.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(library), root.join(&library[1..]));
        }
    }
}

const PROGRAMS: [&str; 9] = ["sh", "id", "ls", "hostname", "env", "sort", "cat", "grep", "touch"];

#[test]
fn the_default_sandbox_is_the_same() {
    assert_same("default", &probe());
}

#[test]
fn user_0_inside_is_the_same() {
    let mut spec = probe();
    spec.identity.user = User::Ids { uid: 0, gid: 0 };
    assert_same("user-0", &spec);
}

#[test]
fn operations_are_the_same() {
    let scratch = Scratch::new("operations-source");
    let more = "ls -lR /m /ro /rw /o | while read -r mode _ owner group size _; do echo $mode $owner $group $size; done
        cat /m/f /m/g /ro/file; for file in /rw/file /ro/file /o/new /sealed/new; do touch $file && echo $file; done 2>&1";
    let mut spec = Spec { filesystem: operations(&tree(&scratch)), ..asking(&[more, WHO, WHERE]) };
    spec.namespaces.time = Some(TimeOffsets { boot: 50_000_000_000, monotonic: -3_000_000_000 });
    spec.hostname = Some("island".into());
    spec.directory = Some("/m/a b".into());
    assert_same("operations", &spec);
}

#[test]
fn a_directory_as_root_is_the_same() {
    let scratch = Scratch::new("directory");
    let root = scratch.join("root");
    root_of(&root, &PROGRAMS);
    let mut spec = Spec { root: Root::Directory(root.clone()), ..probe() };
    assert_same("directory-overlay", &spec);
    spec.writes = Writes::Temporary;
    spec.filesystem = operations(&tree(&scratch));
    assert_same("directory-temporary", &spec);
    spec.filesystem.clear();
    for point in ["proc", "dev", "tmp"] {
        std::fs::create_dir(root.join(point)).expect("the scratch directory can be written");
    }
    spec.writes = Writes::Refused;
    assert_same("directory-bind", &spec);
    spec.writes = Writes::Through;
    assert_same("directory-through", &spec);
}

#[test]
fn shared_namespaces_are_the_same() {
    let share = |spec: Spec, kinds: &[Namespace]| {
        let mut spec = spec;
        spec.namespaces.choices.extend(kinds.iter().map(|kind| (*kind, Choice::Share)));
        spec
    };
    assert_same("share-some", &share(probe(), &[Namespace::Net, Namespace::Uts, Namespace::Ipc, Namespace::Cgroup]));
    assert_same("share-mnt", &Spec { hostname: Some("island".into()), ..share(asking(&[WHO]), &[Namespace::Mount]) });
    assert_same("share-all", &share(asking(&[WHO]), &Namespace::ALL));
    if testkit::is_root() {
        assert_same("share-user", &share(probe(), &[Namespace::User]));
    }
}

#[test]
fn limits_of_each_process_are_the_same() {
    let questions =
        "nice; ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; grep Cpus_allowed_list /proc/self/status\n";
    let mut spec = asking(&[WHO, WHERE, questions]);
    spec.limits.nice = Some(1);
    spec.limits.oom_score = Some(500);
    spec.limits.affinity = Some("0".parse().expect("it is right"));
    spec.limits.resources = vec!["nofile=64:65".parse().expect("it is right")];
    assert_same("limits", &spec);
}

#[test]
fn ranges_of_ids_are_the_same() {
    let mut spec = probe();
    spec.identity.user = User::Ids { uid: 33, gid: 33 };
    if testkit::is_root() {
        let maps = vec![IdMap { inside: 0, outside: 100_000, count: 65_536 }];
        spec.identity.maps = Maps::Listed { uid: maps.clone(), gid: maps };
        assert_same("ranges", &spec);
    } else {
        spec.identity.maps = Maps::Subordinate;
        match spec.plan() {
            Ok(_) => assert_same("ranges", &spec),
            Err(refusal) => testkit::skip(&refusal.to_string()),
        }
    }
}

#[test]
fn a_joined_namespace_is_the_same() {
    // Not for others: nsenter can't hand on capabilities to a user other than 0, as the script says.
    if !testkit::is_root() {
        return;
    }
    let mut host = Spec::new("sleep").arg("60");
    host.identity.maps = Maps::Single;
    let mut host = host.spawn().expect("a sandbox starts");
    let mut spec = asking(&["readlink /proc/self/ns/net; ", WHO, WHERE]);
    let target = Choice::Join(Target::Process(host.id()), "--join".into());
    spec.namespaces.choices = vec![(Namespace::User, target.clone()), (Namespace::Net, target)];
    assert_same("join", &spec);
    host.kill().expect("it runs");
    host.wait().expect("it was killed");
}

#[test]
fn input_arguments_and_exit_code_pass_through() {
    let scratch = Scratch::new("through");
    let odd = OsStr::from_bytes(b"$(id) it's \xff\x81\\\n");
    let text = "cat; printf '<%s>' \"$@\"; kill -KILL $$";
    let spec = Spec::new("sh").args(["-c", text, "sh", "\nBUILD\nBESIDE\necho hurt\n", ""]).arg(odd);
    let output = run_script(&spec, &scratch, b"in\nput\n");
    let expected = b"in\nput\n<\nBUILD\nBESIDE\necho hurt\n><><$(id) it's \xff\x81\\\n>";
    assert_eq!(output.stdout, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(137));
}

#[test]
fn a_step_that_fails_ends_the_script_and_leaves_nothing() {
    let scratch = Scratch::new("failing");
    let source = scratch.join("gone");
    std::fs::create_dir(&source).expect("the scratch directory can be written");
    let mut spec = Spec::new("true");
    let operation = Operation::Overlay { at: at("/o"), lower: vec![source.clone()], upper: Upper::Temporary };
    spec.filesystem = entries([operation]);
    assert_eq!(run_script(&spec, &scratch, b"").status.code(), Some(0));
    let script = spec.plan().expect("it can be planned").script();
    std::fs::remove_dir(&source).expect("it is empty");
    let temporary = scratch.join("temporary");
    let file = scratch.join("script");
    std::fs::write(&file, script).expect("the scratch directory can be written");
    let output =
        Command::new("timeout").args(["--signal=KILL", "60", "sh"]).arg(&file).env("TMPDIR", &temporary).output();
    assert_eq!(output.expect("timeout is there").status.code(), Some(125));
    // The process outside cleans up when all others have left.
    for _ in 0..200 {
        if std::fs::read_dir(&temporary).expect("it was made").next().is_none() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the script has left its directory");
}

#[test]
fn every_step_is_commented_once_with_its_number() {
    let facts = RootFacts { missing: vec!["/proc".into()] };
    let host = Host {
        uid: 1000,
        gid: 1000,
        privileged: true,
        owns_mounts: true,
        root: Some(Ok(facts)),
        sources: vec![(at("/k"), Ok(holm::host::Kind::Directory)), (at("/s"), Ok(holm::host::Kind::Directory))],
        ..Host::default()
    };
    let mut kept = Spec { writes: Writes::Kept(at("/k")), ..Spec::new("true") };
    kept.namespaces.keep.push(Keep { namespace: Namespace::Pid, path: at("kept"), origin: "--keep\n# x".into() });
    let mut joins =
        Spec { root: Root::Directory("/r".into()), filesystem: operations(Path::new("/s")), ..Spec::new("true") };
    joins.namespaces.choices.push((Namespace::Net, Choice::Join(Target::Process(7), "--join".into())));
    let mut no_root = Spec::new("true");
    no_root.namespaces.choices.push((Namespace::Mount, Choice::Join(Target::Descriptor(9), "--join".into())));
    for spec in [Spec::new("true"), kept, joins, no_root] {
        let plan = Plan::new(&spec, &host).expect("it can be planned");
        let script = String::from_utf8(plan.script()).expect("nothing in it is odd");
        for number in 1..=plan.steps().len() {
            let start = format!("# {number}. ");
            let found = script.lines().filter(|line| line.trim_start().starts_with(&start)).count();
            assert_eq!(found, 1, "step {number}: {}\n{script}", plan.steps()[number - 1].act);
        }
        let mut check = Command::new("sh").arg("-n").stdin(std::process::Stdio::piped()).spawn().expect("sh is there");
        check.stdin.take().expect("it is piped").write_all(script.as_bytes()).expect("sh reads");
        assert!(check.wait().expect("it can be waited for").success(), "{script}");
    }
}

#[test]
fn all_of_it_holds_for_an_ordinary_user() {
    if !testkit::is_root() {
        return;
    }
    let scratch = Scratch::new("user");
    let copy = scratch.join("tests");
    std::fs::copy(std::env::current_exe().expect("it has a path"), &copy)
        .expect("the scratch directory can be written");
    for path in [scratch.path(), &copy] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).expect("it is ours");
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1234", "--regid=1234", "--clear-groups"]).arg(&copy);
    // Ranges of ids need a user of /etc/passwd: that is left to the run of all tests as one.
    let output = command.args(["--skip", "ranges"]).current_dir("/").output().expect("setpriv is there");
    let told: OsString = OsStr::from_bytes(&[output.stdout, output.stderr].concat()).to_owned();
    assert!(output.status.success(), "{}", told.to_string_lossy());
}
