//! Images from registries (OCI distribution specification 1.1): documents into memory, and who may have what.
//!
//! Nothing that a registry sends is trusted. A document has at most 4 MiB and comes within a minute; whatever has a
//! digest must have it. Without TLS only loopback is asked, unless the caller insists, and credentials go to nobody in
//! clear but there. Where a registry answers 401, it says which token server to ask (RFC 6750, Docker's token
//! specification) or wants a password at once (RFC 7617).

use std::fmt;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use oci_spec::image::Descriptor;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::runtime::Runtime;

use super::credentials::Credentials;
use super::document::{self, Document, Documents, MOST, digest};
use super::layout::checked;
use super::remote::Remote;
use super::{Bytes, Image, Name};
use crate::debian::error::Error as Refused;
use crate::debian::fetch::{Authority, Patience, Wanted, causes};
use crate::store::listing::Hash;
use crate::store::{Error, Store};

/// A document comes within so long.
const LONGEST: Duration = Duration::from_secs(60);

const KINDS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
                     application/vnd.docker.distribution.manifest.list.v2+json, \
                     application/vnd.docker.distribution.manifest.v2+json";

/// Whether a registry must prove who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Yes, by TLS; but on loopback nobody else can answer, and HTTP is spoken.
    Secure,
    /// No: HTTP is spoken.
    Insecure,
}

/// A registry that is asked for one image.
pub(super) struct Registry {
    name: Name,
    transport: Transport,
    base: Url,
    runtime: Runtime,
    client: reqwest::Client,
    credentials: Credentials,
    authorization: Mutex<Option<HeaderValue>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Nothing that is secret.
        f.debug_struct("Registry").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Image {
    /// An image from its registry. Its layers are downloaded, into the store's cache, while it is imported.
    ///
    /// # Errors
    /// There is none of that name, it isn't given to this caller, the registry doesn't answer or answers what is wrong;
    /// the image is none for this machine; the cache can't be made.
    pub fn pull(name: &Name, store: &Store, transport: Transport) -> Result<Image, Error> {
        // There must be a store, with its mode, for there to be a cache in it.
        store.ensure()?;
        let cache = store.blobs()?;
        let registry = Registry::new(name, transport)?;
        let bytes = registry.manifest(name.manifest())?;
        let found = Hash::from(Sha256::digest(&bytes));
        if name.digest().is_some_and(|wanted| digest(wanted) != Ok(found)) {
            return Err(registry.failed("its manifest has another digest"));
        }
        let document = Document::parse(&bytes).map_err(|cause| registry.failed(cause))?;
        let (manifest, id) = document::resolve(&registry, document, found).map_err(|cause| cause.told(&registry))?;
        let config = registry.blob(manifest.config())?;
        let mut wanted: Vec<Wanted> = Vec::new();
        let open = |layer: &Descriptor| -> Result<Bytes, Cause> {
            let sha256 = digest(layer.digest().as_ref())?;
            let (urls, size) = (vec![registry.url(&format!("blobs/{}", layer.digest()))?.to_string()], layer.size());
            let at = wanted.iter().position(|one| (one.sha256, one.size) == (sha256, size)).unwrap_or(wanted.len());
            if at == wanted.len() {
                wanted.push(Wanted { urls, size, sha256 });
            }
            Ok(Bytes::Remote(at))
        };
        let image = Image::new(name.to_string(), id, &config, manifest.layers(), open);
        let image = image.map_err(|cause| cause.told(&registry))?;
        Ok(Image { remote: Some(Remote { registry, cache, wanted }), ..image })
    }
}

/// Why a document can't be had: in words, or as an error.
pub(super) enum Cause {
    Text(String),
    Error(Error),
}

impl From<String> for Cause {
    fn from(text: String) -> Cause {
        Cause::Text(text)
    }
}

impl From<Error> for Cause {
    fn from(error: Error) -> Cause {
        Cause::Error(error)
    }
}

impl Cause {
    fn told(self, registry: &Registry) -> Error {
        match self {
            Cause::Text(text) => registry.failed(text),
            Cause::Error(error) => error,
        }
    }
}

impl Documents for Registry {
    type Error = Cause;

    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, Cause> {
        let bytes = self.manifest(blob.digest().as_ref())?;
        Ok(checked(bytes, blob)?)
    }
}

impl Authority for Registry {
    fn header(&self) -> Option<HeaderValue> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn renew<'a>(
        &'a self,
        sent: Option<HeaderValue>,
        headers: &'a HeaderMap,
    ) -> Pin<Box<dyn Future<Output = Result<(), Refused>> + 'a>> {
        Box::pin(async move {
            self.authorize(sent, headers).await.map_err(|error| match error {
                Error::Pull { cause, status, .. } => Refused::Download { url: self.base.to_string(), cause, status },
                error => Refused::Download { url: self.base.to_string(), cause: error.to_string(), status: None },
            })
        })
    }
}

impl Registry {
    fn new(name: &Name, transport: Transport) -> Result<Registry, Error> {
        let failed = |cause: String| Error::Pull { image: name.to_string(), cause, status: None };
        let scheme = if transport == Transport::Insecure || is_loopback(name.host()) { "http" } else { "https" };
        let base = Url::parse(&format!("{scheme}://{}/v2/{}/", name.host(), name.repository()));
        Ok(Registry {
            name: name.clone(),
            transport,
            base: base.map_err(|error| failed(error.to_string()))?,
            runtime: crate::net::runtime().map_err(|error| failed(error.to_string()))?,
            client: crate::net::client(Patience::default().silence).map_err(|error| failed(causes(&error)))?,
            credentials: Credentials::of_caller(name).map_err(failed)?,
            authorization: Mutex::new(None),
        })
    }

    fn failed(&self, cause: impl Into<String>) -> Error {
        self.answered(cause, None)
    }

    fn answered(&self, cause: impl Into<String>, status: Option<StatusCode>) -> Error {
        let status = status.map(|status| status.as_u16());
        Error::Pull { image: self.name.to_string(), cause: cause.into(), status }
    }

    fn url(&self, path: &str) -> Result<Url, Error> {
        self.base.join(path).map_err(|error| self.failed(error.to_string()))
    }

    fn manifest(&self, reference: &str) -> Result<Vec<u8>, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        self.wait(self.get(url))
    }

    /// A blob that is a document.
    fn blob(&self, blob: &Descriptor) -> Result<Vec<u8>, Error> {
        let url = self.url(&format!("blobs/{}", blob.digest()))?;
        checked(self.wait(self.get(url))?, blob).map_err(|cause| self.failed(cause))
    }

    /// Runs something to its end.
    pub(super) fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Why a layer can't be had.
    pub(super) fn fetched(&self, error: Refused) -> Error {
        match error {
            Refused::Download { cause, status, .. } => {
                let status = status.and_then(|status| StatusCode::from_u16(status).ok());
                self.answered(cause, status)
            }
            error => self.failed(error.to_string()),
        }
    }

    /// Gets a document, with what the registry asks for.
    async fn get(&self, url: Url) -> Result<Vec<u8>, Error> {
        let slow = |_| self.failed(format!("the registry takes more than {} s for a document", LONGEST.as_secs()));
        let work = async {
            let sent = self.header();
            let mut answer = self.ask(url.clone(), sent.clone()).await?;
            if answer.status() == StatusCode::UNAUTHORIZED {
                self.authorize(sent, answer.headers()).await?;
                answer = self.ask(url, self.header()).await?;
            }
            match answer.status() {
                StatusCode::OK => self.body(answer).await,
                status => Err(self.answered(format!("the registry says {status}"), Some(status))),
            }
        };
        tokio::time::timeout(LONGEST, work).await.map_err(slow)?
    }

    async fn ask(&self, url: Url, authorization: Option<HeaderValue>) -> Result<Response, Error> {
        let mut request = self.client.get(url).header(ACCEPT, KINDS);
        if let Some(value) = authorization {
            request = request.header(AUTHORIZATION, value);
        }
        request.send().await.map_err(|error| self.failed(causes(&error)))
    }

    /// All of an answer, if it isn't too long.
    async fn body(&self, mut answer: Response) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.failed(causes(&error)))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MOST {
                return Err(self.failed(format!("the registry sends a document of more than {MOST} bytes")));
            }
        }
        Ok(bytes)
    }

    /// Gets what a registry wants to see that has answered 401 to `sent`.
    async fn authorize(&self, sent: Option<HeaderValue>, headers: &HeaderMap) -> Result<(), Error> {
        if self.header() != sent {
            // Another request has got it meanwhile.
            return Ok(());
        }
        let refused = |cause: String| self.answered(cause, Some(StatusCode::UNAUTHORIZED));
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let texts: Vec<&str> = texts.collect();
        let challenges = texts.iter().filter_map(|text| http_auth::parse_challenges(text).ok()).flatten();
        let challenges: Vec<_> = challenges.collect();
        let of = |scheme: &str| challenges.iter().find(|one| one.scheme.eq_ignore_ascii_case(scheme));
        let value = match (of("bearer"), of("basic"), &self.credentials) {
            (Some(challenge), ..) => {
                let parameter = |name: &str| {
                    let found = challenge.params.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                    found.map(|(_, value)| value.to_unescaped())
                };
                let realm =
                    parameter("realm").ok_or_else(|| refused("the registry names no token server".to_owned()))?;
                format!("Bearer {}", self.token(&realm, parameter("service")).await?)
            }
            (None, Some(_), Credentials::Basic { user, password }) => basic(user, password),
            (None, Some(_), Credentials::None) => return Err(refused("the registry wants a password".to_owned())),
            (None, Some(_), Credentials::Helper { name, file }) => {
                return Err(refused(format!(
                    "its password is with the helper {name} of {}, which isn't run",
                    file.display()
                )));
            }
            (None, None, _) => return Err(refused("the registry asks for nothing that is known".to_owned())),
        };
        let mut value = HeaderValue::from_str(&value).map_err(|_| refused("a token is no text".to_owned()))?;
        value.set_sensitive(true);
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(())
    }

    /// A token to read this repository, from the registry's token server.
    async fn token(&self, realm: &str, service: Option<String>) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let failed = |cause: String| self.failed(format!("its token server {realm:?} can't be used: {cause}"));
        let mut url = Url::parse(realm).map_err(|error| failed(error.to_string()))?;
        if !self.may_ask(&url) {
            return Err(failed("it is asked by TLS only".to_owned()));
        }
        let scope = format!("repository:{}:pull", self.name.repository());
        url.query_pairs_mut().append_pair("scope", &scope);
        if let Some(service) = service {
            url.query_pairs_mut().append_pair("service", &service);
        }
        let mut request = self.client.get(url);
        if let Credentials::Basic { user, password } = &self.credentials {
            request = request.header(AUTHORIZATION, basic(user, password));
        }
        let answer = request.send().await.map_err(|error| failed(causes(&error)))?;
        if answer.status() != StatusCode::OK {
            let status = answer.status();
            return Err(self.answered(format!("its token server {realm:?} says {status}"), Some(status)));
        }
        let answer: Answer = document::parse(&self.body(answer).await?, "answer").map_err(failed)?;
        answer.token.or(answer.access_token).ok_or_else(|| failed("it gives no token".to_owned()))
    }

    /// Whether a token server may see the caller's credentials on the way there.
    fn may_ask(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let own = self.transport == Transport::Insecure && Some(host) == self.base.host_str();
        url.scheme() == "https" || url.scheme() == "http" && (is_loopback(host) || own)
    }
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine;
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

/// Whether a host, perhaps with a port, is this machine by its very name.
fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name);
    name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_loopback() {
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.9.9.9"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "127.0.0.1.example:80", "example:127", "10.0.0.1", "registry-1.docker.io"] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
