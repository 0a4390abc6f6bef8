//! The project's limits for holm, and which of them a report breaks.
//!
//! A number that is missing breaks its limit: what wasn't measured isn't kept.

use crate::crowd::Crowd;
use crate::library::{Calls, Library};
use crate::mounts::{COUNT, Growth, Mounts};
use crate::peer::Peer;
use crate::policy::{Costs, Policy};
use crate::report::Report;
use crate::start::Starts;
use crate::throughput::Rate;

/// Of the floor's median.
const START_RATIO: f64 = 1.15;
const PEAK_KIB: u64 = 4096;
const STARTS_PER_SECOND: f64 = 450.0;
/// Over the floor's growth, for all the mounts.
const MOUNTS_MS: f64 = 0.3;
/// Of a start by the library from a small program.
const LIBRARY_RATIO: f64 = 1.15;
/// Of a start, for filter and guarded /proc.
const POLICY_MS: f64 = 0.2;
/// Of a call that is always allowed, under a filter that allows all.
const CALL_RATIO: f64 = 1.05;
/// Of a list of namespaces, for each 100 processes of a machine without a crowd.
const LIST_FEW_MS: f64 = 6.0;
/// Of one with the smaller crowd.
const LIST_MS: f64 = 200.0;
/// Of that, lsns's time.
const LIST_PEER_RATIO: f64 = 5.0;
/// Of that, the time with the larger crowd.
const LIST_GROWTH: f64 = 2.6;

pub(crate) fn breaches(report: &Report) -> Vec<String> {
    let starts = report.starts.iter().flat_map(|starts| [start_time(starts), peak(starts)]);
    let rest = [throughput(&report.rates), mounts(&report.mounts), library(&report.library)];
    let rest = rest.into_iter().chain(policy(&report.policy)).chain(crowd(&report.crowd));
    starts.chain(rest).filter_map(Result::err).collect()
}

fn start_time(starts: &Starts) -> Result<(), String> {
    let what = format!("start as uid {}", starts.user_id);
    let (Some(holm), Some(floor)) = (starts.of(Peer::Holm), starts.of(Peer::Floor)) else {
        return Err(format!("{what}: not measured"));
    };
    let ratio = holm.median() / floor.median();
    keep(ratio <= START_RATIO, || format!("{what}: {ratio:.2} times the floor's median, at most {START_RATIO} allowed"))
}

fn peak(starts: &Starts) -> Result<(), String> {
    let what = format!("peak memory as uid {}", starts.user_id);
    let holm = starts.of(Peer::Holm).ok_or_else(|| format!("{what}: not measured"))?;
    let peak = holm.peak_kib();
    keep(peak <= PEAK_KIB, || format!("{what}: {peak} KiB, at most {PEAK_KIB} allowed"))
}

fn throughput(rates: &[Rate]) -> Result<(), String> {
    let holm = rates.iter().find(|rate| rate.peer == Peer::Holm).ok_or("throughput: not measured")?;
    let rate = holm.starts_per_second;
    keep(rate >= STARTS_PER_SECOND, || format!("throughput: {rate:.0} starts/s, at least {STARTS_PER_SECOND} wanted"))
}

fn mounts(mounts: &Mounts) -> Result<(), String> {
    let what = format!("{COUNT} more mounts");
    let growths: &[Growth] = match mounts {
        Mounts::Measured { growths, .. } => growths,
        Mounts::Skipped { .. } => &[],
    };
    let of = |peer| growths.iter().find(|growth| growth.peer == peer).map(Growth::difference);
    let (Some(holm), Some(floor)) = (of(Peer::Holm), of(Peer::Floor)) else {
        return Err(format!("{what}: not measured"));
    };
    keep(holm <= floor + MOUNTS_MS, || {
        format!("{what}: {holm:+.2} ms, floor {floor:+.2} ms, at most {MOUNTS_MS} ms more allowed")
    })
}

fn library(library: &Library) -> Result<(), String> {
    let Library::Measured(Calls { large_mib, small, large }) = library else {
        return Err("starts by the library: not measured".into());
    };
    let ratio = large / small;
    keep(ratio <= LIBRARY_RATIO, || {
        format!(
            "start by the library: with {large_mib} MiB in use {ratio:.2} times a small program's median, at most \
             {LIBRARY_RATIO} allowed"
        )
    })
}

fn policy(policy: &Policy) -> [Result<(), String>; 2] {
    let Policy::Measured(Costs { start, plain, .. }) = policy else {
        return [Err("the policy: not measured".into()), Ok(())];
    };
    let ratio = plain.policy / plain.least;
    [
        keep(start.difference <= POLICY_MS, || {
            format!("the policy: {:+.3} ms of a start, at most {POLICY_MS} allowed", start.difference)
        }),
        keep(ratio <= CALL_RATIO, || {
            format!(
                "the filter: getpid takes {ratio:.2} times as long as under the least one, at most {CALL_RATIO} allowed"
            )
        }),
    ]
}

fn crowd(crowd: &Crowd) -> Vec<Result<(), String>> {
    let Crowd::Measured { few, few_ms, lists } = crowd else { return vec![Err("lists: not measured".into())] };
    let [small, large] = lists.as_slice() else { return vec![Err("lists: not measured".into())] };
    let allowed = LIST_FEW_MS * (*few as f64 / 100.0).max(1.0);
    let growth = large.holm / small.holm;
    let peer = small.lsns.map_or(Err("lists by lsns: not measured".to_owned()), |lsns| {
        let ratio = lsns / small.holm;
        keep(ratio >= LIST_PEER_RATIO, || format!("lsns: {ratio:.1} times a list's time, {LIST_PEER_RATIO} wanted"))
    });
    vec![
        keep(*few_ms <= allowed, || format!("a list of {few} processes: {few_ms:.1} ms, at most {allowed:.1} allowed")),
        keep(small.holm <= LIST_MS, || {
            format!("a list with a crowd of {}: {:.0} ms, at most {LIST_MS} allowed", small.count, small.holm)
        }),
        keep(growth < LIST_GROWTH, || {
            format!("a list of twice as many: {growth:.2} times, less than {LIST_GROWTH} wanted")
        }),
        peer,
    ]
}

fn keep(kept: bool, breach: impl FnOnce() -> String) -> Result<(), String> {
    if kept { Ok(()) } else { Err(breach()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::Record;
    use crate::policy::{Call, Pair};
    use crate::series::Series;
    use std::time::Duration;

    fn series(peer: Peer, micros: u64, peak_kib: u64) -> Series {
        let record = Record { runs: 1, wall: Duration::from_micros(micros), cpu: Duration::ZERO, peak_kib };
        Series { peer, records: vec![record] }
    }

    fn starts(holm_micros: u64, peak_kib: u64) -> Starts {
        let series = vec![series(Peer::Floor, 2000, 600), series(Peer::Holm, holm_micros, peak_kib)];
        Starts { user_id: 7, series }
    }

    #[test]
    fn a_start_over_the_ratio_is_a_breach() {
        assert_eq!(start_time(&starts(2300, 0)), Ok(()));
        let breach = "start as uid 7: 1.20 times the floor's median, at most 1.15 allowed";
        assert_eq!(start_time(&starts(2400, 0)), Err(breach.into()));
    }

    #[test]
    fn a_peak_over_four_mebibytes_is_a_breach() {
        assert_eq!(peak(&starts(1, 4096)), Ok(()));
        assert!(peak(&starts(1, 4097)).is_err());
    }

    #[test]
    fn too_few_starts_a_second_are_a_breach() {
        let rate = |starts_per_second| [Rate { peer: Peer::Holm, starts_per_second }];
        assert_eq!(throughput(&rate(450.0)), Ok(()));
        assert!(throughput(&rate(449.0)).is_err());
    }

    #[test]
    fn growing_faster_than_the_floor_is_a_breach() {
        let growth = |peer, with| Growth { peer, without: 2.0, with };
        let measured = |holm| Mounts::Measured {
            namespace: String::new(),
            growths: vec![growth(Peer::Floor, 5.0), growth(Peer::Holm, holm)],
        };
        assert_eq!(mounts(&measured(5.2)), Ok(()));
        assert!(mounts(&measured(5.4)).is_err());
    }

    #[test]
    fn a_start_that_grows_with_the_callers_memory_is_a_breach() {
        let measured = |large| Library::Measured(Calls { large_mib: 4096, small: 2.0, large });
        assert_eq!(library(&measured(2.2)), Ok(()));
        assert!(library(&measured(236.0)).is_err());
    }

    #[test]
    fn a_dear_policy_is_a_breach() {
        let pair = |with: f64, without: f64| Pair { with, without, difference: with - without };
        let call = |policy: f64| Call { policy, least: 100.0, none: 70.0 };
        let measured = |start: f64, plain: f64| {
            let (start, start_cpu) = (pair(start, 2.0), pair(9.0, 1.0));
            Policy::Measured(Costs { start, start_cpu, plain: call(plain), conditional: call(1000.0) })
        };
        assert_eq!(policy(&measured(2.125, 104.0)), [Ok(()), Ok(())]);
        assert!(policy(&measured(2.25, 110.0)).iter().all(Result::is_err));
    }

    #[test]
    fn a_list_that_is_slow_or_grows_too_fast_is_a_breach() {
        use crate::crowd::List;
        let measured = |few_ms, small, large, lsns| {
            let list = |count, holm| List { count, holm, lsns: Some(lsns) };
            Crowd::Measured { few: 200, few_ms, lists: vec![list(2000, small), list(4000, large)] }
        };
        assert!(crowd(&measured(12.0, 200.0, 500.0, 1000.0)).iter().all(Result::is_ok));
        assert!(crowd(&measured(12.1, 201.0, 530.0, 999.0)).iter().all(Result::is_err));
    }

    #[test]
    fn what_was_not_measured_is_a_breach() {
        assert!(throughput(&[]).is_err());
        assert!(mounts(&Mounts::Skipped { reason: String::new() }).is_err());
        assert!(library(&Library::Skipped { reason: String::new() }).is_err());
        assert!(policy(&Policy::Skipped { reason: String::new() })[0].is_err());
        assert!(crowd(&Crowd::Skipped { reason: String::new() })[0].is_err());
        assert!(peak(&Starts { user_id: 0, series: Vec::new() }).is_err());
    }
}
