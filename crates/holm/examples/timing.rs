//! Prints medians of each phase.
use std::time::Instant;
fn main() {
    let mut rows = vec![];
    let share = std::env::args().any(|a| a == "mnt");
    for _ in 0..300 {
        let mut spec = holm::Spec::new("/true");
        spec.filesystem.push(holm::spec::filesystem::Entry {
            operation: holm::spec::filesystem::Operation::Bind {
                source: holm::spec::filesystem::Source::Path("/tmp/w/true".into()),
                at: "/true".into(),
                access: holm::spec::filesystem::Access::ReadOnly,
                missing: holm::spec::filesystem::Missing::Refuse,
            },
            origin: String::new(),
        });
        if share {
            spec = holm::Spec::new("/tmp/w/true");
            spec.namespaces
                .choices
                .push((holm::model::namespace::Namespace::Mount, holm::spec::namespaces::Choice::Share));
        }
        let a = Instant::now();
        let plan = spec.plan().unwrap();
        let b = Instant::now();
        let mut c = plan.spawn().unwrap();
        let d = Instant::now();
        c.wait().unwrap();
        let e = Instant::now();
        rows.push([(b - a).as_micros(), (d - b).as_micros(), (e - d).as_micros()]);
    }
    for i in 0..3 {
        let mut v: Vec<_> = rows.iter().map(|r| r[i]).collect();
        v.sort();
        println!("{} median {} min {}", ["plan", "spawn", "wait"][i], v[150], v[0]);
    }
}
