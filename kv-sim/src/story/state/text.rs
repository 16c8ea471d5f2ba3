//! A moment as people read it.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use super::node::seconds;
use super::{
    ClientState, ContainerState, CopyState, CoreState, DiskState, KeyState, NodeState,
    OperationState, PeerState, ProcessState, RepairState, ShownLink, TroubleKind, UnderWay,
    WorldState,
};
use crate::cluster::world_time::WorldTime;
use crate::story::words::{BAD, FAINT, HEADING, counted, thousands};

/// The most characters of a value; longer ones are cut.
const VALUE_CHARS_MAX: usize = 40;

/// The most partitions that are listed.
const PARTITIONS_MAX: usize = 16;

impl Display for WorldState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{HEADING}At {} s{HEADING:#}, in the phase {}",
            WorldTime(self.at_us),
            self.phase
        )?;
        if let Some(since) = self.chaos_since_us {
            write!(f, ", {} after clients and faults began", seconds(self.at_us - since))?;
        }
        let (events, digest) = (thousands(self.events), self.digest);
        writeln!(f, "\n{FAINT}{events} events, digest {digest}{FAINT:#}")?;
        if !self.faults.is_empty() {
            writeln!(f, "\n{HEADING}Faults at work{HEADING:#}")?;
        }
        for fault in &self.faults {
            write!(f, "  {}: {}", fault.kind, fault.what)?;
            match fault.until_us {
                Some(until) => writeln!(f, ", until {} s", WorldTime(until))?,
                None => writeln!(f, ", for ever")?,
            }
        }
        links(&self.links, f)?;
        under_way(&self.under_way, f)?;
        self.nodes.iter().try_for_each(|node| node.fmt(f))?;
        if !self.keys.is_empty() {
            writeln!(f, "\n{HEADING}Keys{HEADING:#}")?;
            self.keys.iter().try_for_each(|key| key.fmt(f))?;
        }
        if !self.clients.is_empty() {
            writeln!(f, "\n{HEADING}Clients{HEADING:#}")?;
            self.clients.iter().try_for_each(|client| client.fmt(f))?;
        }
        Ok(())
    }
}

fn links(links: &[ShownLink], f: &mut Formatter<'_>) -> fmt::Result {
    if links.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{HEADING}Links that are not as usual{HEADING:#}")?;
    let mut alike: BTreeMap<(TroubleKind, String, &str), Vec<&str>> = BTreeMap::new();
    for ShownLink { from, to, troubles } in links {
        for trouble in troubles {
            let of = trouble
                .messages
                .as_ref()
                .map_or_else(String::new, |kinds| format!(" for {}", kinds.join(", ")));
            alike.entry((trouble.trouble, of, from)).or_default().push(to);
        }
    }
    for ((trouble, of, from), to) in alike {
        let word = match trouble {
            TroubleKind::Cut => "cut",
            TroubleKind::Clogged => "clogged",
            TroubleKind::Disturbed => "disturbed",
        };
        writeln!(f, "  {from} to {}: {word}{of}", to.join(", "))?;
    }
    Ok(())
}

fn under_way(messages: &[UnderWay], f: &mut Formatter<'_>) -> fmt::Result {
    if messages.is_empty() {
        return Ok(());
    }
    writeln!(f, "\n{HEADING}Messages under way{HEADING:#}")?;
    let mut by_link: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for UnderWay { from, to, kind, messages, waiting } in messages {
        let times = if *messages > 1 { format!(" × {messages}") } else { String::new() };
        let wait = match waiting {
            0 => String::new(),
            all if all == messages => " (waiting)".to_owned(),
            some => format!(" ({some} waiting)"),
        };
        by_link.entry((from, to)).or_default().push(format!("{kind}{times}{wait}"));
    }
    for ((from, to), kinds) in by_link {
        writeln!(f, "  {from} to {to}: {}", kinds.join(", "))?;
    }
    Ok(())
}

impl Display for NodeState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { node, id, runs, life, clocks, ring, core, disk, .. } = self;
        write!(f, "\n{HEADING}{node}{HEADING:#} ")?;
        match runs {
            ProcessState::Up => write!(f, "up")?,
            ProcessState::Paused => {
                write!(f, "{BAD}paused{BAD:#}, {} waiting", counted(self.backlog as u64, "thing"))?;
            }
            ProcessState::Down if self.has_failed => {
                write!(f, "{BAD}down{BAD:#}, its disk failed")?
            }
            ProcessState::Down => {
                let faults = counted(self.kept_down_by.into(), "fault");
                write!(f, "{BAD}down{BAD:#}, kept so by {faults}")?;
            }
        }
        writeln!(f, "{FAINT}, life {life}, id {id}{FAINT:#}")?;
        let ahead = clocks.wall_ahead_us;
        let sign = if ahead < 0 { "behind" } else { "ahead" };
        let (wall, monotonic) = (dial(&clocks.wall), dial(&clocks.monotonic));
        let shows = seconds(clocks.monotonic.shows_us);
        line(
            f,
            "clocks",
            &format!(
                "wall {} {sign}{wall}; monotonic at {shows}{monotonic}",
                seconds(ahead.unsigned_abs())
            ),
        )?;
        let share = ring.share_ppm as f64 / 10_000.0;
        let owned = format!(
            "owns {} of {} partitions, {share:.1} % of all copies",
            ring.owned, ring.partitions
        );
        match core {
            None => line(f, "ring", &owned)?,
            Some(core) => core.write(&owned, f)?,
        }
        disk.write(f)
    }
}

fn dial(dial: &super::DialState) -> String {
    match (dial.is_frozen, dial.drift_ppm) {
        (true, _) => " (stands still)".to_owned(),
        (false, 0) => String::new(),
        (false, ppm @ 1..) => format!(" ({ppm} ppm fast)"),
        (false, ppm) => format!(" ({} ppm slow)", -i64::from(ppm)),
    }
}

/// Writes a line of a node, under a word.
fn line(f: &mut Formatter<'_>, word: &str, text: &str) -> fmt::Result {
    writeln!(f, "  {word:<11} {text}")
}

/// Writes lines under one word, which stands before the first.
fn lines(
    f: &mut Formatter<'_>,
    word: &str,
    lines: impl IntoIterator<Item = String>,
) -> fmt::Result {
    for (number, text) in lines.into_iter().enumerate() {
        line(f, if number == 0 { word } else { "" }, &text)?;
    }
    Ok(())
}

fn partitions(numbers: &[u32]) -> String {
    let shown: Vec<_> = numbers.iter().take(PARTITIONS_MAX).map(u32::to_string).collect();
    let more = match numbers.len().checked_sub(PARTITIONS_MAX) {
        Some(more @ 1..) => format!(" and {more} more"),
        Some(0) | None => String::new(),
    };
    let noun = if numbers.len() == 1 { "partition" } else { "partitions" };
    format!("{noun} {}{more}", shown.join(", "))
}

impl CoreState {
    fn write(&self, owned: &str, f: &mut Formatter<'_>) -> fmt::Result {
        let complete = match &self.incomplete[..] {
            [] => "all complete".to_owned(),
            incomplete => format!("incomplete: {}", partitions(incomplete)),
        };
        line(f, "ring", &format!("{owned}; {complete}"))?;
        if let Some(recall) = &self.recall {
            line(f, "log", recall)?;
        }
        if self.activity != "serving" {
            line(f, "activity", self.activity)?;
        }
        let lenient = self.lenient_for_us.map_or_else(String::new, |us| {
            format!("; stood still, convicts nobody for {}", seconds(us))
        });
        let Self { generation, heartbeat, .. } = self;
        line(f, "gossip", &format!("generation {generation}, heartbeat {heartbeat}{lenient}"))?;
        lines(f, "peers", self.peers.iter().map(PeerState::to_string))?;
        if !self.corrupt_keys.is_empty() {
            line(f, "corrupt", &format!("not repaired yet: {}", self.corrupt_keys.join(", ")))?;
        }
        lines(f, "operations", self.operations.iter().map(OperationState::to_string))?;
        let (commands, answers) = (self.replica_commands, self.replica_awaits_sync);
        if commands + answers > 0 {
            let commands = counted(commands as u64, "command");
            let answers = counted(answers as u64, "answer");
            line(f, "replica", &format!("{commands} at the storage; {answers} until a sync ends"))?;
        }
        let hints = self.hints.iter().map(|hints| {
            let failures = match hints.failures {
                0 => String::new(),
                failures => format!(", {} in a row", counted(failures.into(), "failure")),
            };
            let (count, bytes) = (counted(hints.hints, "hint"), thousands(hints.bytes));
            let (target, replay) = (&hints.target, &hints.replay);
            let within = partitions(&hints.partitions);
            format!("for {target}: {count}, {bytes} bytes, in {within}; {replay}{failures}")
        });
        lines(f, "hints", hints)?;
        let stale = self.stale.iter();
        lines(
            f,
            "stale",
            stale.map(|stale| format!("{} in {}", stale.node, partitions(&stale.partitions))),
        )?;
        self.repair.write(f)?;
        let deadlines = self.deadlines.iter().map(|deadline| {
            let when = match (deadline.at_us, deadline.in_us) {
                (None, _) => "never".to_owned(),
                (_, ..=0) => "now".to_owned(),
                (_, us) => format!("in {}", seconds(us.unsigned_abs())),
            };
            format!("{when:<11} {}", deadline.why)
        });
        lines(f, "deadlines", deadlines)
    }
}

impl Display for PeerState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { node, generation, heartbeat, .. } = self;
        let up = if self.seems_up { "up  " } else { "down" };
        let phi = self.phi_hundredths as f64 / 100.0;
        let (silence, timeout) = (seconds(self.silence_us), seconds(self.timeout_us));
        write!(f, "{node} {up} φ {phi:>6.2}, silent for {silence} of {timeout}")?;
        write!(f, "; generation {generation}, heartbeat {heartbeat}")?;
        if self.may_be_behind { write!(f, "; hints are kept for it") } else { Ok(()) }
    }
}

impl Display for OperationState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { task, key, stage, mode, .. } = self;
        write!(f, "{task} \"{key}\" ({mode})")?;
        if let Some(operation) = self.operation {
            write!(f, " #{operation}")?;
        }
        match self.client {
            Some(client) => write!(f, " of client {client}")?,
            None => write!(f, ", nobody waits")?,
        }
        write!(f, ": {stage}, needs ")?;
        let needs = self.needs.iter();
        let needs = needs.map(|set| format!("{} of {}", set.needed, set.of.join(", ")));
        write!(f, "{}", needs.collect::<Vec<_>>().join(" and "))?;
        let answers = self.answers.iter().map(|answer| match &answer.for_owner {
            None => answer.by.clone(),
            Some(owner) => format!("{} for {owner}", answer.by),
        });
        let fallbacks = self.fallbacks.iter();
        let fallbacks = fallbacks.map(|one| format!("{} for {}", one.node, one.for_owner));
        let lists = [
            ("has", answers.collect()),
            ("in doubt", self.in_doubt.clone()),
            ("refused by", self.refused.clone()),
            ("waits for", self.awaited.clone()),
            ("fallbacks", fallbacks.collect::<Vec<_>>()),
        ];
        for (word, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
            write!(f, "; {word} {}", list.join(", "))?;
        }
        let expires = seconds(self.expires_in_us.max(0).unsigned_abs());
        write!(f, "; given up in {expires}")
    }
}

impl RepairState {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(session) = &self.session {
            let (peer, since) = (&session.peer, seconds(session.for_us));
            let mut text = format!("with {peer} for {since}: {}", session.stage);
            let lists = [
                ("to be looked at again", &session.again),
                ("to be repaired", &session.to_repair),
                ("to be copied", &session.to_copy),
            ];
            for (word, list) in lists.iter().filter(|(_, list)| !list.is_empty()) {
                text += &format!("; {word}: {}", partitions(list));
            }
            line(f, "repair", &text)?;
        }
        let partners = self.partners.iter().map(|partner| {
            let ago = |us: Option<u64>| {
                us.map_or_else(|| "never".to_owned(), |us| format!("{} ago", seconds(us)))
            };
            let (served, clean) = (ago(partner.served_ago_us), ago(partner.clean_ago_us));
            format!("{} compared {served}, found equal {clean}", partner.node)
        });
        lines(f, "partners", partners)?;
        // Most are copied from the same peers: those stand on one line.
        let mut alike: BTreeMap<(&[String], bool), Vec<u32>> = BTreeMap::new();
        for copying in &self.copying {
            let from = (&copying.sources[..], copying.is_marking);
            alike.entry(from).or_default().push(copying.partition);
        }
        let copying = alike.into_iter().map(|((sources, is_marking), numbers)| {
            let marking = if is_marking { ", the marker is being written" } else { "" };
            format!("{} from {}{marking}", partitions(&numbers), sources.join(", "))
        });
        lines(f, "copying", copying)?;
        if !self.corrupt_keys.is_empty() {
            line(f, "corrupt", &self.corrupt_keys.join(", "))?;
        }
        Ok(())
    }
}

impl DiskState {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if let Some(syncing) = self.syncing {
            parts.push(format!("syncs up to {syncing}"));
        }
        if self.unsynced_batches > 0 {
            let batches = self.unsynced_batches as u64;
            let noun = if batches == 1 { "batch" } else { "batches" };
            let records = counted(self.unsynced_records as u64, "record");
            parts.push(format!("{} {noun} not synced, {records} differ", thousands(batches)));
        }
        if self.lied_about_records > 0 {
            let records = counted(self.lied_about_records as u64, "record");
            parts.push(format!("{BAD}{records} reported as safe and not{BAD:#}"));
        }
        if self.is_foreign {
            parts.push(format!("{BAD}the data is another node's{BAD:#}"));
        }
        parts.extend(self.ailments.iter().map(|ailment| format!("{BAD}{ailment}{BAD:#}")));
        if parts.is_empty() {
            parts.push("all is safe".to_owned());
        }
        line(f, "disk", &parts.join("; "))?;
        lines(f, "  queue", self.queue.iter().cloned())?;
        lines(f, "  corrupt", self.corrupt.iter().cloned())
    }
}

impl Display for KeyState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, partition, owners, copies } = self;
        let owners = owners.join(", ");
        writeln!(f, "  \"{key}\" {FAINT}partition {partition}, owners {owners}{FAINT:#}")?;
        // Copies that are alike stand on one line, in the order of the first of each.
        let mut alike: Vec<(String, Vec<String>)> = Vec::new();
        for copy in copies {
            for (holder, text) in copy.lines() {
                match alike.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, holders)) => holders.push(holder),
                    None => alike.push((text, vec![holder])),
                }
            }
        }
        for (text, holders) in alike {
            writeln!(f, "    {}: {text}", holders.join("; "))?;
        }
        Ok(())
    }
}

impl CopyState {
    /// The holders of the copy, each with what it holds; image by image where they differ.
    fn lines(&self) -> Vec<(String, String)> {
        let who = match &self.kept_for {
            None => self.node.clone(),
            Some(owner) => format!("{} for {owner}", self.node),
        };
        let lost = if self.is_lost { " (not whole)" } else { "" };
        let mut lines = vec![(format!("{who}{lost}"), self.live.to_string())];
        let others = [("as reported", &self.reported), ("after a crash", &self.durable)];
        for (when, image) in others {
            lines.extend(image.iter().map(|held| (format!("{who} {when}"), held.to_string())));
        }
        lines
    }
}

impl Display for ContainerState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_corrupt {
            return write!(f, "{BAD}corrupt{BAD:#}");
        }
        if self.is_nothing() {
            return write!(f, "nothing");
        }
        let siblings = self.siblings.iter().map(|sibling| {
            let value =
                sibling.value.as_ref().map_or_else(|| "deleted".to_owned(), |value| cut(value));
            format!("{} {value}", sibling.dot)
        });
        let siblings: Vec<_> = siblings.collect();
        let stands =
            if siblings.is_empty() { "nothing stands".to_owned() } else { siblings.join(" | ") };
        let seen = self.context.iter().map(|(actor, n)| format!("{actor}:{n}"));
        write!(f, "{stands} {FAINT}seen {}{FAINT:#}", seen.collect::<Vec<_>>().join(", "))
    }
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(VALUE_CHARS_MAX) {
        None => format!("\"{value}\""),
        Some((end, _)) => format!("\"{}…\"", &value[..end]),
    }
}

impl Display for ClientState {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { client, node, begun, waits_for } = self;
        write!(f, "  {client} at {node}: ")?;
        let Some(waits) = waits_for else {
            return writeln!(
                f,
                "waits for nothing, {} begun",
                counted((*begun).into(), "operation")
            );
        };
        let (verb, key, until) = (waits.verb, &waits.key, WorldTime(waits.until_us));
        let answered = if waits.is_answered { ", the reply is on its way" } else { "" };
        writeln!(f, "waits for #{} {verb} \"{key}\" until {until} s{answered}", waits.operation)
    }
}
