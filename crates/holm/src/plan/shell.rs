//! The plan as a shell script, for people who want to see what really happens and to do it by hand.
//!
//! The script uses the tools of Debian 12 (util-linux 2.38). It must never do more than the plan; where the shell can
//! do only less it says `# not the same:`. Every path and argument is quoted, and comments hold no raw bytes.
//!
//! Four processes take part, since a tool can be started only where it exists, and in the new root it may not:
//! `outside` has the caller's rights and writes id maps; `BESIDE` is a shell in the new user namespace only, which
//! becomes the process inside; that one gives up its rights and waits. Meanwhile `BUILD` enters the mount namespace
//! from beside, builds the root and pivots, which moves the waiting process along (pivot_root(2)). Who enters a mount
//! namespace stands on the topmost mount at its `/` (setns(2)): that is then the old root, with all tools, until it is
//! taken off.

mod differences;
mod limits;
mod program;
mod root;
mod text;

use self::root::{Build, TOOLS};
use self::text::{Text, source, word};
use super::Plan;
use super::limits::Limit;
use super::step::{Act, MapWriter, Opener};
use crate::model::id::IdMap;
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::model::text::escape;
use crate::spec::filesystem::{Content, Operation, Source};
use crate::spec::life::Stdio;
use crate::spec::namespaces::{Target, TimeOffsets};
use std::collections::BTreeSet;
use std::ffi::OsStr;

impl Plan {
    /// The plan as a commented POSIX shell script that does the same by hand, with the tools of Debian 12.
    ///
    /// It is meant for the caller that the plan was made for, in the same directory. Where it differs from
    /// [`Plan::spawn`] it says so in a comment that starts with `not the same`.
    pub fn script(&self) -> Vec<u8> {
        let script = Script::new(self);
        let mut text = Text::default();
        text.add(HEAD);
        match script.new.contains(Namespace::Mount) {
            true => script.with_root(&mut text),
            false => script.without_root(&mut text),
        }
        text.0
    }
}

const HEAD: &str = "#!/bin/sh
# What `holm run` does, by hand: with unshare, nsenter, setpriv, mount and pivot_root of util-linux 2.38 (Debian 12).
# Each step has the number that `holm run --explain` gives it. Meant for the same caller in the same directory.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin
here=$PWD
export PATH here
";

/// In which part of the script a step is done.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Before,
    Outside,
    Start,
    Inside,
    Build,
    Last,
}

/// Numbers of the pipes' ends by which processes wait for each other: BESIDE tells `outside`, which answers; the
/// process inside is ready, and is told to go.
#[derive(Clone, Copy)]
struct Pipes {
    tell: i32,
    answer: i32,
    ready: i32,
    go: i32,
}

struct Script<'a> {
    plan: &'a Plan,
    joined: Vec<(Namespace, &'a Target)>,
    new: NamespaceSet,
    maps: Option<(MapWriter, &'a [IdMap], &'a [IdMap])>,
    /// The program's ids, if they are to be taken, and whether the root is built with them.
    ids: Option<(u32, u32, bool)>,
    pipes: Pipes,
    used: BTreeSet<i32>,
}

impl<'a> Script<'a> {
    fn new(plan: &'a Plan) -> Script<'a> {
        let (mut new, mut joined, mut maps, mut ids, mut pivoted) = (Vec::new(), Vec::new(), None, None, false);
        for step in &plan.steps {
            match &step.act {
                Act::OpenNamespace { namespace, target, .. } => joined.push((*namespace, target)),
                Act::Clone(set) | Act::Fork(set) => new.extend(set.iter()),
                Act::MakeNetwork => new.push(Namespace::Net),
                Act::Limit(Limit::View) => new.push(Namespace::Cgroup),
                Act::WriteMaps { writer, uid, gid } => {
                    maps = Some((*writer, &uid[..], &gid[..]));
                }
                Act::TakeIds { uid, gid } => ids = Some((*uid, *gid, !pivoted && maps.is_some())),
                Act::Pivot => pivoted = true,
                _ => {}
            }
        }
        new.extend(plan.launch.new_time.then_some(Namespace::Time));
        let used = used_descriptors(plan);
        let free: Vec<i32> = (3..10).rev().filter(|number| !used.contains(number)).collect();
        let pipes = match free[..] {
            [go, ready, answer, tell, ..] => Pipes { tell, answer, ready, go },
            _ => Pipes { tell: 6, answer: 7, ready: 8, go: 9 },
        };
        Script { plan, joined, new: new.into_iter().collect(), maps, ids, pipes, used }
    }

    fn part(&self, act: &Act) -> Part {
        let starts = |set: &NamespaceSet| set.contains(Namespace::User) || !self.joined.is_empty();
        match act {
            Act::Limit(Limit::View) => Part::Inside,
            Act::Limit(Limit::Lock) => Part::Build,
            Act::Limit(Limit::Timeout(_)) => Part::Last,
            Act::MakeDirectory(_) | Act::Limit(_) => Part::Before,
            Act::WriteMaps { .. } if self.mapped_outside() => Part::Outside,
            Act::Keep { .. } | Act::MapOwners { .. } => Part::Outside,
            Act::OpenNamespace { .. } | Act::Enter(_) | Act::WriteMaps { .. } => Part::Start,
            Act::Clone(set) if starts(set) => Part::Start,
            Act::Clone(_) | Act::Fork(_) | Act::ForkInit | Act::OffsetTime(_) | Act::Private => Part::Inside,
            Act::EnterUser | Act::MakeNetwork => Part::Inside,
            Act::TakeMappedIds => Part::Start,
            Act::TakeIds { .. } if self.built_with().is_some() => Part::Build,
            Act::LimitNamespaces | Act::Loopback | Act::Hostname(_) | Act::RootTmpfs | Act::RootBind { .. } => {
                Part::Build
            }
            Act::RootOverlay { .. } | Act::Operate { .. } | Act::Seal | Act::Pivot => Part::Build,
            Act::MountProc { .. } | Act::GuardProc { .. } => Part::Build,
            _ => Part::Last,
        }
    }

    fn mapped_outside(&self) -> bool {
        matches!(self.maps, Some((MapWriter::Parent | MapWriter::Helpers, ..)))
    }

    /// The ids with which the root is built, if not the caller's.
    fn built_with(&self) -> Option<(u32, u32)> {
        let (uid, gid, early) = self.ids?;
        (early && self.new.contains(Namespace::Mount)).then_some((uid, gid))
    }

    /// The steps of a part: number and act.
    fn steps(&self, part: Part) -> impl Iterator<Item = (usize, &'a Act)> {
        let numbered = self.plan.steps.iter().enumerate().map(|(place, step)| (place + 1, &step.act));
        numbered.filter(move |(_, act)| self.part(act) == part)
    }

    /// The comment of step `number`, with what differs. One line each: nothing that the caller wrote is raw in it.
    fn comment(&self, number: usize, text: &mut Text) {
        let step = &self.plan.steps[number - 1];
        let mut line = format!("# {number}. {}: {}", step.act, step.why);
        if !step.origin.is_empty() {
            line += " (from ";
            let _ = escape(OsStr::new(&step.origin), &mut line);
            line.push(')');
        }
        let indent = if self.part(&step.act) == Part::Outside { "    " } else { "" };
        text.line(&format!("{indent}{line}"));
        for (_, difference) in self.differences(&step.act).iter().filter(|(differs, what)| *differs && !what.is_empty())
        {
            text.line(&format!("{indent}# not the same: {difference}"));
        }
    }

    fn comments(&self, part: Part, text: &mut Text) {
        self.steps(part).for_each(|(number, _)| self.comment(number, text));
    }
}

/// Descriptors of the caller that the plan uses.
fn used_descriptors(plan: &Plan) -> BTreeSet<i32> {
    let mut used: BTreeSet<i32> = plan.launch.descriptors.iter().copied().collect();
    for wish in &plan.launch.stdio {
        used.extend(if let Stdio::Descriptor(n) = wish { Some(*n) } else { None });
    }
    for step in &plan.steps {
        used.extend(match &step.act {
            Act::OpenNamespace { target: Target::Descriptor(n), .. } => Some(*n),
            Act::Operate { operation: Operation::Bind { source: Source::Descriptor(n), .. }, .. }
            | Act::Operate { operation: Operation::File { content: Content::Descriptor(n), .. }, .. }
            | Act::Operate { operation: Operation::BindData { content: Content::Descriptor(n), .. }, .. } => Some(*n),
            _ => None,
        });
    }
    used
}

/// The processes.
impl Script<'_> {
    fn with_root(&self, text: &mut Text) {
        self.before(text);
        self.outside(text);
        let Pipes { ready, go, .. } = self.pipes;
        let separate = self.new.contains(Namespace::User) || !self.joined.is_empty();
        let mut beside = Text::default();
        if separate {
            beside.line(&format!("exec {go}<&-"));
        }
        if self.mapped_outside() {
            beside.line(&self.await_maps());
        }
        self.inside(&mut beside);
        self.build(&mut beside);
        beside.line("");
        self.comments(Part::Last, &mut beside);
        beside.line("build &");
        let mut rows = vec![b"inside".to_vec()];
        self.last(Some((ready, go)), &mut rows);
        beside.rows(&rows);
        text.line("");
        self.comments(Part::Start, text);
        if separate {
            let shell = format!("sh -eu /proc/self/fd/{go} {go}").into_bytes();
            text.here(&[b"exec ", &*self.start().join(&b' '), b" ", &*shell].concat(), "BESIDE", &beside);
        } else {
            text.0.extend(beside.0);
        }
    }

    /// One chain of commands: every tool exists until the end.
    fn without_root(&self, text: &mut Text) {
        self.before(text);
        let outside = self.steps(Part::Outside).next().is_some();
        if outside {
            self.outside(text);
        }
        text.line("");
        [Part::Start, Part::Inside, Part::Build, Part::Last].iter().for_each(|part| self.comments(*part, text));
        let mut rows = vec![b"exec".to_vec()];
        rows.extend(self.start());
        if self.mapped_outside() {
            rows.push([b"sh -euc ", &*word(format!("{}; exec \"$@\"", self.await_maps())), b" sh"].concat());
        }
        let forked = |kind: &Namespace| matches!(kind, Namespace::Pid | Namespace::Time);
        let early: NamespaceSet = self.new.iter().filter(|k| !forked(k) && *k != Namespace::User).collect();
        if early != NamespaceSet::default() {
            rows.push(format!("unshare {}--", options(early)).into_bytes());
        }
        for (_, act) in self.steps(Part::Build) {
            match act {
                Act::Hostname(name) => {
                    rows.push([b"sh -euc 'hostname -- \"$1\"; shift; exec \"$@\"' sh ", &*word(name)].concat());
                }
                Act::Loopback => rows.push(b"sh -euc 'ip link set lo up; exec \"$@\"' sh".to_vec()),
                Act::LimitNamespaces => {
                    rows.push(format!("sh -euc '{}; exec \"$@\"' sh", root::LIMIT_NAMESPACES).into_bytes());
                }
                Act::Limit(Limit::Lock) => {
                    rows.push(format!("sh -euc '{}; exec \"$@\"' sh", root::LOCK_GROUPS).into_bytes());
                }
                _ => {}
            }
        }
        let late = options(self.new.iter().filter(forked).collect());
        rows.push(format!("unshare {late}{}--fork --kill-child --", self.offsets()).into_bytes());
        self.last(outside.then_some((self.pipes.tell, self.pipes.answer)), &mut rows);
        text.rows(&rows);
    }

    /// Directories of the caller's, and limits.
    fn before(&self, text: &mut Text) {
        let mut groups = 0;
        for (number, act) in self.steps(Part::Before) {
            if let Act::MakeDirectory(path) = act {
                text.line("");
                self.comment(number, text);
                text.words(&[b"[ -d", &source(path), b"] || mkdir", &source(path)]);
            }
            if let Act::Limit(limit) = act {
                text.line("");
                self.comment(number, text);
                limits::commands(limit, &mut groups, text);
            }
        }
    }

    /// The process with the caller's rights, and the pipes.
    fn outside(&self, text: &mut Text) {
        let Pipes { tell, answer, .. } = self.pipes;
        let pipes = if self.new.contains(Namespace::Mount) { "tell answer ready go" } else { "tell answer" };
        text.line("\n# An empty directory to mount on, and pipes by which processes wait for each other.");
        text.line("room=$(realpath \"$(mktemp -d)\")\nexport room\nchmod 711 \"$room\"");
        text.line(&format!("(cd \"$room\" && mkfifo -m 600 {pipes})"));
        text.line(&format!("clean() {{\n    (cd \"$room\" && rm {pipes})\n    rmdir \"$room\"\n}}"));
        text.line("\n# What is left to a process outside. This one, number $$, becomes all the others in turn.");
        text.line("outside() {\n    trap clean EXIT");
        for (number, act) in self.steps(Part::Outside) {
            if let Act::WriteMaps { writer, uid, gid } = act {
                text.line("    read -r there");
                self.comment(number, text);
                text.line(&map_command(*writer, "uid", uid));
                text.line(&map_command(*writer, "gid", gid));
                text.line("    echo mapped");
            }
        }
        text.line("    read -r built");
        for (number, act) in self.steps(Part::Outside) {
            if let Act::Keep { namespace, path } = act {
                self.comment(number, text);
                let path = source(path);
                text.words(&[b"    [ -e", &path, b"] || (umask 333; : >", &path, b")"]);
                text.words(&[b"    [ \"$(stat -f -c %T --", &path, b")\" != nsfs ] # or one is kept there already"]);
                text.words(&[b"    mount --bind", format!("/proc/$$/ns/{}", file(*namespace)).as_bytes(), &path]);
            }
        }
        text.line("    clean\n    trap - EXIT\n    echo go\n}");
        text.line("outside <\"$room/tell\" >\"$room/answer\" &");
        text.line(&format!("exec {tell}>\"$room/tell\" {answer}<\"$room/answer\""));
    }

    fn await_maps(&self) -> String {
        format!("echo there >&{}; read -r mapped <&{} || exit 125", self.pipes.tell, self.pipes.answer)
    }

    /// The commands that enter what is joined, and make the user namespace.
    fn start(&self) -> Vec<Vec<u8>> {
        let mut rows = Vec::new();
        if !self.joined.is_empty() {
            let mut row = b"nsenter".to_vec();
            for (namespace, target) in &self.joined {
                row.extend(format!(" --{}=", namespace.long_name()).into_bytes());
                row.extend(match target {
                    Target::Path(path) => source(path),
                    Target::Process(pid) => format!("/proc/{pid}/ns/{namespace}").into_bytes(),
                    Target::Descriptor(number) | Target::Opened { descriptor: number, .. } => {
                        format!("/proc/self/fd/{number}").into_bytes()
                    }
                });
                row.extend_from_slice(match namespace {
                    Namespace::User => b" --preserve-credentials",
                    Namespace::Pid => b" --no-fork",
                    _ => b"",
                });
            }
            row.extend(b" --");
            rows.push(row);
        }
        // Without --keep-caps each exec by a user other than 0 would lose them (capabilities(7)).
        match self.maps {
            Some((MapWriter::Child, [user], [group])) => {
                let (uid, gid) = (user.inside, group.inside);
                rows.push(format!("unshare --user --map-user={uid} --map-group={gid} --keep-caps --").into_bytes());
            }
            Some(_) => rows.push(b"unshare --user --keep-caps --".to_vec()),
            None => {}
        }
        rows
    }

    /// Options of unshare(1) for clocks.
    fn offsets(&self) -> String {
        let set = self.plan.steps.iter().find_map(|s| if let Act::OffsetTime(by) = s.act { Some(by) } else { None });
        set.map_or(String::new(), |TimeOffsets { boot, monotonic }| {
            let seconds = |nanoseconds: i64| nanoseconds.div_euclid(1_000_000_000);
            format!("--boottime={} --monotonic={} ", seconds(boot), seconds(monotonic))
        })
    }

    /// The function that starts the process inside.
    fn inside(&self, text: &mut Text) {
        let Pipes { tell, answer, ready, go } = self.pipes;
        text.line("");
        self.comments(Part::Inside, text);
        let options = options(self.new.without(Namespace::User)) + &self.offsets();
        text.line(&format!("inside() {{\n    exec unshare {options}--fork --kill-child -- \"$@\" \\"));
        text.line(&format!("        {tell}>&- {answer}<&- {ready}>\"$room/ready\" {go}<\"$room/go\"\n}}"));
    }

    /// The function that builds the root from beside.
    fn build(&self, text: &mut Text) {
        let Pipes { tell, answer, ready, go } = self.pipes;
        text.line(
            "\n# The process inside has its rights taken already and waits; from beside, the root is made for it.",
        );
        text.line(&format!(
            "build() {{\n    exec {ready}<\"$room/ready\" {go}>\"$room/go\"\n    read -r ready <&{ready}"
        ));
        text.line("    pids=/proc/$$/ns/pid_for_children\n    export pids");
        let unentered = |kind: &Namespace| matches!(kind, Namespace::User | Namespace::Pid | Namespace::Time);
        let entered = options(self.new.iter().filter(|kind| !unentered(kind)).collect());
        let mounter = self.mounter();
        text.here(format!("    nsenter --target $$ {entered}-- {mounter}sh -euC ").as_bytes(), "BUILD", &self.root());
        text.line(
            "    # Whoever enters now stands on the old root, which lies on top. The process inside keeps the new one.",
        );
        text.line(&format!("    nsenter --target $$ --mount -- {mounter}umount --lazy /"));
        text.line(&format!("    echo built >&{tell}; read -r go <&{answer}\n    echo go >&{go}\n}}"));
    }

    /// What stands before a shell that mounts. mount(8) refuses a user other than 0 who could become user 0.
    fn mounter(&self) -> String {
        let mut before = String::new();
        if let Some((uid, gid)) = self.built_with() {
            before += &format!("setpriv --reuid={uid} --regid={gid} --keep-groups -- ");
        }
        let single = matches!(self.maps, Some((_, [IdMap { count: 1, .. }], _)));
        if self.mapped_outside() && !single {
            before += "setpriv --inh-caps=-setuid --ambient-caps=-setuid -- ";
        }
        before
    }

    /// What is done in the new mount namespace.
    fn root(&self) -> Text {
        let mut build = Build { script: self, number: 0, text: Text::default(), tools: BTreeSet::new() };
        for (number, act) in self.steps(Part::Build) {
            build.number = number;
            build.text.line("");
            self.comment(number, &mut build.text);
            build.act(act);
        }
        let mut text = Text::default();
        for block in TOOLS.split("\n\n").chain([&*root::guard()]) {
            let name = block.lines().find_map(|line| line.strip_suffix("() {"));
            if name.is_some_and(|name| build.tools.contains(name)) {
                text.line(&format!("{}\n", block.trim_end()));
            }
        }
        text.line("# A place to work in, seen here only; it goes away with the old root.");
        text.line("mount -t tmpfs -o mode=755 tmpfs \"$room\"");
        text.line("new=$room/root\nmkdir \"$new\" \"$room/directory\"\n: >\"$room/file\"");
        let by_parent = |act: &Act| match act {
            Act::Operate { operation: Operation::Bind { .. }, opener } | Act::RootBind { opener, .. } => {
                *opener != Opener::Child
            }
            _ => false,
        };
        if self.steps(Part::Build).any(|(_, act)| by_parent(act)) {
            text.line(
                "# not the same: what is bound is opened with the rights of the ids inside; holm opens it outside.",
            );
        }
        text.0.extend(build.text.0);
        text
    }
}

fn options(kinds: NamespaceSet) -> String {
    kinds.iter().map(|kind| format!("--{} ", kind.long_name())).collect()
}

/// The file of /proc/PID/ns that is the new namespace; some are entered only by a process forked later.
fn file(kind: Namespace) -> &'static str {
    match kind {
        Namespace::Pid => "pid_for_children",
        Namespace::Time => "time_for_children",
        other => other.name(),
    }
}

fn map_command(writer: MapWriter, kind: &str, maps: &[IdMap]) -> String {
    let lines: Vec<String> = maps.iter().map(|m| format!("{} {} {}", m.inside, m.outside, m.count)).collect();
    match writer {
        MapWriter::Helpers => format!("    new{kind}map $$ {}", lines.join(" ")),
        _ => format!("    printf '{}\\n' >/proc/$$/{kind}_map", lines.join("\\n")),
    }
}
