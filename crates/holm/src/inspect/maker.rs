//! Who made a process's namespaces, by its control group, its program, its command line, and that of whoever keeps its container.
//!
//! It is a guess: a process chooses its own arguments, and who may make control groups chooses their names.

use super::machine::{DEEPEST, Machine, Process};
use crate::host::groups;
use crate::sys::init::NAME as INIT;
use std::fmt;

/// Who made it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Maker {
    /// Its kind.
    pub tool: Tool,
    /// Its name for what it made: the start of a container's id, a unit, an application. Empty if there is none.
    pub name: String,
    /// What a person calls the container; it isn't told by a process.
    pub called: Option<String>,
}

/// A program that makes namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Tool {
    Holm,
    Kubernetes,
    Docker,
    Podman,
    Containerd,
    Lxc,
    Nspawn,
    Flatpak,
    Snap,
    Browser,
    Bubblewrap,
    Systemd,
}

impl Tool {
    /// All of them.
    pub const ALL: [Tool; 12] = [
        Tool::Holm,
        Tool::Kubernetes,
        Tool::Docker,
        Tool::Podman,
        Tool::Containerd,
        Tool::Lxc,
        Tool::Nspawn,
        Tool::Flatpak,
        Tool::Snap,
        Tool::Browser,
        Tool::Bubblewrap,
        Tool::Systemd,
    ];

    /// Its name, in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Holm => "holm",
            Tool::Kubernetes => "kubernetes",
            Tool::Docker => "docker",
            Tool::Podman => "podman",
            Tool::Containerd => "containerd",
            Tool::Lxc => "lxc",
            Tool::Nspawn => "nspawn",
            Tool::Flatpak => "flatpak",
            Tool::Snap => "snap",
            Tool::Browser => "browser",
            Tool::Bubblewrap => "bwrap",
            Tool::Systemd => "systemd",
        }
    }
}

impl fmt::Display for Maker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tool.name())?;
        if !self.name.is_empty() {
            write!(f, " {}", self.name)?;
        }
        self.called.as_ref().map_or(Ok(()), |called| write!(f, " ({called})"))
    }
}

/// What tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Clues {
    /// The text of `/proc/PID/cgroup` (cgroups(7)).
    pub groups: String,
    /// The text of the link `/proc/PID/exe`.
    pub program: String,
    /// The arguments, the zeroth included.
    pub arguments: Vec<String>,
    /// Those of its [`keeper`], if it has one.
    pub keeper: Vec<String>,
}

/// The process above one that keeps the container it is in: podman's monitor, containerd's shim. Control groups may have any
/// names, or there may be none for a container.
pub fn keeper<'a>(machine: &'a Machine, process: &Process) -> Option<&'a Process> {
    let above = std::iter::successors(machine.process(process.parent), |one| machine.process(one.parent));
    // What was read at different times may be a circle. The kernel keeps 15 letters of a name.
    above.take(DEEPEST).find(|one| one.name == "conmon" || one.name == "containerd-shim")
}

/// Who made the namespaces of a process; `None` if nothing tells.
pub fn maker(clues: &Clues) -> Option<Maker> {
    // The link to the program of holm's own pid 1.
    if clues.program.strip_prefix("/memfd:").and_then(|rest| rest.strip_suffix(" (deleted)")) == INIT.to_str().ok() {
        return Some(made(Tool::Holm, ""));
    }
    let paths = || groups::lines(&clues.groups).map(|(_, path)| path);
    let container = paths().find_map(container).or_else(|| kept(&clues.keeper));
    container.or_else(|| application(clues)).or_else(|| paths().find_map(service))
}

fn made(tool: Tool, name: &str) -> Maker {
    Maker { tool, name: name.to_owned(), called: None }
}

/// The container that the path of a control group is of.
fn container(path: &str) -> Option<Maker> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let pod = parts.iter().find_map(|part| part.rsplit_once("pod").map(|(_, id)| id).filter(|id| id.len() >= 36));
    if let Some(pod) = pod.filter(|_| parts.iter().any(|part| part.starts_with("kubepods"))) {
        let pod = pod.trim_end_matches(".slice").replace('_', "-");
        return Some(made(Tool::Kubernetes, &pod));
    }
    // The innermost one: containers hold containers.
    parts.iter().enumerate().rev().find_map(|(place, part)| {
        let above = place.checked_sub(1).map(|above| parts[above]);
        unit(part).or_else(|| directory(above?, part))
    })
}

/// The container that a unit of systemd is, by its name.
fn unit(part: &str) -> Option<Maker> {
    let id = |prefix: &str| part.strip_prefix(prefix)?.strip_suffix(".scope");
    let long = |prefix: &str| id(prefix).filter(|id| is_id(id)).map(|id| &id[..12]);
    // cgroupfs, as rootless podman uses it, leaves the suffix out.
    let podman = part.strip_prefix("libpod-").map(|rest| rest.trim_end_matches(".scope")).filter(|id| is_id(id));
    let found = podman.map(|id| made(Tool::Podman, &id[..12]));
    let found = found.or_else(|| long("docker-").map(|id| made(Tool::Docker, id)));
    let found = found.or_else(|| long("nerdctl-").map(|id| made(Tool::Containerd, id)));
    let found = found.or_else(|| long("cri-containerd-").map(|id| made(Tool::Containerd, id)));
    let nspawn = || part.strip_prefix("systemd-nspawn@")?.strip_suffix(".service");
    let found = found.or_else(|| nspawn().or_else(|| id("machine-")).map(|name| made(Tool::Nspawn, name)));
    let found = found.or_else(|| part.strip_prefix("lxc.payload.").map(|name| made(Tool::Lxc, name)));
    let found = found.or_else(|| id("app-flatpak-").map(|rest| made(Tool::Flatpak, before_last(rest, '-'))));
    let snap = || part.strip_prefix("snap.")?.split('.').next();
    found.or_else(|| snap().map(|name| made(Tool::Snap, name)))
}

/// The container that a directory of a program is.
fn directory(above: &str, part: &str) -> Option<Maker> {
    match above {
        "docker" if is_id(part) => Some(made(Tool::Docker, &part[..12])),
        "lxc" => Some(made(Tool::Lxc, part)),
        // The names of containerd's own namespaces.
        "default" | "k8s.io" | "moby" if is_id(part) => Some(made(Tool::Containerd, &part[..12])),
        _ => None,
    }
}

/// The container that a process with these arguments keeps.
fn kept(arguments: &[String]) -> Option<Maker> {
    let program = arguments.first()?.rsplit('/').next()?;
    let value = |names: &[&str]| {
        let at = arguments.iter().position(|argument| names.contains(&argument.as_str()))?;
        arguments.get(at + 1).map(String::as_str)
    };
    let tool = match (program, value(&["-namespace"])) {
        ("conmon", _) => Tool::Podman,
        (shim, Some("moby")) if shim.starts_with("containerd-shim") => Tool::Docker,
        (shim, Some(_)) if shim.starts_with("containerd-shim") => Tool::Containerd,
        _ => return None,
    };
    // containerd itself takes any name for an id.
    let id = value(&["-id", "-c", "--cid"])?;
    Some(made(tool, if is_id(id) { &id[..12] } else { id }))
}

/// Whether it is a container's id: 64 hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn before_last(text: &str, mark: char) -> &str {
    text.rsplit_once(mark).map_or(text, |(before, _)| before)
}

/// What a program tells by its name and its arguments.
fn application(clues: &Clues) -> Option<Maker> {
    let base = |path: &str| path.trim_end_matches(" (deleted)").rsplit('/').next().unwrap_or_default().to_owned();
    let program = base(&clues.program);
    let has = |start: &str| clues.arguments.iter().skip(1).any(|argument| argument.starts_with(start));
    // The processes of Chromium's kind, and of Firefox's, that it isolates.
    let kinds = ["--type=zygote", "--type=renderer", "--type=gpu-process", "--type=utility", "-contentproc"];
    if kinds.into_iter().any(has) {
        return Some(made(Tool::Browser, &program));
    }
    let zeroth = clues.arguments.first().map(|zeroth| base(zeroth)).unwrap_or_default();
    (program == "bwrap" || zeroth == "bwrap").then(|| made(Tool::Bubblewrap, ""))
}

/// The service that the path of a control group ends in: systemd gives services namespaces of their own (systemd.exec(5)).
fn service(path: &str) -> Option<Maker> {
    let last = path.rsplit('/').next()?;
    last.ends_with(".service").then(|| made(Tool::Systemd, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f5e0c9a7b3d21e8f60a9c4b5d7e8f1023456789abcdef0123456789abcdef01";

    fn of_group(path: &str) -> Option<String> {
        let clues = Clues { groups: format!("12:memory:/\n0::{path}\n"), ..Clues::default() };
        maker(&clues).map(|maker| maker.to_string())
    }

    fn of_command(program: &str, arguments: &[&str]) -> Option<String> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let groups = "0::/user.slice/session-2.scope\n".to_owned();
        maker(&Clues { groups, program: program.to_owned(), arguments, ..Clues::default() })
            .map(|maker| maker.to_string())
    }

    #[test]
    fn containers_are_told_by_their_control_groups() {
        for (path, maker) in [
            (format!("/docker/{ID}"), "docker 4f5e0c9a7b3d"),
            (format!("/system.slice/docker-{ID}.scope"), "docker 4f5e0c9a7b3d"),
            (format!("/system.slice/docker-{ID}.scope/init.scope"), "docker 4f5e0c9a7b3d"),
            (format!("/machine.slice/libpod-{ID}.scope/container"), "podman 4f5e0c9a7b3d"),
            (format!("/libpod_parent/libpod-{ID}"), "podman 4f5e0c9a7b3d"),
            (
                format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
                "podman 4f5e0c9a7b3d",
            ),
            (format!("/system.slice/nerdctl-{ID}.scope"), "containerd 4f5e0c9a7b3d"),
            (format!("/default/{ID}"), "containerd 4f5e0c9a7b3d"),
            (
                format!("/kubepods/besteffort/pod0d5f4a3e-1111-2222-3333-444455556666/{ID}"),
                "kubernetes 0d5f4a3e-1111-2222-3333-444455556666",
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/\
                     kubepods-burstable-pod0d5f4a3e_1111_2222_3333_444455556666.slice/cri-containerd-{ID}.scope"
                ),
                "kubernetes 0d5f4a3e-1111-2222-3333-444455556666",
            ),
            ("/lxc.payload.web/system.slice/ssh.service".to_owned(), "lxc web"),
            ("/machine.slice/systemd-nspawn@web.service/payload".to_owned(), "nspawn web"),
            (
                "/user.slice/user-1000.slice/user@1000.service/app.slice/app-flatpak-org.gnome.Maps-4242.scope"
                    .to_owned(),
                "flatpak org.gnome.Maps",
            ),
            ("/user.slice/snap.firefox.firefox.0b1c.scope".to_owned(), "snap firefox"),
            ("/system.slice/systemd-logind.service".to_owned(), "systemd systemd-logind.service"),
        ] {
            assert_eq!(of_group(&path).as_deref(), Some(maker), "{path}");
        }
    }

    #[test]
    fn what_only_looks_like_a_container_is_none() {
        for path in [
            "/",
            "/docker/buildkit",
            "/user.slice/user-1000.slice/session-2.scope",
            "/system.slice/docker-short.scope",
            "/system.slice/libpod-conmon-1.scope",
            "/podpodpod",
        ] {
            assert_eq!(of_group(path), None, "{path}");
        }
        assert_eq!(maker(&Clues::default()), None);
    }

    #[test]
    fn programs_are_told_by_name_and_arguments() {
        assert_eq!(of_command("/memfd:holm-init (deleted)", &["holm-init"]).as_deref(), Some("holm"));
        let chromium = "/usr/lib/chromium/chromium";
        assert_eq!(of_command(chromium, &["chromium", "--type=zygote"]).as_deref(), Some("browser chromium"));
        assert_eq!(of_command(chromium, &["chromium", "https://example.org"]), None);
        assert_eq!(
            of_command("/usr/lib/firefox/firefox", &["firefox", "-contentproc", "2"]).as_deref(),
            Some("browser firefox")
        );
        assert_eq!(of_command("/usr/bin/bwrap", &["bwrap", "--dev", "/dev", "sh"]).as_deref(), Some("bwrap"));
        assert_eq!(of_command("/usr/bin/echo", &["echo", "bwrap"]), None);
    }
    #[test]
    fn a_container_in_any_group_is_told_by_its_keeper() {
        let of = |groups: &str, keeper: &str| {
            let keeper = keeper.replace("ID", ID).split(' ').map(str::to_owned).collect();
            maker(&Clues { groups: groups.to_owned(), keeper, ..Clues::default() }).map(|maker| maker.to_string())
        };
        for (keeper, maker) in [
            ("/usr/bin/conmon --api-version 1 -c ID -u ID -r /usr/bin/crun -n web", "podman 4f5e0c9a7b3d"),
            ("/usr/bin/containerd-shim-runc-v2 -namespace moby -id ID -address /run/x", "docker 4f5e0c9a7b3d"),
            ("/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id ID -address /run/x", "containerd 4f5e0c9a7b3d"),
            ("containerd-shim-runc-v2 -namespace default -id redis -address /run/x", "containerd redis"),
        ] {
            assert_eq!(of("0::/own/group\n", keeper).as_deref(), Some(maker), "{keeper}");
        }
        for keeper in ["conmon -c", "containerd-shim-runc-v2 -id ID", "sh -c ID", ""] {
            assert_eq!(of("0::/own/group\n", keeper), None, "{keeper}");
        }
        assert_eq!(of("0::/lxc/web\n", "conmon -c ID").as_deref(), Some("lxc web"), "the innermost is meant");
    }

    #[test]
    fn a_keeper_is_looked_for_above_and_not_for_ever() {
        let process = |pid: u32, parent: u32, name: &str| Process {
            pid,
            parent,
            name: name.into(),
            uid: 0,
            start: 0,
            ended: false,
            entry: 0,
            namespaces: [None; 8],
        };
        let processes = vec![
            process(1, 0, "init"),
            process(4, 1, "conmon"),
            process(5, 4, "sh"),
            process(6, 5, "sleep"),
            process(8, 9, "one"),
            process(9, 8, "other"),
        ];
        let machine = Machine { processes, ..Machine::default() };
        let of = |pid: u32| keeper(&machine, machine.process(pid).expect("it is there")).map(|keeper| keeper.pid);
        assert_eq!([of(6), of(5), of(4), of(1), of(8)], [Some(4), Some(4), None, None, None]);
    }
}
