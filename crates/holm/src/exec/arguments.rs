//! What the init is told by its arguments, and the program by its own (the table is in init/main.rs).

use super::program::{Inherited, text};
use crate::plan::Plan;
use crate::plan::limits::Limit;
use crate::plan::step::{Act, Actor, Step};
use crate::spec::life::{Lifetime, Terminal};
use crate::sys::init::flags;
use std::ffi::CString;
use std::os::fd::{AsRawFd, OwnedFd};

/// The arguments: what the init is to do, the paths to try, and the program's own.
pub(crate) fn list(plan: &Plan, control: &OwnedFd, inherited: &Inherited) -> Vec<CString> {
    let launch = &plan.launch;
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    let flags = flags::NEW_SESSION
        | flag(launch.terminal != Terminal::None, flags::TERMINAL)
        | flag(launch.wait_all, flags::WAIT_ALL)
        | flag(launch.new_time, flags::OWN_MEMORY)
        | flag(plan.steps.iter().any(|step| step.act == Act::ForkInit), flags::GOES_IN)
        | match launch.lifetime {
            Lifetime::Owned => flag(!launch.own_pids, flags::FOREIGN_PIDS),
            Lifetime::Detached => flags::IN_PLACE,
        };
    let Inherited { proc, held, door } = inherited;
    let [proc, held, door] = [proc, held, door].map(|one| one.as_ref().map_or(0, AsRawFd::as_raw_fd));
    let (control, last, paths) = (control.as_raw_fd(), plan.steps.len(), launch.paths.len());
    let (time, awaited, init) = (milliseconds(plan), awaited(plan), init(plan));
    let task = format!("{control} {flags} {last} {proc} {paths} {time} {awaited} {init} {held} {door}");
    let own =
        ["holm-init".to_owned(), task, resources(plan), labels(plan)].map(|s| CString::new(s).expect("no NUL in it"));
    let paths = launch.paths.iter().map(|p| text(p.as_os_str()));
    own.into_iter().chain(paths).chain(launch.arguments.iter().map(|a| text(a))).collect()
}

/// The environment, for both.
pub(crate) fn environment(plan: &Plan) -> Vec<CString> {
    let line = |(name, value): &(std::ffi::OsString, std::ffi::OsString)| {
        let mut line = name.clone();
        line.push("=");
        line.push(value);
        text(&line)
    };
    plan.launch.environment.iter().map(line).collect()
}

/// The program's time in milliseconds, rounded up; 0 is no limit.
fn milliseconds(plan: &Plan) -> u64 {
    let time = plan.steps.iter().find_map(|step| match &step.act {
        Act::Limit(Limit::Timeout(time)) => Some(time.as_nanos().div_ceil(1_000_000)),
        _ => None,
    });
    time.map_or(0, |time| u64::try_from(time).unwrap_or(u64::MAX))
}

/// The number of the step that is the init.
fn init(plan: &Plan) -> usize {
    let is_init = |step: &Step| matches!(step.act, Act::Init | Act::WaitAtDoor);
    plan.steps.iter().position(is_init).map_or(0, |place| place + 1)
}

/// The first step of the parent that the init waits for; 0 is none.
fn awaited(plan: &Plan) -> usize {
    let is_late = |&(place, step): &(usize, &Step)| place >= init(plan) && step.actor == Actor::ParentMeanwhile;
    plan.steps.iter().enumerate().find(is_late).map_or(0, |(place, _)| place + 1)
}

/// A line for each label: step, file below /proc, what is written there.
fn labels(plan: &Plan) -> String {
    let lines = plan.steps.iter().enumerate().filter_map(|(place, step)| match &step.act {
        Act::Label(label) => {
            let (file, value) = label.at_exec();
            Some(format!("{} {file} {value}\n", place + 1))
        }
        _ => None,
    });
    lines.collect()
}

/// Four numbers for each limit of a resource: step, resource, soft and hard limit.
fn resources(plan: &Plan) -> String {
    let numbers = plan.steps.iter().enumerate().filter_map(|(place, step)| match &step.act {
        Act::Limit(Limit::Resource(limit)) => {
            let [soft, hard] = [limit.soft, limit.hard].map(|amount| amount.unwrap_or(u64::MAX));
            Some(format!("{} {} {soft} {hard}", place + 1, limit.resource.number()))
        }
        _ => None,
    });
    numbers.collect::<Vec<_>>().join(" ")
}
