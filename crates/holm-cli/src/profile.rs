//! Profiles: options in a TOML file. Keys are the names of the options, values are as typed there.

use crate::document::Kind;
use crate::limits::Limits;
use crate::operations;
use crate::report::Fault;
use serde::Deserialize;
use std::path::Path;

/// The options of a profile, as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Profile {
    pub(crate) root: Option<String>,
    pub(crate) with: Vec<String>,
    pub(crate) deb: Vec<String>,
    pub(crate) rw: bool,
    /// `true` for memory, or a directory or name.
    pub(crate) overlay: Option<Overlay>,
    pub(crate) share: Vec<String>,
    pub(crate) join: Vec<String>,
    pub(crate) keep: Vec<String>,
    pub(crate) time_offset: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) userns: Option<String>,
    pub(crate) map: Vec<String>,
    pub(crate) chdir: Option<String>,
    pub(crate) env: Vec<String>,
    pub(crate) env_all: bool,
    pub(crate) arg0: Option<String>,
    pub(crate) pass_fd: Vec<i32>,
    pub(crate) tty: Option<String>,
    pub(crate) wait_all: bool,
    pub(crate) cap_add: Vec<String>,
    pub(crate) seccomp: Option<String>,
    pub(crate) allow_userns: bool,
    pub(crate) new_privs: bool,
    /// The view of every /proc.
    pub(crate) proc: Option<String>,
    pub(crate) sys: Option<String>,
    pub(crate) limits: Limits,
    /// Operations in order: `{ bind = "/opt" }`.
    pub(crate) mounts: Vec<Mount>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected true or a directory")]
pub(crate) enum Overlay {
    Memory(bool),
    Value(String),
}

/// A table with one key, the name of an operation.
pub(crate) struct Mount {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

impl<'de> Deserialize<'de> for Mount {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Mount, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Mount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table with one operation, such as { bind = \"/opt\" }")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Mount, A::Error> {
                use serde::de::Error;
                let Some(key) = map.next_key::<String>()? else { return Err(A::Error::custom("an empty table")) };
                let Some(option) = operations::OPTIONS.iter().find(|o| o.name == key) else {
                    return Err(A::Error::custom(format!("unknown operation `{key}`")));
                };
                let value = map.next_value()?;
                if map.next_key::<String>()?.is_some() {
                    return Err(A::Error::custom("a table with two operations; write two tables"));
                }
                Ok(Mount { name: option.name, value })
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

const KIND: Kind = Kind { option: "--profile", hint: "keys are the names of options: holm run --help" };

/// Reads a profile.
pub(crate) fn read(path: &Path) -> Result<Profile, Fault> {
    KIND.read(path)
}

/// The profile that these bytes of the file at `path` say.
pub(crate) fn parse(bytes: Vec<u8>, path: &Path) -> Result<Profile, Fault> {
    KIND.parse(bytes, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_named_with_its_line_and_column() {
        let directory = std::env::temp_dir().join(format!("holm-profile-{}", std::process::id()));
        std::fs::write(&directory, "root = \"host\"\nmouts = []\n").expect("the temporary directory takes a file");
        let fault = read(&directory).err().expect("it has a typo");
        std::fs::remove_file(&directory).expect("it was just made");
        assert!(fault.message.contains(":2:1: unknown field `mouts`"), "{}", fault.message);
        assert_eq!(fault.hint, "did you mean mounts?");
    }

    #[test]
    fn operations_keep_their_order() {
        let profile: Profile = toml::from_str("mounts = [{ tmpfs = \"/a\" }, { bind = \"/b\" }]").expect("it is right");
        let names: Vec<_> = profile.mounts.iter().map(|m| (m.name, &*m.value)).collect();
        assert_eq!(names, [("tmpfs", "/a"), ("bind", "/b")]);
        assert!(toml::from_str::<Profile>("mounts = [{ bind = \"/b\", tmpfs = \"/c\" }]").is_err());
    }
}
