//! A registry of a test's own making, that answers as the test says.

use crate::layout::Layout;
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// What is sent, as it is.
pub(crate) struct Answer(Vec<u8>);

impl<T: Into<String>> From<T> for Answer {
    fn from(text: T) -> Answer {
        Answer(text.into().into_bytes())
    }
}

/// An answer with this body.
pub(crate) fn ok(body: &[u8]) -> Answer {
    promising(body.len(), body)
}

/// An answer that promises so many bytes and sends these.
pub(crate) fn promising(length: usize, body: &[u8]) -> Answer {
    Answer(
        [format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n").as_bytes(), body].concat(),
    )
}

/// The bytes of a blob that a descriptor names.
pub(crate) fn blob(layout: &Layout, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().expect("it has one");
    fs::read(layout.path.join("blobs/sha256").join(&digest[7..])).expect("it is there")
}

/// Where it listens: `127.0.0.1:PORT`. Its thread ends with the test's process.
pub(crate) struct Server {
    pub(crate) at: String,
}

impl Server {
    /// One that answers each request, which `answer` gets with the server's own address.
    pub(crate) fn new(answer: impl Fn(&str, &str) -> Answer + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let at = listener.local_addr().expect("it has one").to_string();
        let own = at.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, |request| answer(request, &own));
            }
        });
        Server { at }
    }
}

/// One request and its answer; an empty one is never sent.
fn serve(mut stream: TcpStream, answer: impl Fn(&str) -> Answer) {
    let mut request = String::new();
    let mut reader = BufReader::new(stream.try_clone().expect("it can be copied"));
    while reader.read_line(&mut request).is_ok_and(|count| count > 2) {}
    let Answer(bytes) = answer(&request);
    if bytes.is_empty() {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs(120));
            drop(stream);
        });
        return;
    }
    let _ = stream.write_all(&bytes);
}
