//! Members of a layer: files, and marks that hide what is in layers below.
//!
//! `.wh.NAME` hides `NAME`, `.wh..wh..opq` all that lower layers have in its directory (OCI image specification,
//! "Whiteouts"). Nothing else can have a name that begins so.

use std::io::{self, Read};

use super::archive::{Archive, Member};
use super::inside;
use crate::tree::Tree;

const MARK: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";

/// Makes or hides what a member says.
pub(super) fn make(tree: &mut Tree, member: &Member, archive: &mut Archive<impl Read>) -> io::Result<()> {
    let path = inside(&member.path)?;
    let at = path.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    let (above, name) = (&path[..at.saturating_sub(1)], &path[at..]);
    if above.split(|byte| *byte == b'/').any(|part| part.starts_with(MARK)) {
        return Err(io::Error::other("it is below a mark that hides something"));
    }
    if name == OPAQUE {
        return Ok(tree.hide_all_in(above)?);
    }
    let Some(hidden) = name.strip_prefix(MARK) else { return super::make(tree, member, archive) };
    match hidden {
        b"" | b"." | b".." => Err(io::Error::other("it hides nothing that has a name")),
        hidden => Ok(tree.hide(&[&path[..at], hidden].concat())?),
    }
}
