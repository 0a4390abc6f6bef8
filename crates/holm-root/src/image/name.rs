//! Names of images in registries: `[REGISTRY/]REPOSITORY[:TAG][@DIGEST]`.

use std::fmt;

use oci_spec::distribution::Reference;

use crate::store::Error;

/// The name of an image in a registry. Without a registry it is Docker's, `docker.io`, where a name without a `/` is in
/// `library`; without tag and digest the tag is `latest`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(Reference);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// It has not that form.
    pub fn parse(text: &str) -> Result<Name, Error> {
        let failed = |cause: String| Error::Image { image: text.to_owned(), cause };
        let name = Reference::try_from(text).map_err(|error| failed(error.to_string()))?;
        match name.digest().is_some_and(|digest| !digest.starts_with("sha256:")) {
            true => Err(failed("its digest is not of SHA-256".to_owned())),
            false => Ok(Name(name)),
        }
    }

    /// The name that its root has in the store: whole, with `+` for `/`.
    pub fn in_store(&self) -> String {
        self.to_string().replace('/', "+")
    }

    /// The registry's host, perhaps with a port.
    pub(super) fn host(&self) -> &str {
        match self.0.registry() {
            "docker.io" => "registry-1.docker.io",
            host => host,
        }
    }

    /// What credentials for it may be kept under, the best first.
    pub(super) fn keys(&self) -> Vec<String> {
        let registry = self.0.registry();
        let whole = format!("{registry}/{}", self.0.repository());
        let above = whole.match_indices('/').map(|(at, _)| whole[..at].to_owned());
        let mut keys: Vec<String> = above.chain([whole.clone()]).collect();
        keys.reverse();
        if registry == "docker.io" {
            keys.extend(["https://index.docker.io/v1/", "index.docker.io"].map(str::to_owned));
        }
        keys.extend([format!("https://{registry}"), format!("https://{registry}/v2/")]);
        keys
    }

    pub(super) fn repository(&self) -> &str {
        self.0.repository()
    }

    pub(super) fn digest(&self) -> Option<&str> {
        self.0.digest()
    }

    /// What its manifest is asked for by.
    pub(super) fn manifest(&self) -> &str {
        self.0.digest().or(self.0.tag()).unwrap_or("latest")
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
