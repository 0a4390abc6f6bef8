//! From a wish to verified packages on disk.
//!
//! The order of things: which archives are meant ([`source`]); what each says of its suite, checked against keys, clock
//! and what it said before ([`keyring`], [`release`], [`seen`]); the indexes, checked against that, and read ([`index`]);
//! which packages are needed ([`solve`]); their files, checked against the index ([`fetch`]). What was chosen is kept in
//! the cache under the hash of the wish and of what the archives said, so that the same question is answered from there.
//!
//! [`source`]: super::source
//! [`keyring`]: super::keyring
//! [`release`]: super::release
//! [`seen`]: super::seen
//! [`index`]: super::index
//! [`solve`]: super::solve
//! [`fetch`]: super::fetch

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::time::SystemTime;

use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::error::Error;
use super::fetch::{Fetcher, Patience, Wanted};
use super::index::{Universe, near};
use super::indexes;
use super::kept::Kept;
use super::keys::Keys;
use super::package::{Fetched, Package};
use super::release::{Moment, Release};
use super::seen::{Clear, News, Seen};
use super::solve::Solver;
use super::source::{self, Archive};
use super::validators::{Small, Validators};
use super::wish::{ARCHITECTURE, Origin, Wish};
use crate::progress::{Progress, Stage};
use crate::store::listing::Hash;

/// What an archive says of a suite may have so many bytes.
const RELEASE: usize = 16 << 20;

/// An archive with what it said of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    /// Which.
    pub archive: Archive,
    /// Whose it is (`Origin`), by its own word.
    pub origin: String,
    /// When it was made (`Date`).
    pub date: SystemTime,
    /// SHA-256 of the text that was signed.
    pub sha256: Hash,
}

/// Packages that were chosen, with the archives that they are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The archives that were asked.
    pub archives: Vec<Stand>,
    /// The packages, by name.
    pub packages: Vec<Package>,
}

/// Chooses packages. `cache` is a directory that is the caller's alone; it is made if there is none.
///
/// # Errors
/// The wish is malformed; an archive can't be had or not be trusted; a package is unknown or can't be with another.
pub fn resolve(
    wish: &Wish,
    cache: &Path,
    patience: Patience,
    progress: &mut dyn FnMut(Progress),
) -> Result<Selection, Error> {
    let include = wish.check()?;
    let fetcher = Fetcher::new(cache, patience, progress)?;
    run(async {
        let said = said(wish, &fetcher, cache).await?;
        let kept = Kept::of(wish, &said, cache);
        if let Some(selection) = kept.read() {
            return Ok(selection);
        }
        let releases = said.iter().map(Said::read).collect::<Result<Vec<_>, _>>()?;
        let texts = indexes::fetch(&said, &releases, &fetcher).await?;
        fetcher.begin(Stage::Choose, 0);
        let mut universe = Universe::default();
        for (archive, url, text) in &texts {
            universe.add(text, *archive, ARCHITECTURE).map_err(|cause| Error::malformed(url, cause))?;
        }
        let packages = choose(wish, &include, &said, &mut universe)?;
        fetcher.step(packages.len() as i64);
        let archives = said.iter().zip(&releases).map(|(said, release)| said.stand(release)).collect();
        let selection = Selection { archives, packages };
        kept.write(&selection)?;
        Ok(selection)
    })
}

impl Selection {
    /// Whether it is of this suite.
    pub fn is_of(&self, suite: &str) -> bool {
        self.archives.iter().any(|stand| stand.archive.suite == suite)
    }

    /// Downloads the packages into the cache; those that are there are checked again.
    ///
    /// # Errors
    /// A file can't be had, or isn't what the selection says.
    pub fn fetch(
        &self,
        cache: &Path,
        patience: Patience,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Fetched>, Error> {
        let fetcher = Fetcher::new(cache, patience, progress)?;
        let wanted = |package: &Package| {
            let uri = &self.archives.get(package.archive)?.archive.uri;
            let urls = vec![format!("{uri}/{}", package.filename)];
            Some(Wanted { urls, size: package.size, sha256: package.sha256 })
        };
        let wanted: Option<Vec<Wanted>> = self.packages.iter().map(wanted).collect();
        let wanted = wanted.ok_or_else(|| Error::malformed("the selection", "a package is from no archive"))?;
        fetcher.begin(Stage::Packages, self.packages.iter().map(|package| package.size).sum());
        let files = run(fetcher.files(&wanted))?;
        let fetched = |(package, file): (&Package, _)| Fetched { package: package.clone(), file };
        Ok(self.packages.iter().zip(files).map(fetched).collect())
    }
}

fn run<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime =
        crate::net::runtime().map_err(|source| Error::Io { verb: "start", path: "a download".into(), source })?;
    runtime.block_on(work)
}

/// What an archive said of a suite.
pub(super) struct Said {
    pub(super) archive: Archive,
    url: String,
    /// The text that was signed.
    pub(super) text: String,
}

impl Said {
    pub(super) fn read(&self) -> Result<Release<'_>, Error> {
        Release::parse(&self.text).map_err(|cause| Error::malformed(&self.url, cause))
    }

    pub(super) fn sha256(&self) -> Hash {
        Sha256::digest(&self.text).into()
    }

    fn stand(&self, release: &Release<'_>) -> Stand {
        Stand {
            archive: self.archive.clone(),
            origin: release.origin.unwrap_or("").to_owned(),
            date: release.date,
            sha256: self.sha256(),
        }
    }
}

/// Asks the archives.
async fn said(wish: &Wish, fetcher: &Fetcher<'_>, cache: &Path) -> Result<Vec<Said>, Error> {
    let asker = Asker { wish, fetcher, cache, now: SystemTime::now() };
    let ask = async |archives: Vec<Archive>| {
        fetcher.begin(Stage::Release, archives.len() as u64);
        let many = archives.len().max(1);
        let one = async |(archive, keys): (Archive, Rc<Keys>)| {
            let said = asker.release(archive, &keys).await?;
            fetcher.step(1);
            Ok(said)
        };
        stream::iter(with_keys(archives)?).map(one).buffered(many).try_collect::<Vec<Said>>().await
    };
    let mut found = ask(source::of_host(wish)?).await?;
    // Another's archive can have a suite of the same name.
    found.retain(|said: &Said| said.read().is_ok_and(|release| release.origin == Some(wish.family.name())));
    if found.iter().any(|said| said.archive.suite == wish.suite) {
        return Ok(found);
    }
    ask(source::usual(wish)).await
}

/// Archives with their keys, each file read once.
fn with_keys(archives: Vec<Archive>) -> Result<Vec<(Archive, Rc<Keys>)>, Error> {
    let mut all: Vec<(Archive, Rc<Keys>)> = Vec::new();
    for archive in archives {
        let known = all.iter().find(|(other, _)| other.trust == archive.trust).map(|(_, keys)| Rc::clone(keys));
        let keys = known.map_or_else(|| Keys::read(&archive.trust).map(Rc::new), Ok)?;
        all.push((archive, keys));
    }
    Ok(all)
}

/// Who asks archives what they say.
struct Asker<'a, 'p> {
    wish: &'a Wish,
    fetcher: &'a Fetcher<'p>,
    cache: &'a Path,
    now: SystemTime,
}

impl Asker<'_, '_> {
    /// What one archive says, if it is signed, of the suite and of the time that it must be of.
    async fn release(&self, archive: Archive, keys: &Keys) -> Result<Said, Error> {
        let seen = Seen::of(&archive, self.cache);
        let before = seen.checked(&keys.hash(), self.now);
        let url = archive.file("InRelease");
        let validators = before.map(Clear::validators).unwrap_or_default();
        let answer = self.fetcher.small(&url, RELEASE, &validators).await?;
        let (url, text, news) = match (answer, before) {
            (Small::Same, Some(before)) => (url, before.text.clone(), News::Nothing),
            (Small::Found(bytes, _), Some(before)) if before.is(&bytes) => (url, before.text.clone(), News::Nothing),
            (Small::Found(bytes, validators), _) => {
                let untrusted = Error::untrusted(&url);
                let signed = std::str::from_utf8(&bytes).map_err(|_| untrusted("it is not text".to_owned()))?;
                let text = keys.keyring()?.open(signed, self.now).map_err(untrusted)?;
                let clear = Clear::new(&bytes, validators, &keys.hash(), self.now, &text);
                (url, text, News::Clear(clear))
            }
            (Small::Missing | Small::Same, _) => {
                let (url, text) = self.apart(&archive, keys).await?;
                (url, text, News::Apart)
            }
        };
        let said = Said { archive, url, text };
        let moment = match self.wish.origin {
            Origin::Snapshot(then) => Moment::Then(then),
            _ if said.archive.ends => Moment::Now(self.now),
            _ => Moment::Endless(self.now),
        };
        let release = said.read()?;
        release.check(&said.archive.suite, moment).map_err(Error::untrusted(&said.url))?;
        if !matches!(moment, Moment::Then(_)) {
            seen.refuse_older(&said.url, release.date)?;
        }
        let date = release.date;
        seen.note(date, news)?;
        Ok(said)
    }

    /// The same of old archives, which have the signature in a file of its own.
    async fn apart(&self, archive: &Archive, keys: &Keys) -> Result<(String, String), Error> {
        let url = archive.file("Release");
        let Small::Found(bytes, _) = self.fetcher.small(&url, RELEASE, &Validators::default()).await? else {
            let near = near(&self.wish.suite, SUITES.into_iter());
            return Err(Error::Suite { suite: archive.suite.clone(), uri: archive.uri.clone(), near });
        };
        let untrusted = Error::untrusted(&url);
        let signature = self.fetcher.small(&archive.file("Release.gpg"), RELEASE, &Validators::default()).await?;
        let Small::Found(signature, _) = signature else { return Err(untrusted("it is not signed".to_owned())) };
        keys.keyring()?.verify(&bytes, &signature, self.now).map_err(&untrusted)?;
        let text = String::from_utf8(bytes).map_err(|_| untrusted("it is not text".to_owned()))?;
        Ok((url, text))
    }
}

/// Names that a misspelt one may mean.
const SUITES: [&str; 16] = [
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "stable",
    "testing",
    "unstable",
    "oldstable",
    "experimental",
    "focal",
    "jammy",
    "noble",
    "plucky",
    "questing",
];

/// Which packages the wish means.
fn choose(
    wish: &Wish,
    include: &[(&str, Option<&str>)],
    said: &[Said],
    universe: &mut Universe<'_>,
) -> Result<Vec<Package>, Error> {
    let pins: HashMap<&str, &str> = include.iter().filter_map(|(name, version)| Some((*name, (*version)?))).collect();
    universe.sort(&pins);
    let universe = &*universe;
    let named = |name: &str, version: Option<&str>| named(universe, name, version);
    // Essential or of a priority is what the suite itself says so of; the version can be another archive's.
    let of_suite = |is: &dyn Fn(&super::index::Entry<'_>) -> bool| {
        let all = universe.entries.iter().filter(|entry| said[entry.archive].archive.suite == wish.suite && is(entry));
        let mut names: Vec<&str> = all.map(|entry| entry.name).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| universe.versions(name).first().copied()).collect::<Vec<_>>()
    };
    let essential = of_suite(&|entry| entry.essential);
    if essential.is_empty() {
        return Err(Error::Unsatisfiable {
            cause: format!("{} has no essential package for {ARCHITECTURE}", wish.suite),
        });
    }
    let mut rest = Vec::new();
    for (name, version) in wish.variant.packages().iter().map(|name| (*name, None)).chain(include.iter().copied()) {
        rest.push(named(name, version)?);
    }
    let priorities = wish.variant.priorities();
    rest.extend(of_suite(&|entry| priorities.contains(&entry.priority)));
    let mut solver = Solver::new(universe, ARCHITECTURE);
    // The essential ones come first, as they do when mmdebstrap lets apt choose.
    solver.add(&essential)?;
    solver.add(&rest)?;
    let package = |at: &usize| universe.entries[*at].package().map_err(|cause| Error::malformed("an index", cause));
    let mut packages = solver.chosen().iter().map(package).collect::<Result<Vec<_>, _>>()?;
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(packages)
}

/// The package that is asked for by name: one of that name, or the only one that provides it.
fn named(universe: &Universe<'_>, name: &str, version: Option<&str>) -> Result<usize, Error> {
    let unknown = |near| Error::Package { name: name.to_owned(), version: version.map(str::to_owned), near };
    let versions = universe.versions(name);
    match (versions, version) {
        ([first, ..], None) => Ok(*first),
        ([first, ..], Some(version)) if universe.entries[*first].version == version => Ok(*first),
        ([_, ..], Some(_)) => {
            Err(unknown(versions.iter().map(|at| universe.entries[*at].version.to_owned()).collect()))
        }
        ([], None) => match universe.providers(name) {
            [(only, _)] => Ok(*only),
            [] => Err(unknown(universe.near(name))),
            many => Err(unknown(many.iter().map(|(at, _)| universe.entries[*at].name.to_owned()).collect())),
        },
        ([], Some(_)) => Err(unknown(universe.near(name))),
    }
}
