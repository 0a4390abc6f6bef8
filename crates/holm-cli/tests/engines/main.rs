//! Engines on `holm oci`: each is started by the test itself, with storage, sockets and state of its own, and is gone with it.

mod daemons;
mod podman;
mod site;
