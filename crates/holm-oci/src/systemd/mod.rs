//! Control groups that systemd makes: a transient scope for each container (`--systemd-cgroup`).
//!
//! A scope begins with a process, so a [`Keeper`] is in it until the container's first one is. Then all goes as with groups that
//! are there before: limits are written to their files, and the scope, which is delegated, is the container's (systemd.scope(5),
//! "Control Group APIs and Delegation").

pub(crate) mod bus;
mod message;
mod place;
mod properties;
mod text;

use crate::bundle::Bundle;
use crate::lower::{AllowList, origin};
use crate::{Error, Result, shown};
use bus::{Bus, Refused, Whose};
use holm::host::groups;
use holm::run::Keeper;
use oci_spec::runtime::LinuxResources;
use place::Place;
use properties::Property;
use std::path::{Path, PathBuf};
use zbus::{OwnedObjectPath, Variant};

/// The scope of a container that is about to be made.
#[derive(Debug)]
pub(crate) struct Wish {
    bus: Bus,
    /// Its unit's name.
    pub(crate) unit: String,
    /// The control group of systemd itself, and the scope's, from the top of a hierarchy.
    base: PathBuf,
    pub(crate) group: PathBuf,
    properties: Vec<Property>,
}

fn failed(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot {what}: {cause}"))
}

fn open(whose: Whose) -> Result<Bus> {
    let cause =
        "systemd is not running here, or not for this user; without --systemd-cgroup holm makes control groups itself";
    Bus::open(whose).map_err(|failure| failed("use systemd for control groups", format!("{failure} ({cause})")))
}

/// What to do where systemd, in the control group `base`, can't move this process: the kernel asks for a right above both.
fn hint(base: &Path) -> String {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    if groups::lines(&own).any(|(_, path)| Path::new(path).starts_with(base)) {
        return String::new();
    }
    let base = shown(base);
    format!(" (hint: this process is not below the user's systemd, {base}; begin with systemd-run --user --scope)")
}

impl Wish {
    /// The scope that a configuration asks for.
    ///
    /// # Errors
    /// systemd doesn't run, or the configuration asks for what it can't do.
    pub(crate) fn new(bundle: &Bundle, id: &str) -> Result<Wish> {
        let whose = Whose::here();
        let linux = bundle.config.linux().as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path().clone()).unwrap_or_default();
        let refused = |cause: String| {
            let message = format!("cannot use control group {}: {cause}", shown(&path));
            Error::refused(message, origin("linux.cgroupsPath"))
        };
        let place = Place::of(&path, id, whose).map_err(refused)?;
        let below = place.directory().unwrap_or_default();
        let resources = linux.and_then(|linux| linux.resources().clone()).unwrap_or_default();
        // No user's systemd can say which devices may be used.
        let listed = resources.devices().as_deref().unwrap_or_default();
        let devices = (whose == Whose::System).then(|| AllowList::of(listed));
        let limits = properties::resources(&resources).map_err(|cause| failed("limit the container", cause))?;
        let annotations = bundle.config.annotations().clone().unwrap_or_default();
        let annotated =
            properties::annotated(&annotations).map_err(|cause| Error::refused(cause, origin("annotations")))?;
        let mut all: Vec<Property> = vec![
            ("Description".to_owned(), format!("container {id}").into()),
            ("Slice".to_owned(), place.slice.into()),
            ("Delegate".to_owned(), true.into()),
            ("DefaultDependencies".to_owned(), false.into()),
        ];
        all.extend(["CPU", "Memory", "IO", "Tasks"].map(|name| (format!("{name}Accounting"), true.into())));
        all.extend(devices.as_ref().map(properties::devices).unwrap_or_default());
        all.extend(limits);
        // The last one of a name counts.
        all.extend(annotated);
        let mut bus = open(whose)?;
        let base = bus.base().map_err(|refused| failed("use systemd for control groups", refused))?;
        let base = Path::new("/").join(base);
        Ok(Wish { bus, unit: place.unit, group: base.join(below), base, properties: all })
    }

    /// Has systemd make it.
    ///
    /// # Errors
    /// systemd refuses, or there is such a unit.
    pub(crate) fn start(mut self) -> Result<Scope> {
        let failed_to = |cause: String| failed(format!("make unit {}", self.unit), cause);
        let keeper = Keeper::new().map_err(|error| failed_to(holm::model::text::cause(&error)))?;
        let pids = vec![keeper.id().unsigned_abs()];
        self.properties.push(("PIDs".to_owned(), pids.into()));
        let nothing: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let begin = (&self.unit, "fail", &self.properties, nothing);
        let mut begun = self.bus.ask::<(OwnedObjectPath,)>("StartTransientUnit", &begin);
        if begun.as_ref().is_err_and(|refused| refused.is("UnitExists")) {
            // One that has failed is kept until somebody has seen it.
            let _ = self.bus.tell("ResetFailedUnit", &(&self.unit,));
            begun = self.bus.ask("StartTransientUnit", &begin);
        }
        let (job,) = begun.map_err(|refused| failed_to(refused.to_string()))?;
        // From here on there is something to be taken back.
        let Wish { bus, unit, group, base, .. } = self;
        let mut scope = Scope { bus, unit, keeper: Some(keeper) };
        let failed_to = |cause: String| failed(format!("make unit {}", scope.unit), cause);
        match scope.bus.job(job.as_str()) {
            Ok(result) if result == "done" => {}
            Ok(result) => return Err(failed_to(format!("its job has ended as {result}{}", hint(&base)))),
            Err(refused) => return Err(failed_to(refused.to_string())),
        }
        if !scope.keeper.as_ref().is_some_and(|keeper| is_in(keeper.id(), &group)) {
            return Err(failed_to(format!("its control group is not {}", shown(&group))));
        }
        Ok(scope)
    }
}

/// Whether a process is in a group of version 2, or of systemd's own hierarchy.
fn is_in(pid: i32, group: &Path) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut own = holm::host::groups::own(&text).into_iter();
    own.any(|(of, found)| (of.is_empty() || of == ["name=systemd"]) && found == group)
}

/// The scope of a container that is being made. Dropping it ends it; [`Scope::keep`] doesn't.
#[derive(Debug)]
pub(crate) struct Scope {
    bus: Bus,
    unit: String,
    /// In it as long as it is to be ended.
    keeper: Option<Keeper>,
}

impl Scope {
    /// Leaves it to the processes that are in it by now.
    pub(crate) fn keep(mut self) {
        self.keeper = None;
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        if self.keeper.take().is_some() {
            // What is wrong is told already.
            let _ = end(&mut self.bus, &self.unit);
        }
    }
}

/// Stops a container's unit once nobody is in it, if it is still there.
///
/// # Errors
/// systemd doesn't run, or refuses.
pub(crate) fn stop(unit: &str) -> Result<()> {
    end(&mut open(Whose::here())?, unit).map_err(|refused| failed(format!("stop unit {unit}"), refused))
}

fn end(bus: &mut Bus, unit: &str) -> std::result::Result<(), Refused> {
    let stopped = match bus.ask::<(OwnedObjectPath,)>("StopUnit", &(unit, "replace")) {
        Ok((job,)) => bus.job(job.as_str()).map(drop),
        Err(refused) if refused.is("NoSuchUnit") => Ok(()),
        Err(refused) => Err(refused),
    };
    // One that hasn't failed needs none.
    let _ = bus.tell("ResetFailedUnit", &(unit,));
    stopped
}

/// Changes the properties of a container's unit; files of its group say the rest.
///
/// # Errors
/// systemd doesn't run, or refuses.
pub(crate) fn update(unit: &str, wished: &LinuxResources) -> Result<()> {
    let what = || format!("update unit {unit}");
    let properties = properties::resources(wished).map_err(|cause| failed(what(), cause))?;
    if properties.is_empty() {
        return Ok(());
    }
    open(Whose::here())?.tell("SetUnitProperties", &(unit, true, properties)).map_err(|refused| failed(what(), refused))
}

#[cfg(test)]
mod tests;
