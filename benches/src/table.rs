//! The report for a reader: one table a section, on the standard output.

use crate::crowd::Crowd;
use crate::library::Library;
use crate::mounts::{COUNT, Mounts};
use crate::peer::Peer;
use crate::policy::Policy;
use crate::report::Report;
use crate::start::Starts;
use crate::system_calls::SystemCalls;

pub(crate) fn print(report: &Report) {
    print_host(report);
    report.starts.iter().for_each(print_starts);
    print_peaks(&report.starts);
    print_rates(report);
    print_mounts(&report.mounts);
    print_library(&report.library);
    print_policy(&report.policy);
    print_crowd(&report.crowd);
    print_calls(&report.calls);
}

fn print_host(report: &Report) {
    println!("kernel {}, {} processors", report.host.kernel, report.host.processors);
    for (peer, version) in &report.host.versions {
        println!("{peer}: {version}");
    }
    for absent in &report.absent {
        println!("{}: NOT MEASURED: {}", absent.peer, absent.reason);
    }
}

fn print_starts(starts: &Starts) {
    let runs = starts.series.first().map_or(0, |series| series.records.len());
    println!("\nStart as uid {}, ms, {runs} runs", starts.user_id);
    println!("{:<10}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}", "", "median", "min", "p90", "CPU", "x floor", "paired");
    let floor = starts.of(Peer::Floor);
    for series in &starts.series {
        let ratio = |of: Option<f64>| of.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "{:<10}{:>9.3}{:>9.3}{:>9.3}{:>9.3}{:>10}{:>10}",
            series.peer,
            series.median(),
            series.least(),
            series.ninetieth(),
            series.cpu(),
            ratio(floor.map(|floor| series.median() / floor.median())),
            ratio(floor.map(|floor| series.paired_ratio(floor))),
        );
    }
}

fn print_peaks(starts: &[Starts]) {
    println!("\nPeak memory of the largest process, KiB");
    print!("{:<10}", "");
    starts.iter().for_each(|starts| print!("{:>12}", format!("uid {}", starts.user_id)));
    println!();
    for peer in Peer::ALL {
        if starts.iter().all(|starts| starts.of(peer).is_none()) {
            continue;
        }
        print!("{peer:<10}");
        for starts in starts {
            let peak = starts.of(peer).map_or("-".to_owned(), |series| series.peak_kib().to_string());
            print!("{peak:>12}");
        }
        println!();
    }
}

fn print_rates(report: &Report) {
    println!("\nThroughput, two workers, starts/s");
    for rate in &report.rates {
        println!("{:<10}{:>9.0}", rate.peer, rate.starts_per_second);
    }
}

fn print_mounts(mounts: &Mounts) {
    match mounts {
        Mounts::Skipped { reason } => println!("\n{COUNT} more mounts: NOT MEASURED: {reason}"),
        Mounts::Measured { namespace, growths } => {
            println!("\n{COUNT} more mounts, under {namespace}, median ms");
            println!("{:<10}{:>9}{:>9}{:>9}", "", "without", "with", "growth");
            for growth in growths {
                let difference = growth.difference();
                println!("{:<10}{:>9.3}{:>9.3}{difference:>+9.3}", growth.peer, growth.without, growth.with);
            }
        }
    }
}

fn print_library(library: &Library) {
    match library {
        Library::Skipped { reason } => println!("\nStarts by the library: NOT MEASURED: {reason}"),
        Library::Measured(calls) => {
            println!("\nStarts by the library, from a program with much memory in use, median ms");
            let size = format!("{} MiB", calls.large_mib);
            println!("{:<10}{:>9}{size:>9}{:>9}", "", "small", "growth");
            println!("{:<10}{:>9.3}{:>9.3}{:>+9.3}", "holm", calls.small, calls.large, calls.large - calls.small);
        }
    }
}

fn print_policy(policy: &Policy) {
    match policy {
        Policy::Skipped { reason } => println!("\nThe policy: NOT MEASURED: {reason}"),
        Policy::Measured(costs) => {
            println!("\nThe policy: a start with holm's defaults, and without filter and guarded /proc, median ms");
            println!("{:<10}{:>9}{:>9}{:>12}", "", "with", "without", "difference");
            for (name, pair) in [("wall", &costs.start), ("CPU", &costs.start_cpu)] {
                println!("{name:<10}{:>9.3}{:>9.3}{:>+12.3}", pair.with, pair.without, pair.difference);
            }
            println!("\nA system call under a filter, median ns of CPU");
            println!("{:<10}{:>9}{:>9}{:>9}", "", "default", "least", "none");
            for (name, call) in [("getpid", &costs.plain), ("ioctl", &costs.conditional)] {
                println!("{name:<10}{:>9.1}{:>9.1}{:>9.1}", call.policy, call.least, call.none);
            }
        }
    }
}

fn print_crowd(crowd: &Crowd) {
    match crowd {
        Crowd::Skipped { reason } => println!("\nLists of namespaces: NOT MEASURED: {reason}"),
        Crowd::Measured { few, few_ms, lists } => {
            println!("\nLists of namespaces, median ms; without a crowd the machine has {few} processes");
            println!("{:<10}{:>9}{:>9}{:>9}", "crowd", "holm", "lsns", "x holm");
            println!("{:<10}{few_ms:>9.3}{:>9}{:>9}", "none", "-", "-");
            for list in lists {
                let lsns = list.lsns.map_or("-".to_owned(), |lsns| format!("{lsns:.1}"));
                let ratio = list.lsns.map_or("-".to_owned(), |lsns| format!("{:.2}", lsns / list.holm));
                println!("{:<10}{:>9.1}{lsns:>9}{ratio:>9}", list.count, list.holm);
            }
        }
    }
}

fn print_calls(calls: &SystemCalls) {
    match calls {
        SystemCalls::Skipped { reason } => println!("\nSystem calls: NOT MEASURED: {reason}"),
        SystemCalls::Counted(counts) => {
            println!("\nSystem calls of one start");
            counts.iter().for_each(|count| println!("{:<10}{:>9}", count.peer, count.calls));
        }
    }
}
