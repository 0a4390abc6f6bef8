//! Sockets that a service manager has opened for a container (sd_listen_fds(3)): they are passed on to its first process.

/// So many, from descriptor 3 on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    /// How many.
    pub count: u16,
    /// Their names, if they have any.
    pub names: Option<String>,
}

/// More are believed of nobody.
const MOST: u16 = 1000;

impl Listening {
    /// What this process was given.
    pub fn here() -> Listening {
        let of = |name: &str| std::env::var(name).ok();
        Listening::said(of("LISTEN_FDS"), of("LISTEN_PID"), of("LISTEN_FDNAMES"), std::process::id())
    }

    /// What variables say to the process `own`; those for another one say nothing.
    fn said(count: Option<String>, pid: Option<String>, names: Option<String>, own: u32) -> Listening {
        let count = count.and_then(|count| count.parse().ok()).filter(|count| (1..=MOST).contains(count));
        match count.filter(|_| pid.is_none_or(|pid| pid == own.to_string())) {
            Some(count) => Listening { count, names },
            None => Listening::default(),
        }
    }

    /// The variables that tell the first process, which is pid 1 of its namespace.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, String)> {
        let count = (self.count > 0).then(|| self.count.to_string());
        let names = self.names.clone().map(|names| ("LISTEN_FDNAMES", names));
        count.into_iter().flat_map(|count| [("LISTEN_FDS", count), ("LISTEN_PID", "1".to_owned())]).chain(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_for_another_process_is_not_passed_on() {
        let said = |count: &str, pid: Option<&str>| {
            Listening::said(Some(count.into()), pid.map(str::to_owned), Some("a:b".into()), 7)
        };
        let two = Listening { count: 2, names: Some("a:b".into()) };
        assert_eq!([said("2", None), said("2", Some("7"))], [two.clone(), two.clone()]);
        for none in [said("2", Some("8")), said("-1", None), said("0", None), said("70000", None)] {
            assert_eq!(none, Listening::default());
        }
        let variables: Vec<(&str, String)> = two.variables().collect();
        assert_eq!(
            variables,
            [("LISTEN_FDS", "2".into()), ("LISTEN_PID", "1".into()), ("LISTEN_FDNAMES", "a:b".into())]
        );
        assert_eq!(Listening::default().variables().count(), 0);
    }
}
