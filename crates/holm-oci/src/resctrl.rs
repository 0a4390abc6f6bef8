//! A container's group of resctrl (Documentation/filesystems/resctrl.rst): what is noted of it, and what is done with it once it is there.

use crate::group::Origin;
use crate::{Error, Result, shown};
use holm::model::resctrl::{directory, unfit};
use holm::run::resctrl::{self, Group, Written, said};
use holm::spec::limits::{Presence, ResctrlGroup};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
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
    /// The name of the group in it that counts what the container uses, once it was made for that.
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
        let mut lines: Vec<String> = self.of_l3().filter(|line| !line.starts_with("MB:")).map(str::to_owned).collect();
        if let Some(bandwidth) = self.bandwidth.as_deref().filter(|text| !text.is_empty()) {
            match bandwidth.strip_prefix("MB:") {
                None => return Err(("memBwSchema", "it does not begin with MB:")),
                Some(rest) if rest.contains('\n') => return Err(("memBwSchema", "it is more than a line")),
                Some(_) => lines.push(bandwidth.to_owned()),
            }
        }
        Ok(lines)
    }

    /// What is told about lines of bandwidth that no other ones stand for.
    pub(crate) fn ignored(&self) -> Option<&'static str> {
        let is_said = self.bandwidth.as_ref().is_some_and(|text| !text.is_empty());
        let is_lost = !is_said && self.of_l3().any(|line| line.starts_with("MB:"));
        is_lost.then_some("MB lines of l3CacheSchema are ignored: memBwSchema limits memory bandwidth")
    }

    fn of_l3(&self) -> impl Iterator<Item = &str> {
        self.l3.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| !line.is_empty())
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
            monitored: None,
        }
    }

    /// Notes whether it was there before, and which group in it was made, once it was.
    pub(crate) fn note<'a>(&mut self, group: &ResctrlGroup, mut found: impl Iterator<Item = &'a Path>) {
        let directory = self.directory();
        if found.any(|path| path == directory) {
            self.origin = Origin::Found;
        }
        self.monitored = group.monitored.as_ref().map(|(name, _)| name.clone());
    }

    /// The wish that one more process is in it.
    pub(crate) fn further(&self) -> ResctrlGroup {
        ResctrlGroup {
            mounted: self.mounted.clone(),
            name: self.name.clone(),
            presence: Presence::Needed,
            agreed: Vec::new(),
            written: Vec::new(),
            monitored: self.monitored.clone().map(|name| (name, Presence::Needed)),
        }
    }

    fn directory(&self) -> PathBuf {
        directory(&self.mounted, self.name.as_deref())
    }

    /// The group that counts.
    fn counting(&self) -> Option<PathBuf> {
        self.monitored.as_ref().map(|name| self.directory().join("mon_groups").join(name))
    }

    /// Writes lines of its schemata; what is there now can be put back.
    pub(crate) fn set(&self, lines: &[String]) -> Result<Written> {
        let what = format!("set the schemata of resctrl group {}", shown(&self.directory()));
        if self.name.is_none() {
            return Err(Error::Failed(format!("cannot {what}: it is everybody's")));
        }
        let set = Group::open(&self.mounted, self.name.as_deref()).and_then(|group| group.set(lines));
        set.map_err(|errno| self.failed(what, errno))
    }

    /// Has its schemata be what they were.
    pub(crate) fn put_back(&self, written: &Written) {
        // What can't be put back is told by the error that is returned.
        let _ = Group::open(&self.mounted, self.name.as_deref()).and_then(|group| group.put_back(written));
    }

    fn failed(&self, what: String, errno: Errno) -> Error {
        match said(&self.mounted, errno) {
            Some(words) => Error::Failed(format!("cannot {what}: {words}")),
            None => Error::io(what, errno),
        }
    }

    /// Removes what of it was made with a container that has ended. One in which others are by now stays, since they would be in the
    /// default group; that is told.
    pub(crate) fn clear(&self) -> Result<Option<String>> {
        if [&self.name, &self.monitored].into_iter().flatten().any(|name| unfit(name).is_some()) {
            return Err(Error::Failed(format!("cannot remove resctrl group {}: it is none", shown(&self.directory()))));
        }
        let what = |place: &Path| format!("remove resctrl group {}", shown(place));
        if let Some(place) = self.counting() {
            match rustix::fs::rmdir(&place) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(self.failed(what(&place), errno)),
            }
        }
        let Some(name) = self.name.as_ref().filter(|_| self.origin == Origin::Made) else { return Ok(None) };
        let place = self.directory();
        let is_gone = resctrl::remove(&self.mounted, name).map_err(|errno| self.failed(what(&place), errno))?;
        let left = || {
            format!(
                "resctrl group {} stays: others are in it, and nobody removes it after them but rmdir",
                shown(&place)
            )
        };
        Ok((!is_gone).then(left))
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
        let ignored = |l3, bandwidth| schemas(l3, bandwidth).ignored().is_some();
        assert!(ignored("L3:0=f\n MB:0=9", "") && !ignored("L3:0=f\nMB:0=9", "MB:0=20") && !ignored("L3:0=f", ""));
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
        // Another one counts in it.
        fill();
        std::fs::create_dir(group.join("mon_groups/c2")).expect("scratch is ours");
        let made = one(Origin::Made, Some("web"));
        let told = made.clear().expect("it is left").expect("that is told");
        assert!(told.ends_with("web stays: others are in it, and nobody removes it after them but rmdir"), "{told}");
        std::fs::remove_dir_all(group.join("mon_groups")).expect("scratch is ours");
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
