//! x
pub mod error;
mod exec;
pub mod host;
pub mod model;
pub mod plan;
pub mod run;
pub mod spec;
mod sys;
pub use error::Error;
pub use run::{Child, Exit};
pub use spec::Spec;
