//! TOML files of the caller: profiles and recipes. What is wrong in one is told with its line and column.

use crate::report::{self, Fault};
use crate::stored::near;
use serde::de::DeserializeOwned;
use std::path::Path;

/// What a file is, for messages.
pub(crate) struct Kind {
    /// The option that names it, as typed.
    pub(crate) option: &'static str,
    /// A hint where no key is like an unknown one.
    pub(crate) hint: &'static str,
}

impl Kind {
    /// Reads a file.
    pub(crate) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<T, Fault> {
        let bytes = crate::content::read(path).map_err(|cause| {
            self.fault(path, format!("cannot read {}: {cause}", holm::model::text::name(path.as_os_str())))
        })?;
        self.parse(bytes, path)
    }

    /// What these bytes of the file at `path` say.
    pub(crate) fn parse<T: DeserializeOwned>(&self, bytes: Vec<u8>, path: &Path) -> Result<T, Fault> {
        let text = String::from_utf8(bytes)
            .map_err(|_| self.fault(path, format!("cannot use {}: it is not UTF-8", path.display())))?;
        toml::from_str(&text).map_err(|error| {
            let place = error.span().map(|span| position(&text, span.start)).unwrap_or_default();
            let cause = error.message().trim_end().replace('\n', " ");
            let hint = self.hint(&cause);
            Fault { hint, ..self.fault(path, format!("cannot use {}{place}: {cause}", path.display())) }
        })
    }

    /// The keys that are most like an unknown one, as serde tells of it: "unknown field `a`, expected one of `b`, `c`".
    fn hint(&self, cause: &str) -> String {
        let names = cause.strip_prefix("unknown ").unwrap_or_default().split('`').skip(1).step_by(2);
        let names: Vec<String> = names.map(str::to_owned).collect();
        let near = names.split_first().map(|(unknown, known)| near(unknown, known)).unwrap_or_default();
        report::like(&near, self.hint)
    }

    /// Something that is wrong with a file.
    pub(crate) fn fault(&self, path: &Path, message: String) -> Fault {
        Fault { message, origin: crate::values::origin("", self.option, path.as_os_str()), hint: String::new() }
    }
}

/// `:LINE:COLUMN` of a byte, both from 1 on.
fn position(text: &str, byte: usize) -> String {
    let before = &text[..byte.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
    format!(":{line}:{column}")
}
