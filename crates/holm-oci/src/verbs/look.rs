//! `state`, `list` and `spec`: what there is, as values that are printed.

use crate::state::{self, Place, Record, Status};
use crate::{Error, Result};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A container as `state` and `list` show it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shown {
    /// The version of the specification.
    pub oci_version: String,
    /// Its name.
    pub id: String,
    /// Its first process; 0 if that has ended.
    pub pid: i32,
    /// What it does.
    pub status: &'static str,
    /// Its bundle's directory.
    pub bundle: PathBuf,
    /// Its root's directory.
    pub rootfs: PathBuf,
    /// When it was made.
    pub created: String,
    /// What its configuration says about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who made it, by the user id.
    #[serde(skip)]
    pub owner: u32,
}

impl Shown {
    pub(super) fn of(record: &Record) -> Shown {
        Shown::at(record, record.status())
    }

    /// As it is, or was, with this status.
    pub(super) fn at(record: &Record, status: Status) -> Shown {
        Shown {
            oci_version: record.oci_version.clone(),
            id: record.id.clone(),
            pid: record.process.filter(|_| status != Status::Stopped).map_or(0, |process| process.pid),
            status: status.name(),
            bundle: record.bundle.clone(),
            rootfs: record.rootfs.clone(),
            created: record.created.clone(),
            annotations: record.annotations.clone(),
            owner: record.owner,
        }
    }
}

/// A container's state.
///
/// # Errors
/// There is no such container, or its record can't be read.
pub fn state(root: &Path, id: &str) -> Result<Shown> {
    match Place::look(root, id)? {
        Some(record) => Ok(Shown::of(&record)),
        None => Err(Error::Failed(format!("cannot read the state of container {id}: it was never made whole"))),
    }
}

/// All containers. One that can't be read is in nobody's way: it is left out, and why is returned beside.
///
/// # Errors
/// The state directory can't be read.
pub fn list(root: &Path) -> Result<(Vec<Shown>, Vec<String>)> {
    let (mut all, mut warnings) = (Vec::new(), Vec::new());
    for name in state::names(root)? {
        match state(root, &name) {
            Ok(one) => all.push(one),
            Err(error) => warnings.push(error.to_string()),
        }
    }
    Ok((all, warnings))
}
