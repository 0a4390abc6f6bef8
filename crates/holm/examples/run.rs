//! Runs its arguments in the default sandbox.
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: run PROGRAM [ARGUMENT...]")?;
    let mut child = holm::Spec::new(program).args(arguments).spawn()?;
    std::process::exit(child.wait()?.code().into())
}
