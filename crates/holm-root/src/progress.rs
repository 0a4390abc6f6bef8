//! How far the work is.

use std::ops::ControlFlow;

/// What is told again and again while the work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done now.
    pub stage: Stage,
    /// How much of it is done, which can become less when a download has to begin again.
    pub done: u64,
    /// How much there is in all; 0 if nobody knows.
    pub total: u64,
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What archives say of themselves; in archives.
    Release,
    /// The indexes; in bytes.
    Index,
    /// Which packages are needed; in packages, the total unknown.
    Choose,
    /// The packages; in bytes.
    Packages,
    /// What a registry says of an image; in images.
    Registry,
    /// The layers of an image; in bytes.
    Layers,
    /// The files of packages, archives or layers; in bytes of those.
    Unpack,
    /// The files of a directory; in entries, the total unknown.
    Copy,
    /// The scripts of packages; in packages.
    Configure,
    /// What a recipe begins with is laid out.
    Base,
    /// Programs of the host are added.
    Programs,
    /// Files of the host are added.
    Files,
    /// Commands of a recipe run; in commands.
    Commands,
    /// The store takes the root; in roots.
    Store,
}

/// Told again and again; it can have the work stop.
pub type Tell<'t> = &'t mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Tells nobody.
pub fn untold(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}
