//! The options that loosen or tighten what the program may ask of the kernel.

use crate::seccomp;
use crate::values::Parsed;
use holm::model::capability::Capability;
use holm::spec::policy::{Calls, Nesting, NewPrivileges, Policy, ProcView, SysView};
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

impl Typed {
    /// Puts them into `policy`; what is wrong goes to `fault`, with the name of the option.
    pub(crate) fn fill(&self, policy: &mut Policy, place: &str, mut fault: impl FnMut(String, String)) {
        for text in self.cap_add.iter().flat_map(|list| list.split(',')) {
            match capabilities(text) {
                Ok(found) => policy.capabilities.extend(found),
                Err(cause) => fault(format!("{place}cap-add {text}"), cause),
            }
        }
        policy.capabilities.sort_unstable();
        policy.capabilities.dedup();
        if let Some(value) = &self.seccomp {
            let origin = format!("{place}seccomp {}", value.display());
            match calls(value, &origin) {
                Ok(calls) => policy.calls = calls,
                Err(cause) => fault(origin, cause),
            }
        }
        if self.allow_userns {
            policy.nesting = Nesting::Allowed;
        }
        if self.new_privs {
            policy.new_privileges = NewPrivileges::Allowed;
        }
        match self.proc.as_deref() {
            None => {}
            Some("guarded") => policy.proc = ProcView::Guarded,
            Some("pids") => policy.proc = ProcView::Processes,
            Some("full") => policy.proc = ProcView::Full,
            Some(other) => {
                fault(format!("{place}proc {other}"), "it is guarded, pids, full or an absolute path".into())
            }
        }
        match self.sys.as_deref() {
            None => {}
            Some("none") => policy.sys = SysView::None,
            Some("ro") => policy.sys = SysView::ReadOnly,
            Some(other) => fault(format!("{place}sys {other}"), "it is none or ro".into()),
        }
    }
}

fn capabilities(text: &str) -> Parsed<Vec<Capability>> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Capability::all().collect());
    }
    let found = Capability::parse(text).map(|one| vec![one]);
    found.ok_or_else(|| format!("unknown capability {text:?}; see capabilities(7)"))
}

fn calls(value: &OsStr, origin: &str) -> Parsed<Calls> {
    Ok(match value.to_str() {
        Some("default") => Calls::Default,
        Some("strict") => Calls::Strict,
        Some("none") => Calls::All,
        _ => Calls::Filter(seccomp::read(Path::new(value))?, origin.to_owned()),
    })
}
