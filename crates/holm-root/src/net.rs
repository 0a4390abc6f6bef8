//! What all downloads share: one client for HTTP and HTTPS, and the runtime it lives in.
//!
//! Certificates are checked against the system's (`SSL_CERT_FILE` and `SSL_CERT_DIR` count), proxies are those of
//! `http_proxy`, `https_proxy` and `no_proxy`. Names are looked up by a library of the program's own: the C library's
//! look-up loads modules, which a static program must not do. No server is trusted for what it sends: who downloads
//! checks size and hash.

use std::io;
use std::sync::Once;
use std::time::Duration;

use reqwest::redirect::{Action, Attempt, Policy};
use tokio::runtime::{Builder, Runtime};

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(20);

/// So often a server may lead to another address.
const REDIRECTS: usize = 10;

/// The runtime that downloads run in: one thread, the caller's.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A client for HTTP and HTTPS. A server may send nothing for so long.
pub(crate) fn client(silence: Duration) -> reqwest::Result<reqwest::Client> {
    provide();
    reqwest::Client::builder()
        .user_agent(concat!("holm/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(silence)
        .redirect(Policy::custom(follow))
        .build()
}

/// Follows a server to another address, but never from a protected one to one in clear.
fn follow(attempt: Attempt<'_>) -> Action {
    let clear = attempt.url().scheme() != "https" && attempt.previous().iter().any(|url| url.scheme() == "https");
    match attempt.previous().len() {
        _ if clear => attempt.error("the server leads to an address without TLS"),
        ..=REDIRECTS => attempt.follow(),
        _ => attempt.error("the server leads from address to address"),
    }
}

/// Makes ring the process's provider of cryptography for TLS; to be called before any client is made.
pub(crate) fn provide() {
    static ONCE: Once = Once::new();
    // That somebody else has chosen one is no error.
    ONCE.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
