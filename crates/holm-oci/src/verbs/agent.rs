//! Who answers what a container's filter of system calls asks: it gets the listener, with the state of the container
//! (config-linux.md, "The Container Process State").

use super::look::Shown;
use crate::seccomp::Agent;
use crate::socket;
use crate::state::Record;
use crate::{Error, Result, shown};
use serde_json::json;
use std::os::fd::{AsFd, OwnedFd};

/// One that listens.
pub(super) struct Connected {
    socket: OwnedFd,
    agent: Agent,
}

/// Connects before anything is made.
pub(super) fn connect(agent: Option<Agent>) -> Result<Option<Connected>> {
    let connect = |agent: Agent| match socket::connect(&agent.path) {
        Ok(socket) => Ok(Connected { socket, agent }),
        Err(errno) => {
            let path = shown(&agent.path);
            Err(Error::io(format!("use {path}: failed to connect with seccomp agent"), errno))
        }
    };
    agent.map(connect).transpose()
}

impl Connected {
    /// Hands the listener of process `pid` over: from now on the agent answers.
    pub(super) fn tell(&self, listener: Option<OwnedFd>, pid: i32, record: &Record) -> Result<()> {
        let Some(listener) = listener else { return Ok(()) };
        let state = json!({
            "ociVersion": record.oci_version,
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": self.agent.metadata,
            "state": Shown::of(record)
        });
        socket::send(&self.socket, listener.as_fd(), state.to_string().as_bytes())
            .map_err(|errno| Error::io("hand the listener of the filter over", errno))
    }
}
