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
        if let Some(name) = plain(text) {
            return Ok(Name(name));
        }
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

/// A name without a digest, in the form that nearly all have: the library's regular expression takes 40 ms to compile, which is
/// longer than a start from the store.
fn plain(text: &str) -> Option<Reference> {
    const DOCKER: &str = "docker.io";
    let at = text.rfind('/').map_or(0, |at| at + 1);
    let (name, tag) = match text[at..].split_once(':') {
        Some((last, tag)) => (&text[..at + last.len()], tag),
        None => (text, "latest"),
    };
    let is_registry = |first: &&str| first.contains(['.', ':']) || *first == "localhost";
    let first = name.split_once('/').map(|(first, _)| first).filter(is_registry);
    let (registry, repository) = match first {
        Some(first) => (first, &name[first.len() + 1..]),
        None => (DOCKER, name),
    };
    let (host, port) = registry.split_once(':').unwrap_or((registry, "0"));
    let part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    // Each mark stands between two others.
    let is_plain = |text: &str| text.split(['.', '-', '_']).all(|word| !word.is_empty() && word.bytes().all(part));
    let taggable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let is_known = is_plain(host)
        && !host.contains('_')
        && host != "index.docker.io"
        && !port.is_empty()
        && port.bytes().all(|byte| byte.is_ascii_digit())
        && repository.split('/').all(is_plain)
        && name.len() < 200
        && tag.bytes().all(taggable)
        && (1..=128).contains(&tag.len())
        && !tag.starts_with(['-', '.']);
    let library = if registry == DOCKER && !repository.contains('/') { "library/" } else { "" };
    is_known.then(|| Reference::with_tag(registry.to_owned(), format!("{library}{repository}"), tag.to_owned()))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_name_is_what_the_library_says() {
        let registries = [
            "",
            "docker.io/",
            "index.docker.io/",
            "localhost/",
            "localhost:5000/",
            "a.example:1/",
            "a_b.c/",
            "A.b/",
            "-a.b/",
        ];
        let repositories =
            ["web", "group/web", "a.b-c_d", "a__b", "a--b", "a..b", "-a", "a-", "web/", "/web", "", "Web", "localhost"];
        let tags = ["", ":1", ":V1.2-x_y", ":", ":-x", ":.x", ":_x", ":a/b", ":é", "@sha256:00"];
        let mut plain_ones = 0;
        for registry in registries {
            for repository in repositories {
                for tag in tags {
                    let text = format!("{registry}{repository}{tag}");
                    if let Some(plain) = plain(&text) {
                        assert_eq!(Ok(plain), Reference::try_from(text.as_str()), "{text}");
                        plain_ones += 1;
                    }
                }
            }
        }
        assert!(plain_ones > 50, "{plain_ones}");
        for usual in ["debian", "debian:bookworm", "quay.io/fedora/fedora:41", "localhost:5000/web"] {
            assert!(plain(usual).is_some(), "{usual}");
        }
    }
}
