//! In which order namespaces are entered. Pure.
//!
//! To enter one takes CAP_SYS_ADMIN in the user namespace that owns it, or above that (setns(2)); to be in a user namespace,
//! as who made it or was let in, gives all capabilities there and below, and none above. So each user namespace that owns
//! something is entered just before that, from the outermost in; what the caller has rights over by itself comes first.

use crate::model::namespace::Namespace;

/// User namespaces from just below the caller's own down to one, by inode; empty is the caller's own.
pub(super) type Path = Vec<u64>;

/// A namespace to enter, other than a user namespace.
pub(super) struct Wanted {
    pub(super) kind: Namespace,
    /// Where its owner is; `None` if that is neither the caller's own user namespace nor below.
    pub(super) owner: Option<Path>,
}

/// What is entered next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The user namespace with this inode.
    User(u64),
    /// The wanted one of this kind.
    Other(Namespace),
}

/// Why there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// The caller has no rights over the owner of this one.
    Closed(Namespace),
    /// The owner of this one and the user namespace of another can't both be entered.
    Apart(Namespace),
}

/// Whether the caller has capabilities in its own user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Caller {
    Privileged,
    Ordinary,
}

/// The order in which `wanted` are entered, and the user namespace at `user`, if that is wanted.
pub(super) fn order(wanted: &[Wanted], user: Option<&Path>, caller: Caller) -> Result<Vec<Next>, Stop> {
    let owners = || wanted.iter().filter_map(|one| one.owner.as_ref());
    let deepest = match (user, caller) {
        (Some(user), _) => user.clone(),
        (None, Caller::Privileged) => Path::new(),
        (None, Caller::Ordinary) => owners().max_by_key(|owner| owner.len()).cloned().unwrap_or_default(),
    };
    let mut at = Vec::new();
    for one in wanted {
        let owner = one.owner.as_ref().ok_or(Stop::Closed(one.kind))?;
        let shared = owner.iter().zip(&deepest).take_while(|(one, other)| one == other).count();
        match caller {
            Caller::Ordinary if owner.is_empty() => return Err(Stop::Closed(one.kind)),
            Caller::Ordinary if shared == 0 => return Err(Stop::Apart(one.kind)),
            _ => at.push((shared, one.kind)),
        }
    }
    let mut steps = Vec::new();
    for depth in 0..=deepest.len() {
        let here = || at.iter().filter(|(place, _)| *place == depth).map(|(_, kind)| Next::Other(*kind));
        let last = user.is_some() && depth == deepest.len();
        if depth > 0 && (last || here().next().is_some()) {
            steps.push(Next::User(deepest[depth - 1]));
        }
        steps.extend(here());
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use super::Namespace::{Mount, Net, Uts};
    use super::*;

    fn wanted(kinds: &[(Namespace, &[u64])]) -> Vec<Wanted> {
        kinds.iter().map(|(kind, owner)| Wanted { kind: *kind, owner: Some(owner.to_vec()) }).collect()
    }

    fn others(kinds: &[Namespace]) -> Vec<Next> {
        kinds.iter().map(|kind| Next::Other(*kind)).collect()
    }

    #[test]
    fn an_outer_owner_is_entered_first_and_the_inner_one_last() {
        let all = wanted(&[(Net, &[1, 2]), (Mount, &[1])]);
        let expected = [Next::User(1), Next::Other(Mount), Next::User(2), Next::Other(Net)];
        for caller in [Caller::Ordinary, Caller::Privileged] {
            assert_eq!(order(&all, Some(&vec![1, 2]), caller), Ok(expected.to_vec()));
        }
        // What owns nothing that is wanted is passed by: who has rights above it has them below.
        let all = wanted(&[(Uts, &[1, 2])]);
        assert_eq!(order(&all, Some(&vec![1, 2]), Caller::Ordinary), Ok(vec![Next::User(2), Next::Other(Uts)]));
        assert_eq!(order(&[], Some(&vec![1, 2]), Caller::Ordinary), Ok(vec![Next::User(2)]));
    }

    #[test]
    fn without_the_user_namespace_an_ordinary_caller_enters_the_owners_and_root_none() {
        let all = wanted(&[(Net, &[1]), (Mount, &[1, 2])]);
        let expected = [Next::User(1), Next::Other(Net), Next::User(2), Next::Other(Mount)];
        assert_eq!(order(&all, None, Caller::Ordinary), Ok(expected.to_vec()));
        assert_eq!(order(&all, None, Caller::Privileged), Ok(others(&[Net, Mount])));
    }

    #[test]
    fn what_is_beside_the_way_needs_rights_above() {
        let all = wanted(&[(Net, &[9]), (Mount, &[1])]);
        assert_eq!(order(&all, Some(&vec![1]), Caller::Ordinary), Err(Stop::Apart(Net)));
        let expected = [Next::Other(Net), Next::User(1), Next::Other(Mount)];
        assert_eq!(order(&all, Some(&vec![1]), Caller::Privileged), Ok(expected.to_vec()));
        // One whose owner is further down is open from above it.
        let deeper = wanted(&[(Net, &[1, 3])]);
        assert_eq!(order(&deeper, Some(&vec![1]), Caller::Ordinary), Ok(vec![Next::User(1), Next::Other(Net)]));
    }

    #[test]
    fn what_belongs_to_the_callers_own_user_namespace_needs_capabilities_there() {
        let own = wanted(&[(Net, &[])]);
        assert_eq!(order(&own, Some(&vec![1]), Caller::Ordinary), Err(Stop::Closed(Net)));
        assert_eq!(order(&own, None, Caller::Privileged), Ok(others(&[Net])));
        let beyond = [Wanted { kind: Uts, owner: None }];
        assert_eq!(order(&beyond, None, Caller::Privileged), Err(Stop::Closed(Uts)));
    }
}
