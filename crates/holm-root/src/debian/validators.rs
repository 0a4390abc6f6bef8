//! How a server is asked for what it may have sent before.

use reqwest::Response;
use reqwest::header::{ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use serde::{Deserialize, Serialize};

/// How a server knows again what it has sent (RFC 9110, section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Validators {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
}

/// What a server has of a small file.
pub(super) enum Small {
    /// It has none.
    Missing,
    /// What it had sent with the validators that it was asked with.
    Same,
    Found(Vec<u8>, Validators),
}

impl Validators {
    pub(super) fn of(response: &Response) -> Validators {
        let field = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        Validators { etag: field(ETAG), modified: field(LAST_MODIFIED) }
    }

    /// The fields of a request for what is not the same.
    pub(super) fn conditions(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        let etag = self.etag.as_deref().map(|value| (IF_NONE_MATCH, value));
        let modified = self.modified.as_deref().map(|value| (IF_MODIFIED_SINCE, value));
        etag.into_iter().chain(modified)
    }
}
