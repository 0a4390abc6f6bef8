//! Links in the root, and names that change while a container is made.

use super::{Site, bind, exchanging, hostile, text};
use serde_json::json;
use std::os::unix::fs::{MetadataExt, symlink};
use testkit::{is_root, much};

/// CVE-2021-30465, CVE-2024-45310: a part of a mount's target in a volume was swapped for a link after it was looked at: the
/// mount came on the host's tree, or empty files and directories were made there.
#[test]
fn a_target_in_a_volume_that_is_swapped_for_a_link_leads_nowhere_outside() {
    for target in ["outside", "/outside", "up"] {
        let mut site = hostile("swapped", "true");
        let shared = site.scratch.join("shared");
        std::fs::create_dir_all(shared.join("a/b")).expect("scratch is ours");
        let outside = site.scratch.join("outside");
        let target = match target {
            "outside" => outside.clone(),
            "up" => std::path::Path::new("../../../../../../../../../..")
                .join(outside.strip_prefix("/").expect("it is absolute")),
            other => other.into(),
        };
        symlink(target, shared.join("link")).expect("scratch is ours");
        site.mount(bind(&shared, "/vol"));
        let tmpfs = json!({ "destination": "/vol/a/b/made", "type": "tmpfs", "options": ["mode=777"] });
        site.mount(tmpfs);
        site.mount(bind(&site.scratch.join("config.json"), "/vol/a/file"));
        site.mount(bind(&site.scratch.join("rootfs"), "/vol/a/deep/er"));
        let mut started = 0;
        exchanging(&shared, ["a", "link"], || {
            for _ in 0..much(15, 500) {
                started += u32::from(site.run().status.success());
                site.is_unharmed();
            }
        });
        assert!(started > 0, "it is never in time");
    }
}

/// CVE-2019-18837, CVE-2019-19921, CVE-2023-27561, CVE-2023-28642, CVE-2025-54867: /proc or /sys of the root was a link, so what
/// was mounted and hidden there was so elsewhere.
#[test]
fn a_root_whose_proc_or_sys_is_a_link_is_refused() {
    for name in ["proc", "sys"] {
        for target in ["/usr", "elsewhere", "../outside", "/proc/self/fd"] {
            let mut site = hostile("link", "true");
            site.directory("elsewhere");
            site.unmount(&format!("/{name}"));
            let kind = if name == "proc" { "proc" } else { "sysfs" };
            site.mount(json!({ "destination": format!("/{name}"), "type": kind, "options": ["nosuid", "ro"] }));
            site.config["linux"]["maskedPaths"] = json!([format!("/{name}/kcore")]);
            site.link(name, target);
            site.refused("a symbolic link stands there");
            site.is_unharmed();
        }
    }
}

/// CVE-2026-41579, CVE-2026-47766: /dev of the root was a link, so devices and links were made where it led, on the host.
#[test]
fn a_root_whose_dev_is_a_link_has_no_devices_outside() {
    for target in ["../outside", "/../../outside", "/proc/1/root", "/proc/self/cwd"] {
        let mut site = hostile("dev", "true");
        site.unmount("/dev");
        site.link("dev", target);
        site.run();
        site.is_unharmed();
        let absolute = site.scratch.join("outside");
        site.link("dev", absolute);
        site.run();
        site.is_unharmed();
    }
}

/// CVE-2025-31133, CVE-2025-62161, CVE-2026-88265: the null device that hides a file was the root's own /dev/null, a link, so
/// that a file of the kernel's was bound there to be written; or it was opened for standard streams, and given away.
#[test]
fn a_null_device_of_the_roots_own_is_neither_followed_nor_used() {
    let victim = "/proc/sys/kernel/core_pattern";
    for target in [victim, "../outside/secret", "/etc/file"] {
        let mut site = hostile("null", "exec 2>&1; cat /hidden; echo x >/hidden; cat /proc/sys/kernel/core_pattern");
        site.unmount("/dev");
        site.directory("dev");
        site.directory("etc");
        std::fs::write(site.root("etc/file"), "own").expect("scratch is ours");
        std::fs::write(site.root("hidden"), "hidden").expect("scratch is ours");
        site.link("dev/null", target);
        site.config["linux"]["maskedPaths"] = json!(["/hidden"]);
        let before = std::fs::read(victim).expect("it is there");
        let output = site.run();
        match is_root() {
            // What stands where a device is to be made must be that device (config-linux.md, "Devices").
            true => assert!(
                text(&output.stderr).contains("cannot make character device 1:3 at /dev/null"),
                "{}",
                text(&output.stderr)
            ),
            false => assert!(!text(&output.stdout).contains("hidden"), "{}", text(&output.stdout)),
        }
        assert!(std::fs::read(victim).expect("it is there") == before);
        assert_eq!(std::fs::read_to_string(site.root("etc/file")).expect("it is there"), "own");
        site.is_unharmed();
    }
}

/// CVE-2025-52565, CVE-2026-88264: the terminal was bound on /dev/console, which the root had as a link; or was opened by a
/// /dev/ptmx of the root's own.
#[test]
fn a_console_or_ptmx_of_the_roots_own_is_not_followed() {
    for name in ["console", "ptmx"] {
        for target in ["../../outside/secret", "/proc/sys/kernel/core_pattern", "/proc/self/fd/0", "elsewhere"] {
            let mut site = hostile(name, "true");
            site.unmount("/dev");
            site.directory("dev/pts");
            let pts =
                json!({ "destination": "/dev/pts", "type": "devpts", "options": ["newinstance", "ptmxmode=0666"] });
            site.mount(pts);
            site.link(&format!("dev/{name}"), target);
            site.config["process"]["terminal"] = json!(true);
            let owner = |site: &Site| {
                let found = std::fs::metadata(site.scratch.join("outside/secret")).expect("it is there");
                (found.uid(), found.gid(), found.mode())
            };
            let before = owner(&site);
            let output = site.run();
            assert_eq!(output.status.code(), Some(1), "{name} -> {target}: {}", text(&output.stderr));
            assert_eq!(owner(&site), before);
            site.is_unharmed();
            assert!(!site.root("dev/elsewhere").exists());
        }
    }
}

/// CVE-2025-24965: a handler wrote its configuration into the root through a link there. An annotation is no order.
#[test]
fn annotations_of_handlers_write_nothing_into_the_root() {
    let mut site = hostile("krun", "true");
    site.config["annotations"] = json!({ "run.oci.handler": "krun", "module.wasm.image/variant": "compat" });
    for name in [".krun_config.json", "krun_config.json"] {
        site.link(name, "../outside/secret");
        site.link(name, site.scratch.join("outside/new"));
    }
    site.prints();
    site.is_unharmed();
}
