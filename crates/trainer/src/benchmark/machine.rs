//! Where and by what a figure was made.

use std::fs;

/// Processor, threads, memory, release and commit, in words. `ONSHELF_COMMIT` names the commit;
/// `build.sh` sets it.
pub(crate) fn describe() -> String {
    let read = |path: &str, key: &str| -> Option<String> {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find(|l| l.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let processor = read("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = read("/proc/meminfo", "MemTotal").map_or_else(String::new, |m| format!(", {m} of memory"));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let commit = std::env::var("ONSHELF_COMMIT").unwrap_or_else(|_| "unknown".into());
    format!("{processor}, {threads} threads{memory}; onshelf {}, commit {commit}", env!("CARGO_PKG_VERSION"))
}
