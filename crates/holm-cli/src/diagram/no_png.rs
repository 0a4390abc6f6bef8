//! In place of what draws a PNG, where that isn't built in.

use crate::report::Fault;
use crate::see::fault;

/// Says how to get one.
pub(super) fn write(_: &str) -> Result<Vec<u8>, Fault> {
    Err(fault(
        "cannot draw a PNG: it is not built into this holm (cargo feature png)".to_owned(),
        "name a file that ends in .svg, and rsvg-convert makes a PNG of it; or build holm with --features png",
    ))
}
