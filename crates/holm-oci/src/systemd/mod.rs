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
use crate::lower::AllowList;
use crate::{Error, Result, shown};
use bus::{Bus, Refused, Whose};
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
    place: Place,
    /// Its control group, from the top of a hierarchy.
    pub(crate) group: PathBuf,
    properties: Vec<Property>,
}

fn failed(what: impl std::fmt::Display, cause: impl std::fmt::Display) -> Error {
    Error::Failed(format!("cannot {what}: {cause}"))
}

fn open() -> Result<Bus> {
    let cause =
        "systemd is not running here, or not for this user; without --systemd-cgroup holm makes control groups itself";
    Bus::open(Whose::here()).map_err(|failure| failed("use systemd for control groups", format!("{failure} ({cause})")))
}

impl Wish {
    /// The scope that a configuration asks for.
    ///
    /// # Errors
    /// systemd doesn't run, or the configuration asks for what it can't do.
    pub(crate) fn new(bundle: &Bundle, id: &str, devices: Option<&AllowList>) -> Result<Wish> {
        let linux = bundle.config.linux().as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path().clone()).unwrap_or_default();
        let refused = |cause: String| {
            Error::refused(
                format!("cannot use control group {}: {cause}", shown(&path)),
                "config.json: linux.cgroupsPath",
            )
        };
        let place = Place::of(&path, id, Whose::here()).map_err(refused)?;
        let below = place.directory().unwrap_or_default();
        let limits = linux.and_then(|linux| linux.resources().clone()).unwrap_or_default();
        let limits = properties::resources(&limits).map_err(|cause| failed("limit the container", cause))?;
        let annotations = bundle.config.annotations().clone().unwrap_or_default();
        let annotated =
            properties::annotated(&annotations).map_err(|cause| Error::refused(cause, "config.json: annotations"))?;
        let mut all: Vec<Property> = vec![
            ("Description".to_owned(), format!("container {id}").into()),
            ("Slice".to_owned(), place.slice.clone().into()),
            ("Delegate".to_owned(), true.into()),
            ("DefaultDependencies".to_owned(), false.into()),
        ];
        all.extend(["CPU", "Memory", "IO", "Tasks"].map(|name| (format!("{name}Accounting"), true.into())));
        all.extend(devices.map(properties::devices).unwrap_or_default());
        all.extend(limits);
        // The last one of a name counts.
        all.extend(annotated);
        let mut bus = open()?;
        let base = bus.base().map_err(|refused| failed("use systemd for control groups", refused))?;
        let base = base.strip_prefix("/").map(Path::to_owned).unwrap_or(base);
        Ok(Wish { bus, place, group: Path::new("/").join(base).join(below), properties: all })
    }

    /// The unit's name.
    pub(crate) fn unit(&self) -> &str {
        &self.place.unit
    }

    /// Has systemd make it.
    ///
    /// # Errors
    /// systemd refuses, or there is such a unit.
    pub(crate) fn start(mut self) -> Result<Scope> {
        let failed_to = |cause: String| failed(format!("make unit {}", self.place.unit), cause);
        let keeper = Keeper::new().map_err(|error| failed_to(holm::model::text::cause(&error)))?;
        let pids = vec![keeper.id().unsigned_abs()];
        self.properties.push(("PIDs".to_owned(), pids.into()));
        let nothing: Vec<(&str, Vec<(&str, Variant<'_>)>)> = Vec::new();
        let begin = (&self.place.unit, "fail", &self.properties, nothing);
        let mut begun = self.bus.ask::<(OwnedObjectPath,)>("StartTransientUnit", &begin);
        if begun.as_ref().is_err_and(|refused| refused.is("UnitExists")) {
            // One that has failed is kept until somebody has seen it.
            let _ = self.bus.tell("ResetFailedUnit", &(&self.place.unit,));
            begun = self.bus.ask("StartTransientUnit", &begin);
        }
        let (job,) = begun.map_err(|refused| failed_to(refused.to_string()))?;
        // From here on there is something to be taken back.
        let Wish { bus, place, group, .. } = self;
        let mut scope = Scope { bus, unit: place.unit, keeper: Some(keeper) };
        let failed_to = |cause: String| failed(format!("make unit {}", scope.unit), cause);
        match scope.bus.job(job.as_str()) {
            Ok(result) if result == "done" => {}
            Ok(result) => return Err(failed_to(format!("its job has ended as {result}"))),
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
    let mut parts = text.lines().map(|line| line.splitn(3, ':'));
    parts.any(|mut parts| match (parts.next(), parts.next(), parts.next()) {
        (_, Some("" | "name=systemd"), Some(found)) => Path::new(found) == group,
        _ => false,
    })
}

/// The scope of a container that is being made. Dropping it ends it; [`Scope::keep`] doesn't.
#[derive(Debug)]
pub(crate) struct Scope {
    bus: Bus,
    unit: String,
    keeper: Option<Keeper>,
}

impl Scope {
    /// Leaves it to the processes that are in it by now.
    pub(crate) fn keep(mut self) {
        self.keeper = None;
        self.unit.clear();
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        self.keeper = None;
        if !self.unit.is_empty() {
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
    end(&mut open()?, unit).map_err(|refused| failed(format!("stop unit {unit}"), refused))
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
    open()?.tell("SetUnitProperties", &(unit, true, properties)).map_err(|refused| failed(what(), refused))
}

#[cfg(test)]
mod tests;
