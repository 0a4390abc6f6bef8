//! Changes for people, as JSON, and as a patch.

use crate::report::{self, Fault};
use crate::root::{columns, pretty, time};
use holm::spec::filesystem::CONTENT_MOST;
use holm_root::changes::{About, Aspect, Change, Comparison, Root, Spot, What};
use rustix::fs::FileType;
use similar::TextDiff;
use std::ffi::OsStr;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// So long is looked for the shortest difference between two files.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which changes are kept.
pub(super) fn table(known: &[About]) -> String {
    let mut rows = vec![["NAME", "ROOT", "PLACES", "STARTED", "COMMAND"].map(str::to_owned)];
    for about in known {
        let root = match &about.root {
            Root::Host => "host".to_owned(),
            Root::Programs(_) => "programs".to_owned(),
            Root::Directory(path) => path.path().display().to_string(),
            Root::Stored { name, .. } => name.clone(),
        };
        let bound = about.places.iter().filter(|place| place.is_bound());
        let places: Vec<String> = bound.map(|place| place.at.path().display().to_string()).collect();
        let words: Vec<String> = about.command.iter().map(|word| word.path().display().to_string()).collect();
        let shown = [root, places.join(" "), time(about.started), words.join(" ")].map(|text| report::plain(&text));
        let [root, places, started, command] = shown;
        rows.push([about.name.clone(), root, places, started, command]);
    }
    columns(&rows)
}

/// Each change on a line.
pub(super) fn lines(compared: &[Comparison], meant: impl Fn(&Path) -> bool) -> String {
    each(compared, meant).map(|(comparison, change)| line(comparison, change) + "\n").collect()
}

fn each(compared: &[Comparison], meant: impl Fn(&Path) -> bool) -> impl Iterator<Item = (&Comparison, &Change)> {
    let all = compared.iter().flat_map(|one| one.changes.iter().map(move |change| (one, change)));
    all.filter(move |(one, change)| meant(&one.inside(&change.path)))
}

fn line(comparison: &Comparison, change: &Change) -> String {
    let spot = change.after.as_ref().or(change.before.as_ref());
    let slash = if spot.is_some_and(|spot| spot.kind().is_dir()) { "/" } else { "" };
    let path = report::plain(comparison.inside(&change.path).as_os_str()) + slash;
    let with = |details: Vec<String>| match details.is_empty() {
        true => String::new(),
        false => format!(": {}", details.join(", ")),
    };
    match &change.what {
        What::Added => format!("added    {path}{}", with(added(comparison, change.after.as_ref()))),
        What::Deleted => format!("deleted  {path}"),
        What::Changed(aspects) => format!("changed  {path}{}", with(details(comparison, change, aspects))),
        What::Renamed(from, aspects) => {
            let mut all = vec![format!("from {}", report::plain(from.as_os_str()))];
            all.extend(details(comparison, change, aspects));
            format!("renamed  {path}{}", with(all))
        }
    }
}

/// What is remarkable about something new.
fn added(comparison: &Comparison, spot: Option<&Spot>) -> Vec<String> {
    let Some(spot) = spot else { return Vec::new() };
    let mut all = Vec::new();
    match spot.kind() {
        FileType::Symlink => {
            let text = comparison.link(spot).map(|text| report::plain(OsStr::from_bytes(&text)));
            all.push(format!("a link to {}", text.unwrap_or_else(|_| "?".to_owned())));
        }
        FileType::RegularFile | FileType::Directory => {}
        other => all.push(kind(other).to_owned()),
    }
    let special = [(0o4000, "set-user-id"), (0o2000, "set-group-id")];
    let has = |bit: u32| spot.kind() == FileType::RegularFile && spot.status.st_mode & bit != 0;
    all.extend(special.into_iter().filter(|(bit, _)| has(*bit)).map(|(_, word)| word.to_owned()));
    all
}

fn details(comparison: &Comparison, change: &Change, aspects: &[Aspect]) -> Vec<String> {
    let (Some(before), Some(after)) = (&change.before, &change.after) else { return Vec::new() };
    let owner = |spot: &Spot| format!("{}:{}", spot.status.st_uid, spot.status.st_gid);
    let mode = |spot: &Spot| format!("{:o}", spot.status.st_mode & 0o7777);
    let one = |aspect: &Aspect| match aspect {
        Aspect::Kind => format!("{} instead of {}", kind(after.kind()), kind(before.kind())),
        Aspect::Content if after.kind() == FileType::Symlink => added(comparison, Some(after)).join(", "),
        Aspect::Content => "content".to_owned(),
        Aspect::Mode => format!("mode {} to {}", mode(before), mode(after)),
        Aspect::Owner => format!("owner {} to {}", owner(before), owner(after)),
        Aspect::Attributes => "attributes".to_owned(),
    };
    aspects.iter().map(one).collect()
}

fn kind(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

/// `[{"path", "change", "kind", "aspects", "from", "link", "before", "after"}]`; paths are as in a listing, so that no byte
/// is lost.
pub(super) fn json(compared: &[Comparison], meant: impl Fn(&Path) -> bool) -> Result<String, Vec<Fault>> {
    use holm_root::changes::Text;
    let spot = |spot: &Spot| {
        let status = &spot.status;
        serde_json::json!({
            "kind": kind(spot.kind()).trim_start_matches("a "),
            "mode": format!("{:o}", status.st_mode & 0o7777),
            "uid": status.st_uid,
            "gid": status.st_gid,
            "size": status.st_size,
        })
    };
    let one = |(comparison, change): (&Comparison, &Change)| {
        let (word, aspects, from) = match &change.what {
            What::Added => ("added", &[][..], None),
            What::Deleted => ("deleted", &[][..], None),
            What::Changed(aspects) => ("changed", &aspects[..], None),
            What::Renamed(from, aspects) => ("renamed", &aspects[..], Some(Text::from(from.as_path()))),
        };
        let aspects: Vec<String> = aspects.iter().map(|aspect| format!("{aspect:?}").to_lowercase()).collect();
        let link = change.after.as_ref().filter(|spot| spot.kind() == FileType::Symlink);
        let link = link
            .and_then(|spot| comparison.link(spot).ok())
            .map(|text| Text::from(Path::new(OsStr::from_bytes(&text))));
        serde_json::json!({
            "path": Text::from(comparison.inside(&change.path)),
            "change": word,
            "aspects": aspects,
            "from": from,
            "link": link,
            "before": change.before.as_ref().map(spot),
            "after": change.after.as_ref().map(spot),
        })
    };
    pretty(&each(compared, meant).map(one).collect::<Vec<_>>())
}

/// All changes, text files with the lines that are others (diff(1), unified).
pub(super) fn patch(compared: &[Comparison], meant: impl Fn(&Path) -> bool) -> Vec<u8> {
    let mut text = Vec::new();
    let tame = std::io::stdout().is_terminal();
    for (comparison, change) in each(compared, meant) {
        text.extend(format!("{}\n", line(comparison, change)).into_bytes());
        let hunks = hunks(comparison, change);
        match tame {
            true => text.extend(tamed(&hunks).into_bytes()),
            false => text.extend(hunks),
        }
    }
    text
}

/// What a terminal can't take for anything but text.
fn tamed(bytes: &[u8]) -> String {
    let mut text = String::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let (line, end) = line.strip_suffix(b"\n").map_or((line, ""), |line| (line, "\n"));
        for (place, part) in line.split(|byte| *byte == b'\t').enumerate() {
            text.push_str(if place == 0 { "" } else { "\t" });
            text += &report::plain(OsStr::from_bytes(part));
        }
        text.push_str(end);
    }
    text
}

fn hunks(comparison: &Comparison, change: &Change) -> Vec<u8> {
    let aspects = match &change.what {
        What::Changed(aspects) | What::Renamed(_, aspects) => &aspects[..],
        What::Added | What::Deleted => &[Aspect::Content],
    };
    let file = |spot: &Option<Spot>| spot.as_ref().is_some_and(|spot| spot.kind() == FileType::RegularFile);
    let either = file(&change.before) || file(&change.after);
    if !either || !aspects.iter().any(|aspect| matches!(aspect, Aspect::Content | Aspect::Kind)) {
        return Vec::new();
    }
    let (before, after) = match (read(comparison, &change.before), read(comparison, &change.after)) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(cause), _) | (_, Err(cause)) => return format!("  {cause}\n").into_bytes(),
    };
    let path = report::plain(comparison.inside(&change.path).as_os_str());
    let name = |spot: &Option<Spot>, side: &str| match file(spot) {
        true => format!("{side}{path}"),
        false => "/dev/null".to_owned(),
    };
    let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&before[..], &after[..]);
    let mut text = Vec::new();
    let mut unified = diff.unified_diff();
    let made = unified.header(&name(&change.before, "a"), &name(&change.after, "b")).to_writer(&mut text);
    made.map_or_else(|_| b"  it can't be shown\n".to_vec(), |()| text)
}

/// A file's content, if it can be shown as text.
fn read(comparison: &Comparison, spot: &Option<Spot>) -> Result<Vec<u8>, String> {
    let Some(spot) = spot.as_ref().filter(|spot| spot.kind() == FileType::RegularFile) else { return Ok(Vec::new()) };
    let unread = |error| format!("it can't be read: {}", holm::model::text::cause(&error));
    let mut bytes = Vec::new();
    let file = comparison.content(spot).map_err(unread)?;
    file.take(CONTENT_MOST as u64 + 1).read_to_end(&mut bytes).map_err(unread)?;
    match bytes.contains(&0) {
        _ if bytes.len() > CONTENT_MOST => Err("it is too large to be shown".to_owned()),
        true => Err("it isn't text".to_owned()),
        false => Ok(bytes),
    }
}
