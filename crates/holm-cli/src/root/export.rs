//! `holm root export`: a root as an archive or an image, written aside first.

use super::{Done, failed, wrong};
use crate::report::Fault;
use holm::model::text::cause;
use holm_root::image::{Name, Written};
use holm_root::store::Store;
use std::ffi::OsStr;
use std::fs::File;
use std::io::BufWriter;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const FORMS: [(&[u8], Written); 3] =
    [(b"oci:", Written::Layout), (b"oci-archive:", Written::Archive), (b"docker-archive:", Written::Docker)];

/// Writes a root to where `to` says.
pub(super) fn export(store: &Store, name: &str, to: &Path) -> Done {
    super::enter()?;
    let bytes = to.as_os_str().as_bytes();
    match FORMS.iter().find_map(|(prefix, form)| Some((*form, bytes.strip_prefix(*prefix)?))) {
        Some((form, rest)) => image(store, name, form, rest),
        None => archive(store, name, to),
    }
}

/// `PATH[:TAG]`: the path ends at the first `:`.
fn image(store: &Store, name: &str, form: Written, rest: &[u8]) -> Done {
    let colon = rest.iter().position(|byte| *byte == b':');
    let path = Path::new(OsStr::from_bytes(&rest[..colon.unwrap_or(rest.len())]));
    let tag = colon.map(|at| String::from_utf8_lossy(&rest[at + 1..]).into_owned());
    let tag = match (form, tag) {
        (_, Some(tag)) if tag.is_empty() || tag.chars().any(|one| one.is_control() || one == ' ') => {
            return Err(vec![wrong(format!("cannot use the tag {tag:?}: it is empty or has blanks"))]);
        }
        (Written::Docker, Some(tag)) => Some(Name::parse(&tag).map_err(failed)?.to_string()),
        (_, tag) => tag,
    };
    if path.symlink_metadata().is_ok() {
        let message = format!("cannot export to {}: it exists", path.display());
        return Err(vec![Fault { hint: "images are written where nothing is".to_owned(), ..wrong(message) }]);
    }
    aside(path, |aside| store.export_image(name, form, aside, tag.as_deref()).map_err(failed))
}

fn archive(store: &Store, name: &str, path: &Path) -> Done {
    let compressed =
        path.extension().is_some_and(|end| ["gz", "tgz", "xz", "zst", "bz2"].iter().any(|one| end == *one));
    if compressed {
        let message = format!("cannot export to {}: archives are written plain", path.display());
        let hint = format!("holm root export {name} /dev/stdout | gzip > {}", path.display());
        return Err(vec![Fault { hint, ..wrong(message) }]);
    }
    whole(path, |file| store.export(name, BufWriter::with_capacity(1 << 20, file)).map_err(failed))
}

/// Writes a file: aside, and moved there when it is whole.
pub(crate) fn whole(path: &Path, write: impl Fn(&File) -> Result<(), Vec<Fault>>) -> Done {
    // A terminal, a pipe: written as it is.
    if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return File::create(path).map_err(unwritten(path)).and_then(|file| write(&file)).map(|()| String::new());
    }
    aside(path, |aside| {
        let file = File::create_new(aside).map_err(unwritten(path))?;
        write(&file).and_then(|()| file.sync_all().map_err(unwritten(path)))
    })
}

pub(crate) fn unwritten(path: &Path) -> impl FnOnce(std::io::Error) -> Vec<Fault> + '_ {
    move |error| vec![wrong(format!("cannot write {}: {}", path.display(), cause(&error)))]
}

/// Writes something beside `path`, and moves it there when it is whole.
fn aside(path: &Path, write: impl FnOnce(&Path) -> Result<(), Vec<Fault>>) -> Done {
    let mut aside = path.to_owned().into_os_string();
    aside.push(format!(".{}.part", std::process::id()));
    let aside = PathBuf::from(aside);
    if aside.symlink_metadata().is_ok() {
        return Err(unwritten(path)(std::io::ErrorKind::AlreadyExists.into()));
    }
    let done = write(&aside).and_then(|()| std::fs::rename(&aside, path).map_err(unwritten(path)));
    if done.is_err() {
        let _ = std::fs::remove_file(&aside).or_else(|_| std::fs::remove_dir_all(&aside));
    }
    done.map(|()| String::new())
}
