//! `linux.cgroupsPath` and `linux.resources`: control groups by their places, and what is done in them.

use super::resources::writes;
use super::{Lowering, origin};
use holm::spec::limits::NamedGroup;
use holm::spec::origins::Wish;
use std::path::{Component, Path};

/// Why a path names no group of a container.
fn unfit(path: &Path) -> Option<&'static str> {
    let climbs = path.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_)));
    let names = path.components().any(|part| matches!(part, Component::Normal(_)));
    let systemds = path.to_str().is_some_and(|text| !text.contains('/') && text.split(':').count() == 3);
    match names {
        _ if climbs => Some("it climbs"),
        false => Some("it is everybody's"),
        true => systemds.then_some("it has systemd's form, which --systemd-cgroup takes"),
    }
}

impl Lowering<'_> {
    pub(super) fn control_groups(&mut self) {
        let linux = self.bundle.config.linux().as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path().clone()).filter(|path| !path.as_os_str().is_empty());
        let mut resources = linux.and_then(|linux| linux.resources().clone()).unwrap_or_default();
        let path = self.around.scope.clone().or(path);
        if let Some((path, cause)) = path.as_ref().and_then(|path| Some((path, unfit(path)?))) {
            let message = format!("cannot use control group {}: {cause}", crate::shown(path));
            return self.refuse("linux.cgroupsPath", message);
        }
        // In a user namespace nobody makes devices, and those of the host are used by their owners alone.
        let listed = resources.devices().clone().unwrap_or_default();
        resources.set_devices(Some(listed).filter(|_| self.around.makes_nodes));
        let Some(place) = path.or_else(|| self.around.group.clone()) else {
            if !writes(&resources, &[]).refused.is_empty() {
                self.refuse(
                    "linux.resources",
                    "cannot limit anything: there are no control groups that the caller may make",
                );
            }
            return;
        };
        let writes = writes(&resources, &self.around.hierarchies);
        writes.refused.into_iter().for_each(|(field, message)| self.refuse(&field, message));
        for (one, files) in self.around.hierarchies.iter().zip(writes.files) {
            let directory = match place.strip_prefix("/") {
                Ok(from_root) => one.mounted.join(from_root),
                Err(_) => one.own.join(&place),
            };
            self.spec.limits.groups.push(NamedGroup { directory, version: one.version, files, devices: Vec::new() });
        }
        if let Some((place, rules)) = writes.devices {
            self.spec.limits.groups[place].devices = rules;
        }
        self.spec.origins.set(Wish::NamedGroups, origin("linux.cgroupsPath, linux.resources"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_containers_group_has_a_name_and_does_not_climb() {
        let found = ["/", "//", "/../a", "a/../..", "."].map(|path| unfit(Path::new(path)));
        let (climbs, all) = (Some("it climbs"), Some("it is everybody's"));
        assert_eq!(found, [all, all, climbs, climbs, climbs]);
        assert!(unfit(Path::new("a.slice:b:c")).is_some_and(|cause| cause.contains("--systemd-cgroup")));
        assert_eq!(["/a", "a/b"].map(|path| unfit(Path::new(path))), [None, None]);
    }
}
