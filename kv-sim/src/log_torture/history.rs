//! One history: a log from its creation through several runs, each with an end of its own.

use std::collections::BTreeMap;

use kv_core::log::{
    ForeignLog, LogError, LogId, LogIdentity, LogRun, LogVerdict, LogWriter, SegmentBytes, recover,
};
use kv_core::types::NodeId;

use super::at_rest::{OldImage, OldImages, strike};
use super::chance::TortureChance;
use super::disk::{ReadFailed, TortureDisk, TortureFile, TortureReader};
use super::fault::TortureFault;
use super::judge::{Broken, RunEnding, Shown, judge};
use super::node::{AppendedBatch, CONTENT_BYTES_MIN, Died, SyncMode, TortureNode};

/// The most runs of a history.
const RUNS_MAX: usize = 5;
/// The most steps of a run.
const STEPS_MAX: usize = 24;
/// The most kinds of faults that a history meets.
const FAULTS_MAX: usize = 3;

/// The result of one history of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryTold {
    /// The number of starts that were judged.
    pub starts: u64,
    /// The number of batches that were appended.
    pub batches: u64,
    /// The number of starts after which the log was said to be clean.
    pub clean: u64,
    /// The number of starts after which it was said to be torn.
    pub torn: u64,
    /// The number of starts after which it was said to be corrupt.
    pub corrupt: u64,
    /// The number of starts that were refused, since a file is not of this log.
    pub refused: u64,
    /// The number of times that each fault happened.
    pub faults: BTreeMap<TortureFault, u64>,
    /// The number of starts at which something was missing that had been promised and no log could
    /// know it, by the faults that the history had met.
    pub unwitnessed: BTreeMap<TortureFault, u64>,
    /// The rule that was broken, if one was.
    pub broken: Option<Broken>,
}

/// Runs the history of a seed.
pub fn torture(seed: u64) -> HistoryTold {
    let mut chance = TortureChance::new(seed);
    let mut told = HistoryTold::default();
    let mut node = create(&mut chance);
    let mut images = OldImages::default();
    for _ in 0..chance.between(1, RUNS_MAX) {
        let ending = run(&mut node, &mut images, &mut chance);
        match start(&mut node, ending, &mut images, &mut told, &mut chance) {
            Ok(true) => {}
            Ok(false) => break,
            Err(broken) => {
                told.broken = Some(broken);
                break;
            }
        }
    }
    told.batches = node.contents.into();
    told.faults = node.faults.met;
    told
}

/// Creates a log, and draws how it is driven and what it will meet.
fn create(chance: &mut TortureChance) -> TortureNode {
    let sizes = [512, 520, 768, 1_024, 2_048];
    let bytes = *chance.one_of(&sizes).unwrap_or(&512);
    let segment_bytes = SegmentBytes::new(bytes).unwrap_or_default();
    let log = LogId(chance.between(1, usize::MAX - 1) as u64);
    let identity = LogIdentity { node: NodeId(7), log, segment_bytes };
    let mode = match chance.below(4) {
        0 => SyncMode::Interval,
        1 => SyncMode::Never,
        _ => SyncMode::Always,
    };
    let sector_bytes = [8, 32, 64, 512][chance.below(4)];
    let mut disk = TortureDisk::new(sector_bytes);
    disk.files.insert(0, TortureFile::new(vec![0; bytes as usize]));
    let mut node = TortureNode::new(identity, mode, disk, LogWriter::create(identity, LogRun(1)));
    // A log exists once its first header is durable, so nothing happens to that.
    while matches!(node.write(chance), Ok(true)) {}
    let _ = node.sync(chance);
    if chance.percent(60) {
        for _ in 0..chance.between(1, FAULTS_MAX) {
            node.faults.left.extend(chance.one_of(TortureFault::ALL));
        }
    }
    // Where all batches have one length, a frame of another future fits into the place of one of this.
    if node.faults.left.contains(&TortureFault::OtherFuture) || chance.percent(40) {
        node.batch_bytes = Some(chance.between(CONTENT_BYTES_MIN, 100));
    }
    node
}

/// Lets the node work for a while, and says how that ended.
fn run(node: &mut TortureNode, images: &mut OldImages, chance: &mut TortureChance) -> RunEnding {
    if node.faults.left.contains(&TortureFault::OtherFuture) && images.other_future.is_none() {
        // A snapshot is taken; what comes of the node first is undone by restoring it.
        let mut other = node.clone();
        other.faults.left.clear();
        other.contents += 1_000_000;
        let _ = work(&mut other, &mut OldImages::default(), chance);
        images.other_future = Some(OldImage::of(&other.disk));
        node.ever.append(&mut other.ever);
    }
    let died = work(node, images, chance).is_err();
    let ending = match (died, chance.below(3)) {
        (false, 0) => match node.stop(chance) {
            Ok(()) => RunEnding::Stopped,
            Err(Died) => RunEnding::ProcessDied,
        },
        (_, 1) => RunEnding::ProcessDied,
        _ => RunEnding::PowerFailed,
    };
    let power_fails_later = ending == RunEnding::Stopped && chance.percent(50);
    if ending == RunEnding::PowerFailed || power_fails_later {
        node.disk.lose_power(chance);
    }
    ending
}

/// The steps of a run.
fn work(
    node: &mut TortureNode,
    images: &mut OldImages,
    chance: &mut TortureChance,
) -> Result<(), Died> {
    for _ in 0..chance.between(0, STEPS_MAX) {
        match chance.below(16) {
            0..=6 => node.append(chance),
            7..=9 => {
                node.write(chance)?;
                if node.mode == SyncMode::Always && chance.percent(80) {
                    node.sync(chance)?;
                }
            }
            10 | 11 => match node.mode {
                SyncMode::Always | SyncMode::Interval => node.flush(chance)?,
                SyncMode::Never => {
                    node.write(chance)?;
                }
            },
            12 => node.prepare(chance),
            13 => {
                // Whatever the mode, the tables are only written from what is durable in the log.
                if chance.percent(50) {
                    node.sync(chance)?;
                }
                let durable = node.writer.durable();
                let ends: Vec<_> = node
                    .appended
                    .iter()
                    .map(|batch| batch.end)
                    .filter(|&end| end <= durable)
                    .collect();
                if let Some(&end) = chance.one_of(&ends) {
                    node.checkpoint(end, chance);
                }
            }
            14 => {
                if node.writer.witness() {
                    node.write(chance)?;
                }
            }
            _ => {
                if images.past.len() < 2 {
                    images.past.push(OldImage::of(&node.disk));
                }
            }
        }
    }
    Ok(())
}

/// Starts the node again, and judges what that shows. Tells whether the history goes on.
fn start(
    node: &mut TortureNode,
    mut ending: RunEnding,
    images: &mut OldImages,
    told: &mut HistoryTold,
    chance: &mut TortureChance,
) -> Result<bool, Broken> {
    strike(node, images, chance);
    if node.marker.is_some() {
        images.marker.clone_from(&node.marker);
    }
    // A start may fail and be made again.
    for _ in 0..3 {
        if node.faults.strikes(TortureFault::ReadError, 50, chance) {
            let fails_after = Some(chance.below(3));
            match show(node, fails_after) {
                Ok(_) | Err(LogError::Read { .. }) => {}
                Err(error) => return Err(refusal(node, error)),
            }
        }
        told.starts += 1;
        let (shown, writer) = match show(node, None) {
            Ok(shown) => shown,
            Err(LogError::Foreign(_))
                if node.faults.met.contains_key(&TortureFault::MarkerFlip) =>
            {
                told.refused += 1;
                return Ok(false);
            }
            Err(error) => return Err(refusal(node, error)),
        };
        let judged = judge(node, ending, &shown)?;
        let is_corrupt = matches!(shown.verdict, LogVerdict::Corrupt(_));
        match shown.verdict {
            LogVerdict::Clean => told.clean += 1,
            LogVerdict::Torn { .. } => told.torn += 1,
            LogVerdict::Corrupt(_) => told.corrupt += 1,
        }
        if judged.is_unwitnessed {
            let blamed = node.faults.met.keys().filter(|fault| fault.costs_promises());
            blamed.for_each(|&fault| *told.unwitnessed.entry(fault).or_default() += 1);
        }
        if judged.is_of_another_past {
            return Ok(false);
        }
        let before = node.clone();
        node.keep_shown(&shown);
        match node.restart(writer, chance) {
            Ok(()) => {
                if is_corrupt {
                    // What is left goes into the tables before anything else.
                    node.checkpoint(node.writer.durable(), chance);
                }
                return Ok(true);
            }
            // What was cut off is so once the beginning of the next run is durable.
            Err(Died) => {
                let TortureNode { appended, missed, made, written, synced, .. } = before;
                (node.appended, node.missed, node.made) = (appended, missed, made);
                (node.written, node.synced) = (written, synced);
                if ending == RunEnding::Stopped {
                    ending = RunEnding::ProcessDied;
                }
            }
        }
    }
    Ok(false)
}

/// Recovers the log.
fn show(
    node: &TortureNode,
    fails_after: Option<usize>,
) -> Result<(Shown, LogWriter), LogError<ReadFailed>> {
    let disk = &node.disk;
    let mut reader = TortureReader { disk, fails_after };
    let marker = disk.marker.as_deref();
    let log = recover(node.identity, marker, disk.replay_from, &mut reader, |_| {})?;
    let mut batches = Vec::new();
    log.replay(&mut reader, |_| {}, |batch| batches.push((batch.end, batch.bytes.to_vec())))?;
    let writer = LogWriter::resume(node.identity, log.end(), LogRun(0));
    Ok((Shown { verdict: log.verdict().clone(), batches }, writer))
}

fn refusal(node: &TortureNode, error: LogError<ReadFailed>) -> Broken {
    let what = match error {
        LogError::List(ReadFailed) => "the files cannot be listed".to_owned(),
        LogError::Read { segment, offset, .. } => {
            format!("segment {segment} cannot be read at {offset}")
        }
        LogError::Changed { segment, offset } => format!("segment {segment} changed at {offset}"),
        LogError::Malformed { segment, offset } => {
            format!("segment {segment} is malformed at {offset}")
        }
        LogError::Foreign(foreign) => ForeignLog::to_string(&foreign),
    };
    let met: Vec<_> = node.faults.met.keys().map(|fault| fault.name()).collect();
    Broken { check: "refusal", story: format!("{what}, after {met:?}") }
}

impl TortureNode {
    /// Takes what a start has shown for the whole past, beside what the tables hold.
    fn keep_shown(&mut self, shown: &Shown) {
        let from = self.disk.replay_from.position;
        let is_shown = |end| shown.batches.iter().any(|&(shown, _)| shown == end);
        let is_kept = |batch: &AppendedBatch| batch.end <= from || is_shown(batch.end);
        let (kept, lost) =
            std::mem::take(&mut self.appended).into_iter().partition::<Vec<_>, _>(is_kept);
        self.appended = kept;
        let end = match shown.verdict {
            LogVerdict::Torn { at } => at,
            LogVerdict::Clean => return,
            LogVerdict::Corrupt(_) => {
                self.missed.extend(lost);
                return;
            }
        };
        self.made.retain(|made| made.write.end <= end);
    }
}
