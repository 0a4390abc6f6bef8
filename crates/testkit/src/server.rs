//! A server for HTTP/1.1 on loopback, which can misbehave. It is gone when dropped.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How an answer differs from a good one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, with these header fields and no content.
    Status(u16, Vec<(String, String)>),
    /// The connection ends after so many bytes of the content.
    Stop(usize),
    /// The same, of the whole, whatever part is asked for.
    StopWhole(usize),
    /// So many bytes are said to come, whatever comes.
    Length(u64),
    /// Bytes follow that belong to nothing; the length isn't said.
    More(usize),
    /// Nothing comes.
    Silence,
    /// Other content of the same length.
    Other,
    /// The whole, whatever part is asked for, and without a tag by which it could be known again.
    Whole,
    /// Another part than is asked for.
    Elsewhere,
}

/// A request that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Path with query.
    pub path: String,
    /// First byte that was asked for.
    pub from: Option<usize>,
    /// The tag of what the asker has (`If-None-Match`).
    pub tag: Option<String>,
}

/// What a path has, and by what it is known again.
#[derive(Clone)]
struct File {
    content: Arc<Vec<u8>>,
    tag: String,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, File>,
    put: u64,
    answers: Vec<(String, usize, Answer)>,
    requests: Vec<Request>,
    ended: bool,
}

/// What a test answers to the head of a request, given the server's address; nothing is never sent.
type Answering = Box<dyn Fn(&str, &str) -> Vec<u8> + Send + Sync>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    end: Condvar,
    answering: Option<Answering>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the server is dropped.
    fn wait(&self) {
        drop(self.end.wait_while(self.state(), |state| !state.ended));
    }
}

/// The server.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one without files.
    ///
    /// # Panics
    /// Loopback has no free port.
    pub fn start() -> Server {
        Server::sharing(Shared::default())
    }

    /// Starts one that answers each request, whose head `answer` gets with the server's `ADDRESS:PORT`, by the bytes that
    /// this returns; without any the connection stays open.
    ///
    /// # Panics
    /// Loopback has no free port.
    pub fn answering(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> Server {
        Server::sharing(Shared { answering: Some(Box::new(answer)), ..Shared::default() })
    }

    fn sharing(shared: Shared) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(shared);
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || accept(&listener, &own));
        Server { address, shared, thread: Some(thread) }
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its `ADDRESS:PORT`.
    pub fn at(&self) -> String {
        self.address.to_string()
    }

    /// Gives a path, which begins with a slash, a content.
    pub fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        let content = Arc::new(content.into());
        let mut state = self.shared.state();
        state.put += 1;
        let tag = format!("\"{}\"", state.put);
        state.files.insert(path.to_owned(), File { content, tag });
    }

    /// What a path has.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.state().files.get(path).map(|file| file.content.to_vec())
    }

    /// Takes a path away.
    pub fn remove(&self, path: &str) {
        self.shared.state().files.remove(path);
    }

    /// Answers the next `times` requests for paths that end so in another way.
    pub fn misbehave(&self, end: &str, times: usize, answer: Answer) {
        self.shared.state().answers.push((end.to_owned(), times, answer));
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Forgets the requests and misbehaves no longer.
    pub fn forget(&self) {
        let mut state = self.shared.state();
        state.requests.clear();
        state.answers.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.state().ended = true;
        self.shared.end.notify_all();
        // The listener waits for a connection; that is one.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    std::thread::scope(|scope| {
        while let Ok((stream, _)) = listener.accept() {
            if shared.state().ended {
                return;
            }
            scope.spawn(move || {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
                // Who has gone away needs no answer.
                let _ = answer(stream, shared);
            });
        }
    });
}

fn answer(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?);
    while reader.read_line(&mut head)? > 2 {}
    if let Some(answer) = &shared.answering {
        let bytes = answer(&head, &stream.local_addr()?.to_string());
        if bytes.is_empty() {
            shared.wait();
        }
        return stream.write_all(&bytes);
    }
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let lower = head.to_ascii_lowercase();
    let range = lower.lines().find_map(|line| line.strip_prefix("range: bytes="));
    let from = range.and_then(|range| range.trim_end_matches('-').parse::<usize>().ok());
    let tag = lower.lines().find_map(|line| line.strip_prefix("if-none-match: ")).map(str::to_owned);
    let (content, other) = {
        let mut state = shared.state();
        state.requests.push(Request { path: path.clone(), from, tag: tag.clone() });
        let other = state.answers.iter_mut().find(|(end, times, _)| path.ends_with(end.as_str()) && *times > 0);
        let other = other.map(|(_, times, answer)| {
            *times -= 1;
            answer.clone()
        });
        (state.files.get(&path).cloned(), other)
    };
    if other == Some(Answer::Silence) {
        shared.wait();
        return Ok(());
    }
    stream.write_all(&response(content.as_ref(), from, tag, other))
}

fn response(file: Option<&File>, from: Option<usize>, tag: Option<String>, other: Option<Answer>) -> Vec<u8> {
    let head = |status: &str, fields: &str| {
        format!("HTTP/1.1 {status} words\r\nConnection: close\r\n{fields}\r\n").into_bytes()
    };
    if let Some(Answer::Status(status, fields)) = other {
        let fields: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        return head(&status.to_string(), &format!("{fields}Content-Length: 0\r\n"));
    }
    let Some(File { content, tag: own }) = file else { return head("404", "Content-Length: 0\r\n") };
    if other.is_none() && tag.as_ref() == Some(own) {
        return head("304", "");
    }
    let from = from.filter(|_| !matches!(other, Some(Answer::Whole | Answer::StopWhole(_))));
    if from.is_some_and(|from| from >= content.len()) {
        return head("416", "Content-Length: 0\r\n");
    }
    let start = from.unwrap_or(0);
    let mut body = content[start..].to_vec();
    if other == Some(Answer::Other) {
        body.iter_mut().for_each(|byte| *byte = !*byte);
    }
    let length = match other {
        Some(Answer::Length(length)) => format!("Content-Length: {length}\r\n"),
        Some(Answer::More(count)) => {
            body.resize(body.len() + count, b'x');
            String::new()
        }
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    if let Some(Answer::Stop(most) | Answer::StopWhole(most)) = other {
        body.truncate(most);
    }
    let (status, range) = match from {
        Some(_) => {
            let start = if other == Some(Answer::Elsewhere) { 0 } else { start };
            ("206", format!("Content-Range: bytes {start}-{}/{}\r\n", content.len() - 1, content.len()))
        }
        None => ("200", String::new()),
    };
    let tag = if other == Some(Answer::Whole) { String::new() } else { format!("ETag: {own}\r\n") };
    [head(status, &(length + &range + &tag)), body].concat()
}

/// An answer with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    promising(body.len(), body)
}

/// An answer that promises so many bytes and sends these.
pub fn promising(length: usize, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").as_bytes(), body].concat()
}
