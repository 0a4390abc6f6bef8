//! Packages that are unpacked become installed ones: their scripts run, inside a sandbox whose root is the draft.
//!
//! In this order, by one shell script: the preinst of each package, as dpkg would have run it before it unpacked;
//! dpkg itself for packages whose preinst moves files; then `dpkg --configure -a`. The sandbox ([`within`]) has no
//! network, and starts no services (policy-rc.d).
//!
//! Source: Debian Policy 6.5 and 9.3.3, dpkg(1) for the environment of scripts, deb-triggers(5).

use std::fmt::Write as _;
use std::path::Path;

use holm::Spec;
use holm::spec::filesystem::{Access, Content, Entry, Missing, Operation, Source};
use holm::spec::life::Change;

use super::package::Fetched;
use super::unpack::Unpacked;
use crate::tree::Owners;
use crate::within::{self, Failed};

/// Inside, what this module needs: on a tmpfs of the sandbox, so nothing of it can stay.
const OWN: &str = "/tmp/holm";
/// Inside, the control files of packages whose preinst is still to be run.
pub(super) const WAITING: &str = "/var/lib/dpkg/holm.ci";

/// Runs the scripts of all packages in the root `files`; `done` is told with each line whether a package is configured,
/// and says whether to go on.
pub(super) fn configure(
    files: &Path,
    packages: &[(&Fetched, &Unpacked)],
    owners: Owners,
    epoch: i64,
    done: &mut dyn FnMut(bool) -> bool,
) -> Result<(), Failed> {
    within::run(&spec(files, packages, owners, epoch), &mut |line| done(line.starts_with(b"Setting up ")))
}

fn spec(files: &Path, packages: &[(&Fetched, &Unpacked)], owners: Owners, epoch: i64) -> Spec {
    let mut spec = within::spec(files, owners, "/bin/sh").arg(format!("{OWN}/configure"));
    let set = |name: &str, value: &str| Change::Set(name.into(), value.into());
    spec.environment.changes.extend([
        set("LC_ALL", "C"),
        set("DEBIAN_FRONTEND", "noninteractive"),
        set("DEBCONF_NONINTERACTIVE_SEEN", "true"),
        set("SOURCE_DATE_EPOCH", &epoch.to_string()),
    ]);
    let mut put = |operation| spec.filesystem.push(Entry { operation, origin: String::new() });
    let text = Content::Bytes(script(packages).into_bytes());
    put(Operation::File { at: format!("{OWN}/configure").into(), content: text, mode: 0o644 });
    for (fetched, _) in packages.iter().filter(|(_, unpacked)| !unpacked.done) {
        let source = Source::Path(fetched.file.clone());
        let at = package_file(fetched).into();
        put(Operation::Bind { source, at, access: Access::ReadOnly, missing: Missing::Refuse });
    }
    spec
}

/// Inside, where dpkg finds a package that it is to unpack.
fn package_file(fetched: &Fetched) -> String {
    format!("{OWN}/{}.deb", fetched.package.name)
}

/// What preinsts have said about owners and modes, dpkg would have heeded when it unpacked (dpkg-statoverride(1)).
const OVERRIDES: &str = "\
if [ -s /var/lib/dpkg/statoverride ]; then
    while read -r user group mode path; do
        if [ -e \"$path\" ]; then chown \"${user#\\#}:${group#\\#}\" \"$path\" && chmod \"$mode\" \"$path\"; fi
    done </var/lib/dpkg/statoverride
fi
";

/// The script that runs inside. What is put into it are names of packages and architectures, which were checked.
fn script(packages: &[(&Fetched, &Unpacked)]) -> String {
    let mut text = String::from("exec 2>&1\n");
    let dpkg = packages.iter().find(|(fetched, _)| fetched.package.name == "dpkg");
    let version = dpkg.and_then(|(fetched, _)| fetched.package.version.split('-').next()).unwrap_or_default();
    let version: String = version.chars().filter(|c| c.is_ascii_alphanumeric() || ".+~".contains(*c)).collect();
    let preinst = |unpacked: &Unpacked| unpacked.done && unpacked.control.files.contains_key("preinst");
    for (_, unpacked) in packages.iter().filter(|(_, unpacked)| preinst(unpacked)) {
        let (key, name) = (unpacked.control.key(), &unpacked.control.name);
        // A string takes everything.
        let _ = write!(
            text,
            "mv {WAITING}/{key} /var/lib/dpkg/tmp.ci &&\n\
            DPKG_MAINTSCRIPT_PACKAGE={name} DPKG_MAINTSCRIPT_ARCH={} DPKG_MAINTSCRIPT_NAME=preinst \
            DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT=1 DPKG_RUNNING_VERSION={version} DPKG_ADMINDIR=/var/lib/dpkg DPKG_ROOT= \
            /var/lib/dpkg/tmp.ci/preinst install || {{ echo 'the preinst of {name} failed'; exit 1; }}\n\
            rm -r /var/lib/dpkg/tmp.ci\n",
            unpacked.control.architecture
        );
    }
    text.push_str(OVERRIDES);
    let left: Vec<String> =
        packages.iter().filter(|(_, unpacked)| !unpacked.done).map(|(fetched, _)| package_file(fetched)).collect();
    if !left.is_empty() {
        let _ = writeln!(text, "dpkg --force-depends --force-confnew --unpack {} || exit 1", left.join(" "));
    }
    text.push_str("exec dpkg --configure -a\n");
    text
}
