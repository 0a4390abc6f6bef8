//! A server, a signed archive on it, and a cache.

use std::time::Duration;

use holm_root::debian::archive::{Selection, resolve};
use holm_root::debian::error::Error;
use holm_root::debian::fetch::Patience;
use holm_root::debian::package::Fetched;
use holm_root::debian::wish::{Origin, Variant, Wish};
use pgp::composed::SignedSecretKey;
use tempfile::TempDir;
use testkit::archive::{self, Archive};
use testkit::server::Server;

/// What a test of an archive needs.
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) key: SignedSecretKey,
    pub(crate) directory: TempDir,
}

/// Quick to give up.
pub(crate) const PATIENCE: Patience =
    Patience { connections: 4, attempts: 3, silence: Duration::from_millis(1500), pause: Duration::from_millis(10) };

impl Place {
    pub(crate) fn make() -> Place {
        let place = Place { server: Server::start(), key: archive::key(), directory: TempDir::new().unwrap() };
        archive::write_keyring(&[&place.key], &place.keyring());
        place
    }

    pub(crate) fn keyring(&self) -> std::path::PathBuf {
        self.directory.path().join("keyring.gpg")
    }

    /// A small archive: `base` is essential and needs `lib`; `tool` is required; `apt` is there.
    pub(crate) fn archive(&self) -> Archive<'_> {
        let mut archive = Archive::new(&self.server, "sane");
        archive
            .add("base", "1.0", "Essential: yes\nPriority: required\nDepends: lib (>= 2)\n", b"base")
            .add("lib", "2.1-1", "Priority: optional\nSource: library (2.1)\n", &[b'l'; 100_000])
            .add("tool", "1:3", "Priority: required\nArchitecture: all\n", b"tool")
            .add("apt", "2", "Priority: important\n", b"apt");
        archive
    }

    /// The same, on the server.
    pub(crate) fn publish(&self) {
        self.archive().publish(&self.key);
    }

    pub(crate) fn wish(&self) -> Wish {
        Wish {
            variant: Variant::Minbase,
            origin: Origin::Mirror(format!("{}/debian", self.server.url())),
            keyring: Some(self.keyring()),
            ..Wish::new("sane")
        }
    }

    pub(crate) fn resolve(&self, wish: &Wish) -> Result<Selection, Error> {
        resolve(wish, &self.directory.path().join("cache"), PATIENCE, &mut |_| ())
    }

    pub(crate) fn fetch(&self, selection: &Selection) -> Result<Vec<Fetched>, Error> {
        selection.fetch(&self.directory.path().join("cache"), PATIENCE, &mut |_| ())
    }

    /// The message of what must fail.
    pub(crate) fn refusal(&self, wish: &Wish) -> String {
        self.resolve(wish).expect_err("it is refused").to_string()
    }

    /// The names of all files in the cache.
    pub(crate) fn cached(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path().join("cache/files")).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The packages that were chosen, as `name version`.
pub(crate) fn names(selection: &Selection) -> Vec<String> {
    selection.packages.iter().map(|package| format!("{} {}", package.name, package.version)).collect()
}
