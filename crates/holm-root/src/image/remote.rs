//! The layers of a registry's image on their way: downloaded by a thread of its own, unpacked while they come.

use std::fs::File;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};

use super::coming::{Coming, When};
use super::registry::Registry;
use crate::debian::fetch::{Fetcher, Follow, Patience, Wanted};
use crate::progress::{Progress, Stage};
use crate::store::Error;
use crate::store::blobs::Blobs;

/// How soon a download ends that nobody wants any more.
const SOON: Duration = Duration::from_millis(50);

/// Layers that a registry has.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) registry: Registry,
    pub(super) cache: Blobs,
    /// Each once.
    pub(super) wanted: Vec<Wanted>,
}

/// A download that goes on.
pub(super) struct Download<'r> {
    remote: &'r Remote,
    pub(super) coming: Vec<Arc<Coming>>,
    done: AtomicU64,
    unwanted: AtomicBool,
}

impl Remote {
    /// A download that is to be [run](Download::run).
    pub(super) fn download(&self, when: When) -> Download<'_> {
        let coming = self.wanted.iter().map(|_| Arc::new(Coming::new(when))).collect();
        Download { remote: self, coming, done: AtomicU64::new(0), unwanted: AtomicBool::new(false) }
    }
}

impl Download<'_> {
    /// Downloads all layers; whatever happens, nobody waits for one of them afterwards.
    pub(super) fn run(&self) -> Result<(), Error> {
        let registry = &self.remote.registry;
        let mut count = |progress: Progress| self.done.store(progress.done, Ordering::Relaxed);
        let fetched = Fetcher::new(self.remote.cache.path(), Patience::default(), &mut count).and_then(|fetcher| {
            let fetcher = fetcher.authorized(registry);
            let work = pin!(fetcher.followed(&self.remote.wanted, self));
            let end = pin!(self.not_wanted());
            match registry.wait(select(work, end)) {
                Either::Left((done, _)) => done.map(drop),
                Either::Right(_) => Ok(()),
            }
        });
        self.coming.iter().for_each(|one| one.end());
        fetched.map_err(|error| registry.fetched(error))
    }

    async fn not_wanted(&self) {
        while !self.unwanted.load(Ordering::Relaxed) {
            tokio::time::sleep(SOON).await;
        }
    }

    /// Has it end. What has come stays in the cache.
    pub(super) fn stop(&self) {
        self.unwanted.store(true, Ordering::Relaxed);
        self.coming.iter().for_each(|one| one.end());
    }

    /// How far it is.
    pub(super) fn progress(&self) -> Progress {
        let total = self.remote.wanted.iter().map(|one| one.size).sum();
        Progress { stage: Stage::Layers, done: self.done.load(Ordering::Relaxed), total }
    }

    /// Whether a layer came again of which some may have been read.
    pub(super) fn came_again(&self) -> bool {
        self.coming.iter().any(|one| one.came_again())
    }
}

impl Follow for Download<'_> {
    fn has(&self, at: usize, file: &File, have: u64) -> std::io::Result<()> {
        self.coming[at].has(file, have)
    }

    fn whole(&self, at: usize, file: File) {
        self.coming[at].whole(file, self.remote.wanted[at].size);
    }
}
