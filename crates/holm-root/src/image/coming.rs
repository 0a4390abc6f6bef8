//! A layer that is read while it comes: a download writes its file, and who unpacks it reads what is there already.
//!
//! What is read so is checked by the digest of the layer's content, and the download checks size and digest of the file;
//! both must be right for anything to be stored. Bytes that were there from another time, or that a server sends again
//! from the start, may be others in the end: they are read only when the file is whole.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// When a layer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// While it comes.
    Along,
    /// When it is whole.
    Whole,
}

/// A layer that comes.
pub(super) struct Coming {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    when: When,
    file: Option<Arc<File>>,
    have: u64,
    stand: Stand,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stand {
    Comes,
    Whole,
    /// Some of what may have been read comes again.
    Again,
    /// It won't come.
    Lost,
}

impl Coming {
    pub(super) fn new(when: When) -> Coming {
        let state = State { when, file: None, have: 0, stand: Stand::Comes };
        Coming { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that `file` has so many bytes now.
    pub(super) fn has(&self, file: &File, have: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.file.is_none() {
            state.file = Some(Arc::new(file.try_clone()?));
            if have > 0 {
                state.when = When::Whole;
            }
        }
        if have < state.have && state.when == When::Along {
            state.stand = Stand::Again;
        }
        state.have = have;
        self.changed.notify_all();
        Ok(())
    }

    /// Tells that `file` is whole, and right.
    pub(super) fn whole(&self, file: File, size: u64) {
        let mut state = self.state();
        if state.stand == Stand::Comes {
            (state.file, state.have, state.stand) = (Some(Arc::new(file)), size, Stand::Whole);
        }
        self.changed.notify_all();
    }

    /// Tells that nothing more comes, unless it is whole.
    pub(super) fn end(&self) {
        let mut state = self.state();
        if state.stand == Stand::Comes {
            state.stand = Stand::Lost;
        }
        self.changed.notify_all();
    }

    /// Whether some of what may have been read came again.
    pub(super) fn came_again(&self) -> bool {
        self.state().stand == Stand::Again
    }

    /// What there is from `at` on, once there is some; `None` at the end.
    fn wait(&self, at: u64) -> io::Result<Option<(Arc<File>, u64)>> {
        let waits = |state: &mut State| {
            let readable = state.when == When::Along && state.have > at;
            state.stand == Stand::Comes && !readable
        };
        let state = self.changed.wait_while(self.state(), waits).unwrap_or_else(PoisonError::into_inner);
        match (&state.file, state.stand) {
            (Some(file), Stand::Comes | Stand::Whole) if state.have > at => {
                Ok(Some((Arc::clone(file), state.have - at)))
            }
            (_, Stand::Whole) => Ok(None),
            _ => Err(io::Error::other("its download broke off")),
        }
    }
}

/// Who reads a layer from its start.
pub(super) struct Follower {
    coming: Arc<Coming>,
    at: u64,
}

impl Follower {
    pub(super) fn new(coming: &Arc<Coming>) -> Follower {
        Follower { coming: Arc::clone(coming), at: 0 }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some((file, left)) = self.coming.wait(self.at)? else { return Ok(0) };
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = file.read_at(&mut buffer[..most], self.at)?;
        if count == 0 && most > 0 {
            return Err(io::Error::other("its file has become shorter"));
        }
        self.at += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    /// A layer of which `first` is there, and its file.
    fn begun(when: When, first: &[u8]) -> (Arc<Coming>, File) {
        let mut file = tempfile::tempfile().expect("there is space");
        let coming = Arc::new(Coming::new(when));
        coming.has(&file, 0).expect("it can be copied");
        file.write_all(first).expect("there is space");
        coming.has(&file, first.len() as u64).expect("it was copied");
        (coming, file)
    }

    fn copy(file: &File) -> File {
        file.try_clone().expect("it can be copied")
    }

    #[test]
    fn what_is_there_is_read_before_the_rest_comes() {
        let (coming, mut file) = begun(When::Along, b"one");
        let mut follower = Follower::new(&coming);
        let mut buffer = [0; 8];
        assert_eq!(follower.read(&mut buffer).ok(), Some(3));
        let reader = std::thread::spawn(move || {
            let mut rest = String::new();
            follower.read_to_string(&mut rest).map(|_| rest)
        });
        file.write_all(b"two").expect("there is space");
        coming.has(&file, 6).expect("it was copied");
        coming.whole(copy(&file), 6);
        let rest = reader.join().expect("it doesn't panic");
        assert_eq!(rest.ok().as_deref(), Some("two"));
    }

    #[test]
    fn what_comes_again_is_not_mixed_with_what_was_read() {
        let (coming, mut file) = begun(When::Along, b"one");
        let mut follower = Follower::new(&coming);
        assert_eq!(follower.read(&mut [0; 2]).ok(), Some(2));
        coming.has(&file, 0).expect("it was copied");
        file.rewind().expect("it is a file");
        file.write_all(b"other").expect("there is space");
        coming.has(&file, 5).expect("it was copied");
        coming.whole(copy(&file), 5);
        assert!(follower.read(&mut [0; 2]).is_err());
        assert!(coming.came_again());
    }

    #[test]
    fn what_was_there_before_is_read_when_it_is_known_to_be_right() {
        let file = tempfile::tempfile().expect("there is space");
        let coming = Arc::new(Coming::new(When::Along));
        coming.has(&file, 3).expect("it can be copied");
        coming.has(&file, 0).expect("it was copied");
        let whole = tempfile::tempfile().expect("there is space");
        copy(&whole).write_all(b"right").expect("there is space");
        coming.whole(whole, 5);
        let mut all = String::new();
        Follower::new(&coming).read_to_string(&mut all).expect("it is whole");
        assert_eq!(all, "right");
    }

    #[test]
    fn who_waits_for_a_download_that_breaks_off_is_told() {
        let (coming, _file) = begun(When::Whole, b"one");
        coming.end();
        let error = Follower::new(&coming).read(&mut [0; 2]).expect_err("nothing more comes");
        assert_eq!(error.to_string(), "its download broke off");
    }
}
