//! A directory for the programs that are measured; it goes away with its value.
//!
//! Another user must be able to run what is in it, so it is open to all, whatever the umask and wherever holm was
//! built: holm is copied here for that.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The C programs: name, source, and what the compiler is told besides.
const PROGRAMS: &[(&str, &str, &[&str])] = &[
    ("calls", include_str!("../calls.c"), &[]),
    ("crowd", include_str!("../crowd.c"), &[]),
    ("floor", include_str!("../floor.c"), &[]),
    ("meter", include_str!("../meter.c"), &[]),
    ("true", include_str!("../true.c"), &["-nostdlib"]),
];

pub(crate) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(crate) fn create() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("holm-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
        let scratch = Self { path };
        open_to_all(&scratch.path)?;
        Ok(scratch)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn compile_programs(&self) -> Result<(), String> {
        for (name, source, flags) in PROGRAMS {
            let input = self.path.join(name).with_extension("c");
            fs::write(&input, source).map_err(|error| format!("cannot write {}: {error}", input.display()))?;
            let output = self.path.join(name);
            let compiler = Command::new("cc")
                .args(["-O2", "-static"])
                .args(*flags)
                .arg("-o")
                .args([&output, &input])
                .output()
                .map_err(|error| format!("cannot run cc: {error}"))?;
            if !compiler.status.success() {
                let said = String::from_utf8_lossy(&compiler.stderr);
                return Err(format!("cannot compile {name}.c: {}", said.trim_end()));
            }
            open_to_all(&output)?;
        }
        Ok(())
    }

    /// Copies holm here, or returns why there is none.
    ///
    /// # Errors
    /// The holm that was named isn't there, or can't be copied.
    pub(crate) fn copy_holm(&self, named: Option<&Path>) -> Result<Option<String>, String> {
        let source = match named {
            Some(path) => path.to_owned(),
            None => std::env::current_exe()
                .map_err(|error| format!("cannot find this program: {error}"))?
                .with_file_name("holm"),
        };
        if named.is_none() && !source.exists() {
            let hint = "build it with cargo build --release, or name one with --holm";
            return Ok(Some(format!("no {}: {hint}", source.display())));
        }
        let copy = self.path.join("holm");
        fs::copy(&source, &copy).map_err(|error| format!("cannot copy {}: {error}", source.display()))?;
        open_to_all(&copy)?;
        Ok(None)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("holm-bench: cannot remove {}: {error}", self.path.display());
        }
    }
}

fn open_to_all(path: &Path) -> Result<(), String> {
    fs::set_permissions(path, Permissions::from_mode(0o755))
        .map_err(|error| format!("cannot change the mode of {}: {error}", path.display()))
}
