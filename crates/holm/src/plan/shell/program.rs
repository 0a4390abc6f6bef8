//! The end of the script: from the process inside to the program.

use super::text::word;
use super::{Part, Script};
use crate::model::capability::Capability;
use crate::model::namespace::{Namespace, NamespaceSet};
use crate::plan::step::{Act, Otherwise};
use crate::spec::life::{Stdio, Terminal};
use crate::spec::policy::NewPrivileges;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

impl Script<'_> {
    /// The chain from the process inside to the program.
    pub(super) fn last(&self, pipes: Option<(i32, i32)>, rows: &mut Vec<Vec<u8>>) {
        let launch = &self.plan.launch;
        rows.push(self.drop_privileges());
        if launch.terminal == Terminal::None {
            rows.push(b"setsid".to_vec());
        }
        rows.push(b"env --ignore-environment --default-signal --".to_vec());
        for (name, value) in &launch.environment {
            rows.push(word(OsStr::from_bytes(&[name.as_bytes(), b"=", value.as_bytes()].concat())));
        }
        let mut shell = String::from("\n(\n");
        if let Some((tell, answer)) = pipes {
            shell += &format!("    echo ready >&{tell}; read -r go <&{answer} || exit 125\n");
        }
        if self.new.contains(Namespace::Mount) {
            shell += "    [ / -ef /.. ] || exit 125 # or the old root is still there\n";
        }
        let mut directory = Path::new("/");
        for (_, act) in self.steps(Part::Last) {
            match act {
                Act::RefuseCores => shell += "    ulimit -c 0\n",
                Act::Umask(mask) => shell += &format!("    umask {mask:03o}\n"),
                Act::ChangeDirectory { path, otherwise } => {
                    directory = path;
                    shell += match otherwise {
                        Otherwise::Root => "    cd -- \"$1\" 2>&- || cd /\n",
                        Otherwise::Later => "",
                        Otherwise::Fail => "    cd -- \"$1\" || exit 125\n",
                    };
                }
                Act::Descriptors(kept) => {
                    let closed = (3..10).filter(|number| !kept.contains(number)).map(|n| format!(" {n}<&-"));
                    shell += &format!("    exec{}\n", closed.collect::<String>());
                }
                _ => {}
            }
        }
        // Where no variable says it, sh is to search where the plan does.
        shell += "    PATH=${PATH-$2}\n    unset PWD OLDPWD\n    shift 2\n    exec \"$@\"\n)\nexit \"$?\"\n";
        let searched: Vec<&[u8]> =
            launch.paths.iter().filter_map(|p| Some(p.parent()?.as_os_str().as_bytes())).collect();
        let searched = OsString::from_vec(searched.join(&b':'));
        rows.push([b"/bin/sh -c ", &*word(shell), b" sh ", &*word(directory), b" ", &*word(searched)].concat());
        let arguments = launch.arguments.iter().skip(1).map(word);
        let mut row: Vec<Vec<u8>> = std::iter::once(word(&launch.name)).chain(arguments).collect();
        for (number, wish) in launch.stdio.iter().enumerate() {
            let arrow = if number == 0 { "<" } else { [">", "2>"][number - 1] };
            match wish {
                Stdio::Null => row.push(format!("{arrow}/dev/null").into_bytes()),
                Stdio::Descriptor(n @ 0..10) => row.push(format!("{arrow}&{n}").into_bytes()),
                Stdio::Descriptor(n) => row.push(format!("{arrow}/proc/self/fd/{n}").into_bytes()),
                Stdio::Inherit | Stdio::Piped => {}
            }
        }
        rows.push(row.join(&b' '));
    }

    /// The command that gives up rights, and takes ids.
    fn drop_privileges(&self) -> Vec<u8> {
        let dropped = self.plan.steps.iter().find_map(|step| match &step.act {
            Act::DropPrivileges { kept, new } => Some((&kept[..], *new)),
            _ => None,
        });
        let (kept, new) = dropped.unwrap_or((&[], NewPrivileges::Refused));
        let plus = |one: &Capability| format!(",+{}", one.to_string().trim_start_matches("CAP_").to_ascii_lowercase());
        let plus: String = kept.iter().map(plus).collect();
        let refused = new == NewPrivileges::Refused;
        let sets = match refused {
            true => format!(
                "--bounding-set=-all{} --securebits=+noroot,+noroot_locked,+no_setuid_fixup,+no_setuid_fixup_locked,+keep_caps_locked",
                plus
            ),
            false => String::new(),
        };
        let no_new = if refused { "--no-new-privs " } else { "" };
        let mut always = format!("{no_new}--inh-caps=-all{0} --ambient-caps=-all{0} ", plus);
        if let Some((uid, gid, _)) = self.ids {
            // Changing ids makes the kernel forget what --kill-child has set (prctl(2), PR_SET_PDEATHSIG).
            always += &format!("--reuid={uid} --regid={gid} --pdeathsig=KILL ");
        }
        let drops_groups = self.steps(Part::Last).any(|(_, act)| *act == Act::DropGroups);
        if drops_groups || self.ids.is_some() {
            always += if drops_groups { "--clear-groups " } else { "--keep-groups " };
        }
        if self.maps.is_some() || self.new != NamespaceSet::default() {
            return format!("setpriv {always}\\\n        {sets} --").into_bytes();
        }
        // Without anything new the caller may have rights or not.
        let more = format!("if setpriv --securebits=+noroot true 2>&-; then set -- {sets} -- \"$@\"; fi");
        [b"sh -euc ", &*word(format!("{more}; exec setpriv {always}\"$@\"")), b" sh"].concat()
    }
}
