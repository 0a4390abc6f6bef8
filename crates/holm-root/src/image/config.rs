//! How a program is started in a root that was made from an image.

use oci_spec::image::{Arch, ImageConfiguration, Os};
use serde::{Deserialize, Serialize};

use super::document::{digest, parse};
use crate::store::listing::Hash;

/// What an image's configuration says of starting a program in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Variables, each `NAME=VALUE`.
    pub env: Vec<String>,
    /// What is started, before `command`.
    pub entrypoint: Vec<String>,
    /// What is started, or the arguments of `entrypoint`.
    pub command: Vec<String>,
    /// The directory it starts in; empty for `/`.
    pub directory: String,
    /// `USER[:GROUP]`, each a name of the image or a number; empty for root.
    pub user: String,
}

impl Config {
    /// Reads an image's configuration: what it says of a start, and the digests of its layers' contents.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Config, Vec<Hash>), String> {
        let whole: ImageConfiguration = parse(bytes, "configuration")?;
        if (whole.os(), whole.architecture()) != (&Os::Linux, &Arch::Amd64) {
            return Err(format!("it is for {}/{}, not linux/amd64", whole.os(), whole.architecture()));
        }
        let contents = whole.rootfs().diff_ids().iter().map(|text| digest(text)).collect::<Result<_, _>>()?;
        let start = whole.config().clone().unwrap_or_default();
        let config = Config {
            env: start.env().clone().unwrap_or_default(),
            entrypoint: start.entrypoint().clone().unwrap_or_default(),
            command: start.cmd().clone().unwrap_or_default(),
            directory: start.working_dir().clone().unwrap_or_default(),
            user: start.user().clone().unwrap_or_default(),
        };
        let lists = [&config.env, &config.entrypoint, &config.command];
        let texts = lists.into_iter().flatten().chain([&config.directory, &config.user]);
        let nul = texts.into_iter().any(|text| text.contains('\0'));
        match nul {
            true => Err("its configuration has a NUL in a text".to_owned()),
            false => Ok((config, contents)),
        }
    }
}
