//! `holm root`: what the store does, printed.

pub(crate) mod arguments;
pub(crate) mod build;
pub(crate) mod export;
mod progress;
pub(crate) mod recipe;
mod why;

use crate::report::{self, Fault};
use crate::{stored, values};
use clap::ArgMatches;
use holm_root::debian::cache;
use holm_root::image::{Image, Name, Transport};
use holm_root::progress::{Progress, Stage};
use holm_root::store::{Error, Freed, Metadata, Source, Store, check_name};
use holm_root::unpack::Limits;
use progress::Teller;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// Runs one of the commands.
pub(crate) fn root(matches: &ArgMatches) -> ExitCode {
    let store = match stored::open() {
        Ok(store) => store,
        Err(fault) => return report::faults(&[fault]),
    };
    let done = match matches.subcommand() {
        Some(("build", matches)) => build::build(store, matches),
        Some(("import", matches)) => import(store, matches),
        Some(("pull", matches)) => pull(store, matches),
        Some(("export", matches)) => export::export(&store, &name(matches), &path(matches, "to")),
        Some(("ls", matches)) => list(&store, matches.get_flag("json")),
        Some(("show", matches)) => show(&store, matches),
        Some(("rm", matches)) => remove(store, &name(matches)),
        Some(("gc", _)) => collect(store),
        Some(("verify", matches)) => verify(&store, matches),
        Some(("du", matches)) => usage(&store, matches.get_flag("json")),
        _ => return ExitCode::from(125),
    };
    match done {
        Ok(text) => report::printed(text.as_bytes()),
        Err(faults) => report::faults(&faults),
    }
}

/// What is printed, or what is wrong.
type Done = Result<String, Vec<Fault>>;

/// Becomes root of the caller's ids: who stores or removes files of all of them must be. Root is so already, and who has no
/// ranges stays what it is.
fn enter() -> Result<(), Vec<Fault>> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    holm::run::enter_ranges().map_err(|error| {
        let message = format!("cannot use the ranges of ids: {}", holm::model::text::cause(&error));
        vec![Fault {
            message,
            origin: String::new(),
            hint: format!("/etc/subuid and /etc/subgid have them; newuidmap maps them; {}", report::DOCTOR),
        }]
    })
}

fn failed(error: Error) -> Vec<Fault> {
    vec![stored::fault(&error, "")]
}

fn uncached(error: holm_root::debian::error::Error) -> Vec<Fault> {
    vec![wrong(error.to_string())]
}

fn wrong(message: String) -> Fault {
    Fault { message, origin: String::new(), hint: String::new() }
}

fn name(matches: &ArgMatches) -> String {
    matches.get_one::<OsString>("name").map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn path(matches: &ArgMatches, id: &str) -> PathBuf {
    matches.get_one::<OsString>(id).map(PathBuf::from).unwrap_or_default()
}

fn limits(matches: &ArgMatches) -> Result<Limits, Vec<Fault>> {
    let typed = matches.get_one::<String>("max-size").map_or("", String::as_str);
    let bytes = values::size(typed)
        .map_err(|cause| vec![wrong(format!("cannot use the value of --max-size {typed}: {cause}"))])?;
    Ok(Limits { bytes, ..Limits::default() })
}

fn pull(store: Store, matches: &ArgMatches) -> Done {
    let limits = limits(matches)?;
    let image = Name::parse(matches.get_one::<String>("image").map_or("", String::as_str)).map_err(failed)?;
    let name = if matches.contains_id("name") { name(matches) } else { image.in_store() };
    // It would all be fetched for nothing.
    check_name(&name).map_err(failed)?;
    let transport = if matches.get_flag("insecure") { Transport::Insecure } else { Transport::Secure };
    enter()?;
    let mut teller = Teller::new(matches);
    teller.tell(Progress { stage: Stage::Registry, done: 0, total: 1 });
    let image = Image::pull(&image, &store, transport).map_err(failed)?;
    teller.tell(Progress { stage: Stage::Registry, done: 1, total: 1 });
    make(&store, Source::Image(&image, limits), &name, teller)
}

fn import(store: Store, matches: &ArgMatches) -> Done {
    let limits = limits(matches)?;
    let source = path(matches, "source");
    let image = match crate::image::named(&source) {
        Some(name) => Image::named(&name).map(Some),
        None => Image::find(&source, None),
    };
    let image = image.map_err(failed)?;
    let source = match &image {
        Some(image) => Source::Image(image, limits),
        None => Source::find(&source, limits).map_err(failed)?,
    };
    // A directory's files are the caller's, under the caller's own id.
    if !matches!(source, Source::Directory(_)) {
        enter()?;
    }
    make(&store, source, &name(matches), Teller::new(matches))
}

/// Stores a root, and tells how far that is.
fn make(store: &Store, source: Source<'_>, name: &str, mut teller: Teller) -> Done {
    let made = {
        let mut tell = teller.until_signal()?;
        store.import(source, name, &mut tell)
    };
    teller.end();
    stored(&made.map_err(failed)?, teller.is_json())
}

/// What is said of a root that was stored.
fn stored(metadata: &Metadata, json: bool) -> Done {
    if json {
        let event = serde_json::json!({ "event": "stored", "root": metadata });
        return Ok(format!("{event}\n"));
    }
    let lacks = lacks(metadata).into_iter().map(|line| format!("note: {line}\n"));
    Ok(format!("{} {}\n", metadata.name, metadata.id) + &lacks.collect::<String>())
}

/// What the files on disk are not, in words.
fn lacks(metadata: &Metadata) -> Vec<String> {
    let counts = [
        (metadata.not_on_disk.owners, "owners: on disk these entries are yours; the listing tells whose they are"),
        (metadata.not_on_disk.devices, "device nodes: they are listed, and never made on disk"),
        (metadata.not_on_disk.left_out, "sockets or attributes: no root keeps such ones"),
    ];
    counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect()
}

fn list(store: &Store, json: bool) -> Done {
    let all = store.all().map_err(failed)?;
    listed(all, |known| if json { pretty(&known) } else { Ok(table(known)) })
}

/// Those that could be read, as text. Where one couldn't, the others are printed and it is what is wrong.
pub(crate) fn listed<T>(all: Vec<(String, Result<T, Error>)>, text: impl FnOnce(&[T]) -> Done) -> Done {
    let (mut known, mut faults) = (Vec::new(), Vec::new());
    for (_, found) in all {
        match found {
            Ok(one) => known.push(one),
            Err(error) => faults.push(stored::fault(&error, "")),
        }
    }
    let text = text(&known)?;
    if faults.is_empty() {
        return Ok(text);
    }
    // What can be listed is.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Err(faults)
}

fn table(known: &[Metadata]) -> String {
    let mut rows = vec![["NAME", "ID", "SIZE", "CREATED", "SOURCE"].map(str::to_owned)];
    for one in known {
        let id = one.id.get(..12).unwrap_or_default().to_owned();
        rows.push([one.name.clone(), id, bytes(one.size), time(one.created), report::plain(&one.source)]);
    }
    columns(&rows)
}

/// Rows as lines, with columns below each other.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn show(store: &Store, matches: &ArgMatches) -> Done {
    if matches.get_flag("why") {
        return why::show(store, matches);
    }
    let found = store.find(&name(matches)).map_err(failed)?;
    if matches.get_flag("json") {
        return pretty(&found);
    }
    let mut text = format!(
        "name     {}\nid       {}\nsource   {}\ncreated  {}\nsize     {}\nentries  {}\n",
        found.name,
        found.id,
        report::plain(&found.source),
        time(found.created),
        bytes(found.size),
        found.entries,
    );
    for line in lacks(&found) {
        text += &format!("note     {line}\n");
    }
    Ok(text)
}

fn remove(store: Store, name: &str) -> Done {
    // Without such a name nothing is written, not even a lock.
    if let Err(error @ Error::Unknown { .. }) = store.find(name) {
        return Err(failed(error));
    }
    enter()?;
    store.write().and_then(|writer| writer.remove(name)).map(|_| String::new()).map_err(failed)
}

fn collect(store: Store) -> Done {
    enter()?;
    let Freed { roots, files, bytes: size } = store.write().and_then(|writer| writer.collect()).map_err(failed)?;
    let packages = match build::packages() {
        Ok(cache) => cache::clean(&cache, SystemTime::now()).map_err(uncached)?,
        // Where there is no place for a cache there is none.
        Err(_) => Freed::default(),
    };
    let (files, size) = (files + packages.files, bytes(size + packages.bytes));
    Ok(format!("removed {roots} roots and {files} files, {size}\n"))
}

fn verify(store: &Store, matches: &ArgMatches) -> Done {
    enter()?;
    let names = match matches.contains_id("name") {
        true => vec![name(matches)],
        false => store.all().map_err(failed)?.into_iter().map(|(name, _)| name).collect(),
    };
    let (mut text, mut faults) = (String::new(), Vec::new());
    for name in names {
        match store.verify(&name) {
            Ok(differences) if differences.is_empty() => text += &format!("{name}: as stored\n"),
            Ok(differences) => {
                faults.extend(differences.iter().map(|difference| wrong(format!("{name} differs at {difference}"))));
            }
            Err(error) => faults.push(stored::fault(&error, "")),
        }
    }
    if faults.is_empty() {
        return Ok(text);
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
    Err(faults)
}

fn usage(store: &Store, json: bool) -> Done {
    enter()?;
    let usage = store.usage().map_err(failed)?;
    let packages = build::packages().map_or(Ok(0), |cache| cache::size(&cache)).map_err(uncached)?;
    let downloads = usage.downloads + packages;
    if json {
        let one = |(name, all, alone): &_| serde_json::json!({ "name": name, "bytes": all, "alone": alone });
        let names: Vec<_> = usage.names.iter().map(one as fn(&(String, u64, u64)) -> _).collect();
        return pretty(&serde_json::json!({ "roots": names, "total": usage.total, "downloads": downloads }));
    }
    let mut rows = vec![["NAME", "ON DISK", "ALONE"].map(str::to_owned)];
    rows.extend(usage.names.iter().map(|(name, all, alone)| [name.clone(), bytes(*all), bytes(*alone)]));
    rows.push(["total".to_owned(), bytes(usage.total), String::new()]);
    rows.push(["downloads".to_owned(), bytes(downloads), String::new()]);
    Ok(columns(&rows))
}

pub(crate) fn pretty(value: &impl serde::Serialize) -> Done {
    serde_json::to_string_pretty(value)
        .map(|text| text + "\n")
        .map_err(|error| vec![wrong(format!("cannot print: {error}"))])
}

pub(crate) fn time(seconds: u64) -> String {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds.min(253_402_300_799)));
    humantime::format_rfc3339_seconds(time.unwrap_or(SystemTime::UNIX_EPOCH)).to_string()
}

/// A size as a person reads it.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut size = count as f64;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}
