//! The unit of a container, by `cgroupsPath` in systemd's form `SLICE:PREFIX:NAME`, and where its control group is. Pure.

use super::bus::Whose;
use std::path::{Path, PathBuf};

/// A scope, and the slice that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) slice: String,
    pub(crate) unit: String,
}

impl Place {
    /// The place of container `id`; of an empty path it is one that holm names.
    ///
    /// # Errors
    /// The path isn't of that form, or its parts are no names of units.
    pub(crate) fn of(path: &Path, id: &str, whose: Whose) -> Result<Place, String> {
        let text = path.to_str().ok_or("it is no text")?;
        let parts: Vec<&str> = text.split(':').collect();
        let (slice, prefix, name) = match parts[..] {
            [""] => ("", "holm", id),
            [slice, prefix, name] => (slice, prefix, name),
            _ => return Err("systemd takes SLICE:PREFIX:NAME, such as system.slice:holm:web".to_owned()),
        };
        let usual = if whose == Whose::System { "system.slice" } else { "user.slice" };
        let slice = if slice.is_empty() { usual } else { slice };
        let unit = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        if name.is_empty() || !is_name(&unit) {
            return Err(format!("{unit:?} is no name of a unit"));
        }
        let place = Place { slice: slice.to_owned(), unit };
        place.directory().map(|_| place).ok_or_else(|| format!("{slice:?} is no name of a slice"))
    }

    /// Its control group, below that of systemd: a slice `a-b.slice` is in `a.slice` (systemd.slice(5)).
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let stem = self.slice.strip_suffix(".slice").filter(|_| is_name(&self.slice))?;
        let mut directory = PathBuf::new();
        if stem != "-" {
            let mut name = String::new();
            for part in stem.split('-') {
                if part.is_empty() {
                    return None;
                }
                name = if name.is_empty() { part.to_owned() } else { format!("{name}-{part}") };
                directory.push(format!("{name}.slice"));
            }
        }
        Some(directory.join(&self.unit))
    }
}

/// What systemd takes for a unit's name (systemd.unit(5)).
fn is_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b":-_.\\+".contains(&b);
    !name.is_empty() && name.len() <= 255 && name.bytes().all(fits) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_below_all_parts_of_its_slice() {
        let directory = |path: &str| Place::of(Path::new(path), "web", Whose::System).map(|place| place.directory());
        let some = |path: &str| Ok(Some(PathBuf::from(path)));
        assert_eq!(directory(""), some("system.slice/holm-web.scope"));
        assert_eq!(directory("machine.slice:libpod:0a1b"), some("machine.slice/libpod-0a1b.scope"));
        let nested = "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podx.slice/cri-containerd-1.scope";
        assert_eq!(directory("kubepods-burstable-podx.slice:cri-containerd:1"), some(nested));
        assert_eq!(directory("-.slice::one"), some("one.scope"));
        assert_eq!(directory(":a:b"), some("system.slice/a-b.scope"));
        let user = Place::of(Path::new(""), "web", Whose::User).map(|place| place.slice);
        assert_eq!(user.as_deref(), Ok("user.slice"));
        for wrong in
            ["/a/b", "a:b", "a.slice:b:", "a:b:c", "a--b.slice:c:d", "../x.slice:a:b", "a.slice:b/c:d", ".slice:a:b"]
        {
            assert!(directory(wrong).is_err(), "{wrong}");
        }
    }
}
