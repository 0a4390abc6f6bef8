//! Walks against the kernel's own look-ups and a plain model of them, on random trees.

use super::*;
use rustix::io::Errno;
use testkit::Scratch;
use testkit::forest;
use testkit::random::Random;

const LOOKS: usize = 500;

#[test]
fn a_walk_ends_where_the_kernels_does() {
    let scratch = Scratch::new("forest-walks");
    let mut random = Random::new(4);
    for number in 0..testkit::much(100, 2_000) {
        let root = scratch.join(number.to_string());
        let model = forest::Tree::random(&mut random, 40);
        fs::create_dir(&root).expect("scratch is ours");
        model.make(&root).expect("scratch is ours");
        let mut tree = Tree::new(&root).expect("it was made");
        for _ in 0..LOOKS {
            let path = format!("/{}", forest::path(&mut random));
            let walked = tree.walk(Path::new(&path)).expect("it can be read");
            let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let look = || rustix::fs::openat2(&tree.dir, &*path, flags, Mode::empty(), within);
            // Any rename on the machine spoils a look-up that climbs (openat2(2), EAGAIN).
            let kernel = std::iter::repeat_with(look).find(|found| !matches!(found, Err(Errno::AGAIN)));
            let real = model.look(&path, true).map(|node| Path::new("/").join(model.place(node)));
            let same = match (&walked, kernel.expect("it never ends before"), real) {
                (Walked::At(found), Ok(file), Ok(real)) => {
                    let inode = rustix::fs::fstat(&file).expect("it is open").st_ino;
                    let stamp = match &found.node {
                        Node::Dir(stamp) | Node::File(stamp) => stamp.ino,
                        _ => 0,
                    };
                    found.real == real && stamp == inode
                }
                (Walked::Absent, Err(Errno::NOENT), Err(forest::Nowhere::Missing)) => true,
                (Walked::Absent, Err(Errno::NOTDIR), Err(forest::Nowhere::NotDirectory)) => true,
                (Walked::Loop, Err(Errno::LOOP), Err(forest::Nowhere::Loop)) => true,
                _ => false,
            };
            assert!(same, "{path}: {walked:?} in {model:?}");
        }
        fs::remove_dir_all(&root).expect("scratch is ours");
    }
}

#[test]
fn what_was_replaced_since_the_walk_is_not_opened() {
    let scratch = Scratch::new("replaced");
    for (directory, text) in [("own", "program"), ("secret", "secret")] {
        fs::create_dir(scratch.join(directory)).expect("scratch is ours");
        fs::write(scratch.join(directory).join("file"), text).expect("scratch is ours");
    }
    let mut tree = Tree::new(scratch.path()).expect("it was made");
    let file = Path::new("/own/file");
    assert!(matches!(tree.walk(file), Ok(Walked::At(_))));
    assert!(tree.open(file).is_ok());
    fs::rename(scratch.join("own"), scratch.join("old")).expect("scratch is ours");
    std::os::unix::fs::symlink("secret", scratch.join("own")).expect("scratch is ours");
    assert!(matches!(tree.open(file), Err(Error::Read { .. })), "a link on the way");
    fs::remove_file(scratch.join("own")).expect("scratch is ours");
    fs::rename(scratch.join("secret"), scratch.join("own")).expect("scratch is ours");
    assert!(matches!(tree.open(file), Err(Error::Malformed { .. })), "another directory");
}
