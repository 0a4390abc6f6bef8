//! What every root of programs has beside the host's files: places to mount on, and a small /etc without the host's
//! users. What the host's files already are stays.

/// Empty directories.
pub(super) const DIRECTORIES: [&str; 8] = ["dev", "etc", "home", "proc", "root", "run", "tmp", "var"];

/// Files with their text.
pub(super) const FILES: [(&str, &str); 4] = [
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"),
    ("etc/group", "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"),
    (
        "etc/nsswitch.conf",
        "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n",
    ),
];
