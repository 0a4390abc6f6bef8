//! Images: what honest ones become, and what hostile ones reach, which is nothing.

mod answers;
#[path = "../archives/mod.rs"]
mod archives;
mod erofs;
mod export;
mod hostile;
mod layout;
#[path = "../patience/mod.rs"]
mod patience;
mod progress;
mod registry;
mod squashfs;
mod start;
#[path = "../stores/mod.rs"]
mod stores;
mod tools;
