//! What the program was refused, on standard error, each with the option that would allow it; and as a profile.

use crate::report::plain;
use holm::model::denied::{Denied, What};
use std::collections::BTreeSet;

/// How many lines a summary has at most.
const MOST: usize = 20;

/// Prints what was denied in this form: `table` or `json`.
pub(crate) fn print(form: &str, denied: &[Denied]) {
    match form {
        "json" => eprintln!("{}", json(denied)),
        _ => eprint!("{}", table(denied)),
    }
}

/// What would allow it, as on the command line; empty if no option does.
fn option(what: &What) -> String {
    match what {
        What::Absent(path) => format!("--bind {}", path.display()),
        What::ReadOnly(path) if path.symlink_metadata().is_ok() => format!("--bind-rw {}", path.display()),
        // There is nothing that could be bound.
        What::ReadOnly(_) => "--overlay".to_owned(),
        What::Unreachable(_) => "--share net".to_owned(),
        What::Call { name, .. } => match name.as_str() {
            "clone" | "unshare" | "setns" | "mount" | "umount2" | "pivot_root" | "fsopen" | "open_tree"
            | "move_mount" => "--allow-userns".to_owned(),
            "ptrace" | "process_vm_readv" | "process_vm_writev" | "kcmp" | "pidfd_getfd" => {
                "--cap-add sys_ptrace".to_owned()
            }
            "mbind" | "set_mempolicy" | "get_mempolicy" | "move_pages" | "migrate_pages" => {
                "--cap-add sys_nice".to_owned()
            }
            "chroot" => "--cap-add sys_chroot".to_owned(),
            _ => "--seccomp FILE".to_owned(),
        },
    }
}

/// What was asked for, in words.
fn object(what: &What) -> String {
    match what {
        What::Absent(path) => format!("{} is not in the root", path.display()),
        What::ReadOnly(path) => format!("{} is read-only", path.display()),
        What::Unreachable(address) => format!("no network leads to {address}"),
        What::Call { name, arguments, errno } => {
            let [a, b, c, ..] = arguments;
            format!("{name}({a:#x}, {b:#x}, {c:#x}, ...) answered errno {errno}")
        }
    }
}

fn table(denied: &[Denied]) -> String {
    let mut text = format!("holm: {} denied\n", if denied.is_empty() { "nothing was" } else { "this was" });
    for one in denied.iter().take(MOST) {
        let times = if one.count > 1 { format!(", {} times", one.count) } else { String::new() };
        let line = format!("  {}: {}{times}; allowed by {}", one.program, object(&one.what), option(&one.what));
        text += &plain(&line);
        text.push('\n');
    }
    if denied.len() > MOST {
        text += &format!("  and {} more: --log-denied=json lists all\n", denied.len() - MOST);
    }
    text
}

/// One line: `{"version": 1, "denied": [{"kind", "program", "count", "allowed-by", ...}]}`.
fn json(denied: &[Denied]) -> serde_json::Value {
    let one = |one: &Denied| {
        let (kind, more) = match &one.what {
            What::Call { name, arguments, errno } => {
                ("call", serde_json::json!({ "name": name, "arguments": arguments, "errno": errno }))
            }
            What::Absent(path) => ("absent", serde_json::json!({ "path": path.to_string_lossy() })),
            What::ReadOnly(path) => ("read-only", serde_json::json!({ "path": path.to_string_lossy() })),
            What::Unreachable(address) => ("unreachable", serde_json::json!({ "address": address.to_string() })),
        };
        let mut entry = serde_json::json!({
            "kind": kind, "program": one.program, "count": one.count, "allowed-by": option(&one.what),
        });
        if let (Some(entry), serde_json::Value::Object(more)) = (entry.as_object_mut(), more) {
            entry.extend(more);
        }
        entry
    };
    serde_json::json!({ "version": 1, "denied": denied.iter().map(one).collect::<Vec<_>>() })
}

/// A profile that allows what was denied, without what loosens more than files and the network: that stands as a comment.
pub(crate) fn profile(denied: &[Denied]) -> String {
    let (mut binds, mut writes, mut comments) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut network, mut overlay) = (false, false);
    for one in denied {
        match &one.what {
            What::Absent(path) => {
                binds.insert(path.clone());
            }
            What::ReadOnly(path) if path.symlink_metadata().is_ok() => {
                writes.insert(path.clone());
            }
            What::ReadOnly(_) => overlay = true,
            What::Unreachable(_) => network = true,
            What::Call { .. } => {
                comments.insert(format!("# {}: {}; {}", one.program, object(&one.what), option(&one.what)));
            }
        }
    }
    // Below a directory that is bound nothing is absent.
    let below = |path: &std::path::PathBuf| binds.iter().any(|above| path != above && path.starts_with(above));
    let mut text = String::from("# What the program missed in one run. Look at each line before you use it.\n");
    comments.iter().for_each(|comment| text += &format!("{}\n", plain(comment)));
    if overlay {
        text += "overlay = true\n";
    }
    if network {
        text += "share = [\"net\"]\n";
    }
    let mut mounts = Vec::new();
    let mut mount = |name: &str, path: &std::path::Path| match path.to_str() {
        // A ':' in a value parts the source from the place.
        Some(path) => {
            let value = toml::Value::String(path.replace(':', "\\:"));
            mounts.push(format!("  {{ {name} = {value} }},\n"));
        }
        None => text += "# a path that is not UTF-8 was missed: name it on the command line\n",
    };
    binds.iter().filter(|path| !below(path)).for_each(|path| mount("bind", path));
    writes.iter().for_each(|path| mount("bind-rw", path));
    if !mounts.is_empty() {
        text += &format!("mounts = [\n{}]\n", mounts.concat());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(what: What) -> Denied {
        Denied { what, program: "a\x1b[2J".to_owned(), count: 2 }
    }

    #[test]
    fn a_summary_names_what_would_allow_it_and_no_control_character() {
        let text = table(&[denied(What::Absent("/opt/data".into()))]);
        assert!(text.contains("/opt/data is not in the root, 2 times; allowed by --bind /opt/data"), "{text}");
        assert!(!text.contains('\x1b'), "{text}");
        let many: Vec<Denied> = (0..30).map(|n| denied(What::Absent(format!("/{n}").into()))).collect();
        assert!(table(&many).contains("and 10 more"));
        assert_eq!(table(&[]), "holm: nothing was denied\n");
    }

    #[test]
    fn a_learned_profile_is_one() {
        let call = What::Call { name: "bpf".to_owned(), arguments: [0; 6], errno: 1 };
        let all = [
            denied(What::Absent("/opt/a \"b\":c".into())),
            denied(What::Absent("/srv".into())),
            denied(What::Absent("/srv/below".into())),
            denied(What::ReadOnly("/etc/passwd".into())),
            denied(What::ReadOnly("/etc/nothing-of-this-name".into())),
            denied(What::Unreachable(([192, 0, 2, 1], 80).into())),
            denied(call),
        ];
        let text = profile(&all);
        let parsed: crate::profile::Profile = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let mounts: Vec<_> = parsed.mounts.iter().map(|m| (m.name, &*m.value)).collect();
        assert_eq!(mounts, [("bind", "/opt/a \"b\"\\:c"), ("bind", "/srv"), ("bind-rw", "/etc/passwd")]);
        assert!(parsed.overlay.is_some());
        assert_eq!(parsed.share, ["net"]);
        assert!(text.contains("bpf(0x0"));
    }
}
