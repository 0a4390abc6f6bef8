//! `update`: other limits for a container that is there.

use super::found;
use crate::group::Group;
use crate::lower;
use crate::resctrl::Schemas;
use crate::{Error, Result};
use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};
use std::path::Path;

/// Writes other limits into a container's groups, and other shares into its group of resctrl. Where one is refused the others are as they
/// were. What is not done is returned.
///
/// # Errors
/// There is no such container, or it has ended; a limit is refused.
pub fn update(root: &Path, id: &str, wished: &LinuxResources, schemas: &Schemas) -> Result<Vec<String>> {
    let (_place, record) = found(root, id)?;
    let refused = |cause: &str| Error::Failed(format!("cannot update container {id}: {cause}"));
    let record = record.filter(|record| record.status().lives()).ok_or_else(|| refused("container not running"))?;
    let lines = schemas.lines().map_err(|(field, cause)| refused(&format!("{field}: {cause}")))?;
    let shares = record.resctrl.as_ref().filter(|_| !lines.is_empty());
    if shares.is_none() && !lines.is_empty() {
        return Err(refused("it has no resctrl group: it was made without linux.intelRdt"));
    }
    if record.groups.is_empty() && shares.is_none() {
        return Err(refused("it has no control groups"));
    }
    let wished = completed(wished.clone(), &record.groups);
    let files = lower::limits(&wished, &record.groups, &holm::host::groups::hierarchies())?;
    let writes: Vec<Write<'_>> =
        files.iter().map(|(place, name, value)| (&record.groups[*place], name.as_str(), value.as_str())).collect();
    writes.iter().filter(|(group, ..)| group.unified).for_each(|(group, name, _)| group.enable(name));
    let shared = shares.map(|group| Ok::<_, Error>((group, group.set(&lines)?))).transpose()?;
    let before = now(&writes);
    let done = write(&writes, &before).and_then(|()| {
        let Some(unit) = &record.unit else { return Ok(()) };
        // Later it sets by itself what it knows of, and now it sets that roughly.
        crate::systemd::update(unit, &wished).inspect_err(|_| restore(&writes, &before))?;
        write(&writes, &before)
    });
    done.inspect_err(|_| shared.iter().for_each(|(group, written)| group.put_back(written)))?;
    let devices = wished.devices().iter().flatten().next().map(|_| "which devices it may use stays as it is");
    Ok(devices.into_iter().chain(schemas.ignored()).map(str::to_owned).collect())
}

/// A group, a file of it, and what is written there.
type Write<'a> = (&'a Group, &'a str, &'a str);

fn now(all: &[Write<'_>]) -> Vec<Option<String>> {
    all.iter().map(|(group, name, _)| group.text(name)).collect()
}

/// Writes all, or leaves what was before. One limit may have to be raised before another can be: what is refused is tried once more
/// after all others.
fn write(all: &[Write<'_>], before: &[Option<String>]) -> Result<()> {
    let set = |(group, name, value): &Write<'_>| group.write(name, value);
    let late: Vec<&Write<'_>> = all.iter().filter(|one| set(one).is_err()).collect();
    let done = late.into_iter().try_for_each(set);
    done.inspect_err(|_| restore(all, before))
}

fn restore(all: &[Write<'_>], before: &[Option<String>]) {
    for ((group, name, _), value) in all.iter().zip(before).rev() {
        // What can't be set back is told by the error that is returned.
        let _ = value.as_ref().map(|value| group.write(name, value.trim()));
    }
}

/// In version 2 some limits share a file, and the half that isn't wished stays as it is; 0 is what engines write for it.
fn completed(mut wished: LinuxResources, groups: &[Group]) -> LinuxResources {
    if let Some(memory) = *wished.memory() {
        let files = ["memory.memsw.limit_in_bytes", "memory.swap.max"];
        let counts = |group: &Group| files.iter().any(|file| group.directory.join(file).exists());
        wished.set_memory(Some(if groups.iter().any(counts) { without_limit(memory) } else { memory }));
    }
    let Some(group) = groups.iter().find(|group| group.unified) else { return wished };
    let number = |text: &str| text.trim().parse::<i64>().ok();
    if let Some(cpu) = wished.cpu().clone() {
        wished.set_cpu(Some(complete_cpu(cpu, &group.text("cpu.max").unwrap_or_default())));
    }
    if let Some(memory) = *wished.memory() {
        let limit = memory.limit().filter(|limit| *limit != 0).or_else(|| number(&group.text("memory.max")?));
        wished.set_memory(Some(complete_memory(memory, limit)));
    }
    wished
}

/// Without a limit of memory there is none of both together.
fn without_limit(mut memory: LinuxMemory) -> LinuxMemory {
    if memory.limit() == Some(-1) && memory.swap().is_none_or(|swap| swap == 0) {
        memory.set_swap(Some(-1));
    }
    memory
}

/// `now` is a text of `cpu.max`: quota and period.
fn complete_cpu(mut cpu: LinuxCpu, now: &str) -> LinuxCpu {
    let mut words = now.split_whitespace();
    let (quota, period) = (words.next(), words.next());
    match (cpu.quota().filter(|quota| *quota != 0), cpu.period().filter(|period| *period != 0)) {
        (None, Some(_)) => drop(cpu.set_quota(quota.and_then(|word| word.parse().ok()))),
        (Some(_), None) => drop(cpu.set_period(period.and_then(|word| word.parse().ok()))),
        _ => {}
    }
    cpu
}

/// Memory and swap together are wished, and `limit` says how much of that is memory.
fn complete_memory(mut memory: LinuxMemory, limit: Option<i64>) -> LinuxMemory {
    if memory.swap().is_some_and(|swap| swap > 0) {
        memory.set_limit(limit);
    }
    memory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_half_that_is_not_wished_stays() {
        let mut cpu = LinuxCpu::default();
        cpu.set_quota(Some(5000)).set_period(None);
        assert_eq!(complete_cpu(cpu.clone(), "max 200000\n").period(), Some(200_000));
        cpu.set_period(Some(0));
        assert_eq!(complete_cpu(cpu.clone(), "max 200000\n").period(), Some(200_000), "0 is unsaid");
        cpu.set_quota(None).set_period(Some(7));
        assert_eq!(complete_cpu(cpu.clone(), "9000 200000\n").quota(), Some(9000));
        assert_eq!(complete_cpu(cpu, "max 200000\n").quota(), None);
        let swap = |limit: i64, swap: Option<i64>| {
            let mut memory = LinuxMemory::default();
            memory.set_limit(Some(limit)).set_swap(swap);
            without_limit(memory).swap()
        };
        assert_eq!(
            [swap(-1, None), swap(-1, Some(0)), swap(-1, Some(5)), swap(9, None)],
            [Some(-1), Some(-1), Some(5), None]
        );
    }
}
