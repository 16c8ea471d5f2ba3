//! A line of a story, and how a long story is made short.

use serde::Serialize;

use crate::cluster::world_time::WorldTime;

/// The most lines of a story; if there are more, those that matter least are left out.
pub(super) const LINES_MAX: usize = 90;

/// A line of the story: one thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(in super::super) struct Line {
    /// The time of the line, in microseconds since the world began.
    pub(in super::super) at_us: u64,
    /// The sort of thing that happened.
    pub(in super::super) sort: Sort,
    /// The words of the line.
    pub(in super::super) text: String,
    /// What is not true of it, if the line is the one where truth and claim part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in super::super) lie: Option<String>,
    /// What is not true of it, and how much that explains.
    #[serde(skip)]
    pub(super) doubt: Option<Doubt>,
    /// True if the story can be understood without the line.
    #[serde(skip)]
    pub(super) is_aside: bool,
}

/// A claim in a line that is not true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The weight of it: the greatest explains most.
    pub(super) weight: DoubtWeight,
    /// What is true instead.
    pub(super) truth: String,
}

/// The weight of a doubt, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DoubtWeight {
    /// A node said too early what was true in the end.
    TooEarly,
    /// A copy went, and nothing that was done to the node explains it.
    Disappearance,
    /// A client was told what the check objects to.
    Answer,
    /// A node said what its own disk disproves.
    Statement,
}

/// The sort of thing that happened in a line of the story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in super::super) enum Sort {
    /// A client asked something.
    Asked,
    /// A replica minted a dot.
    Minted,
    /// A copy came, changed or went.
    Copy,
    /// A node said something to another or to itself, or was not heard.
    Said,
    /// A node noticed something.
    Noticed,
    /// A client was answered.
    Told,
    /// Something was broken, or repaired.
    Fault,
    /// Lines are left out here.
    Gap,
    /// A promise was broken.
    Violated,
}

impl Line {
    pub(super) fn new(at: WorldTime, sort: Sort, text: String) -> Self {
        Self { at_us: at.0, sort, text, lie: None, doubt: None, is_aside: false }
    }

    /// The same line, in which something is not true.
    pub(super) fn doubted(self, doubt: Option<Doubt>) -> Self {
        Self { doubt, ..self }
    }

    /// The same line, without which the story can be understood.
    pub(super) fn aside(self) -> Self {
        Self { is_aside: true, ..self }
    }
}

/// Marks the line where truth and claim part: of those that explain most, the first.
pub(super) fn mark_the_lie(lines: &mut [Line]) {
    let weight = |line: &Line| line.doubt.as_ref().map(|doubt| doubt.weight);
    let Some(most) = lines.iter().filter_map(weight).max() else { return };
    let first = lines.iter_mut().find(|line| weight(line) == Some(most));
    if let Some(line) = first {
        line.lie = line.doubt.take().map(|doubt| doubt.truth);
    }
}

/// Leaves lines out of a story that is too long: asides first, and then from the middle. Where some are
/// missing stands how many.
pub(super) fn shortened(lines: Vec<Line>) -> Vec<Line> {
    let Some(mut surplus) = lines.len().checked_sub(LINES_MAX) else { return lines };
    let mut is_kept = vec![true; lines.len()];
    for (kept, line) in is_kept.iter_mut().zip(&lines) {
        if surplus > 0 && line.is_aside {
            *kept = false;
            surplus -= 1;
        }
    }
    let is_free = |line: &Line| line.lie.is_none() && line.sort != Sort::Violated;
    let head = LINES_MAX / 2;
    for at in (head..lines.len()).chain((0..head).rev()) {
        if surplus > 0 && is_kept[at] && is_free(&lines[at]) {
            is_kept[at] = false;
            surplus -= 1;
        }
    }
    let (mut short, mut gap): (Vec<Line>, u64) = (Vec::new(), 0);
    for (line, kept) in lines.into_iter().zip(is_kept) {
        if kept {
            gap = 0;
            short.push(line);
            continue;
        }
        gap += 1;
        let text = format!("{gap} more");
        if gap == 1 {
            short.push(Line::new(WorldTime(line.at_us), Sort::Gap, text));
        } else if let Some(last) = short.last_mut() {
            last.text = text;
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64) -> Line {
        Line::new(WorldTime(at), Sort::Copy, format!("line {at}"))
    }

    fn doubted(at: u64, weight: DoubtWeight) -> Line {
        line(at).doubted(Some(Doubt { weight, truth: format!("truth {at}") }))
    }

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        let short = shortened((0..200).map(line).collect());
        assert_eq!((short[0].at_us, short[short.len() - 1].at_us), (0, 199));
        let gaps: Vec<_> = short.iter().filter(|line| line.sort == Sort::Gap).collect();
        assert_eq!(gaps.len(), 1);
        assert_eq!(gaps[0].text, format!("{} more", 200 - LINES_MAX));
        assert_eq!(short.len(), LINES_MAX + 1);
    }

    #[test]
    fn asides_are_left_out_before_all_else_and_the_lie_never() {
        let lines = (0..200).map(|at| match at {
            60 => Line { lie: Some("no".to_owned()), ..line(at) },
            _ if at % 2 == 1 => line(at).aside(),
            _ => line(at),
        });
        let short = shortened(lines.collect());
        assert!(short.iter().any(|line| line.lie.is_some()));
        assert!(!short.iter().any(|line| line.is_aside));
        let told = short.iter().filter(|line| line.sort != Sort::Gap).count();
        assert_eq!(told, LINES_MAX);
    }

    #[test]
    fn a_story_that_is_short_is_left_as_it_is() {
        let lines: Vec<_> = (0..LINES_MAX as u64).map(line).collect();
        assert_eq!(shortened(lines.clone()), lines);
    }

    #[test]
    fn of_what_is_not_true_the_first_that_explains_most_is_marked() {
        let mut lines = vec![
            doubted(1, DoubtWeight::Answer),
            line(2),
            doubted(3, DoubtWeight::Statement),
            doubted(4, DoubtWeight::Statement),
            doubted(5, DoubtWeight::Disappearance),
        ];
        mark_the_lie(&mut lines);
        let lies: Vec<_> = lines.iter().map(|line| line.lie.as_deref()).collect();
        assert_eq!(lies, [None, None, Some("truth 3"), None, None]);
        let mut held = vec![line(1)];
        mark_the_lie(&mut held);
        assert_eq!(held, [line(1)]);
    }
}
