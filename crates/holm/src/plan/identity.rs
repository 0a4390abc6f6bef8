//! Steps for identity: the id maps of a new user namespace, and who the program is.

use super::push;
use super::step::{Act, Actor, MapWriter, Step};
use crate::host::Host;
use crate::host::ranges::RANGE;
use crate::model::id::{IdMap, around};
use crate::model::namespace::Namespace;
use crate::spec::entry::Supplementary;
use crate::spec::filesystem::{Entry, Operation, Owners};
use crate::spec::identity::{Maps, User};
use crate::spec::namespaces::Choice;
use crate::spec::origins::Wish;
use crate::spec::{Spec, Unsaid};

/// User and group id of the program inside.
pub(super) fn ids(spec: &Spec, host: &Host) -> (u32, u32) {
    match spec.identity.user {
        User::Own => (host.uid, host.gid),
        User::Ids { uid, gid } => (uid, gid),
    }
}

/// The maps of user and group ids.
pub(super) fn maps(spec: &Spec, host: &Host) -> (Vec<IdMap>, Vec<IdMap>) {
    let (uid, gid) = ids(spec, host);
    let single = |inside, own| vec![IdMap::single(inside, own)];
    match (&spec.identity.maps, host.range) {
        (Maps::Automatic, Some(first)) => {
            let range = vec![IdMap { inside: 0, outside: first, count: RANGE }];
            (range.clone(), range)
        }
        (Maps::Automatic | Maps::Single, _) => (single(uid, host.uid), single(gid, host.gid)),
        (Maps::Subordinate, _) => (around(host.uid, uid, &host.subuid), around(host.gid, gid, &host.subgid)),
        (Maps::Listed { uid: users, gid: groups }, _) => {
            let or_single = |listed: &Vec<IdMap>, inside, own| match listed.is_empty() {
                true => single(inside, own),
                false => listed.clone(),
            };
            (or_single(users, uid, host.uid), or_single(groups, gid, host.gid))
        }
    }
}

/// Whether files of the caller's are shown with their owners on disk, though these ids are others outside.
pub(super) fn shows_owners(spec: &Spec, host: &Host) -> bool {
    *spec.namespaces.choice(Namespace::User) == Choice::New
        && spec.identity.maps == Maps::Automatic
        && host.range.is_some()
}

/// Who writes them. The kernel lets a process without rights map only its own ids, and groups only after setgroups
/// was given up for good (user_namespaces(7)).
pub(super) fn writer(spec: &Spec, host: &Host) -> MapWriter {
    let (uid, gid) = maps(spec, host);
    let own = |maps: &[IdMap], id| matches!(maps, [one] if one.count == 1 && one.outside == id);
    match host.privileged {
        true => MapWriter::Parent,
        false if own(&uid, host.uid) && own(&gid, host.gid) => MapWriter::Child,
        false => MapWriter::Helpers,
    }
}

/// Whether supplementary groups can be dropped: not after setgroups was given up, as newgidmap(1) does where no group
/// outside is from the caller's ranges.
pub(super) fn can_drop_groups(spec: &Spec, host: &Host) -> bool {
    match spec.namespaces.choice(Namespace::User) {
        _ if spec.entry.as_ref().is_some_and(|entry| entry.supplementary == Supplementary::Dropped) => true,
        _ if host.setgroups_denied => false,
        Choice::New => match writer(spec, host) {
            MapWriter::Child => false,
            MapWriter::Parent => true,
            MapWriter::Helpers => {
                let subordinate = |map: &IdMap| host.subgid.iter().any(|&range| map.is_of(range));
                maps(spec, host).1.iter().any(subordinate)
            }
        },
        Choice::Share => host.privileged,
        Choice::Join(..) => false,
    }
}

/// Writes the maps.
pub(super) fn map(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    if *spec.namespaces.choice(Namespace::User) != Choice::New {
        return;
    }
    let writer = writer(spec, host);
    let (uid, gid) = maps(spec, host);
    let (actor, why) = match writer {
        MapWriter::Child => (Actor::Child, "anybody may map the own ids, once setgroups is given up"),
        MapWriter::Parent => (Actor::ParentAtOnce, "the caller has the right to map any id it has"),
        MapWriter::Helpers => (Actor::ParentAtOnce, "set-user-id helpers may map the ranges in /etc/subuid"),
    };
    push(steps, actor, Act::WriteMaps { writer, uid, gid }, why, &spec.identity.origin);
    let (uid, gid) = ids(spec, host);
    let is_wished = |entry: &Entry| matches!(&entry.operation, Operation::Attach { owners: Owners::Inside(_), .. });
    if let (true, Some(first)) = (shows_owners(spec, host), host.range) {
        let why = "what was opened outside keeps its owners on disk, and pipes can be opened again inside";
        let act = Act::MapOwners { pipes: Some((first.saturating_add(uid), first.saturating_add(gid))) };
        push(steps, actor, act, why, "");
    } else if let Some(entry) = spec.filesystem.iter().find(|entry| is_wished(entry)) {
        let why = "what was opened outside keeps its owners on disk";
        push(steps, actor, Act::MapOwners { pipes: None }, why, &entry.origin);
    }
}

/// Takes ids without which nothing could be made, where the caller's have no place inside.
pub(super) fn take_early(spec: &Spec, host: &Host, steps: &mut Vec<Step>) {
    let why = "the caller's ids have no place inside, so nothing could be made with them";
    if let Some((uid, gid)) = early(spec, host) {
        push(steps, Actor::Child, Act::TakeIds { uid, gid }, why, spec.origins.of(Wish::User));
    } else if matches!(spec.namespaces.choice(Namespace::User), Choice::Join(..)) && host.privileged {
        push(steps, Actor::Child, Act::TakeMappedIds, "which ids a joined user namespace maps is seen only inside", "");
    }
}

/// The ids that the child takes before it makes anything: the program's, or 0 where a wish says what belongs to whom.
pub(super) fn early(spec: &Spec, host: &Host) -> Option<(u32, u32)> {
    let (users, groups) = maps(spec, host);
    let zero = spec.unsaid == Unsaid::Nothing && [users, groups].iter().all(|maps| maps.iter().any(|m| m.covers(0)));
    loses_own_ids(spec, host).then(|| if zero { (0, 0) } else { ids(spec, host) })
}

/// Whether a process inside can be user 0 outside, with the rights of the owner over the host's files.
pub(super) fn reaches_root(spec: &Spec, host: &Host) -> bool {
    if let Some(entry) = &spec.entry {
        return entry.reaches_root;
    }
    match spec.namespaces.choice(Namespace::User) {
        Choice::New => maps(spec, host).0.iter().any(|map| map.outside == 0),
        Choice::Share | Choice::Join(..) => host.uid == 0,
    }
}

/// Whether the caller's ids are mapped nowhere: then the child takes the program's before it makes anything.
fn loses_own_ids(spec: &Spec, host: &Host) -> bool {
    let (users, groups) = maps(spec, host);
    let mapped = |maps: &[IdMap], own: u32| maps.iter().any(|m| own >= m.outside && own - m.outside < m.count);
    *spec.namespaces.choice(Namespace::User) == Choice::New && !(mapped(&users, host.uid) && mapped(&groups, host.gid))
}
