//! What happens to files while the node is down.

use std::collections::BTreeMap;

use kv_core::log::ReplayFrom;

use super::chance::TortureChance;
use super::disk::{TortureDisk, TortureFile};
use super::fault::{FaultClass, TortureFault};
use super::node::TortureNode;

/// The files as they were at some time, with the marker and what the tables said.
#[derive(Clone, Debug)]
pub(super) struct OldImage {
    files: BTreeMap<u64, Vec<u8>>,
    marker: Option<Vec<u8>>,
    replay_from: ReplayFrom,
}

/// The images that a history has kept.
#[derive(Clone, Debug, Default)]
pub(super) struct OldImages {
    /// Of this log's past.
    pub(super) past: Vec<OldImage>,
    /// Of another future, which a restored snapshot has undone.
    pub(super) other_future: Option<OldImage>,
    /// The marker of an earlier stop.
    pub(super) marker: Option<Vec<u8>>,
}

impl OldImage {
    pub(super) fn of(disk: &TortureDisk) -> Self {
        let files = disk.files.iter().map(|(&number, file)| (number, file.live.clone()));
        Self { files: files.collect(), marker: disk.marker.clone(), replay_from: disk.replay_from }
    }
}

/// Lets those faults happen that are left for files at rest. Each that cannot happen now is kept.
pub(super) fn strike(node: &mut TortureNode, images: &OldImages, chance: &mut TortureChance) {
    let left: Vec<_> = node.faults.left.clone();
    for fault in left.into_iter().filter(|fault| fault.class() == FaultClass::AtRest) {
        if chance.percent(60) && happens(fault, node, images, chance) {
            node.faults.left.retain(|&left| left != fault);
            *node.faults.met.entry(fault).or_default() += 1;
        }
    }
}

fn happens(
    fault: TortureFault,
    node: &mut TortureNode,
    images: &OldImages,
    chance: &mut TortureChance,
) -> bool {
    let numbers: Vec<_> = node.disk.files.keys().copied().collect();
    let (Some(&one), Some(&other)) = (chance.one_of(&numbers), chance.one_of(&numbers)) else {
        return false;
    };
    let disk = &mut node.disk;
    let content =
        |disk: &TortureDisk, number: u64| disk.files.get(&number).map(|file| file.live.clone());
    let Some(mut file) = content(disk, one) else { return false };
    match fault {
        TortureFault::Flip => {
            let at = chance.below(file.len());
            let Some(byte) = file.get_mut(at) else { return false };
            *byte ^= 1 << chance.below(8);
            disk.replace(one, file);
        }
        TortureFault::ZeroedRange => {
            let (begin, length) = (chance.below(file.len()), chance.between(1, 256));
            file.iter_mut().skip(begin).take(length).for_each(|byte| *byte = 0);
            disk.replace(one, file);
        }
        TortureFault::ShortFile => {
            file.truncate(chance.below(file.len()));
            disk.replace(one, file);
        }
        TortureFault::DeletedFile => {
            disk.files.remove(&one);
        }
        TortureFault::SwappedFiles | TortureFault::CopiedFile => {
            let Some(content) = content(disk, other).filter(|_| one != other) else { return false };
            disk.replace(one, content);
            if fault == TortureFault::SwappedFiles {
                disk.replace(other, file);
            }
        }
        TortureFault::OldFile => {
            let old = chance.one_of(&images.past).and_then(|image| image.files.get(&one));
            let Some(old) = old else { return false };
            disk.replace(one, old.clone());
        }
        TortureFault::OldLog | TortureFault::OldDisk => {
            let Some(image) = chance.one_of(&images.past) else { return false };
            let files = image.files.iter();
            disk.files =
                files.map(|(&number, file)| (number, TortureFile::new(file.clone()))).collect();
            disk.marker.clone_from(&image.marker);
            if fault == TortureFault::OldDisk {
                disk.replay_from = image.replay_from;
            }
        }
        TortureFault::OtherFuture => {
            let other = images.other_future.as_ref().and_then(|image| image.files.get(&one));
            let Some(other) = other.filter(|other| other.len() == file.len()) else { return false };
            let (mut begin, mut end) = (0, file.len());
            if chance.percent(60) {
                begin = chance.below(file.len() / 8) * 8;
                end = file.len().min(begin + chance.between(1, 40) * 8);
            }
            file[begin..end].copy_from_slice(&other[begin..end]);
            disk.replace(one, file);
        }
        TortureFault::MarkerLost => return disk.marker.take().is_some(),
        TortureFault::MarkerOld => {
            let Some(marker) = &images.marker else { return false };
            disk.marker = Some(marker.clone());
        }
        TortureFault::MarkerFlip => {
            let Some(marker) = &mut disk.marker else { return false };
            let at = chance.below(marker.len());
            marker[at] ^= 1 << chance.below(8);
        }
        TortureFault::WriteError
        | TortureFault::SyncError
        | TortureFault::ReadError
        | TortureFault::DiskFull
        | TortureFault::LostWrite
        | TortureFault::MisdirectedWrite
        | TortureFault::LyingSync
        | TortureFault::ForgetfulSync => return false,
    }
    true
}
