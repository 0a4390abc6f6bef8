//! A container's group of resctrl (Documentation/filesystems/resctrl.rst): what is noted of it, and what is done with it once it is there.

use crate::group::Origin;
use crate::{Error, Result, shown};
use holm::model::resctrl::unfit;
use holm::spec::limits::{Presence, ResctrlGroup};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A group of resctrl. Only its place and names are noted, so that what is removed is never elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resctrl {
    /// Where the file system is mounted.
    pub mounted: PathBuf,
    /// The group's name; `None` is the default group.
    pub name: Option<String>,
    /// Whose it is.
    pub origin: Origin,
    /// The name of the group in it that counts what the container uses, which is the container's.
    pub monitored: Option<String>,
}

/// Shares of caches and of memory bandwidth, as lines of `schemata`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Schemas {
    /// Of the cache of level 3; may be several lines.
    pub l3: Option<String>,
    /// Of memory bandwidth.
    pub bandwidth: Option<String>,
}

impl Schemas {
    /// The lines to be written (config-linux.md, "IntelRdt"): those of memory bandwidth that stand with the cache don't count.
    ///
    /// # Errors
    /// The field that is none, and why.
    pub fn lines(&self) -> std::result::Result<Vec<String>, (&'static str, &'static str)> {
        let l3 = self.l3.iter().flat_map(|text| text.lines());
        let mut lines: Vec<String> =
            l3.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("MB:")).map(str::to_owned).collect();
        if let Some(bandwidth) = self.bandwidth.as_deref().filter(|text| !text.is_empty()) {
            match bandwidth.strip_prefix("MB:") {
                None => return Err(("memBwSchema", "it does not begin with MB:")),
                Some(rest) if rest.contains('\n') => return Err(("memBwSchema", "it is more than a line")),
                Some(_) => lines.push(bandwidth.to_owned()),
            }
        }
        Ok(lines)
    }
}

impl Resctrl {
    /// What is noted of one that isn't used yet.
    pub(crate) fn of(group: &ResctrlGroup) -> Resctrl {
        let is_there = group.presence == Presence::Needed || group.directory().exists();
        Resctrl {
            mounted: group.mounted.clone(),
            name: group.name.clone(),
            origin: if is_there { Origin::Found } else { Origin::Made },
            monitored: group.monitored.clone(),
        }
    }

    /// Notes whether it was there before, once that is known.
    pub(crate) fn note<'a>(&mut self, mut found: impl Iterator<Item = &'a Path>) {
        let directory = self.directory();
        if found.any(|path| path == directory) {
            self.origin = Origin::Found;
        }
    }

    fn directory(&self) -> PathBuf {
        self.name.as_ref().map_or_else(|| self.mounted.clone(), |name| self.mounted.join(name))
    }

    /// The group that counts.
    fn counting(&self) -> Option<PathBuf> {
        self.monitored.as_ref().map(|name| self.directory().join("mon_groups").join(name))
    }

    /// The lists of tasks that a further process is put into, open to be written, and where they are.
    pub(crate) fn entrances(&self) -> Result<Vec<(PathBuf, OwnedFd)>> {
        let open = |directory: PathBuf| {
            let file = directory.join("tasks");
            let failed = |errno| Error::io(format!("enter resctrl group {}", shown(&directory)), errno);
            open_to_write(&file).map(|file| (directory.clone(), file)).map_err(failed)
        };
        std::iter::once(self.directory()).chain(self.counting()).map(open).collect()
    }

    /// Writes lines of its schemata, at once: the kernel takes all or none.
    pub(crate) fn write(&self, lines: &[String]) -> Result<()> {
        let directory = self.directory();
        let what = format!("set the schemata of resctrl group {}", shown(&directory));
        if self.name.is_none() {
            return Err(Error::Failed(format!("cannot {what}: it is everybody's")));
        }
        let text = format!("{}\n", lines.join("\n"));
        let written = open_to_write(&directory.join("schemata"))
            .and_then(|file| rustix::io::retry_on_intr(|| rustix::io::write(&file, text.as_bytes())));
        let asked = |errno| !matches!(errno, Errno::NOENT | Errno::ACCESS | Errno::ROFS);
        written.map(drop).map_err(|errno| match self.said().filter(|_| asked(errno)) {
            Some(words) => Error::Failed(format!("cannot {what}: {words}")),
            None => Error::io(what, errno),
        })
    }

    /// What the kernel says about what it has refused.
    fn said(&self) -> Option<String> {
        let text = text(&self.mounted.join("info/last_cmd_status"))?;
        let words = text.lines().next()?.escape_debug().to_string();
        (!words.is_empty() && words != "ok").then_some(words)
    }

    /// Removes what of it was made with a container that has ended. One in which others are by now stays, since they would be in the
    /// default group; that is told.
    pub(crate) fn clear(&self) -> Result<Option<String>> {
        if [&self.name, &self.monitored].into_iter().flatten().any(|name| unfit(name).is_some()) {
            return Err(Error::Failed(format!("cannot remove resctrl group {}: it is none", shown(&self.directory()))));
        }
        self.counting().map_or(Ok(()), |path| remove(&path))?;
        if self.origin == Origin::Found || self.name.is_none() {
            return Ok(None);
        }
        let directory = self.directory();
        let groups = std::fs::read_dir(directory.join("mon_groups")).into_iter().flatten().flatten();
        let below = groups.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).count();
        let tasks = text(&directory.join("tasks")).unwrap_or_default();
        if below > 0 || tasks.lines().any(|pid| !has_ended(pid)) {
            return Ok(Some(format!("resctrl group {} stays: others are in it", shown(&directory))));
        }
        remove(&directory).map(|()| None)
    }

    /// What it shares out and has counted, in the shape that engines know from runc.
    pub(crate) fn stats(&self) -> Value {
        let (group, info) = (self.directory(), self.mounted.join("info"));
        let line = |directory: &Path, resource: &str| {
            let text = text(&directory.join("schemata"))?;
            text.lines().map(str::trim).find(|line| line.starts_with(resource)).map(str::to_owned)
        };
        let number = |path: PathBuf| text(&path)?.trim().parse::<u64>().ok();
        let numbers = |resource: &str, names: &[&str]| {
            let of = |name: &&str| Some(((*name).to_owned(), json!(number(info.join(resource).join(name))?)));
            names.iter().filter_map(of).collect::<Map<_, _>>()
        };
        let mut all = Map::new();
        let mut add = |name: &str, value: Option<Value>| all.extend(value.map(|value| (name.to_owned(), value)));
        if let Some(mask) = text(&info.join("L3/cbm_mask")) {
            let mut about = numbers("L3", &["min_cbm_bits", "num_closids"]);
            about.insert("cbm_mask".to_owned(), json!(mask.trim()));
            add("l3_cache_info", Some(about.into()));
        }
        let about = numbers("MB", &["bandwidth_gran", "delay_linear", "min_bandwidth", "num_closids"]);
        add("mem_bw_info", (!about.is_empty()).then(|| about.into()));
        for (name, resource) in [("l3_cache_schema", "L3"), ("mem_bw_schema", "MB")] {
            add(&format!("{name}_root"), line(&self.mounted, resource).map(Value::from));
            add(name, line(&group, resource).map(Value::from));
        }
        let counted = |names: &[&str]| {
            let of = |place: &PathBuf| {
                let of = |name: &&str| Some(((*name).to_owned(), json!(number(place.join(name))?)));
                let values: Map<String, Value> = names.iter().filter_map(of).collect();
                (!values.is_empty()).then(|| Value::from(values))
            };
            let all: Vec<Value> =
                domains(&self.counting().unwrap_or_else(|| group.clone())).iter().filter_map(of).collect();
            (!all.is_empty()).then(|| Value::from(all))
        };
        add("mbm_stats", counted(&["mbm_total_bytes", "mbm_local_bytes"]));
        add("cmt_stats", counted(&["llc_occupancy"]));
        all.into()
    }
}

/// The directories of a group's counters of the cache of level 3, one for each cache, in their order.
fn domains(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group.join("mon_data")).into_iter().flatten().flatten();
    let is_one = |entry: &std::fs::DirEntry| entry.file_name().as_encoded_bytes().starts_with(b"mon_L3_");
    let mut all: Vec<PathBuf> = entries.filter(is_one).map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// Whoever has ended and waits for its parent is still counted.
fn has_ended(pid: &str) -> bool {
    let Some(stat) = text(&Path::new("/proc").join(pid).join("stat")) else { return true };
    stat.rsplit_once(") ").is_some_and(|(_, after)| after.starts_with(['Z', 'X']))
}

fn open_to_write(path: &Path) -> rustix::io::Result<OwnedFd> {
    open(path, OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())
}

fn remove(directory: &Path) -> Result<()> {
    match rustix::fs::rmdir(directory) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::io(format!("remove resctrl group {}", shown(directory)), errno)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas(l3: &str, bandwidth: &str) -> Schemas {
        Schemas { l3: Some(l3.to_owned()), bandwidth: Some(bandwidth.to_owned()) }
    }

    #[test]
    fn lines_of_bandwidth_are_those_of_its_own_field() {
        let lines = |l3, bandwidth| schemas(l3, bandwidth).lines().map_err(|(field, _)| field);
        assert_eq!(
            lines("L3:0=f\nMB:0=9\nL3CODE:0=1\n", "MB:0=20"),
            Ok(["L3:0=f", "L3CODE:0=1", "MB:0=20"].map(str::to_owned).into())
        );
        assert_eq!(lines("MB:0=9", ""), Ok(Vec::new()));
        for wrong in ["L3:0=f", "MB:0=9\nL3:0=f", " MB:0=9"] {
            assert_eq!(lines("", wrong), Err("memBwSchema"));
        }
    }

    #[test]
    fn a_group_goes_with_the_container_that_made_it_unless_others_are_in_it() {
        let top = testkit::Scratch::new("resctrl-clear");
        let group = top.join("web");
        let one = |origin, name: Option<&str>| Resctrl {
            mounted: top.join("."),
            name: name.map(str::to_owned),
            origin,
            monitored: Some("c1".to_owned()),
        };
        let fill = || std::fs::create_dir_all(group.join("mon_groups/c1")).expect("scratch is ours");
        fill();
        assert_eq!(one(Origin::Found, Some("web")).clear().expect("it is removed"), None);
        assert!(group.join("mon_groups").exists() && !group.join("mon_groups/c1").exists());
        // Another one counts in it, then another process is in it.
        fill();
        std::fs::create_dir(group.join("mon_groups/c2")).expect("scratch is ours");
        let made = one(Origin::Made, Some("web"));
        assert!(made.clear().expect("it is left").is_some_and(|told| told.ends_with("stays: others are in it")));
        std::fs::remove_dir_all(group.join("mon_groups")).expect("scratch is ours");
        std::fs::write(group.join("tasks"), format!("{}\n", std::process::id())).expect("scratch is ours");
        assert!(made.clear().expect("it is left").is_some());
        std::fs::remove_file(group.join("tasks")).expect("it is there");
        assert_eq!(made.clear().expect("it is removed"), None);
        assert!(!group.exists());
        assert_eq!(made.clear().expect("it is gone already"), None);
        for name in ["..", "a/b", "info"] {
            assert!(one(Origin::Made, Some(name)).clear().is_err());
        }
        one(Origin::Made, None).clear().expect("nothing is done");
        assert!(top.join(".").exists());
    }

    #[test]
    fn what_is_shared_out_and_counted_is_told_as_runc_does() {
        let top = testkit::Scratch::new("resctrl-stats");
        let write = |path: &str, text: &str| {
            let path = top.join(path);
            std::fs::create_dir_all(path.parent().expect("it has one")).expect("scratch is ours");
            std::fs::write(path, text).expect("scratch is ours");
        };
        write("info/L3/cbm_mask", "7ff\n");
        write("info/L3/num_closids", "16\n");
        write("info/MB/min_bandwidth", "10\n");
        write("schemata", "    MB:0= 100\n    L3:0=7ff\n");
        write("web/schemata", "    MB:0=  20\n    L3:0=00f\n");
        for (place, used) in [("mon_L3_01", 7), ("mon_L3_00", 5)] {
            write(&format!("web/mon_groups/c1/mon_data/{place}/llc_occupancy"), &format!("{used}\n"));
            write(&format!("web/mon_groups/c1/mon_data/{place}/mbm_total_bytes"), "Unavailable\n");
        }
        let (name, monitored) = (Some("web".to_owned()), Some("c1".to_owned()));
        let group = Resctrl { mounted: top.join("."), name, origin: Origin::Found, monitored };
        let expected = json!({
            "l3_cache_info": { "cbm_mask": "7ff", "num_closids": 16 },
            "mem_bw_info": { "min_bandwidth": 10 },
            "l3_cache_schema_root": "L3:0=7ff",
            "l3_cache_schema": "L3:0=00f",
            "mem_bw_schema_root": "MB:0= 100",
            "mem_bw_schema": "MB:0=  20",
            "cmt_stats": [{ "llc_occupancy": 5 }, { "llc_occupancy": 7 }],
        });
        assert_eq!(group.stats(), expected);
    }
}
