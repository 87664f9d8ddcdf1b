//! How much memory the process needed.

/// The most that was resident so far, in bytes; `None` where the system does not tell it as Linux
/// does.
#[must_use]
pub fn peak() -> Option<u64> {
    peak_of(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_found_among_the_rest() {
        let status = "Name:\tonshelf\nVmPeak:\t  900 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  7 kB\n";
        assert_eq!(peak_of(status), Some(2 << 20));
        assert_eq!(peak_of("Name:\tonshelf\n"), None);
        #[cfg(target_os = "linux")]
        assert!(peak() > Some(1 << 20));
    }
}
