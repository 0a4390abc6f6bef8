//! How long a start takes and how much memory, as one user. Both come from the same runs.

use crate::interleave;
use crate::meter::{Account, Meter};
use crate::peer::{Peer, Subject};
use crate::series::Series;

pub(crate) struct Starts {
    pub(crate) user_id: u32,
    pub(crate) series: Vec<Series>,
}

impl Starts {
    pub(crate) fn of(&self, peer: Peer) -> Option<&Series> {
        self.series.iter().find(|series| series.peer == peer)
    }
}

pub(crate) fn measure(
    meter: &Meter,
    subjects: &[Subject],
    runs: usize,
    account: Account,
    failures: &mut Vec<String>,
) -> Starts {
    let user_id = account.user_id();
    eprintln!("holm-bench: starts as uid {user_id}");
    let all: Vec<&Subject> = subjects.iter().collect();
    Starts { user_id, series: interleave::measure(meter, &all, runs, account, failures) }
}
