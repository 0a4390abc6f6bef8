//! Relations between packages: `Depends: a (>= 1), b | c:any`.
//!
//! Source: Debian policy, chapter 7; deb-control(5).

use std::cmp::Ordering;
use std::fmt::{self, Display, Formatter};

use super::version;

/// What a version is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound<'t> {
    pub(super) operator: Operator,
    pub(super) version: &'t str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

impl Bound<'_> {
    pub(super) fn allows(&self, version: &str) -> bool {
        let order = version::compare(version, self.version);
        match self.operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }
}

/// One package that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Relation<'t> {
    pub(super) name: &'t str,
    /// `any` or the name of an architecture.
    pub(super) architecture: Option<&'t str>,
    pub(super) bound: Option<Bound<'t>>,
}

impl Display for Relation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        if let Some(architecture) = self.architecture {
            write!(f, ":{architecture}")?;
        }
        if let Some(Bound { operator, version }) = self.bound {
            let operator = match operator {
                Operator::Earlier => "<<",
                Operator::EarlierOrEqual => "<=",
                Operator::Equal => "=",
                Operator::LaterOrEqual => ">=",
                Operator::Later => ">>",
            };
            write!(f, " ({operator} {version})")?;
        }
        Ok(())
    }
}

/// The alternatives, of which one must be there.
pub(super) type Group<'t> = Vec<Relation<'t>>;

/// Reads the value of a field like `Depends`; an error is the piece that is no relation.
pub(super) fn parse(value: &str) -> Result<Vec<Group<'_>>, &str> {
    let groups = value.split(',').map(str::trim).filter(|group| !group.is_empty());
    groups.map(|group| group.split('|').map(|one| relation(one.trim()).ok_or(group)).collect()).collect()
}

fn relation(text: &str) -> Option<Relation<'_>> {
    let (before, bound) = match text.split_once('(') {
        Some((before, bound)) => (before.trim_end(), Some(parse_bound(bound.strip_suffix(')')?.trim())?)),
        None => (text, None),
    };
    let (name, architecture) = match before.split_once(':') {
        Some((name, architecture)) if is_word(architecture) => (name, Some(architecture)),
        Some(_) => return None,
        None => (before, None),
    };
    is_name(name).then_some(Relation { name, architecture, bound })
}

fn parse_bound(text: &str) -> Option<Bound<'_>> {
    let end = text.find(|character| !"<>=".contains(character))?;
    let (operator, version) = text.split_at(end);
    let version = version.trim_start();
    let operator = match operator {
        "<<" => Operator::Earlier,
        // The old forms mean `or equal`.
        "<=" | "<" => Operator::EarlierOrEqual,
        "=" => Operator::Equal,
        ">=" | ">" => Operator::LaterOrEqual,
        ">>" => Operator::Later,
        _ => return None,
    };
    version::is_version(version).then_some(Bound { operator, version })
}

/// Whether a text can be the name of a package. Names of old packages have capitals.
pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
}

/// Whether a text can be the name of an architecture.
pub(super) fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_are_read_and_shown_as_written() {
        for text in ["a", "a | b (>= 1:2~)", "a:any (<< 2), b:amd64 | c (= 1-1)", "libstdc++6 (>> 1)"] {
            let groups = parse(text).expect("it is well formed");
            let alternatives = |group: &Group| group.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | ");
            assert_eq!(groups.iter().map(alternatives).collect::<Vec<_>>().join(", "), text);
        }
        let spaced = parse("a(>=1) ,\n  b  ( < 2 )|c,").expect("it is well formed");
        assert_eq!(spaced.len(), 2);
        assert_eq!(spaced[1][0].to_string(), "b (<= 2)");
    }

    #[test]
    fn what_is_no_relation_is_refused() {
        for text in ["a b", "a (1)", "a (>= 1", "a (>= )", "a | ", "../a", "a (>< 1)", "a:", "é", "a (>= 1) b", "-a"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_bound_allows_what_it_says() {
        let allows = |text: &'static str, version: &str| {
            parse(text).expect("it is well formed")[0][0].bound.expect("it has one").allows(version)
        };
        assert!(allows("a (<< 2)", "1") && !allows("a (<< 2)", "2"));
        assert!(allows("a (<= 2)", "2") && !allows("a (<= 2)", "2.1"));
        assert!(allows("a (= 2)", "0:2") && !allows("a (= 2)", "2-1"));
        assert!(allows("a (>= 2)", "2") && !allows("a (>= 2)", "2~"));
        assert!(allows("a (>> 2)", "2-1") && !allows("a (>> 2)", "2"));
    }
}
