//! Waiting for what may never end.

use std::sync::mpsc;
use std::time::Duration;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Alone {
    /// None came in time; whoever was asked is left to its end with this process.
    Silent,
    /// No thread can be made.
    NoThread,
}

/// What `work` gives within this time, done by a thread of its own.
pub(super) fn aside<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Alone> {
    let (tell, told) = mpsc::channel();
    let started = std::thread::Builder::new().spawn(move || drop(tell.send(work())));
    started.map_err(|_| Alone::NoThread)?;
    told.recv_timeout(patience).map_err(|_| Alone::Silent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_told_and_what_does_not_is_left() {
        assert_eq!(aside(Duration::from_secs(20), || 7), Ok(7));
        let (_keep, never) = mpsc::channel::<u8>();
        assert_eq!(aside(Duration::from_millis(20), move || never.recv()), Err(Alone::Silent));
    }
}
