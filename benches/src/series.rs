//! The runs of one peer, in the order of the rounds, and what they come to. Times are in milliseconds.

use crate::meter::Record;
use crate::peer::Peer;
use crate::statistics::{median, percentile};

pub(crate) struct Series {
    pub(crate) peer: Peer,
    pub(crate) records: Vec<Record>,
}

impl Series {
    pub(crate) fn median(&self) -> f64 {
        median(&self.walls())
    }

    pub(crate) fn least(&self) -> f64 {
        percentile(&self.walls(), 0.0)
    }

    pub(crate) fn ninetieth(&self) -> f64 {
        percentile(&self.walls(), 0.9)
    }

    pub(crate) fn cpu(&self) -> f64 {
        let times: Vec<f64> = self.records.iter().map(|record| record.cpu.as_secs_f64() * 1e3).collect();
        median(&times)
    }

    pub(crate) fn peak_kib(&self) -> u64 {
        self.records.iter().map(|record| record.peak_kib).max().unwrap_or(0)
    }

    /// The median of the ratios round by round: slow spells of the machine hit both sides of each.
    pub(crate) fn paired_ratio(&self, base: &Self) -> f64 {
        let ratios: Vec<f64> = self.walls().iter().zip(base.walls()).map(|(mine, other)| mine / other).collect();
        median(&ratios)
    }

    fn walls(&self) -> Vec<f64> {
        self.records.iter().map(|record| record.wall.as_secs_f64() * 1e3).collect()
    }
}
