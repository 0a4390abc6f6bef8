//! Runs commands in turn, so that a slow spell of the machine hits all of them alike.
//!
//! Within each round the order is shuffled. The kernel goes on tearing namespaces down after a start is over (net
//! namespaces, in a worker), and in a fixed order one peer would always pay for the same other one.

use crate::meter::{Account, Extent, Meter};
use crate::peer::Subject;
use crate::series::Series;

const WARM_UP_ROUNDS: usize = 10;

/// Measures `runs` rounds after some that don't count. A subject that fails is reported in `failures` and left out.
pub(crate) fn measure(
    meter: &Meter,
    subjects: &[&Subject],
    runs: usize,
    account: Account,
    failures: &mut Vec<String>,
) -> Vec<Series> {
    let mut standing: Vec<(&Subject, Series)> = subjects
        .iter()
        .map(|&subject| (subject, Series { peer: subject.peer, records: Vec::with_capacity(runs) }))
        .collect();
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..WARM_UP_ROUNDS + runs {
        dice.shuffle(&mut standing);
        standing.retain_mut(|(subject, series)| match meter.run(subject, Extent::Once, account) {
            Ok(record) => {
                if round >= WARM_UP_ROUNDS {
                    series.records.push(record);
                }
                true
            }
            Err(failure) => {
                failures.push(failure);
                false
            }
        });
    }
    // Back to the order they were given in.
    standing.sort_by_key(|(subject, _)| subjects.iter().position(|given| given.peer == subject.peer));
    standing.into_iter().map(|(_, series)| series).collect()
}

/// Xorshift, always from the same seed: a run can be repeated, and no crate is needed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_comes_to_stand_after_every_other() {
        let mut dice = Dice(1);
        let mut followed = [[false; 4]; 4];
        let mut items = [0, 1, 2, 3];
        for _ in 0..100 {
            dice.shuffle(&mut items);
            items.windows(2).for_each(|pair| followed[pair[0]][pair[1]] = true);
        }
        assert_eq!(followed.as_flattened().iter().filter(|&&seen| seen).count(), 12);
    }
}
