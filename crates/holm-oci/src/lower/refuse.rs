//! Fields that are not done.

use super::Lowering;

impl Lowering<'_> {
    /// Refuses each that is there and asks for something.
    pub(super) fn refuse_fields(&mut self) {
        let config = &self.bundle.config;
        let mut found: Vec<&str> = Vec::new();
        let mut look = |is_there: bool, field| found.extend(is_there.then_some(field));
        look(config.vm().is_some(), "vm");
        look(config.windows().is_some(), "windows");
        look(config.solaris().is_some(), "solaris");
        look(config.zos().is_some(), "zos");
        for field in found {
            self.refuse(field, format!("cannot do {field}: holm does not know how yet"));
        }
    }
}
