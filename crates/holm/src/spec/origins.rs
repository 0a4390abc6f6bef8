//! Where wishes came from that are made once, for messages.

use super::Origin;

/// A wish that is made once, or as one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// [`Spec::root`](crate::Spec::root).
    Root,
    /// [`Spec::writes`](crate::Spec::writes).
    Writes,
    /// [`Namespaces::time`](super::namespaces::Namespaces::time).
    Time,
    /// [`Identity::user`](super::identity::Identity::user).
    User,
    /// [`Spec::hostname`](crate::Spec::hostname).
    Hostname,
    /// [`Spec::directory`](crate::Spec::directory).
    Directory,
    /// [`Spec::environment`](crate::Spec::environment).
    Environment,
    /// [`Spec::descriptors`](crate::Spec::descriptors).
    Descriptors,
    /// [`Spec::terminal`](crate::Spec::terminal).
    Terminal,
}

impl Wish {
    /// The options of the command line that make it.
    fn options(self) -> &'static str {
        match self {
            Wish::Root => "--root",
            Wish::Writes => "--rw, --overlay",
            Wish::Time => "--time-offset",
            Wish::User => "--user",
            Wish::Hostname => "--hostname",
            Wish::Directory => "--chdir",
            Wish::Environment => "--env",
            Wish::Descriptors => "--pass-fd",
            Wish::Terminal => "--tty",
        }
    }
}

/// What is known of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origins(Vec<(Wish, Origin)>);

impl Origins {
    /// Notes where the wish comes from that counts.
    pub fn set(&mut self, wish: Wish, origin: impl Into<Origin>) {
        self.0.retain(|(known, _)| *known != wish);
        self.0.push((wish, origin.into()));
    }

    /// Notes where one more part of a list comes from.
    pub fn add(&mut self, wish: Wish, origin: &str) {
        match self.0.iter_mut().find(|(known, _)| *known == wish) {
            Some((_, before)) if before.split(", ").any(|one| one == origin) => {}
            Some((_, before)) => *before = format!("{before}, {origin}"),
            None => self.set(wish, origin),
        }
    }

    /// Where a wish comes from; the option that makes it if nothing was noted.
    pub fn of(&self, wish: Wish) -> &str {
        self.0.iter().find(|(known, _)| *known == wish).map_or(wish.options(), |(_, origin)| origin)
    }
}
