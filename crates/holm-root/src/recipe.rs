//! Roots made by a recipe: a base, to which programs and files of the host are added, and in which commands run.
//!
//! The order of things: all inputs are read and hashed; if they have made a root before, that is the answer. Else the base
//! is laid out in a draft, programs and files are added, the commands run, one after another, in a sandbox without a
//! network ([`crate::within`]), and the store takes the draft. The hash depends on inputs alone: what base, programs and
//! files hold, the settings, the commands and `SOURCE_DATE_EPOCH`. Times of files are no part of it: they are none of a
//! root.

mod files;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use holm::spec::life::Change;
use sha2::{Digest, Sha256};

use crate::image::Config;
use crate::programs::{self, Added, Wanted};
use crate::progress::{Progress, Stage, Tell};
use crate::store::draft::{Draft, RECIPE, check_name};
use crate::store::listing::{Facts, hex};
use crate::store::{self, Metadata, Store, Writer};
use crate::tree::{Owners, epoch};
use crate::within::{self, Failed};

use files::Gathered;
pub use files::{Content, File};

/// The version of what is made: a new one makes other hashes.
const VERSION: &str = "holm recipe 1\n";

/// What is added to a base.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The directory from which the paths of files go.
    pub directory: PathBuf,
    /// Programs of the host.
    pub programs: Wanted,
    /// Files, in order.
    pub files: Vec<File>,
    /// How a program is started in the root.
    pub settings: Settings,
    /// Commands, each run by `/bin/sh -ec`.
    pub commands: Vec<String>,
    /// `SOURCE_DATE_EPOCH`: no file is newer, and commands are told it.
    pub epoch: Option<i64>,
}

/// How a program is started in a root, as of an image; each setting that is given replaces the base's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Variables: name and value.
    pub env: Vec<(String, String)>,
    /// `USER[:GROUP]`, names of the root or numbers.
    pub user: Option<String>,
    /// The directory that it starts in.
    pub directory: Option<String>,
    /// What is started if nothing is named.
    pub command: Vec<String>,
}

/// What a recipe begins with.
#[derive(Clone, Debug)]
pub enum Base {
    /// An empty root.
    Nothing,
    /// A root of the store.
    Root {
        /// Its id.
        id: String,
        /// How a program is started in it.
        config: Option<Config>,
    },
    /// Packages, by the hash of their recipe.
    Packages(String),
}

/// Why a recipe made no root; the store is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store can't.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The programs can't be had, or not be added.
    #[error(transparent)]
    Programs(#[from] programs::Error),
    /// A file of the host can't be added.
    #[error("cannot add {}: {cause}", from.display())]
    File {
        /// As typed, or below it.
        from: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Something can't be put into the root.
    #[error("cannot put {} into the root: {cause}", at.display())]
    Place {
        /// Where.
        at: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A command failed.
    #[error("cannot run command {number} of the recipe: it ended with {code}")]
    Command {
        /// Which, from 1 on.
        number: usize,
        /// Its exit code.
        code: u8,
        /// The last lines of what was said.
        said: String,
    },
    /// The sandbox of the commands did not start.
    #[error("cannot run the commands of the recipe: {0}")]
    Sandbox(holm::Error),
    /// The root has no such user.
    #[error("cannot have the user {user}: {cause}")]
    User {
        /// As in the recipe.
        user: String,
        /// What is wrong.
        cause: String,
    },
    /// Whoever is told how far it is wanted it to stop.
    #[error("cannot build the root: it was interrupted")]
    Interrupted,
}

/// A recipe whose inputs have been read.
#[derive(Debug)]
pub struct Inputs {
    recipe: Recipe,
    programs: Option<Added>,
    files: Gathered,
    config: Option<Config>,
    hash: String,
}

impl Recipe {
    /// Reads and hashes what the base and this recipe are made of.
    ///
    /// # Errors
    /// A program or file is missing, can't be read, or leads out of the recipe's directory.
    pub fn read(self, base: &Base, store: &Store) -> Result<Inputs, Error> {
        let mut all = Sha256::new();
        let mut add = |bytes: &[u8]| {
            all.update((bytes.len() as u64).to_le_bytes());
            all.update(bytes);
        };
        add(VERSION.as_bytes());
        add(Owners::here().word().as_bytes());
        let (kind, text) = match base {
            Base::Nothing => ("nothing", ""),
            Base::Root { id, .. } => ("root", id.as_str()),
            Base::Packages(hash) => ("packages", hash.as_str()),
        };
        add(kind.as_bytes());
        add(text.as_bytes());
        let programs = if self.programs.is_empty() { None } else { Some(Added::find(&self.programs)?) };
        if let Some(programs) = &programs {
            add(b"programs");
            programs.hash(&mut add)?;
        }
        let files = Gathered::read(&self.files, &self.directory, store)?;
        files.hash(&mut add);
        let of_base = match base {
            Base::Root { config, .. } => config.clone(),
            Base::Nothing | Base::Packages(_) => None,
        };
        let config = self.settings.over(of_base);
        add(format!("{config:?}").as_bytes());
        add(format!("{:?} {:?}", self.commands, self.epoch).as_bytes());
        let hash = hex(&all.finalize());
        Ok(Inputs { recipe: self, programs, files, config, hash })
    }
}

impl Settings {
    /// These over those of a base; `None` if there are neither.
    fn over(&self, base: Option<Config>) -> Option<Config> {
        if *self == Settings::default() {
            return base;
        }
        let mut config = base.unwrap_or_default();
        let ours = |pair: &String| self.env.iter().any(|(name, _)| pair.split_once('=').is_some_and(|p| p.0 == name));
        config.env.retain(|pair| !ours(pair));
        config.env.extend(self.env.iter().map(|(name, value)| format!("{name}={value}")));
        if let Some(user) = &self.user {
            config.user.clone_from(user);
        }
        if let Some(directory) = &self.directory {
            config.directory.clone_from(directory);
        }
        if !self.command.is_empty() {
            config.entrypoint.clear();
            config.command.clone_from(&self.command);
        }
        Some(config)
    }
}

impl Inputs {
    /// Gives `name` to the root that the same inputs have made before, if it is still there. A name that the recipe in
    /// `file` had before moves.
    ///
    /// # Errors
    /// There can be no such name, or it is another root's.
    pub fn made(&self, writer: &Writer, name: &str, file: &Path) -> Result<Option<Metadata>, Error> {
        check_name(name)?;
        Ok(writer.made(&self.hash, name, &words(file))?)
    }

    /// Makes the root of the base in the store, and stores it under a name.
    ///
    /// # Errors
    /// The base, a program or a file can't be laid out; a command failed; the name is another root's; no space is left.
    pub fn build(
        &self,
        writer: &Writer,
        base: Option<&str>,
        (name, file): (&str, &Path),
        progress: Tell<'_>,
    ) -> Result<Metadata, Error> {
        check_name(name)?;
        let mut draft = writer.begin()?;
        if let Some(id) = base {
            tell(progress, Stage::Base)?;
            writer.store().lay_out(id, &mut draft.tree)?;
        }
        if let Some(programs) = &self.programs {
            tell(progress, Stage::Programs)?;
            programs.make(&mut draft.tree)?;
        }
        if !self.recipe.files.is_empty() {
            tell(progress, Stage::Files)?;
            self.files.make(&mut draft.tree, &self.recipe)?;
        }
        self.run(&mut draft, progress)?;
        if let (Some(user), Some(config)) = (&self.recipe.settings.user, &self.config) {
            config.account(&draft.files()).map_err(|cause| Error::User { user: user.clone(), cause })?;
        }
        tell(progress, Stage::Store)?;
        let metadata = writer.finish(draft, name, words(file), self.config.clone())?;
        writer.note(&self.hash, &metadata)?;
        Ok(metadata)
    }

    /// Runs the commands; what they and others made becomes no newer than it may be.
    fn run(&self, draft: &mut Draft, progress: Tell<'_>) -> Result<(), Error> {
        let Recipe { commands, epoch, .. } = &self.recipe;
        if commands.is_empty() && epoch.is_none() {
            return Ok(());
        }
        if !commands.is_empty() {
            places(draft)?;
        }
        let latest = epoch.unwrap_or_else(|| draft.tree.newest());
        let start = SystemTime::now();
        for number in 0..commands.len() {
            self.command(number, draft, progress)?;
        }
        draft.tree.revisit(start, latest).map_err(|(path, error)| place(&path, &error))
    }

    fn command(&self, number: usize, draft: &Draft, progress: Tell<'_>) -> Result<(), Error> {
        let (commands, total) = (&self.recipe.commands, self.recipe.commands.len() as u64);
        // What the command says of errors goes where the rest goes.
        let text = format!("exec 2>&1\n{}", commands[number]);
        let mut spec = within::spec(&draft.files(), draft.tree.owners(), "/bin/sh").args(["-ec", &text]);
        let changes = &mut spec.environment.changes;
        let pairs = self.config.iter().flat_map(|config| &config.env).filter_map(|pair| pair.split_once('='));
        changes.extend(pairs.map(|(name, value)| Change::Set(name.into(), value.into())));
        changes.extend(self.recipe.epoch.map(|time| Change::Set("SOURCE_DATE_EPOCH".into(), time.to_string().into())));
        let how_far = Progress { stage: Stage::Commands, done: number as u64, total };
        stage(progress, how_far)?;
        let mut flow = Ok(());
        let ended = within::run(&spec, &mut |_| {
            flow = stage(progress, how_far);
            flow.is_ok()
        });
        flow?;
        ended.map_err(|failed| match failed {
            Failed::Start(error) => Error::Sandbox(error),
            Failed::Program(code, said) => Error::Command { number: number + 1, code, said },
        })
    }
}

/// What is said of a root that the recipe in a file made.
fn words(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    format!("{RECIPE}{}", whole.display())
}

/// Makes the places that a sandbox mounts on.
fn places(draft: &mut Draft) -> Result<(), Error> {
    for (path, mode) in [(b"dev".as_slice(), 0o755), (b"proc", 0o755), (b"tmp", 0o1777)] {
        let failed = |error: rustix::io::Errno| place(path, &error.into());
        if draft.tree.there(path).map_err(failed)?.is_none() {
            let facts = Facts { mode, ..Facts::default() };
            draft.tree.directory(path, facts, epoch()).map_err(failed)?;
        }
    }
    Ok(())
}

/// Something in the root that failed.
fn place(path: &[u8], error: &std::io::Error) -> Error {
    use std::os::unix::ffi::OsStrExt;
    let at = Path::new("/").join(std::ffi::OsStr::from_bytes(path));
    Error::Place { at, cause: holm::model::text::cause(error) }
}

fn tell(progress: Tell<'_>, of: Stage) -> Result<(), Error> {
    stage(progress, Progress { stage: of, done: 0, total: 1 })
}

fn stage(progress: Tell<'_>, how_far: Progress) -> Result<(), Error> {
    match progress(how_far) {
        std::ops::ControlFlow::Continue(()) => Ok(()),
        std::ops::ControlFlow::Break(()) => Err(Error::Interrupted),
    }
}
