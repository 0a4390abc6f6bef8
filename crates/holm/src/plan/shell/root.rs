//! The part of the script that builds the root: a line or a few for each step, and the functions that they call.

use super::Script;
use super::text::{Text, place, source, word};
use crate::model::proc::{DIRECTORIES, FILES, SETTINGS};
use crate::plan::step::{Act, Layer};
use crate::spec::filesystem::{Access, Content, Operation, Source, Upper};
use crate::spec::policy::ProcView;
use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The script of the root while it is written.
pub(super) struct Build<'s> {
    pub(super) script: &'s Script<'s>,
    pub(super) number: usize,
    pub(super) text: Text,
    /// The functions of [`TOOLS`] that it needs, and [`guard`].
    pub(super) tools: BTreeSet<&'static str>,
}

impl Build<'_> {
    /// A line that calls a function of [`TOOLS`].
    fn call(&mut self, tool: &'static str, words: &[&[u8]]) {
        self.need(tool);
        self.text.words(&[&[tool.as_bytes()], words].concat());
    }

    /// The same, of a function that reads `content`.
    fn feed(&mut self, content: &Content, tool: &'static str, at: &[u8], options: &str) {
        match content {
            Content::Bytes(bytes) if bytes.is_empty() => self.call(tool, &[at, options.as_bytes(), b"</dev/null"]),
            Content::Bytes(bytes) => {
                self.text.0.extend(printf(bytes));
                self.text.add(" | ");
                self.call(tool, &[at, options.as_bytes()]);
            }
            Content::Descriptor(n @ 0..10) => self.call(tool, &[at, format!("{options} <&{n}").as_bytes()]),
            Content::Descriptor(n) => self.call(tool, &[at, format!("{options} </proc/self/fd/{n}").as_bytes()]),
        }
    }

    /// A mount on a directory, which is made if it is missing.
    fn mount(&mut self, at: &[u8], command: &[&[u8]]) {
        self.call("directory", &[at, b"0755"]);
        self.text.words(&[command, &[b"\"$at\""]].concat());
    }

    fn need(&mut self, tool: &'static str) {
        let needs: &[&str] = match tool {
            "directory" | "file" => &["within"],
            "link" => &["directory"],
            "attributes" | "read_only" => &["plain"],
            "bind" => &["directory", "file", "attributes"],
            "data" => &["bind"],
            "dev" => &["directory", "attributes", "read_only"],
            "mask" => &["within", "attributes"],
            "guard" => &["mask", "bind"],
            _ => &[],
        };
        self.tools.insert(tool);
        needs.iter().for_each(|need| self.need(need));
    }

    pub(super) fn act(&mut self, act: &Act) {
        match act {
            Act::TakeIds { .. } => self.text.line("# The setpriv before this shell has done so."),
            Act::LimitNamespaces => self.text.line(LIMIT_NAMESPACES),
            Act::Limit(_) => self.text.line(LOCK_GROUPS),
            Act::Loopback => self.text.line("ip link set lo up"),
            Act::Hostname(name) => self.text.words(&[b"hostname --", &word(name)]),
            Act::RootTmpfs => self.text.line("mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs \"$new\""),
            Act::RootBind { source: path, access, .. } => {
                self.text.words(&[b"mount --rbind", &source(path), b"\"$new\""]);
                self.call("attributes", &[b"\"$new\"", attributes(*access)]);
            }
            Act::RootOverlay { lower, upper, .. } => {
                let options = self.layers(lower.iter().map(directory), upper);
                self.text.words(&[b"mount -t overlay -o", &options, b"overlay \"$new\""]);
            }
            Act::Operate { operation, .. } => self.operate(operation),
            Act::MountProc { at, view, access } => {
                // The mounter's own pid namespace counts (proc(5)).
                let subset = if *view == ProcView::Processes { ",subset=pid" } else { "" };
                let mount = format!("nsenter --pid=\"$pids\" -- mount -t proc -o nosuid,nodev,noexec{subset} proc");
                self.mount(&place(at), &[mount.as_bytes()]);
                if *access == Access::ReadOnly {
                    self.call("within", &[&place(at)]);
                    self.call("read_only", &[b"\"$at\""]);
                }
            }
            Act::GuardProc { at } => self.call("guard", &[&place(at)]),
            Act::Seal => self.call("read_only", &[b"\"$new\""]),
            Act::Pivot => self.text.line("cd \"$new\"\npivot_root . ."),
            _ => {}
        }
    }

    fn operate(&mut self, operation: &Operation) {
        let at = place(operation.at());
        match operation {
            Operation::Bind { source: Source::Path(path), access, .. } => {
                self.call("bind", &[&source(path), &at, attributes(*access)]);
            }
            Operation::Bind { source: Source::Descriptor(number), access, .. } => {
                self.call("bind", &[format!("/proc/self/fd/{number}").as_bytes(), &at, attributes(*access)]);
            }
            Operation::Tmpfs { size, mode, .. } => {
                let mut options = format!("nosuid,nodev,mode={mode:o}");
                options += &size.map_or(String::new(), |size| format!(",size={size}"));
                options += &self.script.ids.map_or(String::new(), |(uid, gid, _)| format!(",uid={uid},gid={gid}"));
                self.mount(&at, &[b"mount -t tmpfs -o", options.as_bytes(), b"tmpfs"]);
            }
            Operation::Overlay { lower, upper, .. } => {
                let options = self.layers(lower.iter().map(|path| Some(&**path)), upper);
                self.mount(&at, &[b"mount -t overlay -o", &options, b"overlay"]);
            }
            Operation::Directory { mode, .. } => self.call("directory", &[&at, format!("{mode:04o}").as_bytes()]),
            Operation::File { content, mode, .. } => self.feed(content, "file", &at, &format!("{mode:04o}")),
            Operation::BindData { content, mode, access, .. } => {
                let writable = if *access == Access::ReadOnly { "ro," } else { "" };
                self.feed(content, "data", &at, &format!("{mode:04o} {writable}nosuid,nodev"));
            }
            Operation::Symlink { target, .. } => self.call("link", &[&word(target), &at]),
            Operation::Chmod { mode, .. } => {
                self.call("within", &[&at]);
                // With less than five digits chmod(1) leaves a directory's set-group-ID bit as it is.
                self.text.line(&format!("chmod {mode:05o} \"$at\""));
            }
            Operation::Proc { .. } => {} // planned as another act
            Operation::Dev { .. } => self.call("dev", &[&at]),
            Operation::Mqueue { .. } => self.mount(&at, &[b"mount -t mqueue -o nosuid,nodev,noexec mqueue"]),
            Operation::RemountReadOnly { .. } => {
                self.call("within", &[&at]);
                self.call("read_only", &[b"\"$at\""]);
            }
            Operation::Mask { .. } => self.call("mask", &[&at]),
            // Differences say so.
            Operation::Mount { .. }
            | Operation::Remount { .. }
            | Operation::Attach { .. }
            | Operation::Node { .. }
            | Operation::Protect { .. } => {}
        }
    }

    /// Options of an overlay; `None` in `lower` is what was made so far.
    fn layers<'p>(&mut self, lower: impl Iterator<Item = Option<&'p Path>>, upper: &Upper) -> Vec<u8> {
        let number = self.number;
        let mut names = Vec::new();
        for (place, layer) in lower.enumerate() {
            names.push(layer.map_or(b"\"$new\"".to_vec(), |path| self.layer(path, &format!("lower{place}"))));
        }
        let mut options = [b"nosuid,nodev,lowerdir=", &*names.join(&b':')].concat();
        match upper {
            Upper::None => options.extend(b",ro"),
            Upper::Temporary => {
                self.text.line(&format!("mkdir \"$room/upper{number}\" \"$room/work{number}\""));
                options
                    .extend(format!(",upperdir=\"$room/upper{number}\",workdir=\"$room/work{number}\"").into_bytes());
            }
            Upper::Kept { upper, work } => {
                for (key, path) in [("upper", upper), ("work", work)] {
                    options.extend(format!(",{key}dir=").into_bytes());
                    options.extend(self.layer(path, key));
                }
            }
        }
        if self.script.maps.is_some() {
            options.extend(b",userxattr");
        }
        options
    }

    /// A layer's name: another one where a character of its own has a meaning among options.
    fn layer(&mut self, path: &Path, other: &str) -> Vec<u8> {
        if path.is_absolute() && !path.as_os_str().as_bytes().iter().any(|b| b":,\\\"".contains(b)) {
            return word(path);
        }
        let name = format!("\"$room/{other}.{}\"", self.number).into_bytes();
        self.text.words(&[b"ln -s", &source(path), &name]);
        name
    }
}

/// A layer's directory, if it isn't what was made so far.
fn directory(layer: &Layer) -> Option<&Path> {
    if let Layer::Directory(path) = layer { Some(path) } else { None }
}

fn attributes(access: Access) -> &'static [u8] {
    match access {
        Access::ReadOnly => b"ro,nosuid,nodev",
        Access::ReadWrite => b"nosuid,nodev",
        Access::Devices => b"nosuid",
    }
}

/// The command that prints `bytes`: as lines if they are text.
fn printf(bytes: &[u8]) -> Vec<u8> {
    let is_text = |b: &u8| matches!(b, b' '..=b'~' | b'\n' | b'\t');
    if let Some(text) = bytes.strip_suffix(b"\n").filter(|text| text.iter().all(is_text)) {
        let lines = text.split(|&b| b == b'\n').map(|line| word(OsStr::from_bytes(line)));
        return std::iter::once(b"printf '%s\\n'".to_vec()).chain(lines).collect::<Vec<_>>().join(&b' ');
    }
    let mut command = b"printf '".to_vec();
    for byte in bytes {
        match byte {
            b'\\' | b'%' | b'\'' => command.extend(format!("\\{byte:03o}").into_bytes()),
            b' '..=b'~' => command.push(*byte),
            _ => command.extend(format!("\\{byte:03o}").into_bytes()),
        }
    }
    command.push(b'\'');
    command
}

/// What forbids further user namespaces in this one (namespaces(7)).
pub(super) const LIMIT_NAMESPACES: &str = "echo 0 >|/proc/sys/user/max_user_namespaces";
pub(super) const LOCK_GROUPS: &str = "echo 0 >|/proc/sys/user/max_cgroup_namespaces";

/// Functions of the part that builds the root, one a block; all but [`guard`].
pub(super) const TOOLS: &str = r#"# Sets $at to what $1 is in the new root.
# not the same: a link that leads out is refused, and names may change meanwhile; holm has the kernel look up inside
# (openat2). Missing directories are made wherever they are missing; holm makes them on mounts of its own only.
within() {
    at=$(realpath -m -- "$new/$1")
    case $at in "$new" | "$new"/*) ;; *) echo "$1 leads out of the new root" >&2; exit 125 ;; esac
}

# Makes the directory $1 with mode $2, and those above it with 755; one that is there stays.
directory() {
    within "$1"
    mkdir -p -m "$2" -- "$at"
}

# Writes standard input to the new file $1 with mode $2.
file() {
    within "$1"
    mkdir -p -- "${at%/*}"
    cat >"$at"
    chmod "$2" "$at"
}

# Makes the link $2 with text $1; the same one may be there.
link() {
    directory "${2%/*}" 0755
    at=$at/${2##*/}
    [ "$(readlink -- "$at")" = "$1" ] || ln -sT -- "$1" "$at"
}

# Sets $mount to the path that mountinfo writes as $1: \040 is a space.
plain() {
    mount=$1
    case $1 in *\\*) mount=$(printf "$(printf %s "$1" | sed 's/%/%%/g')") ;; esac
}

# Adds attributes $2 to the mount at $1 and to those below. Old ones are said again: some are locked, so that a
# remount may not leave them out (mount_namespaces(7)).
# not the same: one mount after the other, and none that another one hides; util-linux 2.38 has no mount_setattr.
attributes() {
    while read -r _ _ _ _ point old _; do
        plain "$point"
        case $mount in "$1" | "$1"/*) mount -o "remount,bind,$old,$2" none "$mount" ;; esac
    done </proc/self/mountinfo
}

# Makes the mount at $1 read-only, not those below.
read_only() {
    while read -r _ _ _ _ point old _; do
        plain "$point"
        [ "$mount" != "$1" ] || last=$old
    done </proc/self/mountinfo
    mount -o "remount,bind,$last,ro" none "$1"
}

# Binds $1 with all mounts below it on $2, with attributes $3: made elsewhere, set, and only then moved there.
bind() {
    if [ -d "$1" ]; then
        tree=$room/directory
        directory "$2" 0755
    else
        tree=$room/file
        within "$2"
        [ -e "$at" ] || file "$2" 0444 </dev/null
    fi
    mount --rbind "$1" "$tree"
    attributes "$tree" "$3"
    mount --no-mtab --move "$tree" "$at"
}

# Binds a new file with standard input on $1, with mode $2 and attributes $3.
data() {
    made=$(mktemp "$room/data.XXXXXX")
    cat >|"$made"
    chmod "$2" "$made"
    bind "$made" "$1" "$3"
}

# Makes a small /dev at $1.
dev() {
    directory "$1" 0755
    mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$at"
    for name in null zero full random urandom tty; do
        : >"$at/$name"
        chmod 444 "$at/$name"
        mount --bind "/dev/$name" "$at/$name"
        attributes "$at/$name" nosuid,noexec
    done
    ln -s /proc/self/fd "$at/fd"
    ln -s /proc/self/fd/0 "$at/stdin"
    ln -s /proc/self/fd/1 "$at/stdout"
    ln -s /proc/self/fd/2 "$at/stderr"
    ln -s pts/ptmx "$at/ptmx"
    mkdir "$at/pts" "$at/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,nosuid,noexec devpts "$at/pts"
    mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$at/shm"
    read_only "$at"
}

# Hides $1: a directory by an empty one, a file by the null device. What is missing needs no hiding.
mask() {
    within "$1"
    if [ -d "$at" ]; then
        mount -t tmpfs -o ro,nosuid,nodev,mode=555 tmpfs "$at"
    elif [ -e "$at" ]; then
        mount --bind /dev/null "$at"
        attributes "$at" nosuid,noexec
    fi
}
"#;

/// The function `guard`.
pub(super) fn guard() -> String {
    let names = |names: &[&CStr]| names.iter().map(|name| name.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let (hidden, settings) = (names(&[&DIRECTORIES[..], &FILES].concat()), names(&SETTINGS));
    format!(
        r#"# Hides what tells about the machine in the /proc at $1, and makes what changes it read-only.
guard() {{
    for name in {hidden}; do
        mask "$1/$name"
    done
    for name in {settings}; do
        within "$1/$name"
        [ ! -e "$at" ] || bind "$at" "$1/$name" ro,nosuid,nodev,noexec
    done
}}"#
    )
}
