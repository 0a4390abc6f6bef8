//! Descriptors for whoever listens at a socket of an engine's: all are connected before anything is made, and told once there is a
//! process.

use super::agent;
use super::terminal::{self, Console, Taker};
use crate::seccomp::Agent;
use crate::socket::{connect, send};
use crate::state::Record;
use crate::{Error, Result, shown};
use holm::run::Held;
use holm::spec::life::Terminal;
use oci_spec::runtime::Box as Size;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// Everybody who is told of a process.
pub(super) struct Listeners {
    agent: Option<agent::Connected>,
    watcher: Watcher,
    taker: Taker,
}

impl Listeners {
    /// Connects to the agent of its filter, to who listens at `pidfd_socket`, and to who takes its terminal.
    pub(super) fn connect(
        agent: Option<Agent>,
        pidfd_socket: Option<&Path>,
        terminal: Terminal,
        console: &Console,
    ) -> Result<Listeners> {
        let (agent, watcher) = (agent::connect(agent)?, Watcher::connect(pidfd_socket)?);
        Ok(Listeners { agent, watcher, taker: terminal::connect(terminal, console)? })
    }

    /// Hands over what is theirs, `size` being that of the terminal; its controlling side is returned if the caller gets it.
    pub(super) fn tell(self, held: &mut Held, size: Option<Size>, record: &Record) -> Result<Option<OwnedFd>> {
        let terminal = self.taker.take(held.terminal.take(), size)?;
        self.watcher.tell(held.process())?;
        if let Some(agent) = &self.agent {
            agent.tell(held.listener.take(), held.id(), record)?;
        }
        Ok(terminal)
    }
}

/// Who gets a descriptor of a container's process (pidfd_open(2)), if anybody does.
struct Watcher(Option<OwnedFd>);

impl Watcher {
    /// Connects before anything is made.
    fn connect(path: Option<&Path>) -> Result<Watcher> {
        let failed = |path: &Path, errno| Error::io(format!("use pidfd socket {}", shown(path)), errno);
        let socket = path.map(|path| connect(path).map_err(|errno| failed(path, errno))).transpose()?;
        Ok(Watcher(socket))
    }

    /// Hands the descriptor of a process over.
    fn tell(&self, process: Option<BorrowedFd<'_>>) -> Result<()> {
        let (Some(socket), Some(process)) = (&self.0, process) else { return Ok(()) };
        send(socket, process, b"pidfd").map_err(|errno| Error::io("hand over the process", errno))
    }
}
