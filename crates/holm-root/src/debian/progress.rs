//! How far the work is.

/// What is told again and again while the work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is done now.
    pub stage: Stage,
    /// How much of it is done, which can become less when a download has to begin again.
    pub done: u64,
    /// How much there is in all.
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
    /// Their files; in bytes of packages.
    Unpack,
    /// Their scripts; in packages.
    Configure,
    /// The store takes the root; in roots.
    Store,
}
