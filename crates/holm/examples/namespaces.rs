//! Counts namespaces, and those in which no process is.
fn main() -> Result<(), holm::inspect::read::Error> {
    let machine = holm::inspect::read::read()?;
    let empty = machine.namespaces.iter().filter(|found| found.processes.is_empty()).count();
    println!("{} namespaces, {empty} without a process", machine.namespaces.len());
    Ok(())
}
