//! How large a worker can be on this machine.

use std::path::{Path, PathBuf};

use kobel_plan::Resources;
use procfs::Current;

use crate::{ProviderError, local::identity::plain};

/// The memory of the machine, or less if our control group may use less, and its processors, or
/// fewer if we may run on fewer.
pub(super) fn limits() -> Result<Resources, ProviderError> {
    let meminfo = plain(procfs::Meminfo::current()).map_err(ProviderError::io("read", "/proc/meminfo"))?;
    let cpus = std::thread::available_parallelism().map_err(ProviderError::io("count", "the processors"))?;
    Ok(Resources {
        memory_bytes: group_limit().map_or(meminfo.mem_total, |limit| limit.min(meminfo.mem_total)),
        vcores: u32::try_from(cpus.get()).unwrap_or(u32::MAX),
    })
}

/// The lowest memory limit of our control group and its parents. Without control groups: none.
fn group_limit() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let limits = limit_files(&groups).into_iter().filter_map(|file| std::fs::read_to_string(file).ok());
    limits.filter_map(|text| limit_in(&text)).min()
}

/// "max" (version 2) is no limit; version 1 says the same by a number beyond all memory.
fn limit_in(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// The files with the limits that hold for the groups in `/proc/self/cgroup`, whose lines are
/// `hierarchy:controllers:path`. Version 2 has hierarchy 0 and names no controllers. Every parent
/// counts; a container may see its own group as the root.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let of_line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|c| c == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        // Outside of what we may see, as "/../x", the root of it is the nearest parent.
        let visible = Path::new(path).strip_prefix("/").ok().filter(|path| !path.starts_with(".."));
        let below_root = visible.unwrap_or(Path::new(""));
        let files = below_root.ancestors().map(|group| Path::new(root).join(group).join(file));
        Some(files.collect::<Vec<_>>())
    };
    groups.lines().filter_map(of_line).flatten().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn this_machine_has_memory_and_processors() {
        let limits = limits().unwrap();
        assert!(limits.memory_bytes > 64 << 20);
        assert!(limits.vcores >= 1);
    }

    #[test]
    fn limits_are_looked_up_in_every_parent_group() {
        let files = |text| limit_files(text).iter().map(|f| f.display().to_string()).collect::<Vec<_>>();
        assert_eq!(
            files("0::/user.slice/app\n"),
            [
                "/sys/fs/cgroup/user.slice/app/memory.max",
                "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            files("9:name=systemd:/\n4:cpu,memory:/a\n1:cpu:/\n"),
            ["/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.limit_in_bytes"]
        );
    }

    #[test]
    fn no_limit_is_no_number() {
        assert_eq!(limit_in("max\n"), None);
        assert_eq!(limit_in("1073741824\n"), Some(1 << 30));
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*|([0-9]:[a-z,]*:/[a-z/.]*\n)*") {
            for file in limit_files(&text) {
                prop_assert!(file.starts_with("/sys/fs/cgroup"));
            }
        }
    }
}
