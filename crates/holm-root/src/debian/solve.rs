//! Which packages a root needs: those that are wished, with all that they depend on.
//!
//! As apt does in an empty root: of a package the latest version; of alternatives the first that can be there, unless one
//! is there already; recommended packages are left out. Dependencies are followed in depth. Where a choice leads to a
//! package that can't be there, the last choice before it is taken back, up to a limit.
//!
//! Source: Debian policy, chapter 7; apt-get(8).

use std::collections::HashMap;

use super::error::Error;
use super::index::{Entry, Universe};
use super::relation::{self, Group, Relation};

/// So many choices are taken back at most.
const TRIES: usize = 10_000;

/// A set of packages that grows.
pub(super) struct Solver<'u, 't> {
    universe: &'u Universe<'t>,
    architecture: &'u str,
    /// In the order they were chosen in.
    chosen: Vec<usize>,
    by_name: HashMap<&'t str, usize>,
    provided: HashMap<&'t str, Vec<(usize, Option<&'t str>)>>,
    refused: HashMap<&'t str, Vec<(usize, Relation<'t>)>>,
    /// What is still to be satisfied, the next one last.
    agenda: Vec<(usize, Group<'t>)>,
}

/// A choice that can be taken back.
struct Choice<'t> {
    chosen: usize,
    agenda: Vec<(usize, Group<'t>)>,
    /// What else could be chosen, the next one last.
    others: Vec<usize>,
}

impl<'u, 't> Solver<'u, 't> {
    pub(super) fn new(universe: &'u Universe<'t>, architecture: &'u str) -> Solver<'u, 't> {
        Solver {
            universe,
            architecture,
            chosen: Vec::new(),
            by_name: HashMap::new(),
            provided: HashMap::new(),
            refused: HashMap::new(),
            agenda: Vec::new(),
        }
    }

    /// What was chosen.
    pub(super) fn chosen(&self) -> &[usize] {
        &self.chosen
    }

    /// Adds these packages with all that they depend on.
    pub(super) fn add(&mut self, wished: &[usize]) -> Result<(), Error> {
        let before = self.chosen.len();
        for &one in wished {
            match self.by_name.get(self.entry(one).name) {
                Some(other) if *other == one => {}
                Some(other) => {
                    return Err(refusal(format!("{} and {} are asked for", self.show(one), self.show(*other))));
                }
                None => {
                    if let Some(cause) = self.obstacle(one) {
                        return Err(refusal(format!("{} is asked for, but {cause}", self.show(one))));
                    }
                    self.choose(one)?;
                }
            }
        }
        // Their dependencies are followed when all of them are there, in their order.
        self.agenda.clear();
        for at in (before..self.chosen.len()).rev() {
            self.plan(self.chosen[at])?;
        }
        self.follow()
    }

    fn follow(&mut self) -> Result<(), Error> {
        let mut choices: Vec<Choice<'t>> = Vec::new();
        let (mut first, mut tries) = (None, 0);
        while let Some((owner, group)) = self.agenda.pop() {
            if group.iter().any(|one| self.is_satisfied(one)) {
                continue;
            }
            let mut others = self.possible(&group);
            others.reverse();
            let next = match others.pop() {
                Some(next) => {
                    if !others.is_empty() {
                        choices.push(Choice { chosen: self.chosen.len(), agenda: self.agenda.clone(), others });
                    }
                    next
                }
                None => {
                    let cause = first.get_or_insert_with(|| self.explain(owner, &group)).clone();
                    tries += 1;
                    let Some(choice) = choices.last_mut().filter(|_| tries <= TRIES) else {
                        return Err(refusal(cause));
                    };
                    let next = choice.others.pop().expect("a choice without others is gone");
                    self.agenda.clone_from(&choice.agenda);
                    let (length, done) = (choice.chosen, choice.others.is_empty());
                    self.take_back(length);
                    if done {
                        choices.pop();
                    }
                    next
                }
            };
            self.choose(next)?;
            self.plan(next)?;
        }
        Ok(())
    }

    fn entry(&self, at: usize) -> &'u Entry<'t> {
        &self.universe.entries[at]
    }

    fn show(&self, at: usize) -> String {
        format!("{} {}", self.entry(at).name, self.entry(at).version)
    }

    fn parse(&self, at: usize, field: &'t str) -> Result<Vec<Group<'t>>, Error> {
        let bad = |piece: &str| {
            Error::malformed(&format!("the relations of {}", self.show(at)), format!("{piece:?} is none"))
        };
        relation::parse(field).map_err(bad)
    }

    /// What the package can't be together with.
    fn negative(&self, at: usize) -> Result<Vec<Relation<'t>>, Error> {
        let entry = self.entry(at);
        let mut all = self.parse(at, entry.conflicts)?;
        all.extend(self.parse(at, entry.breaks)?);
        Ok(all.into_iter().flatten().filter(|one| self.is_ours(one)).collect())
    }

    fn is_ours(&self, relation: &Relation<'_>) -> bool {
        relation.architecture.is_none_or(|name| name == "any" || name == self.architecture)
    }

    fn choose(&mut self, at: usize) -> Result<(), Error> {
        let negative = self.negative(at)?;
        let entry = self.entry(at);
        self.chosen.push(at);
        self.by_name.insert(entry.name, at);
        for (name, version) in entry.provides() {
            self.provided.entry(name).or_default().push((at, version));
        }
        for one in negative {
            self.refused.entry(one.name).or_default().push((at, one));
        }
        Ok(())
    }

    /// Puts what the package depends on next on the agenda.
    fn plan(&mut self, at: usize) -> Result<(), Error> {
        let mut groups = self.parse(at, self.entry(at).pre_depends)?;
        groups.extend(self.parse(at, self.entry(at).depends)?);
        self.agenda.extend(groups.into_iter().rev().map(|group| (at, group)));
        Ok(())
    }

    fn take_back(&mut self, length: usize) {
        for at in self.chosen.drain(length..) {
            self.by_name.remove(self.universe.entries[at].name);
        }
        let kept = |at: usize| self.by_name.get(self.universe.entries[at].name) == Some(&at);
        self.provided.values_mut().for_each(|all| all.retain(|(at, _)| kept(*at)));
        self.refused.values_mut().for_each(|all| all.retain(|(at, _)| kept(*at)));
    }

    /// Whether a package of this name and version is what is meant.
    fn means(&self, relation: &Relation<'_>, at: usize) -> bool {
        let entry = self.entry(at);
        entry.name == relation.name
            && (relation.architecture != Some("any") || entry.for_any)
            && self.is_ours(relation)
            && relation.bound.is_none_or(|bound| bound.allows(entry.version))
    }

    /// Whether a name that is provided in this version, or in none, is what is meant.
    fn means_provided(&self, relation: &Relation<'_>, version: Option<&str>) -> bool {
        let allowed = |bound: relation::Bound<'_>| version.is_some_and(|version| bound.allows(version));
        self.is_ours(relation) && relation.architecture != Some("any") && relation.bound.is_none_or(allowed)
    }

    fn is_satisfied(&self, relation: &Relation<'t>) -> bool {
        let provided = self.provided.get(relation.name).into_iter().flatten();
        self.by_name.get(relation.name).is_some_and(|at| self.means(relation, *at))
            || provided.into_iter().any(|(_, version)| self.means_provided(relation, *version))
    }

    /// The packages that would satisfy one of the alternatives, the best first.
    fn possible(&self, group: &Group<'t>) -> Vec<usize> {
        let mut all = Vec::new();
        for relation in group {
            all.extend(self.meant(relation).into_iter().filter(|at| self.obstacle(*at).is_none()));
        }
        all
    }

    /// The packages that a relation means, whether they can be there or not.
    fn meant(&self, relation: &Relation<'t>) -> Vec<usize> {
        let own = self.universe.versions(relation.name).first().copied().filter(|at| self.means(relation, *at));
        let mut others: Vec<usize> = self
            .universe
            .providers(relation.name)
            .iter()
            .filter(|(at, version)| Some(*at) != own && self.means_provided(relation, *version))
            .map(|(at, _)| *at)
            .collect();
        others.sort_by_key(|at| (rank(self.entry(*at).priority), self.entry(*at).name));
        own.into_iter().chain(others).collect()
    }

    /// Why a package can't be with those that are chosen.
    fn obstacle(&self, at: usize) -> Option<String> {
        let entry = self.entry(at);
        if let Some(other) = self.by_name.get(entry.name) {
            return Some(format!("{} is chosen", self.show(*other)));
        }
        let hit = |name: &'t str, is: &dyn Fn(&Relation<'t>) -> bool| {
            let mut all = self.refused.get(name).into_iter().flatten();
            all.find(|(_, relation)| is(relation))
                .map(|(owner, relation)| format!("{} conflicts with {relation}", self.show(*owner)))
        };
        let allows = |relation: &Relation<'t>, version: Option<&str>| {
            relation.bound.is_none_or(|bound| version.is_some_and(|version| bound.allows(version)))
        };
        if let Some(cause) = hit(entry.name, &|relation| allows(relation, Some(entry.version))) {
            return Some(cause);
        }
        if let Some(cause) =
            entry.provides().find_map(|(name, version)| hit(name, &|relation| allows(relation, version)))
        {
            return Some(cause);
        }
        let negative = match self.negative(at) {
            Ok(negative) => negative,
            Err(error) => return Some(error.to_string()),
        };
        negative.iter().find_map(|relation| {
            let own = self.by_name.get(relation.name).filter(|at| allows(relation, Some(self.entry(**at).version)));
            let provided = self.provided.get(relation.name).into_iter().flatten();
            let provider = provided.into_iter().find(|(_, version)| allows(relation, *version)).map(|(at, _)| at);
            own.or(provider)
                .map(|other| format!("{} conflicts with {relation}, which is {}", self.show(at), self.show(*other)))
        })
    }

    /// Why a dependency can't be satisfied.
    fn explain(&self, owner: usize, group: &Group<'t>) -> String {
        let why = |relation: &Relation<'t>| {
            let chosen = self.by_name.get(relation.name);
            let cause = match (self.meant(relation).first(), chosen, self.universe.versions(relation.name).first()) {
                (Some(at), ..) => self.obstacle(*at).unwrap_or_default(),
                (None, Some(at), _) => format!("{} is chosen", self.show(*at)),
                (None, None, Some(at)) => format!("the archives have {}", self.show(*at)),
                (None, None, None) => "no archive has it".to_owned(),
            };
            format!("{relation} ({cause})")
        };
        let alternatives: Vec<String> = group.iter().map(why).collect();
        format!("{} needs {}", self.show(owner), alternatives.join(" or "))
    }
}

fn refusal(cause: String) -> Error {
    Error::Unsatisfiable { cause }
}

/// Where a priority stands; what is unknown comes last.
fn rank(priority: &str) -> usize {
    ["required", "important", "standard", "optional"].iter().position(|name| *name == priority).unwrap_or(4)
}
