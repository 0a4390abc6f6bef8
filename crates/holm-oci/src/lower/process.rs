//! `process`, and the names of the machine.

use super::{Lowering, origin};
use crate::notify;
use holm::model::capability::Capability;
use holm::model::label::{Label, Module};
use holm::model::limit::{CpuList, ResourceLimit};
use holm::spec::identity::{Groups, User};
use holm::spec::life::{Base, Change, Environment, Terminal};
use holm::spec::origins::Wish;
use holm::spec::policy::{CapabilitySets, NewPrivileges};
use oci_spec::runtime::{Capabilities, PosixRlimitType, Process};
use std::collections::BTreeSet;
use std::ffi::OsString;

/// crun's: with the value 1 the process has the groups of the runtime's caller, for what only they may use.
const KEEPS_GROUPS: &str = "run.oci.keep_original_groups";

impl Lowering<'_> {
    pub(super) fn process(&mut self) {
        let Some(process) = self.bundle.config.process() else {
            return self.refuse("process", "cannot run nothing: there is no process");
        };
        self.program(process);
        self.user(process);
        self.capabilities(process);
        self.limits(process);
        self.schedule(process);
        if process.no_new_privileges() != Some(true) {
            self.spec.policy.new_privileges = NewPrivileges::Allowed;
        }
        self.labels(process);
        self.spec.limits.oom_score = process.oom_score_adj();
        self.spec.descriptors = (3..3 + i32::from(self.around.listening.count)).collect();
        self.spec.descriptors.extend(&self.around.preserved);
        // By now others are open, for this process alone.
        self.spec.inherited_only = true;
        let named = [
            (Wish::OomScore, "process.oomScoreAdj"),
            (Wish::Scheduler, "process.scheduler"),
            (Wish::IoPriority, "process.ioPriority"),
            (Wish::Personality, "linux.personality"),
            (Wish::MemoryPolicy, "linux.memoryPolicy"),
            (Wish::User, "process.user"),
            (Wish::Directory, "process.cwd"),
            (Wish::Environment, "process.env"),
            (Wish::Capabilities, "process.capabilities"),
            (Wish::NewPrivileges, "process.noNewPrivileges"),
            (Wish::Terminal, "process.terminal"),
            (Wish::Groups, "process.user.additionalGids"),
            (Wish::Hostname, "hostname"),
            (Wish::Domain, "domainname"),
            (Wish::Root, "root.path"),
            (Wish::Writes, "root.readonly"),
            (Wish::Propagation, "linux.rootfsPropagation"),
            (Wish::Settings, "linux.sysctl"),
            (Wish::Calls, "linux.seccomp"),
        ];
        named.into_iter().for_each(|(wish, field)| self.spec.origins.set(wish, origin(field)));
        self.spec.origins.set(Wish::Descriptors, "--preserve-fds");
    }

    fn program(&mut self, process: &Process) {
        let arguments = process.args().clone().unwrap_or_default();
        let Some((name, rest)) = arguments.split_first().filter(|(name, _)| !name.is_empty()) else {
            return self.refuse("process.args", "cannot run nothing: process.args is empty");
        };
        self.spec.program = holm::spec::life::Program::new(name.into());
        self.spec.program.arguments = rest.iter().map(Into::into).collect();
        let mut changes = vec![];
        for line in process.env().iter().flatten() {
            match line.split_once('=') {
                Some((name, value)) if !name.is_empty() => changes.push(Change::Set(name.into(), value.into())),
                _ => self.refuse("process.env", format!("cannot set variable {line:?}: it is no NAME=VALUE")),
            }
        }
        // Engines leave it to the runtime: only inside it is known who is whose user.
        changes.push(Change::FindHome);
        changes.extend(self.around.listening.variables().map(|(name, value)| Change::Set(name.into(), value.into())));
        if self.around.notified.is_some() {
            changes.push(Change::Set(notify::VARIABLE.into(), notify::VALUE.into()));
        }
        self.spec.environment = Environment { base: Base::Empty, changes };
        if !process.cwd().is_absolute() {
            self.refuse("process.cwd", format!("cannot start in {:?}: it is not an absolute path", process.cwd()));
        }
        self.spec.directory = Some(process.cwd().clone());
        if process.terminal() == Some(true) {
            self.spec.terminal = Terminal::Own;
        }
        self.spec.hostname = self.bundle.config.hostname().as_ref().filter(|name| !name.is_empty()).map(OsString::from);
        self.spec.domain = self.bundle.config.domainname().as_ref().filter(|name| !name.is_empty()).map(OsString::from);
    }

    fn user(&mut self, process: &Process) {
        let user = process.user();
        self.spec.identity.user = User::Ids { uid: user.uid(), gid: user.gid() };
        // Engines list the group of an image's user twice.
        let groups: BTreeSet<u32> = user.additional_gids().iter().flatten().copied().collect();
        self.spec.identity.groups =
            match self.bundle.config.annotations().as_ref().and_then(|all| all.get(KEEPS_GROUPS)) {
                Some(value) if value == "1" => Groups::Callers,
                _ => Groups::Listed(groups.into_iter().collect()),
            };
        match user.umask() {
            None => {}
            Some(mask) if mask <= 0o777 => self.spec.umask = mask,
            Some(mask) => {
                self.refuse("process.user.umask", format!("cannot set the umask to {mask:o}: 777 is the most"))
            }
        }
    }

    /// Of what is run in a container that is there alone: the CPUs of its set-up, and those that it has once it is in the container's
    /// groups.
    pub(super) fn affinity(&mut self, process: &Process) {
        let [first, last] = self.cpus(process);
        self.spec.limits.affinity = last;
        if let Some(entry) = &mut self.spec.entry {
            entry.first_cpus = first;
        }
        self.spec.origins.set(Wish::Affinity, origin("process.execCPUAffinity"));
    }

    /// A list that is none is refused when the container is made, too: `exec` takes it from there.
    pub(super) fn cpus(&mut self, process: &Process) -> [Option<CpuList>; 2] {
        let Some(affinity) = process.exec_cpu_affinity() else { return [None, None] };
        [affinity.initial(), affinity.cpu_affinity_final()].map(|list| {
            let list = list.as_ref().filter(|list| !list.is_empty())?;
            let refused = |cause| format!("cannot run on CPU {list:.100}: {cause}");
            list.parse().map_err(|cause| self.refuse("process.execCPUAffinity", refused(cause))).ok()
        })
    }

    /// What can't be granted is left out, with a warning, as the specification has it.
    fn capabilities(&mut self, process: &Process) {
        let mut sets = CapabilitySets::default();
        let Some(wished) = process.capabilities() else {
            self.spec.policy.sets = Some(sets);
            return;
        };
        let all = self.around.grantable;
        let mut lacking = 0;
        let mut bits = |listed: &Option<Capabilities>| {
            let named = listed.iter().flatten().filter_map(|one| Capability::parse(&one.to_string()));
            let wished = named.map(Capability::bit).fold(0, std::ops::BitOr::bitor);
            lacking |= wished & !all;
            wished & all
        };
        sets.bounding = bits(wished.bounding());
        sets.permitted = bits(wished.permitted());
        sets.effective = bits(wished.effective()) & sets.permitted;
        sets.inheritable = bits(wished.inheritable());
        let ambient = bits(wished.ambient());
        sets.ambient = ambient & sets.permitted & sets.inheritable;
        for one in Capability::all().filter(|one| lacking & one.bit() != 0) {
            self.warnings.push(format!("{one} can't be granted here"));
        }
        let left = Capability::all().filter(|one| ambient & !sets.ambient & one.bit() != 0);
        let left: Vec<String> = left.map(|one| one.to_string()).collect();
        if !left.is_empty() {
            // One line: builders ask for all of them, in each step.
            let cause = "the permitted and inheritable sets have to have it, too";
            self.warnings.push(format!("can't raise ambient capability {}: {cause}", left.join(", ")));
        }
        self.spec.policy.sets = Some(sets);
    }

    fn labels(&mut self, process: &Process) {
        let named = [
            (Module::AppArmor, process.apparmor_profile(), "process.apparmorProfile"),
            (Module::Selinux, process.selinux_label(), "process.selinuxLabel"),
        ];
        for (module, text, field) in named {
            if let Some(text) = text.clone().filter(|text| !text.is_empty()) {
                self.spec.policy.labels.push(Label { module, text });
                self.spec.origins.set(Wish::Label(module), origin(field));
            }
        }
    }

    fn limits(&mut self, process: &Process) {
        let mut seen: Vec<PosixRlimitType> = Vec::new();
        for (place, limit) in process.rlimits().iter().flatten().enumerate() {
            if seen.contains(&limit.typ()) {
                let message = format!("cannot limit {}: it is there twice", limit.typ());
                self.refuse("process.rlimits", message);
            }
            seen.push(limit.typ());
            let name = limit.typ().to_string().trim_start_matches("RLIMIT_").to_ascii_lowercase();
            let amount = |value: u64| if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() };
            match format!("{name}={}:{}", amount(limit.soft()), amount(limit.hard())).parse::<ResourceLimit>() {
                Ok(limit) => self.spec.limits.resources.push(limit),
                Err(cause) => self.refuse("process.rlimits", format!("cannot limit {name}: {cause}")),
            }
            self.spec.origins.set(Wish::Resource(place), origin("process.rlimits"));
        }
    }
}
