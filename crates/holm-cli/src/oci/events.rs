//! `events`: a line of JSON for each.

use super::print;
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::verbs::{Event, Watch};
use std::path::Path;
use std::time::Duration;

pub(super) fn tell(options: &ArgMatches, root: &Path, id: &str) -> Result<Vec<String>> {
    let mut watch = Watch::new(root, id)?;
    if options.get_flag("stats") {
        return line(&watch.stats());
    }
    let interval = options.get_one::<Duration>("interval").copied().unwrap_or(Duration::from_secs(5));
    while let Some(event) = watch.next(interval)? {
        line(&event)?;
    }
    Ok(Vec::new())
}

fn line(event: &Event) -> Result<Vec<String>> {
    let text = serde_json::to_string(event).map_err(|error| super::failed(&error.to_string()))?;
    print::text(&(text + "\n"))
}
