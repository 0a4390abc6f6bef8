//! apt and dpkg inside a root of Debian, on an overlay: with what a package manager needs, and nothing reaches the root.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use testkit::{Scratch, is_root, run, skip};

/// What dpkg and apt need: to give files their owners and modes, and to become `_apt`.
const RIGHTS: &str = "chown,dac_override,fowner,fsetid,setuid,setgid,kill,sys_chroot";

/// A package of one file and a script.
const PACKAGE: &str = "
    set -e
    mkdir -p /tmp/p/DEBIAN /tmp/p/usr/bin && cd /tmp
    printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: n <n@localhost>\\nDescription: local\\n' \"$1\" >p/DEBIAN/control
    printf '#!/bin/sh\\nid _apt >/dev/null && adduser --version >/dev/null && echo configured\\n' >p/DEBIAN/postinst
    printf '#!/bin/sh\\necho runs\\n' >\"p/usr/bin/$1\" && chmod 755 p/DEBIAN/postinst \"p/usr/bin/$1\"
    dpkg-deb --root-owner-group -b p \"$1.deb\" >/dev/null && rm -r p";

/// An archive of a root of Debian, which test.sh makes once.
fn archive() -> Option<PathBuf> {
    let named = std::env::var_os("HOLM_DEBIAN").map(PathBuf::from);
    let own = std::env::current_exe().expect("a test program has a path");
    let beside = own.ancestors().nth(4).map(|target| target.join("debian.tar"));
    named.or(beside).filter(|path| path.exists())
}

fn output(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().expect("holm starts")
}

/// A sandbox whose ids are a whole system's.
fn whole() -> Command {
    let mut command = run();
    // An ordinary user's range is in /etc/subuid; root has all ids anyway.
    command.args(["--user", "root", "--cap-add", RIGHTS, "--map", if is_root() { "0:0:65536" } else { "auto" }]);
    command
}

/// The root, unpacked by the caller with the owners that it has inside.
struct Root(PathBuf, Scratch);

impl Root {
    fn unpack(archive: &Path) -> Root {
        let scratch = Scratch::new("debian");
        let place = scratch.join("root");
        std::fs::create_dir(&place).expect("scratch is ours");
        let mut bind = place.clone().into_os_string();
        bind.push(":/to");
        let file = std::fs::File::open(archive).expect("it was just there");
        // Devices are what no ordinary user can make, and holm has its own.
        let tar = ["tar", "--extract", "--numeric-owner", "--same-permissions", "--exclude=./dev/*", "--directory=/to"];
        let done = whole().arg("--bind-rw").arg(&bind).args(tar).stdin(file).output().expect("holm starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        Root(place, scratch)
    }

    fn run(&self, script: &str) -> String {
        let mut command = whole();
        command.arg("--root").arg(&self.0).args(["--overlay", "--env", "DEBIAN_FRONTEND=noninteractive"]);
        let done = output(command.args(["sh", "-ec", &format!("exec 2>&1; {script}")]));
        let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{script}: {text}");
        text
    }

    /// Names, sizes, modes, owners and times of all that is in it.
    fn listed(&self) -> Vec<u8> {
        output(Command::new("find").arg(&self.0).args(["-printf", "%P %s %m %U:%G %T@ %C@\\n"])).stdout
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let mut bind = self.1.path().as_os_str().to_owned();
        bind.push(":/to");
        // Its files are other ids' outside.
        let _ = whole().arg("--bind-rw").arg(&bind).args(["rm", "-rf", "/to/root"]).status();
    }
}

#[test]
fn apt_and_dpkg_work_in_a_root_of_debian() {
    let Some(archive) = archive() else {
        return skip("no root of Debian: test.sh makes one");
    };
    let root = Root::unpack(&archive);
    let before = root.listed();
    let text =
        root.run("apt-get --version | head -n 1; apt-cache policy bash | head -n 1; dpkg --audit; dpkg -l | wc -l");
    assert!(text.starts_with("apt ") && text.contains("bash:"), "{text}");
    let text = root.run(&format!(
        "package() {{ {PACKAGE}\n}}; package one; package two
         dpkg -i /tmp/one.deb; one; apt-get install -y /tmp/two.deb; two
         dpkg --verify one two; dpkg -s two | grep ^Status; apt-get remove -y two; ! two 2>/dev/null
         adduser --system --no-create-home someone; su -s /bin/sh -c 'id -un' someone; apt-get check -q
         cd /usr/bin && apt-get download nothing-of-that-name || echo no such package"
    ));
    for part in ["configured\nruns", "Status: install ok installed", "Removing two", "\nsomeone\n", "no such package"] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let after = root.listed();
    assert!(before.len() > 100_000, "{}", String::from_utf8_lossy(&before));
    assert!(before == after, "the root was changed: {}", archive.as_os_str().as_bytes().escape_ascii());
}
