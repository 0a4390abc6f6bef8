//! From a configuration to a wish, field by field. Each field of the specification is either lowered here or refused by
//! name in [`refuse`]; `docs/reference/oci.md` lists them all.

mod devices;
mod groups;
mod hooks;
mod linux;
mod mounts;
mod process;
mod refuse;
mod resctrl;
pub mod resources;
mod schedule;

pub(crate) use devices::AllowList;
pub use schedule::personality;

use crate::bundle::Bundle;
use crate::group::Group;
pub use crate::listening::Listening;
use crate::seccomp::Agent;
use crate::{Error, Result, reason};
use holm::Spec;
use holm::host::groups::Hierarchy;
use holm::plan::{Reason, Refusal};
use holm::spec::Unsaid;
use holm::spec::life::Lifetime;
use oci_spec::runtime::{LinuxResources, Process};
use resources::Writes;
use std::collections::HashMap;
use std::path::PathBuf;

/// What a configuration becomes.
#[derive(Debug)]
pub struct Lowered {
    /// The wish.
    pub spec: Spec,
    /// Who answers what its filter asks.
    pub agent: Option<Agent>,
    /// What is done otherwise than asked, where the specification wants a warning.
    pub warnings: Vec<String>,
}

/// What the machine, or who calls, adds to a configuration.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The hierarchies of control groups in which it gets a group.
    pub hierarchies: Vec<Hierarchy>,
    /// The control group that systemd makes for it, from the top of a hierarchy; what the configuration names is systemd's affair.
    pub scope: Option<PathBuf>,
    /// The control group of a configuration that names none: relative to the caller's; none where it can't make one.
    pub group: Option<PathBuf>,
    /// Where resctrl is mounted, and the group of a configuration that names none.
    pub resctrl: Option<(PathBuf, String)>,
    /// Capabilities that can be granted here, as bits.
    pub grantable: u64,
    /// Whether device nodes can be made, and their use be limited: by root in the first user namespace alone.
    pub makes_nodes: bool,
    /// Sockets that are passed on.
    pub listening: Listening,
    /// The directory of the socket at which it says that it is ready, if somebody waits for that.
    pub notified: Option<PathBuf>,
    /// Descriptors that are passed on besides those.
    pub preserved: Vec<i32>,
    /// Whether SELinux is in force: mounts are labelled by an option that no other kernel knows.
    pub selinux: bool,
    /// Whether calls that a filter asks about can wait without being interrupted (Linux 5.19).
    pub waits_killable: bool,
}

/// What is gathered on the way.
struct Lowering<'a> {
    bundle: &'a Bundle,
    around: &'a Surroundings,
    spec: Spec,
    agent: Option<Agent>,
    warnings: Vec<String>,
    reasons: Vec<Reason>,
}

impl Lowering<'_> {
    fn refuse(&mut self, field: &str, message: impl Into<String>) {
        self.reasons.push(reason(message, origin(field)));
    }
}

/// Where a wish comes from.
pub(crate) fn origin(field: &str) -> String {
    format!("config.json: {field}")
}

/// Turns a bundle's configuration into a wish.
///
/// # Errors
/// Every field that can't be done, and every contradiction, at once.
pub fn lower(bundle: &Bundle, around: &Surroundings) -> Result<Lowered> {
    let mut spec = Spec::new("");
    spec.unsaid = Unsaid::Nothing;
    spec.lifetime = Lifetime::Detached;
    let mut lowering =
        Lowering { bundle, around, spec, agent: None, warnings: bundle.warnings.clone(), reasons: Vec::new() };
    lowering.refuse_fields();
    lowering.linux();
    lowering.process();
    bundle.config.process().iter().for_each(|process| drop(lowering.cpus(process)));
    lowering.hooks();
    lowering.control_groups();
    lowering.mounts();
    lowering.done()
}

/// Turns one more process of a container into a wish. `entered` is the wish to enter that, `seccomp` and `annotations` are of its
/// configuration.
///
/// # Errors
/// As [`lower`].
pub fn further(
    process: &Process,
    seccomp: Option<&serde_json::Value>,
    annotations: HashMap<String, String>,
    entered: Spec,
    around: &Surroundings,
) -> Result<Lowered> {
    let mut config = oci_spec::runtime::Spec::default();
    config.set_process(Some(process.clone())).set_linux(None).set_hostname(None).set_mounts(None).set_root(None);
    config.set_annotations(Some(annotations));
    let bundle = Bundle { directory: PathBuf::new(), config, seccomp: seccomp.cloned(), warnings: Vec::new() };
    let spec = Spec { unsaid: Unsaid::Nothing, lifetime: Lifetime::Detached, ..entered };
    let mut lowering =
        Lowering { bundle: &bundle, around, spec, agent: None, warnings: Vec::new(), reasons: Vec::new() };
    lowering.refuse_fields();
    lowering.process();
    lowering.affinity(process);
    lowering.policy();
    lowering.done()
}

/// What is written into a container's groups for other resources, in order: the group by its place, a file, a value. Which devices it
/// may use stays as it is.
///
/// # Errors
/// What can't be limited, or not in these groups.
pub fn limits(
    resources: &LinuxResources,
    groups: &[Group],
    hierarchies: &[Hierarchy],
) -> Result<Vec<(usize, String, String)>> {
    let missing = |group: &Group| {
        let place = crate::shown(&group.directory);
        Error::Failed(format!("cannot use control group {place}: its hierarchy is not mounted here"))
    };
    let of = |group: &Group| group.hierarchy(hierarchies).cloned().ok_or_else(|| missing(group));
    let hierarchies = groups.iter().map(of).collect::<Result<Vec<_>>>()?;
    let mut resources = resources.clone();
    resources.set_devices(None);
    let Writes { files, refused, .. } = resources::writes(&resources, &hierarchies);
    if !refused.is_empty() {
        let reasons = refused.into_iter().map(|(field, message)| reason(message, field)).collect();
        return Err(Error::Start(Refusal { reasons }.into()));
    }
    let of = |(place, files): (usize, Vec<(String, String)>)| {
        files.into_iter().map(move |(name, value)| (place, name, value))
    };
    Ok(files.into_iter().enumerate().flat_map(of).collect())
}

impl Lowering<'_> {
    fn done(self) -> Result<Lowered> {
        let Lowering { spec, agent, warnings, reasons, .. } = self;
        match reasons.is_empty() {
            true => Ok(Lowered { spec, agent, warnings }),
            false => Err(Error::Start(Refusal { reasons }.into())),
        }
    }
}
