//! Downloads: small files into memory, large ones into the cache, where each has its hash as its name.
//!
//! A file that is begun is `HASH.part`, locked while somebody writes it; whoever comes later goes on where it ends. It
//! gets its name when size and hash are right, and both are checked again at each use: nothing of the cache or of a
//! server is trusted. What may pass (a broken connection, a busy server) is tried again, later each time; what a server
//! says for good (403, 404, a wrong size) isn't.
//!
//! Source: RFC 9110, sections 14 (ranges) and 15 (status codes).

use std::cell::{Cell, RefCell};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::ops::Deref;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::header::{AUTHORIZATION, CONTENT_RANGE, HeaderMap, HeaderValue, RANGE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::cache;
use super::error::Error;
use super::validators::{Small, Validators};
use crate::progress::{Progress, Stage};
use crate::store::listing::{Hash, hex};

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Files at once.
    pub connections: usize,
    /// Times that a file is tried without getting more of it.
    pub attempts: u32,
    /// How long a server may send nothing.
    pub silence: Duration,
    /// How long to wait before the second try; twice as long before each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { connections: 8, attempts: 4, silence: Duration::from_secs(30), pause: Duration::from_millis(500) }
    }
}

/// The longest that a server may ask us to wait.
const LONGEST: Duration = Duration::from_secs(60);

/// A file that is known before it is there.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Where it can be had, the best address first.
    pub(crate) urls: Vec<String>,
    pub(crate) size: u64,
    pub(crate) sha256: Hash,
}

/// Why a try failed, and whether another one may not.
enum Failure {
    Final(Error),
    Passing(Error, Option<Duration>),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Final(error)
    }
}

/// What a server wants to see with each request. It is sent to no host that a server leads to.
pub(crate) trait Authority {
    /// What is sent now.
    fn header(&self) -> Option<HeaderValue>;
    /// Gets another one, after `sent` was answered 401 with these headers.
    fn renew<'a>(
        &'a self,
        sent: Option<HeaderValue>,
        headers: &'a HeaderMap,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + 'a>>;
}

/// Who reads files while they come; each is named by its place in the list that is wanted.
pub(crate) trait Follow {
    /// `file` has so many bytes, perhaps fewer than before: then others may take their place.
    fn has(&self, at: usize, file: &File, have: u64) -> io::Result<()>;
    /// `file` is whole, and right.
    fn whole(&self, at: usize, file: File);
}

/// Nobody does.
struct Nobody;

impl Follow for Nobody {
    fn has(&self, _: usize, _: &File, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn whole(&self, _: usize, _: File) {}
}

/// Who downloads.
pub(crate) struct Fetcher<'p> {
    client: reqwest::Client,
    cache: PathBuf,
    patience: Patience,
    progress: RefCell<&'p mut dyn FnMut(Progress)>,
    stage: Cell<Progress>,
    authority: Option<&'p dyn Authority>,
}

impl<'p> Fetcher<'p> {
    pub(crate) fn new(
        cache: &Path,
        patience: Patience,
        progress: &'p mut dyn FnMut(Progress),
    ) -> Result<Fetcher<'p>, Error> {
        let files = cache.join("files");
        DirBuilder::new().recursive(true).mode(0o700).create(&files).map_err(Error::io("make", &files))?;
        check(cache)?;
        let client = crate::net::client(patience.silence).map_err(|error| Error::Download {
            url: "anything".to_owned(),
            cause: causes(&error),
            status: None,
        })?;
        let stage = Cell::new(Progress { stage: Stage::Release, done: 0, total: 0 });
        Ok(Fetcher { client, cache: files, patience, progress: RefCell::new(progress), stage, authority: None })
    }

    /// Sends what `authority` has with each request.
    pub(crate) fn authorized(self, authority: &'p dyn Authority) -> Fetcher<'p> {
        Fetcher { authority: Some(authority), ..self }
    }

    /// Begins a stage of so many bytes or items.
    pub(super) fn begin(&self, stage: Stage, total: u64) {
        self.stage.set(Progress { stage, done: 0, total });
        (self.progress.borrow_mut())(self.stage.get());
    }

    /// Tells that more is done; less, when something has to begin again.
    pub(super) fn step(&self, more: i64) {
        let mut stage = self.stage.get();
        stage.done = stage.done.saturating_add_signed(more);
        self.stage.set(stage);
        (self.progress.borrow_mut())(stage);
    }

    /// The files, in the order they are wanted in.
    pub(crate) async fn files(&self, wanted: &[Wanted]) -> Result<Vec<PathBuf>, Error> {
        self.followed(wanted, &Nobody).await
    }

    /// The same, while somebody reads them.
    pub(crate) async fn followed(&self, wanted: &[Wanted], follow: &dyn Follow) -> Result<Vec<PathBuf>, Error> {
        let mut all = stream::iter(wanted.iter().enumerate())
            .map(|(at, one)| async move { self.file(one, at, follow).await.map(|path| (at, path)) })
            .buffer_unordered(self.patience.connections.max(1));
        let mut found = vec![PathBuf::new(); wanted.len()];
        while let Some(one) = all.next().await {
            let (at, path) = one?;
            found[at] = path;
        }
        Ok(found)
    }

    /// A file of `most` bytes at most, unless it is still the one with these validators.
    pub(super) async fn small(&self, url: &str, most: usize, known: &Validators) -> Result<Small, Error> {
        self.again(async |_| {
            let mut response = match self.get(url, 0, known).await {
                Err(Failure::Final(Error::Download { status: Some(404), .. })) => return Ok(Small::Missing),
                Err(Failure::Final(Error::Download { status: Some(304), .. })) if *known != Validators::default() => {
                    return Ok(Small::Same);
                }
                response => response?,
            };
            let validators = Validators::of(&response);
            let mut bytes = Vec::new();
            while let Some(chunk) = self.chunk(url, &mut response).await? {
                bytes.extend_from_slice(&chunk);
                if bytes.len() > most {
                    return Err(Failure::Final(failed(url, format!("it has more than {most} bytes"))));
                }
            }
            Ok(Small::Found(bytes, validators))
        })
        .await
    }

    /// A file in the cache, with the size and hash that it must have.
    async fn file(&self, wanted: &Wanted, at: usize, follow: &dyn Follow) -> Result<PathBuf, Error> {
        let path = self.cache.join(hex(&wanted.sha256));
        if let Some(file) = self.cached(&path, wanted)? {
            follow.whole(at, file);
            return Ok(path);
        }
        let part = path.with_extension("part");
        let file = self.lock(&part).await?;
        // Whoever held the lock may have got it.
        if let Some(file) = self.cached(&path, wanted)? {
            fs::remove_file(&part).map_err(Error::io("remove", &part))?;
            follow.whole(at, file);
            return Ok(path);
        }
        let seen = &|file: &File, have| follow.has(at, file, have);
        let mut begun = Begun::read(file, wanted, seen).map_err(Error::io("read", &part))?;
        self.step(begun.size.cast_signed());
        let mut missing = None;
        for url in &wanted.urls {
            match self.again(async |attempt| self.rest(url, wanted, &part, &mut begun, attempt).await).await {
                Ok(()) => {
                    fs::rename(&part, &path).map_err(Error::io("write", &path))?;
                    follow.whole(at, begun.file);
                    return Ok(path);
                }
                Err(error @ Error::Download { status: Some(404), .. }) => missing = missing.or(Some(error)),
                Err(error) => return Err(error),
            }
        }
        Err(missing.unwrap_or_else(|| failed("nothing", "it has no address".to_owned())))
    }

    /// A file that is there, whole and right.
    fn cached(&self, path: &Path, wanted: &Wanted) -> Result<Option<File>, Error> {
        match File::open(path) {
            Ok(mut file) => match is_right(&mut file, wanted).map_err(Error::io("read", path))? {
                true => {
                    cache::used(&file);
                    self.step(wanted.size.cast_signed());
                    Ok(Some(file))
                }
                false => fs::remove_file(path).map(|()| None).map_err(Error::io("remove", path)),
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path)(error)),
        }
    }

    /// Opens a file that is begun, once nobody else writes it.
    async fn lock(&self, path: &Path) -> Result<File, Error> {
        loop {
            let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path);
            let file = file.map_err(Error::io("write", path))?;
            match file.try_lock() {
                Ok(()) => {
                    // Who had the lock may have renamed the file.
                    let held = file.metadata().map_err(Error::io("read", path))?;
                    if fs::symlink_metadata(path).is_ok_and(|now| now.ino() == held.ino()) {
                        return Ok(file);
                    }
                }
                Err(fs::TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(50)).await,
                Err(fs::TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
            }
        }
    }

    /// Gets what is missing of a file.
    async fn rest(
        &self,
        url: &str,
        wanted: &Wanted,
        part: &Path,
        have: &mut Begun<'_>,
        attempt: &mut u32,
    ) -> Result<(), Failure> {
        let written = |error| Failure::Final(Error::io("write", part)(error));
        if have.size < wanted.size || have.size == 0 {
            let mut response = self.get(url, have.size, &Validators::default()).await?;
            let resumed = response.status() == StatusCode::PARTIAL_CONTENT && begins(&response) == Some(have.size);
            if !resumed {
                self.restart(have).map_err(written)?;
                if response.status() == StatusCode::PARTIAL_CONTENT {
                    return Err(Failure::Passing(
                        failed(url, "the server sends another part than was asked for".to_owned()),
                        None,
                    ));
                }
            }
            let left = wanted.size - have.size;
            if let Some(length) = response.content_length().filter(|length| *length != left) {
                let cause = format!("the server has {} bytes, the index says {}", have.size + length, wanted.size);
                return Err(Failure::Final(failed(url, cause)));
            }
            while let Some(chunk) = self.chunk(url, &mut response).await? {
                if chunk.len() as u64 > wanted.size - have.size {
                    self.restart(have).map_err(written)?;
                    return Err(Failure::Final(failed(
                        url,
                        format!("the server sends more than {} bytes", wanted.size),
                    )));
                }
                have.write(&chunk).map_err(written)?;
                self.step(chunk.len() as i64);
                // It moves on, unless it only gets again what it had before.
                if have.size > have.most {
                    (have.most, *attempt) = (have.size, 0);
                }
            }
        }
        if have.size < wanted.size {
            let cause = format!("the server stopped after {} of {} bytes", have.size, wanted.size);
            return Err(Failure::Passing(failed(url, cause), None));
        }
        let found: Hash = have.hash.clone().finalize().into();
        if found != wanted.sha256 {
            let cause = format!("its SHA-256 is {}, the index says {}", hex(&found), hex(&wanted.sha256));
            let old = have.old;
            self.restart(have).map_err(written)?;
            // What was there before may be the wrong part.
            return Err(if old {
                Failure::Passing(failed(url, cause), None)
            } else {
                Failure::Final(failed(url, cause))
            });
        }
        Ok(())
    }

    fn restart(&self, have: &mut Begun<'_>) -> io::Result<()> {
        self.step(-have.size.cast_signed());
        (have.size, have.hash, have.old) = (0, Sha256::new(), false);
        (have.seen)(&have.file, 0)?;
        have.file.set_len(0)?;
        have.file.rewind()
    }

    /// Asks for a file from an offset on, unless it is still the one with these validators; an answer that isn't one is
    /// a failure.
    async fn get(&self, url: &str, from: u64, known: &Validators) -> Result<Response, Failure> {
        let sent = self.authority.and_then(Authority::header);
        let mut response = self.send(url, from, known, sent.clone()).await?;
        if response.status() == StatusCode::UNAUTHORIZED
            && let Some(authority) = self.authority
        {
            authority.renew(sent, response.headers()).await?;
            response = self.send(url, from, known, authority.header()).await?;
        }
        let status = response.status();
        let error = Error::Download {
            url: url.to_owned(),
            cause: format!("the server says {status}"),
            status: Some(status.as_u16()),
        };
        let wait = || {
            let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
            Some(Duration::from_secs(seconds).min(LONGEST))
        };
        match status {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => Ok(response),
            // The file has become shorter than what is there of it.
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => Box::pin(self.get(url, 0, known)).await,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => Err(Failure::Passing(error, wait())),
            status if status.is_server_error() => Err(Failure::Passing(error, wait())),
            _ => Err(Failure::Final(error)),
        }
    }

    async fn send(
        &self,
        url: &str,
        from: u64,
        known: &Validators,
        authorization: Option<HeaderValue>,
    ) -> Result<Response, Failure> {
        let mut request =
            known.conditions().fold(self.client.get(url), |asked, (name, value)| asked.header(name, value));
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if from > 0 {
            request = request.header(RANGE, format!("bytes={from}-"));
        }
        request.send().await.map_err(|error| self.passing(url, &error))
    }

    async fn chunk(
        &self,
        url: &str,
        response: &mut Response,
    ) -> Result<Option<impl Deref<Target = [u8]> + use<>>, Failure> {
        response.chunk().await.map_err(|error| self.passing(url, &error))
    }

    /// Why a request failed, which may pass.
    fn passing(&self, url: &str, error: &reqwest::Error) -> Failure {
        let cause = match error.is_timeout() && !error.is_connect() {
            true => format!("the server sends nothing for {}", humantime::format_duration(self.patience.silence)),
            false => causes(error),
        };
        Failure::Passing(failed(url, cause), None)
    }

    /// Tries until it is done, fails for good, or has failed too often.
    async fn again<T>(&self, mut work: impl AsyncFnMut(&mut u32) -> Result<T, Failure>) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            let (error, wait) = match work(&mut attempt).await {
                Ok(done) => return Ok(done),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error, wait)) => (error, wait),
            };
            attempt += 1;
            if attempt >= self.patience.attempts {
                return Err(error);
            }
            let pause = self.patience.pause * 2_u32.saturating_pow(attempt - 1);
            tokio::time::sleep(wait.unwrap_or(pause).min(LONGEST)).await;
        }
    }
}

/// Whether the cache is the caller's alone: selections are kept there, too.
fn check(cache: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(cache).map_err(Error::io("read", cache))?;
    let cause = match (metadata.uid() == rustix::process::geteuid().as_raw(), metadata.mode() & 0o022) {
        (true, 0) => return Ok(()),
        (true, _) => "others can write to it",
        (false, _) => "it is another user's",
    };
    Err(Error::Wish { what: "cache", value: cache.display().to_string(), cause: cause.to_owned() })
}

/// A file of which not all is there.
struct Begun<'s> {
    file: File,
    size: u64,
    hash: Sha256,
    /// Some of it was there before.
    old: bool,
    /// So much of it was there once.
    most: u64,
    /// Is told what there is.
    seen: &'s dyn Fn(&File, u64) -> io::Result<()>,
}

impl<'s> Begun<'s> {
    fn read(mut file: File, wanted: &Wanted, seen: &'s dyn Fn(&File, u64) -> io::Result<()>) -> io::Result<Begun<'s>> {
        if file.metadata()?.len() > wanted.size {
            file.set_len(0)?;
        }
        let (size, hash) = sum(&mut file)?;
        seen(&file, size)?;
        Ok(Begun { file, size, hash, old: size > 0, most: size, seen })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        (self.seen)(&self.file, self.size)
    }
}

/// Length and hash of what is left of a file.
fn sum(file: &mut File) -> io::Result<(u64, Sha256)> {
    let (mut size, mut hash) = (0, Sha256::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((size, hash)),
            count => {
                size += count as u64;
                hash.update(&buffer[..count]);
            }
        }
    }
}

/// Whether a file has the size and hash that it must have.
fn is_right(file: &mut File, wanted: &Wanted) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() != wanted.size {
        return Ok(false);
    }
    let (size, hash) = sum(file)?;
    Ok(size == wanted.size && Hash::from(hash.finalize()) == wanted.sha256)
}

/// Where a part of a file begins, as the server says.
fn begins(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split_once('-')?.0.parse().ok()
}

fn failed(url: &str, cause: String) -> Error {
    Error::Download { url: url.to_owned(), cause, status: None }
}

/// An error with those that it came from, which say more; the address stands elsewhere.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    match innermost.downcast_ref::<io::Error>() {
        Some(error) => holm::model::text::cause(error),
        None => innermost.to_string().to_lowercase(),
    }
}
