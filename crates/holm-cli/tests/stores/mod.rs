//! Stores of tests, and what `holm` says about them.

use crate::patience::output;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use testkit::{Scratch, holm};

/// A store of this test.
pub(crate) struct Store(pub(crate) Scratch);

impl Store {
    pub(crate) fn new(name: &str) -> Store {
        Store(Scratch::new(&format!("store-{name}")))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn holm(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(holm());
        command.env("HOLM_STORE", self.path()).current_dir(self.0.path()).args(arguments);
        command
    }

    /// What a command prints, which must be well.
    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let done = output(&mut self.holm(arguments));
        assert_eq!(done.status.code(), Some(0), "{arguments:?}: {}", said(&done));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// What a command says that ends with 125, and that has `text` in it.
    pub(crate) fn fails(&self, arguments: &[&str], text: &str) -> String {
        let done = output(&mut self.holm(arguments));
        assert_eq!(done.status.code(), Some(125), "{arguments:?}: {}", said(&done));
        assert!(said(&done).contains(text), "{arguments:?}: {}", said(&done));
        said(&done)
    }

    /// The files of the only root.
    pub(crate) fn files(&self) -> PathBuf {
        let mut roots = fs::read_dir(self.path().join("roots")).expect("there is a store");
        roots.next().expect("there is a root").expect("it can be listed").path().join("files")
    }
}

/// Standard error.
pub(crate) fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stderr).into_owned()
}

/// Whether a root in the making is there.
pub(crate) fn drafts(store: &Store) -> bool {
    let items = fs::read_dir(store.path()).into_iter().flatten().flatten();
    items.into_iter().any(|item| item.file_name().to_string_lossy().starts_with("draft"))
}

/// Whether something is at a path; a link counts.
pub(crate) fn there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
