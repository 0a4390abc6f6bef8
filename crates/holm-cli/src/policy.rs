//! The options that loosen or tighten what the program may ask of the kernel.

use crate::fill::Fill;
use crate::values::{Parsed, origin, text};
use holm::model::capability::Capability;
use holm::model::seccomp::Filter;
use holm::spec::origins::Wish;
use holm::spec::policy::{Calls, Nesting, NewPrivileges, ProcView, SysView};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// These options as typed.
#[derive(Default)]
pub(crate) struct Typed {
    pub(crate) cap_add: Vec<String>,
    pub(crate) seccomp: Option<OsString>,
    pub(crate) allow_userns: bool,
    pub(crate) new_privs: bool,
    pub(crate) proc: Option<String>,
    pub(crate) sys: Option<String>,
}

/// The words that `--proc` takes instead of a place.
pub(crate) const PROC_VIEWS: [&str; 3] = ["guarded", "pids", "full"];

/// Adds them to the wish: what is there already counts less.
pub(crate) fn take(fill: &mut Fill, place: &str, typed: &Typed) {
    for names in typed.cap_add.iter().flat_map(|list| list.split(',')) {
        let found = fill.check(&origin(place, "cap-add", names.as_ref()), capabilities(names));
        fill.spec.policy.capabilities.extend(found.unwrap_or_default());
        fill.spec.origins.add(Wish::Capabilities, &format!("{place}cap-add"));
    }
    fill.spec.policy.capabilities.sort_unstable();
    fill.spec.policy.capabilities.dedup();
    if let Some(calls) = fill.read((place, "seccomp"), Wish::Calls, typed.seccomp.clone(), calls) {
        fill.spec.policy.calls = calls;
    }
    if typed.allow_userns {
        fill.spec.policy.nesting = Nesting::Allowed;
        fill.spec.origins.set(Wish::Nesting, format!("{place}allow-userns"));
    }
    if typed.new_privs {
        fill.spec.policy.new_privileges = NewPrivileges::Allowed;
        fill.spec.origins.set(Wish::NewPrivileges, format!("{place}new-privs"));
    }
    let value = |value: &Option<String>| value.clone().map(OsString::from);
    if let Some(view) = fill.read((place, "proc"), Wish::Proc, value(&typed.proc), text(proc_view)) {
        fill.spec.policy.proc = view;
    }
    if let Some(view) = fill.read((place, "sys"), Wish::Sys, value(&typed.sys), text(sys_view)) {
        fill.spec.policy.sys = view;
    }
}

fn proc_view(text: &str) -> Parsed<ProcView> {
    Ok(match text {
        "guarded" => ProcView::Guarded,
        "pids" => ProcView::Processes,
        "full" => ProcView::Full,
        _ => return Err("it is guarded, pids, full or an absolute path".to_owned()),
    })
}

fn sys_view(text: &str) -> Parsed<SysView> {
    Ok(match text {
        "none" => SysView::None,
        "ro" => SysView::ReadOnly,
        _ => return Err("it is none or ro".to_owned()),
    })
}

fn capabilities(text: &str) -> Parsed<Vec<Capability>> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Capability::all().collect());
    }
    let found = Capability::parse(text).map(|one| vec![one]);
    found.ok_or_else(|| format!("unknown capability {text:?}; see capabilities(7)"))
}

fn calls(value: &OsStr) -> Parsed<Calls> {
    Ok(match value.to_str() {
        Some("default") => Calls::Default,
        Some("strict") => Calls::Strict,
        Some("none") => Calls::All,
        _ => Calls::Filter(read_filter(Path::new(value))?),
    })
}

/// The filter in a file.
fn read_filter(path: &Path) -> Parsed<Filter> {
    let bytes = crate::content::read(path).map_err(|cause| format!("cannot read {}: {cause}", path.display()))?;
    let text = String::from_utf8(bytes).map_err(|_| format!("{}: it is not UTF-8", path.display()))?;
    holm_oci::seccomp::parse(&text).map_err(|cause| format!("{}: {cause}", path.display()))
}
