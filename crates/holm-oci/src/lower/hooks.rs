//! `hooks`: what can't be run is known before anything is made. They are run by `verbs::hooks`.

use super::{Lowering, origin};
use holm::spec::life::Visit;
use holm::spec::origins::Wish;
use oci_spec::runtime::Hook;

impl Lowering<'_> {
    pub(super) fn hooks(&mut self) {
        let Some(hooks) = self.bundle.config.hooks() else { return };
        let all = [
            ("prestart", hooks.prestart()),
            ("createRuntime", hooks.create_runtime()),
            ("createContainer", hooks.create_container()),
            ("startContainer", hooks.start_container()),
            ("poststart", hooks.poststart()),
            ("poststop", hooks.poststop()),
        ];
        for (kind, hooks) in all {
            hooks.iter().flatten().for_each(|hook| self.hook(kind, hook));
        }
        if all[..3].iter().any(|(_, hooks)| hooks.iter().flatten().next().is_some()) {
            self.spec.visit = Visit::BeforePivot;
            self.spec.origins.set(Wish::Visit, origin("hooks"));
        }
    }

    fn hook(&mut self, kind: &str, hook: &Hook) {
        let (field, path) = (format!("hooks.{kind}"), crate::shown(hook.path()));
        if !hook.path().is_absolute() {
            self.refuse(&field, format!("cannot run hook {path}: it is not an absolute path"));
        }
        if hook.timeout().is_some_and(|seconds| seconds <= 0) {
            self.refuse(&field, format!("cannot run hook {path}: its time must be greater than 0 seconds"));
        }
        for line in
            hook.env().iter().flatten().filter(|line| line.split_once('=').is_none_or(|(name, _)| name.is_empty()))
        {
            self.refuse(&field, format!("cannot run hook {path}: {line:?} is no NAME=VALUE"));
        }
        let texts = hook.args().iter().chain(hook.env()).flatten().map(String::as_bytes);
        if texts.chain([hook.path().as_os_str().as_encoded_bytes()]).any(|text| text.contains(&0)) {
            self.refuse(&field, format!("cannot run hook {path}: there is a NUL byte in it"));
        }
    }
}
