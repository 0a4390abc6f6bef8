//! Which process `exec` runs: that of a file, or the container's own with changes. Pure but for the file.

use crate::{Error, Result, shown};
use oci_spec::runtime::{Capabilities, Capability, LinuxCapabilities, Process};
use std::path::{Path, PathBuf};

/// What `exec` runs.
#[derive(Debug, Clone)]
pub enum What {
    /// What this file says, which has the form of `process` in a configuration.
    File(PathBuf),
    /// The container's own process with these changes.
    Changed(Changes),
}

/// What of a process is otherwise.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// The directory to start in.
    pub directory: Option<PathBuf>,
    /// Further variables, `NAME=VALUE`.
    pub variables: Vec<String>,
    /// Its user.
    pub user: Option<u32>,
    /// Its group.
    pub group: Option<u32>,
    /// Further supplementary groups.
    pub groups: Vec<u32>,
    /// Further capabilities, by name.
    pub capabilities: Vec<String>,
    /// Whether it can't gain rights by execve(2), where the container's own could.
    pub no_new_privileges: bool,
    /// Its AppArmor profile.
    pub profile: Option<String>,
    /// Its SELinux label.
    pub label: Option<String>,
}

impl What {
    /// The process, where the container's own is `own`, and what of it is done otherwise than asked.
    ///
    /// # Errors
    /// The file can't be read or is none.
    pub(super) fn process(&self, own: &Process) -> Result<(Process, Vec<String>)> {
        match self {
            What::File(path) => read(path),
            What::Changed(changes) => changes.apply(own.clone()),
        }
    }
}

fn read(path: &Path) -> Result<(Process, Vec<String>)> {
    let failed = |error: std::io::Error| Error::io(format!("read {}", shown(path)), error);
    let text = std::fs::File::open(path).and_then(crate::bundle::bounded).map_err(failed)?;
    let wrong = |error: String| Error::Failed(format!("cannot use {}: {error}", shown(path)));
    let mut said = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
    let warnings = crate::lenient::complete(&mut said);
    Ok((crate::field::read(&said, text.len()).map_err(wrong)?, warnings))
}

impl Changes {
    fn apply(&self, mut process: Process) -> Result<(Process, Vec<String>)> {
        process.set_args(Some(self.arguments.clone())).set_terminal(Some(false));
        if let Some(directory) = &self.directory {
            process.set_cwd(directory.clone());
        }
        let variables = process.env().iter().flatten().chain(&self.variables).cloned().collect();
        process.set_env(Some(variables));
        let mut user = process.user().clone();
        if let Some(uid) = self.user {
            user.set_uid(uid);
        }
        if let Some(gid) = self.group {
            user.set_gid(gid);
        }
        let groups: Vec<u32> = user.additional_gids().iter().flatten().chain(&self.groups).copied().collect();
        user.set_additional_gids(Some(groups));
        process.set_user(user);
        if self.no_new_privileges {
            process.set_no_new_privileges(Some(true));
        }
        if self.profile.is_some() {
            process.set_apparmor_profile(self.profile.clone());
        }
        if self.label.is_some() {
            process.set_selinux_label(self.label.clone());
        }
        let mut warnings = Vec::new();
        if !self.capabilities.is_empty() {
            let mut named = Capabilities::new();
            for name in &self.capabilities {
                match capability(name) {
                    Some(capability) => drop(named.insert(capability)),
                    None => warnings.push(crate::lenient::ignored(format!("{name:?}"))),
                }
            }
            let had = process.capabilities().clone();
            // An empty set of the specification's own crate isn't empty.
            let none = || serde_json::from_str("{}").map_err(|error| Error::Failed(error.to_string()));
            process.set_capabilities(Some(with(had.map_or_else(none, Ok)?, &named)));
        }
        Ok((process, warnings))
    }
}

fn capability(name: &str) -> Option<Capability> {
    let known = holm::model::capability::Capability::parse(name)?;
    serde_json::from_value(serde_json::Value::String(known.to_string())).ok()
}

/// The sets with more in each but the inheritable one; ambient is what is inheritable, too (capabilities(7)).
fn with(mut sets: LinuxCapabilities, more: &Capabilities) -> LinuxCapabilities {
    let joined = |set: &Option<Capabilities>| Some(set.iter().flatten().chain(more).copied().collect());
    let inheritable = sets.inheritable().clone().unwrap_or_default();
    let ambient = sets.ambient().iter().flatten().chain(more.iter().filter(|one| inheritable.contains(one)));
    let ambient = ambient.copied().collect();
    let (bounding, effective, permitted) =
        (joined(sets.bounding()), joined(sets.effective()), joined(sets.permitted()));
    sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted).set_ambient(Some(ambient));
    sets
}
