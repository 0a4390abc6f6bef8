//! `holm root build -f RECIPE`: a root by a recipe in TOML.

use super::build::{self, Packages};
use super::progress::Teller;
use super::{Done, failed, wrong};
use crate::document::Kind;
use crate::programs::Asked;
use crate::report::{self, Fault};
use crate::stored;
use crate::values;
use clap::ArgMatches;
use holm_root::debian::archive::Selection;
use holm_root::debian::build::Recipe as Debian;
use holm_root::debian::wish::{Variant, Wish};
use holm_root::image::Image;
use holm_root::recipe::{self, Base, Content, Error, Settings};
use holm_root::store::{self, Held, Store, Writer, check_name};
use holm_root::unpack::Limits;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// A recipe as written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(crate) struct Recipe {
    source: Option<Word>,
    variant: Option<Variant>,
    packages: Vec<Word>,
    mirror: Option<Word>,
    snapshot: Option<Word>,
    keyring: Option<Word>,
    programs: Vec<Word>,
    files: Vec<File>,
    env: BTreeMap<Variable, Text>,
    user: Option<Word>,
    workdir: Option<At>,
    command: Vec<Text>,
    run: Vec<Word>,
}

/// Any text without a NUL.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Text(String);

/// The same, but not empty.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Word(String);

/// The name of a variable.
#[derive(Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(try_from = "String")]
struct Variable(String);

/// A path inside.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct At(String);

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Mode(u32);

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Text, &'static str> {
        if text.contains('\0') { Err("it has a NUL") } else { Ok(Text(text)) }
    }
}

impl TryFrom<String> for Word {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Word, &'static str> {
        if text.is_empty() { Err("it is empty") } else { Text::try_from(text).map(|text| Word(text.0)) }
    }
}

impl TryFrom<String> for Variable {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Variable, &'static str> {
        if text.contains('=') {
            Err("a variable's name has no =")
        } else {
            Word::try_from(text).map(|name| Variable(name.0))
        }
    }
}

impl TryFrom<String> for At {
    type Error = &'static str;

    fn try_from(text: String) -> Result<At, &'static str> {
        let text = Word::try_from(text)?.0;
        let climbs = Path::new(&text).components().any(|part| part == Component::ParentDir);
        match text.starts_with('/') && !climbs {
            true => Ok(At(text)),
            false => Err("a path inside begins with / and has no .."),
        }
    }
}

impl TryFrom<String> for Mode {
    type Error = String;

    fn try_from(text: String) -> Result<Mode, String> {
        values::mode(OsStr::new(&text)).map(Mode)
    }
}

/// A file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    at: At,
    from: Option<Word>,
    text: Option<String>,
    mode: Option<Mode>,
}

#[derive(Deserialize)]
#[serde(try_from = "Written")]
struct File(recipe::File);

impl TryFrom<Written> for File {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<File, &'static str> {
        let content = match (written.from, written.text) {
            (Some(from), None) => Content::Path(from.0.into()),
            (None, Some(text)) => Content::Text(text),
            _ => return Err("a file has either `from` or `text`"),
        };
        // Without `.` and doubled slashes.
        let at: PathBuf = Path::new(&written.at.0).components().collect();
        Ok(File(recipe::File { at, content, mode: written.mode.map(|mode| mode.0) }))
    }
}

const KIND: Kind = Kind { option: "-f", hint: "docs/roots/recipe.md lists the keys" };

/// The recipe that these bytes of the file at `path` say.
pub(crate) fn parse(bytes: Vec<u8>, path: &Path) -> Result<Recipe, Fault> {
    KIND.parse(bytes, path)
}

/// What a recipe begins with.
enum Source {
    Nothing,
    Packages(Box<Wish>),
    Held(Held),
    Path(PathBuf),
}

/// The same, found, with what its root takes.
struct Begun {
    base: Base,
    packages: Option<(Selection, Debian)>,
    /// Who has stored it: nobody may collect it meanwhile.
    writer: Option<Writer>,
    _held: Option<Held>,
}

pub(super) fn build(store: Store, path: &Path, matches: &ArgMatches) -> Done {
    let mut written: Recipe = KIND.read(path).map_err(|fault| vec![fault])?;
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = build::text(matches, "source").unwrap_or_else(stem);
    check_name(&name).map_err(failed)?;
    let directory = path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new(".")).to_owned();
    let origin = values::origin("", KIND.option, path.as_os_str());
    let mut asked = Asked::nothing(&origin);
    for program in std::mem::take(&mut written.programs) {
        asked.with(OsStr::new(&program.0));
    }
    let source = written.source(&directory, &mut asked, path)?;
    if !matches!(source, Source::Packages(_))
        && let Some(option) = ["lock", "sbom"].into_iter().find(|option| matches.contains_id(option))
    {
        return Err(vec![KIND.fault(path, format!("cannot use --{option}: the recipe's source is not of packages"))]);
    }
    let epoch = build::epoch()?;
    let recipe = written.meant(directory, &asked, epoch);
    if matches!(source, Source::Nothing) && recipe.files.is_empty() && recipe.programs.is_empty() {
        return Err(vec![KIND.fault(path, "cannot make a root of nothing: the recipe has no source".to_owned())]);
    }
    super::enter()?;
    drop(store.clone().write().map_err(failed)?);
    let mut teller = Teller::new(matches);
    let begun = begin(&store, source, epoch, matches, &mut teller)?;
    let unmade = |error: Error| faults(&error, &asked, &origin);
    let inputs = recipe.read(&begun.base, &store).map_err(unmade)?;
    let mut writer = match begun.writer {
        Some(writer) => writer,
        None => store.clone().write().map_err(failed)?,
    };
    if let Some(there) = inputs.made(&writer, &name, path).map_err(unmade)? {
        teller.end();
        let note = if teller.is_json() { "" } else { "note: the same inputs made it before\n" };
        return super::stored(&there, teller.is_json()).map(|text| text + note);
    }
    let known = begun.packages.as_ref().and_then(|(_, debian)| debian.known(&writer));
    let fetched = match &begun.packages {
        Some((selection, _)) if known.is_none() => {
            drop(writer);
            let fetched =
                build::fetch(selection, &build::packages().map_err(|message| vec![wrong(message)])?, &mut teller)?;
            writer = store.write().map_err(failed)?;
            fetched
        }
        _ => Vec::new(),
    };
    let mut tell = teller.until_signal()?;
    let id = match (&begun.base, &begun.packages) {
        (Base::Root { id, .. }, _) => Some(id.clone()),
        (_, Some((_, debian))) => {
            let made =
                debian.base(&writer, &fetched, &written.source.map_or_else(String::new, |source| source.0), &mut tell);
            Some(made.map_err(|error| vec![build::unbuilt(&error)])?.id)
        }
        _ => None,
    };
    let metadata = inputs.build(&writer, id.as_deref(), (&name, path), &mut tell);
    drop(tell);
    teller.end();
    super::stored(&metadata.map_err(unmade)?, teller.is_json())
}

impl Recipe {
    /// What the source means; programs of `bins:` are added to the others.
    fn source(&self, directory: &Path, asked: &mut Asked, path: &Path) -> Result<Source, Vec<Fault>> {
        let one = |fault: Fault| vec![fault];
        let text = self.source.as_ref().map_or("", |source| source.0.as_str());
        if build::source(text).is_some() {
            let plain = |word: &Option<Word>| word.as_ref().map(|word| word.0.clone());
            let packages = Packages {
                variant: self.variant,
                include: self.packages.iter().map(|name| name.0.clone()).collect(),
                mirror: plain(&self.mirror),
                snapshot: plain(&self.snapshot),
                keyring: self.keyring.as_ref().map(|keyring| directory.join(&keyring.0)),
            };
            if packages.mirror.is_some() && packages.snapshot.is_some() {
                return Err(one(KIND.fault(path, "cannot use both mirror and snapshot".to_owned())));
            }
            return packages.wish(text).map(|wish| Source::Packages(Box::new(wish))).map_err(one);
        }
        let of_packages = [
            ("variant", self.variant.is_some()),
            ("packages", !self.packages.is_empty()),
            ("mirror", self.mirror.is_some()),
            ("snapshot", self.snapshot.is_some()),
            ("keyring", self.keyring.is_some()),
        ];
        if let Some((key, _)) = of_packages.into_iter().find(|(_, given)| *given) {
            let hint = "source = \"debian:bookworm\"; programs of the host: programs = [\"ls\"]".to_owned();
            let fault = KIND.fault(path, format!("cannot use the key {key}: the source is not of packages"));
            return Err(one(Fault { hint, ..fault }));
        }
        let origin = values::origin("", KIND.option, path.as_os_str());
        let beside = |name: &str| directory.join(name);
        match text {
            "" => Ok(Source::Nothing),
            "host" | "none" => {
                let fault = KIND.fault(path, format!("cannot begin with {text}: it is no root that can be copied"));
                let hint = "without a source a recipe begins with nothing".to_owned();
                Err(one(Fault { hint, ..fault }))
            }
            _ if text.starts_with("bins:") => {
                asked.with(OsStr::new(&text["bins:".len()..]));
                Ok(Source::Nothing)
            }
            _ if text.starts_with("docker:") || text.starts_with("store:") => held(text, &origin),
            _ => match text.strip_prefix("oci:") {
                Some(image) => held(&format!("oci:{}", beside(image).display()), &origin),
                None if text.contains('/') || beside(text).exists() => Ok(Source::Path(beside(text))),
                None => held(&format!("store:{text}"), &origin),
            },
        }
    }

    /// What is added to the source.
    fn meant(&mut self, directory: PathBuf, asked: &Asked, epoch: Option<i64>) -> recipe::Recipe {
        let settings = Settings {
            env: std::mem::take(&mut self.env).into_iter().map(|(name, value)| (name.0, value.0)).collect(),
            user: self.user.take().map(|user| user.0),
            directory: self.workdir.take().map(|directory| directory.0),
            command: self.command.drain(..).map(|word| word.0).collect(),
        };
        let files = self.files.drain(..).map(|file| file.0).collect();
        let commands = self.run.drain(..).map(|command| command.0).collect();
        recipe::Recipe { directory, programs: asked.wanted().clone(), files, settings, commands, epoch }
    }
}

fn held(root: &str, origin: &str) -> Result<Source, Vec<Fault>> {
    let found = stored::root(OsStr::new(root), origin, crate::fill::Intent::Run).map_err(|fault| vec![fault])?;
    found.map(Source::Held).ok_or_else(|| vec![wrong(format!("cannot find root {root}"))])
}

/// Finds the source; a directory or archive is stored first, so that its hash is known.
fn begin(
    store: &Store,
    source: Source,
    epoch: Option<i64>,
    matches: &ArgMatches,
    teller: &mut Teller,
) -> Result<Begun, Vec<Fault>> {
    let mut begun = Begun { base: Base::Nothing, packages: None, writer: None, _held: None };
    match source {
        Source::Nothing => {}
        Source::Held(held) => {
            begun.base = Base::Root { id: held.id.clone(), config: held.config.clone() };
            begun._held = Some(held);
        }
        Source::Path(path) => {
            let image = Image::find(&path, None).map_err(failed)?;
            let source = match &image {
                Some(image) => store::Source::Image(image, Limits::default()),
                None => store::Source::find(&path, Limits::default()).map_err(failed)?,
            };
            let (stored, writer) = store.import_unnamed(source, &mut teller.until_signal()?).map_err(failed)?;
            begun.base = Base::Root { id: stored.id, config: stored.config };
            begun.writer = Some(writer);
        }
        Source::Packages(wish) => {
            let selection =
                build::select(&wish, matches, &build::packages().map_err(|message| vec![wrong(message)])?, teller)?;
            let debian = Debian::new(&selection, epoch);
            begun.base = Base::Packages(debian.hash());
            begun.packages = Some((selection, debian));
        }
    }
    Ok(begun)
}

fn faults(error: &Error, asked: &Asked, origin: &str) -> Vec<Fault> {
    let hint = match error {
        Error::Store(error) => return vec![stored::fault(error, origin)],
        Error::Programs(error) => return asked.faults(error),
        Error::File { .. } => {
            "a path beside the recipe leads nowhere else; an absolute one, or one with .., is taken as typed"
        }
        Error::Command { said, .. } => {
            report::said(said);
            "commands have no network, and see what the recipe has put into the root"
        }
        Error::Sandbox(start) => {
            let (message, hint) = (error.to_string(), report::start_hint(start));
            return vec![Fault { message, origin: origin.to_owned(), hint }];
        }
        Error::User { .. } => "run = [\"useradd NAME\"], or a number",
        _ => "",
    };
    vec![Fault { message: error.to_string(), origin: origin.to_owned(), hint: hint.to_owned() }]
}
