//! A connection to systemd: by its own socket, or by a bus (D-Bus specification, "Authentication Protocol"). Calls wait for their
//! answer, and everything has an end: a peer that is silent is a failure.

use super::message::{Body, Kind, Message};
use crate::shown;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use zbus::{DynamicType, Type, Variant};

/// How long an answer, or the end of a job, may take.
const PATIENCE: Duration = Duration::from_secs(30);
const SYSTEMD: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const BUS: &str = "org.freedesktop.DBus";

/// Whose systemd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The machine's.
    System,
    /// The caller's own (systemd --user).
    User,
}

impl Whose {
    /// The one that makes control groups for this process.
    pub(crate) fn here() -> Whose {
        match holm::host::limits::is_machines_root() {
            true => Whose::System,
            false => Whose::User,
        }
    }
}

/// Where a connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// To systemd itself.
    Direct,
    /// To a bus, and systemd by its name there.
    Bus,
}

/// Why a call has failed.
#[derive(Debug)]
pub(crate) enum Refused {
    /// By this error of the other side, and its words.
    Error(String, String),
    /// The connection is of no use.
    Broken(Error),
}

impl Refused {
    /// Whether it is this error of systemd's.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(self, Refused::Error(error, _) if error.strip_prefix("org.freedesktop.systemd1.") == Some(name))
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Error(name, words) if words.is_empty() => f.write_str(name),
            Refused::Error(_, words) => f.write_str(words.trim_end_matches('.')),
            Refused::Broken(error) => f.write_str(&holm::model::text::cause(error)),
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Broken(match error.kind() {
            // What a socket's time-out says.
            ErrorKind::WouldBlock => rustix::io::Errno::TIMEDOUT.into(),
            _ => error,
        })
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Bus {
    stream: UnixStream,
    peer: Peer,
    serial: u32,
    /// What came while an answer was waited for.
    signals: VecDeque<Message>,
}

impl Bus {
    /// Connects.
    ///
    /// # Errors
    /// Where it was looked for, and why nobody answers there.
    pub(crate) fn open(whose: Whose) -> std::result::Result<Bus, String> {
        let mut failures = Vec::new();
        for (address, peer) in addresses(whose)? {
            match connect(&address).and_then(|stream| Bus::new(stream, peer)) {
                Ok(bus) => return Ok(bus),
                Err(error) => failures.push(format!("{address}: {}", holm::model::text::cause(&error))),
            }
        }
        Err(failures.join("; "))
    }

    pub(super) fn new(stream: UnixStream, peer: Peer) -> Result<Bus> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        authenticate(&stream)?;
        let mut bus = Bus { stream, peer, serial: 0, signals: VecDeque::new() };
        let failed = |refused: Refused| match refused {
            Refused::Broken(error) => error,
            other => Error::other(other.to_string()),
        };
        if peer == Peer::Bus {
            bus.bus("Hello", Body::default()).map_err(failed)?;
            let rule = format!("type='signal',interface='{MANAGER}',member='JobRemoved',path='{MANAGER_PATH}'");
            bus.bus("AddMatch", Body::of(&(rule,))?).map_err(failed)?;
            bus.manager("Subscribe", Body::default()).map_err(failed)?;
        }
        Ok(bus)
    }

    fn bus(&mut self, member: &str, body: Body) -> std::result::Result<Message, Refused> {
        self.call([BUS, "/org/freedesktop/DBus", BUS, member], body)
    }

    fn manager(&mut self, member: &str, body: Body) -> std::result::Result<Message, Refused> {
        self.call([SYSTEMD, MANAGER_PATH, MANAGER, member], body)
    }

    /// Calls a method of systemd's manager.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn ask<T: for<'a> Deserialize<'a> + Type>(
        &mut self,
        member: &str,
        values: &(impl Serialize + DynamicType),
    ) -> std::result::Result<T, Refused> {
        Ok(self.manager(member, Body::of(values)?)?.values()?)
    }

    /// The same of one that answers nothing.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn tell(
        &mut self,
        member: &str,
        values: &(impl Serialize + DynamicType),
    ) -> std::result::Result<(), Refused> {
        self.manager(member, Body::of(values)?).map(drop)
    }

    /// The control group below which systemd makes those of its units, as the kernel names it.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn base(&mut self) -> std::result::Result<PathBuf, Refused> {
        let body = Body::of(&(MANAGER, "ControlGroup"))?;
        let reply = self.call([SYSTEMD, MANAGER_PATH, "org.freedesktop.DBus.Properties", "Get"], body)?;
        let (value,): (zbus::OwnedVariant,) = reply.values()?;
        match &*value {
            Variant::Str(path) => Ok(PathBuf::from(path.as_str())),
            _ => Err(Error::new(ErrorKind::InvalidData, "a control group that is no text").into()),
        }
    }

    /// Destination, path, interface and member.
    fn call(&mut self, to: [&str; 4], body: Body) -> std::result::Result<Message, Refused> {
        self.serial += 1;
        let [destination, path, interface, member] = to.map(str::to_owned);
        let mut message = Message { path, interface, member, ..Message::new(Kind::Call, self.serial, body) };
        if self.peer == Peer::Bus {
            message.destination = destination;
        }
        self.stream.write_all(&message.bytes()?)?;
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.next(end)?;
            match message.kind {
                Kind::Signal => self.signals.push_back(message),
                Kind::Reply if message.reply_to == self.serial => return Ok(message),
                Kind::Error if message.reply_to == self.serial => {
                    let words = message.values::<(String,)>().map_or(String::new(), |(words,)| words);
                    return Err(Refused::Error(message.error, words));
                }
                _ => {}
            }
        }
    }

    fn next(&mut self, end: Instant) -> Result<Message> {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(rustix::io::Errno::TIMEDOUT.into());
        }
        self.stream.set_read_timeout(Some(left))?;
        Message::read(&self.stream)
    }

    /// Waits until a job has ended, and returns how: `done` is well.
    ///
    /// # Errors
    /// See [`Refused`].
    pub(crate) fn job(&mut self, job: &str) -> std::result::Result<String, Refused> {
        let end = Instant::now() + PATIENCE;
        loop {
            let message = match self.signals.pop_front() {
                Some(message) => message,
                None => self.next(end)?,
            };
            if message.kind == Kind::Signal && message.interface == MANAGER && message.member == "JobRemoved" {
                let (_, path, _, result): (u32, zbus::OwnedObjectPath, String, String) = message.values()?;
                if path.as_str() == job {
                    return Ok(result);
                }
            }
        }
    }
}

/// Says who this process is: the kernel tells the other side. All at once, as systemd's own programs do: it doesn't look at a message
/// that it has read together with `BEGIN`, and none follows that here before the answer has come.
fn authenticate(mut stream: &UnixStream) -> Result<()> {
    stream.write_all(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
    let taken = line(stream)?.trim_end() == "DATA" && line(stream)?.starts_with("OK ");
    if taken { Ok(()) } else { Err(rustix::io::Errno::ACCESS.into()) }
}

/// A line of the other side, and not a byte of what follows it.
fn line(mut stream: &UnixStream) -> Result<String> {
    const LONGEST: usize = 512;
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') && line.len() < LONGEST {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Where systemd may be found, in this order: where the environment says, its own socket, the bus's usual one.
fn addresses(whose: Whose) -> std::result::Result<Vec<(Address, Peer)>, String> {
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let (said, own, bus) = match whose {
        Whose::System => {
            ("DBUS_SYSTEM_BUS_ADDRESS", Some("/run/systemd/private".into()), Some("/run/dbus/system_bus_socket".into()))
        }
        Whose::User => {
            let runtime = set("XDG_RUNTIME_DIR").map(PathBuf::from);
            let below = |name: &str| runtime.as_ref().map(|place| place.join(name));
            ("DBUS_SESSION_BUS_ADDRESS", below("systemd/private"), below("bus"))
        }
    };
    let said = set(said).unwrap_or_default();
    let said = said.split(';').filter_map(Address::parse).map(|address| (address, Peer::Bus));
    let path = |path: Option<PathBuf>, peer| path.map(|path| (Address::Path(path), peer));
    let all: Vec<_> = said.chain(path(own, Peer::Direct)).chain(path(bus, Peer::Bus)).collect();
    if all.is_empty() {
        Err("neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR says where it is".to_owned())
    } else {
        Ok(all)
    }
}

/// The name of a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

impl Address {
    /// Of `unix:path=/run/bus,guid=…`; `None` for other kinds (D-Bus specification, "Server Addresses").
    fn parse(text: &str) -> Option<Address> {
        text.strip_prefix("unix:")?.split(',').find_map(|pair| match pair.split_once('=')? {
            ("path", path) => Some(Address::Path(String::from_utf8(plain(path)?).ok()?.into())),
            ("abstract", name) => Some(Address::Abstract(plain(name)?)),
            _ => None,
        })
    }
}

/// With `%2f` for what it stands for.
fn plain(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('%');
    let mut plain = parts.next()?.as_bytes().to_vec();
    for part in parts {
        plain.push(u8::from_str_radix(part.get(..2)?, 16).ok()?);
        plain.extend(&part.as_bytes()[2..]);
    }
    Some(plain)
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Path(path) => f.write_str(&shown(path)),
            Address::Abstract(name) => write!(f, "@{}", String::from_utf8_lossy(name).escape_default()),
        }
    }
}

fn connect(address: &Address) -> Result<UnixStream> {
    match address {
        Address::Path(path) => UnixStream::connect(path),
        Address::Abstract(name) => UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sockets_are_read() {
        let path = |text: &str| Some(Address::Path(text.into()));
        assert_eq!(Address::parse("unix:path=/run/a%20b,guid=1"), path("/run/a b"));
        assert_eq!(Address::parse("unix:guid=1,abstract=x"), Some(Address::Abstract(b"x".to_vec())));
        assert!(
            ["tcp:host=x", "unix:guid=1", "unix:path=%2", "unix:path=%zz", ""]
                .map(Address::parse)
                .iter()
                .all(Option::is_none)
        );
    }
}
