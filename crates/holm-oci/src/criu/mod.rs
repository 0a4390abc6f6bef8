//! criu, the program that writes processes down and makes them again: asked as `criu swrk` over a socket, one message each
//! (criu(8), images/rpc.proto).
//!
//! It tells what it has come to while it works and waits for an answer; whoever asked does meanwhile what is its own part.

pub(crate) mod images;
pub(crate) mod message;
pub(crate) mod mounts;
pub(crate) mod points;

use crate::{Error, Result, shown};
use message::{Message, Value, fields};
use rustix::io::{Errno, FdFlags};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketFlags, SocketType, recvmsg,
    send, socketpair,
};
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A kind of request (`criu_req_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Writes processes down.
    Dump = 1,
    /// Makes them again.
    Restore = 2,
    /// Writes their memory down while they go on.
    PreDump = 4,
}

/// A request of this kind is a word of criu's while it works.
const NOTIFY: u64 = 6;
/// A line of its log is shown as long as this.
const LONGEST: usize = 300;
/// An answer is shorter.
const MOST: usize = 64 << 10;

/// What criu has come to.
#[derive(Debug)]
pub(crate) struct Come {
    /// Its name for it, as scripts of criu's know it.
    pub(crate) to: String,
    /// The first process, in the caller's pid namespace.
    pub(crate) pid: i32,
    /// What it hands over with it.
    pub(crate) descriptor: Option<OwnedFd>,
}

/// Both ends of the way to a criu.
pub(crate) struct Way {
    own: OwnedFd,
    /// For criu, under the same number.
    theirs: OwnedFd,
}

/// The program, on the caller's PATH.
///
/// # Errors
/// There is none.
pub(crate) fn find() -> std::result::Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let places = std::env::split_paths(&path).filter(|place| place.is_absolute());
    let fits = |file: &PathBuf| file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    let found = places.map(|place| place.join("criu")).find(fits);
    found.ok_or_else(|| "criu is not on the PATH (hint: apt install criu)".to_owned())
}

impl Way {
    /// A new one.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn new() -> rustix::io::Result<Way> {
        let (own, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok(Way { own, theirs })
    }

    /// The number of criu's end.
    pub(crate) fn number(&self) -> i32 {
        self.theirs.as_raw_fd()
    }

    /// Has what this process executes from now on inherit criu's end.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn inherit(&self) -> rustix::io::Result<()> {
        rustix::io::fcntl_setfd(&self.theirs, FdFlags::empty())
    }

    /// Asks criu, which runs by now, for something, and tells `each` what it comes to; what fails there has criu give up. The
    /// pid of what was made is returned.
    ///
    /// # Errors
    /// Why it was not done.
    pub(crate) fn ask(
        self,
        kind: Kind,
        options: &Message,
        mut each: impl FnMut(Come) -> Result<()>,
    ) -> std::result::Result<Option<i32>, Failure> {
        let Way { own, theirs } = self;
        drop(theirs);
        let mut request = Message::default();
        request.number(1, kind as u64);
        request.message(2, options);
        tell(&own, &request)?;
        loop {
            let (bytes, descriptor) = hear(&own)?;
            let answer = Answer::of(&bytes).ok_or_else(|| Failure::Criu("it answers what is no answer".to_owned()))?;
            match (answer.kind, answer.done) {
                (_, false) => return Err(Failure::Criu(answer.cause())),
                (NOTIFY, true) => {
                    let done = each(Come { to: answer.script, pid: answer.pid.unwrap_or(0), descriptor });
                    let mut reply = Message::default();
                    reply.number(1, NOTIFY);
                    reply.number(3, done.is_ok().into());
                    let told = tell(&own, &reply);
                    done.map_err(Failure::Own)?;
                    told?;
                }
                (other, true) if other == kind as u64 => return Ok(answer.pid),
                (other, true) => return Err(Failure::Criu(format!("it answers something else: {other}"))),
            }
        }
    }
}

/// Why criu didn't do it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What it says.
    Criu(String),
    /// What the caller has to do meanwhile failed.
    Own(Error),
}

impl From<Errno> for Failure {
    fn from(errno: Errno) -> Failure {
        Failure::Criu(format!("cannot talk to it: {}", holm::model::text::cause(&errno.into())))
    }
}

impl Failure {
    /// The same as an error, with what stands in criu's log.
    pub(crate) fn told(self, what: &str, log: &Path) -> Error {
        let cause = match self {
            Failure::Own(error) => return error,
            Failure::Criu(cause) => last_errors(log).unwrap_or(cause),
        };
        Error::Failed(format!("cannot {what}: criu: {cause} (hint: see {})", shown(log)))
    }
}

/// What criu goes on after, though it calls it an error.
const HARMLESS: [&str; 3] = ["rlimit: ", "tun: ", "cg: cgroupd: "];

/// The last lines that criu calls errors, but for those that say no more than that it has failed.
fn last_errors(log: &Path) -> Option<String> {
    let mut text = Vec::new();
    std::fs::File::open(log).ok()?.take(64 << 20).read_to_end(&mut text).ok()?;
    let text = String::from_utf8_lossy(&text);
    let causes = text.lines().filter_map(|line| Some(line.split_once("Error (")?.1.split_once("): ")?.1));
    let tells = |cause: &&str| !cause.contains("FAILED") && !HARMLESS.iter().any(|start| cause.starts_with(start));
    let causes: Vec<&str> = causes.filter(tells).collect();
    let mut all = String::new();
    for cause in &causes[causes.len().saturating_sub(3)..] {
        let between = if all.is_empty() { "" } else { "; " };
        all += between;
        let shown: String = cause.chars().take(LONGEST).collect();
        holm::model::text::escape(shown.as_ref(), &mut all).ok()?;
    }
    (!all.is_empty()).then_some(all)
}

/// What criu answers.
#[derive(Default)]
struct Answer {
    kind: u64,
    done: bool,
    script: String,
    pid: Option<i32>,
    errno: u64,
    message: String,
}

impl Answer {
    fn of(bytes: &[u8]) -> Option<Answer> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut answer = Answer::default();
        for field in fields(bytes)? {
            match field {
                (1, Value::Number(kind)) => answer.kind = kind,
                (2, Value::Number(done)) => answer.done = done != 0,
                (4, Value::Bytes(restored)) => answer.pid = pid(restored, 1),
                (5, Value::Bytes(notice)) => {
                    let script = fields(notice)?.into_iter().find_map(|field| match field {
                        (1, Value::Bytes(script)) => Some(text(script)),
                        _ => None,
                    });
                    (answer.script, answer.pid) = (script?, pid(notice, 2));
                }
                (7, Value::Number(errno)) => answer.errno = errno,
                (9, Value::Bytes(message)) => answer.message = text(message),
                _ => {}
            }
        }
        Some(answer)
    }

    fn cause(self) -> String {
        match (self.message.is_empty(), i32::try_from(self.errno)) {
            (false, _) => self.message,
            (true, Ok(errno)) if errno != 0 => {
                holm::model::text::cause(&std::io::Error::from_raw_os_error(errno)).to_string()
            }
            (true, _) => "it gives no reason".to_owned(),
        }
    }
}

fn pid(bytes: &[u8], number: u64) -> Option<i32> {
    fields(bytes)?.into_iter().find_map(|field| match field {
        (found, Value::Number(pid)) if found == number => i32::try_from(pid).ok(),
        _ => None,
    })
}

fn tell(socket: &OwnedFd, message: &Message) -> rustix::io::Result<()> {
    rustix::io::retry_on_intr(|| send(socket, message.bytes(), SendFlags::NOSIGNAL)).map(drop)
}

/// A message of criu's with what it hands over; none is an end.
fn hear(socket: &OwnedFd) -> rustix::io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let mut bytes = vec![0; MOST];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut more = RecvAncillaryBuffer::new(&mut space);
    let heard = rustix::io::retry_on_intr(|| {
        recvmsg(socket.as_fd(), &mut [std::io::IoSliceMut::new(&mut bytes)], &mut more, RecvFlags::CMSG_CLOEXEC)
    })?;
    if heard.bytes == 0 {
        return Err(Errno::PIPE);
    }
    bytes.truncate(heard.bytes);
    let given = more.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut given) => given.next(),
        _ => None,
    });
    Ok((bytes, given))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A criu that answers with these messages, and what it was asked.
    fn stand_in(answers: Vec<Message>, each: impl FnMut(Come) -> Result<()>) -> (Vec<Vec<u8>>, String) {
        let way = Way::new().expect("there are sockets");
        let theirs = way.theirs.try_clone().expect("there are descriptors");
        let criu = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for answer in answers {
                asked.extend(hear(&theirs).ok().map(|(bytes, _)| bytes));
                tell(&theirs, &answer).expect("it is heard");
            }
            asked.extend(hear(&theirs).ok().map(|(bytes, _)| bytes));
            asked
        });
        let mut options = Message::default();
        options.small(2, 7);
        let said = match way.ask(Kind::Restore, &options, each) {
            Ok(pid) => format!("{pid:?}"),
            Err(Failure::Criu(cause)) => format!("criu: {cause}"),
            Err(Failure::Own(error)) => format!("own: {error}"),
        };
        (criu.join().expect("it ends"), said)
    }

    fn answer(kind: u64, done: bool) -> Message {
        let mut answer = Message::default();
        answer.number(1, kind);
        answer.number(2, done.into());
        answer
    }

    fn notice(script: &str, pid: i32) -> Message {
        let (mut all, mut inner) = (answer(NOTIFY, true), Message::default());
        inner.text(1, script);
        inner.small(2, pid);
        all.message(5, &inner);
        all
    }

    #[test]
    fn it_is_told_and_answered_until_it_is_done() {
        let (mut last, mut inner) = (answer(2, true), Message::default());
        inner.small(1, 44);
        last.message(4, &inner);
        let mut come = Vec::new();
        let each = |one: Come| {
            come.push((one.to, one.pid));
            Ok(())
        };
        let (asked, said) = stand_in(vec![notice("setup-namespaces", 43), last], each);
        assert_eq!(said, "Some(44)");
        assert_eq!(come, [("setup-namespaces".to_owned(), 43)]);
        assert_eq!(asked, [vec![8, 2, 18, 2, 16, 7], vec![8, 6, 24, 1]]);
    }

    #[test]
    fn what_fails_meanwhile_has_it_give_up() {
        let each = |_: Come| Err(Error::Failed("a hook fails".to_owned()));
        let (asked, said) = stand_in(vec![notice("setup-namespaces", 43)], each);
        assert_eq!((asked[1].clone(), said.as_str()), (vec![8, 6, 24, 0], "own: a hook fails"));
    }

    #[test]
    fn its_log_tells_why() {
        let scratch = testkit::Scratch::new("criu-log");
        let log = scratch.join("dump.log");
        let line = |cause: &str| format!("(00.2) Error (criu/a.c:1): {cause}\n");
        let text =
            [line("rlimit: no"), "(00.2) all is well\n".to_owned(), line("a \u{1b}[2J"), line("Dumping FAILED.")];
        std::fs::write(&log, text.concat()).expect("scratch is ours");
        assert_eq!(last_errors(&log).as_deref(), Some("a \\u{1b}[2J"));
        let error = Failure::Criu("no reason".to_owned()).told("checkpoint it", &scratch.join("none")).to_string();
        assert!(error.starts_with("cannot checkpoint it: criu: no reason (hint: see "), "{error}");
    }

    #[test]
    fn its_failures_are_told() {
        let mut failed = answer(2, false);
        failed.number(7, 17);
        for (answers, part) in [
            (vec![failed], "file exists"),
            (vec![answer(2, false)], "no reason"),
            (vec![answer(1, true)], "something else"),
            (vec![Message::default()], "broken pipe"),
        ] {
            let (_, said) = stand_in(answers, |_| Ok(()));
            assert!(said.starts_with("criu: ") && said.to_lowercase().contains(part), "{said}");
        }
    }
}
