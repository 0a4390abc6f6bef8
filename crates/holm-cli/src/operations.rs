//! The options that are one operation on the root each. One table yields arguments, profile keys and help.

use crate::values::{self, Parsed};
use holm::model::text::name;
use holm::spec::filesystem::{Access, Content, Missing, Operation, Source, Upper};
use std::ffi::OsStr;
use std::path::PathBuf;

/// How the value of an option becomes an operation.
type Parse = fn(&OsStr) -> Parsed<Operation>;

/// One of these options.
pub(crate) struct Option {
    pub(crate) name: &'static str,
    pub(crate) value: &'static str,
    pub(crate) help: &'static str,
    pub(crate) parse: Parse,
}

const fn option(name: &'static str, value: &'static str, help: &'static str, parse: Parse) -> Option {
    Option { name, value, help, parse }
}

/// All of them, in the order of the help.
pub(crate) const OPTIONS: &[Option] = &[
    option("bind", "SRC[:AT]", "Show a file or directory of the host, read-only with all below it", |v| {
        bind(v, Access::ReadOnly, Missing::Refuse)
    }),
    option("bind-rw", "SRC[:AT]", "The same, writable: writes reach the host", |v| {
        bind(v, Access::ReadWrite, Missing::Refuse)
    }),
    option("bind-dev", "SRC[:AT]", "The same, writable and with device nodes", |v| {
        bind(v, Access::Devices, Missing::Refuse)
    }),
    option("bind-try", "SRC[:AT]", "As --bind; a missing source is left out", |v| {
        bind(v, Access::ReadOnly, Missing::Skip)
    }),
    option("bind-rw-try", "SRC[:AT]", "As --bind-rw; a missing source is left out", |v| {
        bind(v, Access::ReadWrite, Missing::Skip)
    }),
    option("bind-dev-try", "SRC[:AT]", "As --bind-dev; a missing source is left out", |v| {
        bind(v, Access::Devices, Missing::Skip)
    }),
    option("bind-data", "SRC:AT[:MODE]", "Mount a new read-only file with the content of a file or fd:N", |v| {
        data(v, Access::ReadOnly)
    }),
    option("bind-data-rw", "SRC:AT[:MODE]", "The same, writable in memory", |v| data(v, Access::ReadWrite)),
    option("tmpfs", "AT[:size=SIZE,mode=MODE]", "Mount an empty file system in memory", tmpfs),
    option(
        "overlay-mount",
        "AT:lower=DIR[,lower=DIR][,tmp|,upper=DIR,work=DIR]",
        "Mount directories over each other, the first on top",
        overlay,
    ),
    option("dir", "AT[:MODE]", "Make a directory", directory),
    option("file", "SRC:AT[:MODE]", "Make a file with the content of a file or fd:N", file),
    option("symlink", "TARGET:AT", "Make a symbolic link", symlink),
    option("chmod", "MODE:AT", "Change permission bits", chmod),
    option(
        "proc",
        "VIEW|AT",
        "What every /proc shows: guarded (default), pids or full; or mount one more there",
        |v| Ok(Operation::Proc { at: v.into() }),
    ),
    option("dev", "AT", "Make a small /dev", |v| Ok(Operation::Dev { at: v.into() })),
    option("mqueue", "AT", "Mount POSIX message queues", |v| Ok(Operation::Mqueue { at: v.into() })),
    option("remount-ro", "AT", "Make a mount read-only, without those below it", |v| {
        Ok(Operation::RemountReadOnly { at: v.into() })
    }),
    option("mask", "AT", "Hide a file or directory behind an empty one", |v| Ok(Operation::Mask { at: v.into() })),
];

/// The operation of the option `name` with this value.
pub(crate) fn parse(name: &str, value: &OsStr) -> Parsed<Operation> {
    let option = OPTIONS.iter().find(|option| option.name == name);
    option.map_or_else(|| Err(format!("there is no operation {name:?}")), |option| (option.parse)(value))
}

fn bind(value: &OsStr, access: Access, missing: Missing) -> Parsed<Operation> {
    let parts = values::split(value, b':');
    let (source, at) = match &parts[..] {
        [fd, number] if fd == "fd" => return Err(format!("descriptor {} needs a place: fd:N:AT", number.display())),
        [fd, number, at] if fd == "fd" => (Source::Descriptor(values::number(number)?), PathBuf::from(at)),
        [source] => (Source::Path(source.into()), values::same_inside(source)?),
        [source, at] => (Source::Path(source.into()), PathBuf::from(at)),
        _ => return Err("it has too many parts; write a ':' in a path as '\\:'".to_owned()),
    };
    Ok(Operation::Bind { source, at, access, missing })
}

/// A content, a place and perhaps a mode.
fn content(value: &OsStr) -> Parsed<(Content, PathBuf, u32)> {
    let parts = values::split(value, b':');
    let (content, rest) = match &parts[..] {
        [fd, number, rest @ ..] if fd == "fd" => (Content::Descriptor(values::number(number)?), rest),
        [source, rest @ ..] => {
            let path = std::path::Path::new(source);
            let bytes = crate::content::read(path).map_err(|cause| format!("cannot read {}: {cause}", name(source)))?;
            (Content::Bytes(bytes), rest)
        }
        [] => return Err("it is empty".to_owned()),
    };
    match rest {
        [at] => Ok((content, at.into(), 0o644)),
        [at, mode] => Ok((content, at.into(), values::mode(mode)?)),
        _ => Err("it needs a source and a place".to_owned()),
    }
}

fn data(value: &OsStr, access: Access) -> Parsed<Operation> {
    content(value).map(|(content, at, mode)| Operation::BindData { at, content, access, mode })
}

fn file(value: &OsStr) -> Parsed<Operation> {
    content(value).map(|(content, at, mode)| Operation::File { at, content, mode })
}

fn tmpfs(value: &OsStr) -> Parsed<Operation> {
    let parts = values::split(value, b':');
    let (mut size, mut mode) = (None, 0o755);
    for option in parts.get(1).iter().flat_map(|options| values::split(options, b',')) {
        match option.to_str().and_then(|text| text.split_once('=')) {
            Some(("size", text)) => size = Some(values::size(text)?),
            Some(("mode", text)) => mode = values::mode(text.as_ref())?,
            _ => return Err(format!("unknown option {:?}: there are size=SIZE and mode=MODE", option.display())),
        }
    }
    match &parts[..] {
        [at] | [at, _] => Ok(Operation::Tmpfs { at: at.into(), size, mode }),
        _ => Err("it has too many parts; write a ':' in a path as '\\:'".to_owned()),
    }
}

fn overlay(value: &OsStr) -> Parsed<Operation> {
    let parts = values::split(value, b':');
    let [at, options] = &parts[..] else { return Err("it needs a place and layers".to_owned()) };
    let (mut lower, mut upper, mut work, mut temporary) = (Vec::new(), None, None, false);
    for option in values::split(options, b',') {
        match values::key(&option) {
            (Some("lower"), path) => lower.push(PathBuf::from(path)),
            (Some("upper"), path) => upper = Some(PathBuf::from(path)),
            (Some("work"), path) => work = Some(PathBuf::from(path)),
            (None, word) if word == "tmp" => temporary = true,
            _ => return Err(format!("unknown option {:?}: there are lower=, upper=, work= and tmp", option.display())),
        }
    }
    let upper = match (upper, work, temporary) {
        (Some(upper), Some(work), false) => Upper::Kept { upper, work },
        (None, None, true) => Upper::Temporary,
        (None, None, false) => Upper::None,
        _ => return Err("it takes either tmp, or both upper=DIR and work=DIR".to_owned()),
    };
    Ok(Operation::Overlay { at: at.into(), lower, upper })
}

fn directory(value: &OsStr) -> Parsed<Operation> {
    match &values::split(value, b':')[..] {
        [at] => Ok(Operation::Directory { at: at.into(), mode: 0o755 }),
        [at, mode] => Ok(Operation::Directory { at: at.into(), mode: values::mode(mode)? }),
        _ => Err("it has too many parts; write a ':' in a path as '\\:'".to_owned()),
    }
}

fn symlink(value: &OsStr) -> Parsed<Operation> {
    match &values::split(value, b':')[..] {
        [target, at] => Ok(Operation::Symlink { target: target.into(), at: at.into() }),
        _ => Err("it needs a target and a place".to_owned()),
    }
}

fn chmod(value: &OsStr) -> Parsed<Operation> {
    match &values::split(value, b':')[..] {
        [mode, at] => Ok(Operation::Chmod { at: at.into(), mode: values::mode(mode)? }),
        _ => Err("it needs a mode and a place".to_owned()),
    }
}
