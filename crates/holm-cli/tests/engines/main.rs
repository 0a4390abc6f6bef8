//! Engines on `holm oci`: each is started by the test itself, with storage, sockets and state of its own, and is gone with it.

mod containerd;
mod cri;
mod daemons;
mod docker;
mod podman;
mod pods;
mod seen;
mod site;
