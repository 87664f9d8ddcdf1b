//! A small disk that can be full: a tmpfs, which only root may mount.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::postgres::user;

/// A mounted disk of 64 MiB; unmounted at the end.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one, or says why not.
    pub(crate) fn mount() -> Option<Self> {
        let path = tempfile::tempdir().unwrap().keep();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&path).output();
        if !mounted.is_ok_and(|done| done.status.success()) {
            eprintln!("SKIPPED: a full database: no disk can be mounted here (it takes root)");
            return None;
        }
        let disk = Self(path);
        if let Some((uid, gid)) = user() {
            fs::create_dir(disk.tables()).unwrap();
            chown(disk.tables(), Some(uid), Some(gid)).unwrap();
        }
        Some(disk)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A folder on it that is the database server's.
    pub(crate) fn tables(&self) -> PathBuf {
        self.0.join("tables")
    }

    /// Leaves no byte of it.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("ballast")).unwrap();
        let mut size = 1 << 20;
        while size > 0 {
            if file.write_all(&vec![1; size]).is_err() {
                size /= 2;
            }
        }
    }

    /// Takes away again what [`Self::fill`] put there.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
        let _ = fs::remove_dir(&self.0);
    }
}
