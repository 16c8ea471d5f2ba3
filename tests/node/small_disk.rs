//! A small disk under real nodes, seen by nobody else, and gone with the test.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use crate::support::{Cluster, before};

/// A disk in memory, mounted in a name space of its own, which a process holds. It outlives the nodes
/// that run on it, and is unmounted when the last of these processes has ended.
pub(crate) struct SmallDisk {
    holder: Child,
    /// The holder ends when this is closed.
    held: Option<ChildStdin>,
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk at a folder. `None` where the system lets nobody mount without privileges: then
    /// there is nothing to try, and the test says so.
    pub(crate) fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).expect("the folder is ours");
        let mount = "mount -t tmpfs -o \"size=$0\" none \"$1\" && echo mounted && exec cat";
        let holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", mount, size])
            .arg(at)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut disk = Self { holder: holder.ok()?, held: None, at: at.into() };
        disk.held = disk.holder.stdin.take();
        let mut line = String::new();
        let stdout = disk.holder.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it is text");
        if line.trim_end() != "mounted" {
            eprintln!("not tried: no disk can be mounted here without privileges");
            return None;
        }
        Some(disk)
    }

    /// Disks for the data of so many nodes of a cluster.
    pub(crate) fn mount_all(cluster: &Cluster, nodes: usize, size: &str) -> Option<Vec<Self>> {
        (0..nodes).map(|index| Self::mount(&cluster.data_dir(index), size)).collect()
    }

    /// The command, run where the disk is seen.
    pub(crate) fn under(&self, command: &Command) -> Command {
        let target = format!("--target={}", self.holder.id());
        before(&["nsenter", &target, "--user", "--mount", "--preserve-credentials", "--"], command)
    }

    /// A file on the disk, as it is seen from outside.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        let at = self.at.strip_prefix("/").expect("it is an absolute path");
        Path::new(&format!("/proc/{}/root", self.holder.id())).join(at).join(name)
    }

    /// Takes all the room that is left.
    pub(crate) fn fill(&self) {
        let mut ballast = File::create(self.path("ballast")).expect("the disk takes a name");
        for chunk in [vec![1; 1 << 20], vec![1; 4_096], vec![1]] {
            while ballast.write_all(&chunk).is_ok() {}
        }
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        std::fs::remove_file(self.path("ballast")).expect("it was filled");
    }

    /// Replaces the disk by a larger one that holds the same.
    pub(crate) fn grow(&self, size: &str) {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.at);
        assert!(self.under(&mount).status().expect("there is a mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.held = None;
        // It may have ended already.
        let _ended = self.holder.kill();
        let _ended = self.holder.wait();
    }
}
