//! The keys of a workload: their names, and which of them an operation is about.

use std::sync::Arc;

use kv_core::sampling;
use kv_core::types::{KEY_BYTES_MAX, Key};

use crate::hashing::Table;
use crate::random::address::Aspect;
use crate::random::draws::{Draws, Turn};
use crate::random::zipf::Zipf;
use crate::scenario::{KeyChoice, Workload};

/// The keys of a workload. A key is hashed when it is made, and is kept.
#[derive(Clone, Debug)]
pub(super) struct ClientKeys {
    prefix: String,
    /// The bounds on the length of a name, if names are made longer.
    bytes: Option<(u32, u32)>,
    count: u32,
    chooser: Chooser,
    made: Table<u32, Key>,
    too_long: Option<Key>,
}

/// A [`KeyChoice`] with the chances that it needs.
#[derive(Clone, Debug)]
enum Chooser {
    Uniform,
    Zipfian(Arc<Zipf>),
    Latest(Arc<Zipf>),
    /// With the key that was chosen last.
    InTurn(u32),
    Hot {
        keys: u32,
        share_ppm: u32,
    },
}

/// A number that sets the lengths of names apart from all that is drawn.
const NAME: u64 = 0x6e_61_6d_65;

impl ClientKeys {
    /// Creates the keys of a workload, of which none is made yet.
    pub(super) fn new(workload: &Workload) -> Self {
        let zipf = |exponent_ppm| Arc::new(Zipf::new(workload.keys, exponent_ppm));
        Self {
            prefix: workload.key_prefix.clone(),
            bytes: workload.key_bytes,
            count: workload.keys,
            chooser: match workload.choice {
                KeyChoice::Uniform => Chooser::Uniform,
                KeyChoice::Zipfian { exponent_ppm } => Chooser::Zipfian(zipf(exponent_ppm)),
                KeyChoice::Latest { exponent_ppm } => Chooser::Latest(zipf(exponent_ppm)),
                KeyChoice::InTurn => Chooser::InTurn(0),
                KeyChoice::Hot { keys, share_ppm } => Chooser::Hot { keys, share_ppm },
            },
            made: Table::default(),
            too_long: None,
        }
    }

    /// Chooses the key of a client's operation, which is its `begun`-th, by number.
    pub(super) fn choose(&mut self, draws: &Draws, turn: Turn, begun: u32, reads: bool) -> u32 {
        let count = u64::from(self.count);
        if let Chooser::InTurn(next) = &mut self.chooser {
            *next = (*next + 1) % self.count;
        }
        let sample = |draw| match &self.chooser {
            Chooser::Uniform => sampling::below(draw, count),
            Chooser::InTurn(next) => u64::from(*next),
            Chooser::Zipfian(zipf) => zipf.rank(draw),
            Chooser::Latest(zipf) => {
                let newest = u64::from(begun) % count;
                let back = if reads { zipf.rank(draw) } else { 0 };
                (newest + count - back) % count
            }
            &Chooser::Hot { keys, share_ppm } => {
                let (hot, again) = (u64::from(keys), sampling::mix(&[draw]));
                if sampling::chance_ppm(draw, share_ppm) {
                    sampling::below(again, hot)
                } else {
                    hot + sampling::below(again, count - hot)
                }
            }
        };
        draws.index_by(turn, Aspect::Key, self.count as usize, sample) as u32
    }

    /// The key of a number.
    pub(super) fn get(&mut self, number: u32) -> &Key {
        let Self { prefix, bytes, .. } = self;
        self.made.entry(number).or_insert_with(|| Key::from(name(prefix, *bytes, number)))
    }

    /// A key that has one byte too many.
    pub(super) fn too_long(&mut self) -> &Key {
        let key = || Key::from(vec![b'-'; KEY_BYTES_MAX + 1]);
        self.too_long.get_or_insert_with(key)
    }
}

/// The name of a key: the prefix, hyphens up to a length between the bounds, and the number.
fn name(prefix: &str, bytes: Option<(u32, u32)>, number: u32) -> Vec<u8> {
    let digits = number.to_string();
    let mut name = prefix.as_bytes().to_vec();
    if let Some((min, max)) = bytes {
        let draw = sampling::mix(&[NAME, number.into()]);
        let length = sampling::between(draw, min.into(), max.into()) as usize;
        name.resize(length.saturating_sub(digits.len()).max(name.len()), b'-');
    }
    name.extend_from_slice(digits.as_bytes());
    name
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::random::address::Address;
    use crate::random::draws::Overrides;
    use crate::testing::workload;

    fn chosen(keys: &mut ClientKeys, reads: bool, times: u32) -> Vec<u32> {
        let draws = Draws::new(1, Overrides::default());
        let turn = |operation| draws.only(Address::Client { client: 0, operation });
        (1..=times).map(|begun| keys.choose(&draws, turn(begun), begun, reads)).collect()
    }

    #[test]
    fn names_keep_their_bounds_and_are_distinct_and_begin_alike() {
        let mut keys = ClientKeys::new(&workload("keys = 500\nkey_bytes = [24, 60]\n"));
        let names: BTreeSet<_> = (0..500).map(|number| keys.get(number).clone()).collect();
        assert_eq!(names.len(), 500);
        let lengths = names.iter().map(|key| key.bytes().len());
        assert!(lengths.clone().all(|length| (24..=60).contains(&length)));
        assert!(lengths.clone().min() == Some(24) && lengths.max() == Some(60));
        assert!(names.iter().all(|key| key.bytes().starts_with(b"k-----------------")));
    }

    #[test]
    fn without_bounds_a_name_is_the_prefix_and_the_number() {
        let mut keys = ClientKeys::new(&workload("key_prefix = \"user:\"\n"));
        assert_eq!(keys.get(17), &Key::from("user:17"));
    }

    #[test]
    fn hot_keys_get_their_share_and_the_others_the_rest() {
        let hot = "keys = 10\ndistribution = \"hot\"\nhot_keys = 2\nhot_share = 0.8\n";
        let chosen = chosen(&mut ClientKeys::new(&workload(hot)), true, 2_000);
        let hot = chosen.iter().filter(|&&key| key < 2).count();
        assert!((1_500..1_700).contains(&hot), "{hot}");
        assert_eq!(chosen.into_iter().collect::<BTreeSet<_>>().len(), 10);
    }

    #[test]
    fn latest_writes_one_key_after_the_other_and_reads_those_that_were_written_last() {
        let mut keys = ClientKeys::new(&workload("keys = 100\ndistribution = \"latest\"\n"));
        assert_eq!(chosen(&mut keys, false, 102), (1..100).chain([0, 1, 2]).collect::<Vec<_>>());
        let back =
            (1..).zip(chosen(&mut keys, true, 1_000)).map(|(begun, key)| (begun + 100 - key) % 100);
        let near = back.filter(|&back| back < 10).count();
        assert!((450..700).contains(&near), "{near}");
    }

    #[test]
    fn by_zipfs_law_the_first_keys_are_the_likeliest() {
        let mut keys = ClientKeys::new(&workload("keys = 100\ndistribution = \"zipfian\"\n"));
        let first = chosen(&mut keys, true, 1_000).into_iter().filter(|&key| key < 10).count();
        assert!((450..700).contains(&first), "{first}");
    }
}
