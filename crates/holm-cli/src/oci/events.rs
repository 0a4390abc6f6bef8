//! `events`: a line of JSON for each.

use super::print;
use clap::ArgMatches;
use holm_oci::Result;
use holm_oci::verbs::Watch;
use std::path::Path;
use std::time::Duration;

pub(super) fn tell(options: &ArgMatches, root: &Path, id: &str) -> Result<Vec<String>> {
    let mut watch = Watch::new(root, id)?;
    if options.get_flag("stats") {
        return print::line(&watch.stats());
    }
    let interval = options.get_one::<Duration>("interval").copied().unwrap_or(Duration::from_secs(5));
    while let Some(event) = watch.next(interval)? {
        print::line(&event)?;
    }
    Ok(Vec::new())
}
