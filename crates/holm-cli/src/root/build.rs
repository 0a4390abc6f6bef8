//! `holm root build`: a root of Debian, from an archive to the store; or one of the host's programs.

use super::progress::Teller;
use super::{Done, failed, wrong};
use crate::programs::Asked;
use crate::report::{Fault, like};
use crate::{content, stored, values};
use clap::ArgMatches;
use holm_root::debian::archive::{Selection, resolve};
use holm_root::debian::build::{Error, Recipe};
use holm_root::debian::error::Error as Unfetched;
use holm_root::debian::fetch::Patience;
use holm_root::debian::package::Fetched;
use holm_root::debian::wish::{Family, Origin, Variant, Wish};
use holm_root::store::{Metadata, Store};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The source of a root, as typed: `debian:bookworm`.
pub(crate) fn source(text: &str) -> Option<(Family, &str)> {
    let (family, suite) = text.split_once(':')?;
    match family {
        "debian" => Some((Family::Debian, suite)),
        "ubuntu" => Some((Family::Ubuntu, suite)),
        _ => None,
    }
}

/// Where packages are kept.
pub(super) fn packages() -> Result<PathBuf, String> {
    Ok(stored::cache()?.join("debian"))
}

pub(super) fn build(store: Store, matches: &ArgMatches) -> Done {
    if let Some(file) = matches.get_one::<OsString>("file") {
        return super::recipe::build(store, Path::new(file), matches);
    }
    let typed = text(matches, "source").unwrap_or_default();
    if let Some(asked) = Asked::parse(OsStr::new(&typed), "") {
        return programs(store, asked.map_err(|fault| vec![fault])?, matches);
    }
    if matches.contains_id("deb") {
        let message = format!("cannot add packages of the host to {typed}: --deb is for roots of programs");
        return Err(vec![Fault { message, origin: String::new(), hint: "--include PACKAGE".to_owned() }]);
    }
    let name = text(matches, "name").unwrap_or_else(|| typed.clone());
    let wish = wish(&typed, matches)?;
    let recipe_epoch = epoch()?;
    let cache = packages().map_err(|message| vec![wrong(message)])?;
    // From here on an ordinary user is root of its own ids, before there is any other thread.
    super::enter()?;
    // The store is made before anything else may be in its directory.
    drop(store.clone().write().map_err(failed)?);
    let mut teller = Teller::new(matches);
    let selection = select(&wish, matches, &cache, &mut teller)?;
    let recipe = Recipe::new(&selection, recipe_epoch);
    let there = store.clone().write().and_then(|writer| recipe.made(&writer, &name, &typed)).map_err(failed)?;
    let metadata = match there {
        Some(there) => there,
        None => make(store, &selection, recipe, (&name, &typed), &cache, &mut teller)?,
    };
    teller.end();
    super::stored(&metadata, teller.is_json())
}

/// Stores a root of the host's programs.
fn programs(store: Store, mut asked: Asked, matches: &ArgMatches) -> Done {
    const OTHERS: [&str; 7] = ["variant", "include", "mirror", "snapshot", "keyring", "lock", "sbom"];
    let other = OTHERS.into_iter().find(|option| matches.contains_id(option));
    if let Some(option) = other {
        return Err(vec![wrong(format!("cannot use --{option}: a root of programs is made of the host's files"))]);
    }
    let Some(name) = text(matches, "name") else {
        let message = "cannot store a root of programs without a name".to_owned();
        let hint = "holm root build bins:A,B,... NAME".to_owned();
        return Err(vec![Fault { message, origin: String::new(), hint }]);
    };
    for list in matches.get_many::<OsString>("deb").into_iter().flatten() {
        asked.deb(list);
    }
    super::enter()?;
    let metadata = asked.store(store, &name)?;
    super::stored(&metadata, matches.get_flag("json"))
}

/// What the lock file says, if there is one; else what the archives have, which then goes into it.
pub(super) fn select(
    wish: &Wish,
    matches: &ArgMatches,
    cache: &Path,
    teller: &mut Teller,
) -> Result<Selection, Vec<Fault>> {
    let refused = |error: Unfetched| vec![unfetched(&error)];
    let lock = matches.get_one::<OsString>("lock").map(Path::new);
    let selection = match lock.filter(|path| path.exists()) {
        Some(path) => {
            let failed = |cause: String| vec![wrong(format!("cannot use --lock {}: {cause}", path.display()))];
            let text = String::from_utf8(content::read(path).map_err(failed)?);
            let locked = Selection::from_lock(&text.map_err(|_| failed("it is not UTF-8".to_owned()))?);
            let locked = locked.map_err(refused)?;
            if !locked.is_of(&wish.suite) {
                return Err(failed(format!("it is not of {}", wish.suite)));
            }
            locked
        }
        None => {
            let tell = &mut |progress| teller.tell(progress);
            let selection = resolve(wish, cache, Patience::default(), tell).map_err(refused)?;
            if let Some(path) = lock {
                write(path, "--lock", &selection.to_lock().map_err(refused)?)?;
            }
            selection
        }
    };
    if let Some(path) = matches.get_one::<OsString>("sbom").map(Path::new) {
        let name = format!("{}-{}", wish.family.name(), wish.suite);
        write(path, "--sbom", &super::pretty(&selection.to_spdx(&name))?)?;
    }
    Ok(selection)
}

fn write(path: &Path, option: &str, text: &str) -> Result<(), Vec<Fault>> {
    let cause = |error: std::io::Error| holm::model::text::cause(&error);
    std::fs::write(path, text)
        .map_err(|error| vec![wrong(format!("cannot write {option} {}: {}", path.display(), cause(error)))])
}

fn make(
    store: Store,
    selection: &Selection,
    recipe: Recipe,
    (name, typed): (&str, &str),
    cache: &Path,
    teller: &mut Teller,
) -> Result<Metadata, Vec<Fault>> {
    let fetched = fetch(selection, cache, teller)?;
    // Until now a signal ends holm at once, and what was downloaded is found again; a draft is cleared away first.
    let mut tell = teller.until_signal()?;
    let writer = store.write().map_err(failed)?;
    recipe.build(&writer, &fetched, name, typed, &mut tell).map_err(|error| vec![unbuilt(&error)])
}

pub(super) fn fetch(selection: &Selection, cache: &Path, teller: &mut Teller) -> Result<Vec<Fetched>, Vec<Fault>> {
    let fetched = selection.fetch(cache, Patience::default(), &mut |progress| teller.tell(progress));
    fetched.map_err(|error| vec![unfetched(&error)])
}

pub(super) fn text(matches: &ArgMatches, id: &str) -> Option<String> {
    matches.get_one::<OsString>(id).map(|value| value.to_string_lossy().into_owned())
}

fn wish(typed: &str, matches: &ArgMatches) -> Result<Wish, Vec<Fault>> {
    let lists = matches.get_many::<OsString>("include").into_iter().flatten();
    let include = lists.flat_map(|list| values::split(list, b',')).filter(|name| !name.is_empty());
    let packages = Packages {
        variant: matches.get_one::<Variant>("variant").copied(),
        include: include.map(|name| name.to_string_lossy().into_owned()).collect(),
        mirror: text(matches, "mirror"),
        snapshot: text(matches, "snapshot"),
        keyring: matches.get_one::<OsString>("keyring").map(PathBuf::from),
    };
    packages.wish(typed).map_err(|fault| vec![fault])
}

/// What is said of the packages of a root, beside the suite.
pub(super) struct Packages {
    pub(super) variant: Option<Variant>,
    pub(super) include: Vec<String>,
    pub(super) mirror: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) keyring: Option<PathBuf>,
}

impl Packages {
    /// What is meant, of a source `debian:SUITE`.
    pub(super) fn wish(self, typed: &str) -> Result<Wish, Fault> {
        let Some((family, suite)) = source(typed) else {
            let message = format!("cannot build {typed}: it is no source of a root");
            let hint = "debian:SUITE, such as debian:bookworm; ubuntu:SUITE; or bins:A,B".to_owned();
            return Err(Fault { message, origin: String::new(), hint });
        };
        let mut wish = Wish::new(suite);
        wish.family = family;
        wish.variant = self.variant.unwrap_or(wish.variant);
        wish.include = self.include;
        wish.keyring = self.keyring;
        if let Some(mirror) = self.mirror {
            wish.origin = Origin::Mirror(mirror);
        }
        if let Some(date) = self.snapshot {
            wish.origin = Origin::Snapshot(moment(&date).ok_or_else(|| Fault {
                message: format!("cannot use the value of --snapshot {date}: it is no date"),
                origin: String::new(),
                hint: "--snapshot 2026-01-31, or 2026-01-31T12:00:00Z".to_owned(),
            })?);
        }
        Ok(wish)
    }
}

fn moment(text: &str) -> Option<SystemTime> {
    let whole = if text.contains('T') { text.to_owned() } else { format!("{text}T00:00:00Z") };
    humantime::parse_rfc3339(&whole).ok()
}

/// `SOURCE_DATE_EPOCH`, as reproducible-builds.org specifies it.
pub(super) fn epoch() -> Result<Option<i64>, Vec<Fault>> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH").filter(|value| !value.is_empty()) else { return Ok(None) };
    let seconds = value.to_str().and_then(|text| text.parse::<i64>().ok()).filter(|seconds| *seconds >= 0);
    let message = || format!("cannot use SOURCE_DATE_EPOCH={}: it is no number of seconds", value.display());
    seconds.map(Some).ok_or_else(|| vec![wrong(message())])
}

fn unfetched(error: &Unfetched) -> Fault {
    let hint = match error {
        Unfetched::Suite { near, .. } | Unfetched::Component { near, .. } | Unfetched::Package { near, .. }
            if !near.is_empty() =>
        {
            like(near, "")
        }
        Unfetched::Keyring { .. } => "--keyring FILE names another one".to_owned(),
        Unfetched::Untrusted { .. } => "--keyring FILE names the keys to trust".to_owned(),
        Unfetched::Older { record, .. } => format!(
            "the archive is behind, or hides fixes: --mirror URL names another one; --snapshot and --lock take an old state; \
             without {} it is forgotten",
            record.display()
        ),
        Unfetched::Download { .. } => "--mirror URL names another archive; what was downloaded is kept".to_owned(),
        _ => String::new(),
    };
    Fault { message: error.to_string(), origin: String::new(), hint }
}

pub(super) fn unbuilt(error: &Error) -> Fault {
    match error {
        Error::Store(error) => stored::fault(error, ""),
        Error::Sandbox(start) => Fault { hint: crate::report::start_hint(start), ..wrong(error.to_string()) },
        other => wrong(other.to_string()),
    }
}
