//! The tree over the keys of one partition, by which two replicas find where they differ.
//!
//! In go the hashes of single keys, before and after a write; out come hashes of ever larger
//! parts of the partition. Two replicas compare roots, then branches, then leaves, then the keys of
//! the leaves that differ (semantics.md §8; Merkle 1987, as in Dynamo §4.7).
//!
//! The tree has 16 branches of 16 leaves. A leaf holds the keys with the same 8 bits after those
//! that name the partition, and so lies within one partition under any layout (Riak #1759: trees
//! over different ranges repaired each other for ever). The hash of a leaf, of a branch and of the
//! whole is the *sum* of the hashes of their keys, modulo 2^128 (AdHash, Bellare and Micciancio
//! 1997): it does not hang on the order of writes, and a write changes it by subtracting and
//! adding, whatever lies beside it. Sums withstand accidents and not a forger, who could look for
//! keys whose hashes cancel out; that would hide their keys' differences from repair, and nobody
//! else's.
//!
//! Invariants: the root is the sum of all leaves. The hash of a key covers the key itself as well
//! as its container, or two keys of one leaf could swap containers unseen. A tree takes no memory
//! before its first write, since a node may own thousands of empty partitions.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::array;
use core::fmt;

use crate::codec::codec;
use crate::types::{ContentHash, Token};

/// The number of branches of a tree, and of leaves of a branch.
pub const FAN_OUT: usize = 16;

/// The number of leaves of a tree.
pub const LEAVES: usize = FAN_OUT * FAN_OUT;

/// The number of one of the [`LEAVES`] equal parts of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafId(pub u8);

codec!(struct LeafId(_));

/// The hashes of the leaves of one partition, and their sum.
#[derive(Clone, Default)]
pub struct Tree {
    /// The hashes of the leaves; none until the first write, when all are zero.
    leaves: Option<Box<[ContentHash; LEAVES]>>,
    /// The sum of all leaves.
    root: ContentHash,
}

/// The leaf of a token: the 8 bits that follow those of its partition. `partitions` is a power of
/// two, at most 2^120.
pub fn leaf_of(token: Token, partitions: u32) -> LeafId {
    let after_partition = token.0 << partitions.ilog2();
    LeafId((after_partition >> 120) as u8)
}

impl LeafId {
    /// All leaves, in the order of their tokens.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// The branch that the leaf belongs to, below [`FAN_OUT`].
    pub const fn branch(self) -> u8 {
        self.0 / FAN_OUT as u8
    }

    /// The leaf at a place, below [`FAN_OUT`], in a branch.
    const fn at(branch: u8, place: usize) -> Self {
        Self(branch * FAN_OUT as u8 + place as u8)
    }
}

impl Tree {
    /// The hash of the whole partition; zero if it is empty.
    pub const fn root(&self) -> ContentHash {
        self.root
    }

    /// Tells whether the partition holds no key, as all hashes are zero then.
    pub fn is_empty(&self) -> bool {
        LeafId::all().all(|leaf| self.leaf(leaf) == ContentHash::default())
    }

    /// The hash of one leaf; zero if it is empty.
    pub fn leaf(&self, leaf: LeafId) -> ContentHash {
        self.leaves.as_ref().map_or(ContentHash::default(), |leaves| leaves[usize::from(leaf.0)])
    }

    /// The hash of one branch; zero if it is empty.
    ///
    /// # Panics
    /// If `branch` is not below [`FAN_OUT`].
    pub fn branch(&self, branch: u8) -> ContentHash {
        self.leaves_of(branch).into_iter().fold(ContentHash::default(), sum)
    }

    /// The hashes of all branches, in order.
    pub fn branches(&self) -> [ContentHash; FAN_OUT] {
        array::from_fn(|branch| self.branch(branch as u8))
    }

    /// The hashes of all leaves of one branch, in order.
    ///
    /// # Panics
    /// If `branch` is not below [`FAN_OUT`].
    pub fn leaves_of(&self, branch: u8) -> [ContentHash; FAN_OUT] {
        assert!(usize::from(branch) < FAN_OUT, "a tree has {FAN_OUT} branches, not {branch}");
        array::from_fn(|place| self.leaf(LeafId::at(branch, place)))
    }

    /// The branches whose hashes differ from those of another tree's branches, in order.
    pub fn differing_branches(&self, others: &[ContentHash; FAN_OUT]) -> Vec<u8> {
        (0..FAN_OUT as u8).filter(|&one| self.branch(one) != others[usize::from(one)]).collect()
    }

    /// The leaves of a branch whose hashes differ from those of another tree's leaves, in order.
    ///
    /// # Panics
    /// If `branch` is not below [`FAN_OUT`].
    pub fn differing_leaves(&self, branch: u8, others: &[ContentHash; FAN_OUT]) -> Vec<LeafId> {
        let pairs = self.leaves_of(branch).into_iter().zip(others).enumerate();
        let differing = pairs.filter(|(_, (own, other))| own != *other);
        differing.map(|(place, _)| LeafId::at(branch, place)).collect()
    }

    /// Checks that the root is the sum of all leaves.
    ///
    /// # Panics
    /// If it is not.
    pub fn invariants(&self) {
        let leaves = self.leaves.iter().flat_map(|leaves| leaves.iter().copied());
        let total = leaves.fold(ContentHash::default(), sum);
        assert!(self.root == total, "the root of a Merkle tree is not the sum of its leaves");
    }

    /// Replaces the hash of one key in a leaf; `None` says that the key is not there. Returns the
    /// leaf's new hash, which goes to the disk in the batch of the write itself.
    pub fn replace(
        &mut self,
        leaf: LeafId,
        old: Option<ContentHash>,
        new: Option<ContentHash>,
    ) -> ContentHash {
        let without = difference(self.leaf(leaf), old.unwrap_or_default());
        let hash = sum(without, new.unwrap_or_default());
        self.load(leaf, hash);
        hash
    }

    /// Sets the hash of a leaf to that on the disk: at the start of a node, or when a batch that
    /// [`Tree::replace`] was meant for has failed.
    pub fn load(&mut self, leaf: LeafId, hash: ContentHash) {
        let former = self.leaf(leaf);
        if former == hash {
            return;
        }
        self.root = sum(difference(self.root, former), hash);
        let leaves = self.leaves.get_or_insert_with(|| Box::new([ContentHash::default(); LEAVES]));
        leaves[usize::from(leaf.0)] = hash;
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        // A tree that has been emptied equals one that was never written to.
        LeafId::all().all(|leaf| self.leaf(leaf) == other.leaf(leaf))
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filled = LeafId::all().filter(|&leaf| self.leaf(leaf) != ContentHash::default());
        f.debug_map().entries(filled.map(|leaf| (leaf.0, self.leaf(leaf)))).finish()
    }
}

fn sum(a: ContentHash, b: ContentHash) -> ContentHash {
    ContentHash(a.0.wrapping_add(b.0))
}

fn difference(a: ContentHash, b: ContentHash) -> ContentHash {
    ContentHash(a.0.wrapping_sub(b.0))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::types::Key;

    const PARTITIONS: u32 = 4;

    fn key_hash(key: u16, value: u8) -> ContentHash {
        ContentHash::of(&[&key.to_be_bytes(), &[value]])
    }

    fn leaf_of_key(key: u16) -> LeafId {
        leaf_of(Token::of(&key.to_be_bytes()), PARTITIONS)
    }

    /// The keys of a partition, from which the tree is computed anew each time.
    #[derive(Clone, Debug, Default)]
    struct DumbTree {
        values: BTreeMap<u16, u8>,
    }

    impl DumbTree {
        fn sum_where(&self, belongs: impl Fn(LeafId) -> bool) -> ContentHash {
            let keys = self.values.iter().filter(|&(&key, _)| belongs(leaf_of_key(key)));
            let hashes = keys.map(|(&key, &value)| key_hash(key, value).0);
            ContentHash(hashes.fold(0, u128::wrapping_add))
        }
    }

    /// Writes or deletes a key in both trees.
    fn write(tree: &mut Tree, dumb: &mut DumbTree, key: u16, value: Option<u8>) -> ContentHash {
        let former = match value {
            Some(value) => dumb.values.insert(key, value),
            None => dumb.values.remove(&key),
        };
        let hash = |value| key_hash(key, value);
        tree.replace(leaf_of_key(key), former.map(hash), value.map(hash))
    }

    fn tree_of(writes: &[(u16, Option<u8>)]) -> (Tree, DumbTree) {
        let (mut tree, mut dumb) = (Tree::default(), DumbTree::default());
        for &(key, value) in writes {
            write(&mut tree, &mut dumb, key, value);
        }
        (tree, dumb)
    }

    /// Riak 1.4's trees computed nothing, so every comparison agreed and repaired nothing.
    #[test]
    fn a_tree_is_not_blind_to_a_key_that_is_missing_or_stale() {
        let keys = (0..1_000).map(|key| (key, Some(1))).collect::<Vec<_>>();
        let (whole, _) = tree_of(&keys);
        for canary in [0, 500, 999] {
            for value in [None, Some(2)] {
                let mut writes = keys.clone();
                writes.push((canary, value));
                let (other, _) = tree_of(&writes);
                let leaf = leaf_of_key(canary);
                assert_ne!(whole.root(), other.root());
                assert_eq!(whole.differing_branches(&other.branches()), [leaf.branch()]);
                let leaves = other.leaves_of(leaf.branch());
                assert_eq!(whole.differing_leaves(leaf.branch(), &leaves), [leaf]);
            }
        }
    }

    #[test]
    fn the_bits_after_the_partition_name_the_leaf() {
        let token = Token(0b1010_0101_1100_0011 << 112);
        assert_eq!(leaf_of(token, 1), LeafId(0b1010_0101));
        assert_eq!(leaf_of(token, 2), LeafId(0b0100_1011));
        assert_eq!(leaf_of(token, 16), LeafId(0b0101_1100));
        assert_eq!(leaf_of(token, 256), LeafId(0b1100_0011));
        assert_eq!(leaf_of(Token(u128::MAX), 1 << 20), LeafId(255));
    }

    #[test]
    fn keys_fall_into_leaves_evenly() {
        let mut counts = BTreeMap::new();
        for number in 0..25_600_u32 {
            let token = Key::from(number.to_be_bytes().to_vec()).token();
            *counts.entry(leaf_of(token, 4_096)).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), LEAVES);
        assert!(counts.values().all(|count| (50..160).contains(count)), "{counts:?}");
    }

    #[test]
    fn an_empty_tree_takes_no_memory() {
        let mut tree = Tree::default();
        assert!(tree.is_empty());
        tree.load(LeafId(3), ContentHash::default());
        tree.replace(LeafId(3), None, None);
        assert!(tree.leaves.is_none());
        assert!(size_of::<Tree>() <= 32);
    }

    #[test]
    fn a_tree_that_has_been_emptied_is_as_good_as_new() {
        let (tree, _) = tree_of(&[(1, Some(1)), (2, Some(2)), (1, None), (2, None)]);
        assert!(tree.is_empty());
        assert_eq!(tree, Tree::default());
        assert_eq!(tree.root(), Tree::default().root());
    }

    #[test]
    fn keys_of_one_leaf_cannot_swap_values_unseen() {
        let mut others = (1..).filter(|&key| leaf_of_key(key) == leaf_of_key(0));
        let other = others.next().expect("some key shares the leaf");
        let (one, _) = tree_of(&[(0, Some(1)), (other, Some(2))]);
        let (two, _) = tree_of(&[(0, Some(2)), (other, Some(1))]);
        assert_ne!(one.root(), two.root());
    }

    proptest! {
        #[test]
        fn a_tree_is_what_its_keys_make_it(
            writes in prop::collection::vec((0_u16..200, prop::option::of(any::<u8>())), 0..60),
        ) {
            let (tree, dumb) = tree_of(&writes);
            prop_assert_eq!(tree.root(), dumb.sum_where(|_| true));
            prop_assert_eq!(tree.is_empty(), dumb.values.is_empty());
            for (branch, hash) in (0..).zip(tree.branches()) {
                prop_assert_eq!(hash, tree.branch(branch));
                prop_assert_eq!(hash, dumb.sum_where(|leaf| leaf.0 >> 4 == branch));
            }
            for &(key, _) in &writes {
                let leaf = leaf_of_key(key);
                prop_assert_eq!(tree.leaf(leaf), dumb.sum_where(|other| other == leaf));
            }
        }

        #[test]
        fn the_order_of_writes_to_different_keys_leaves_no_trace(
            values in prop::collection::btree_map(any::<u16>(), any::<u8>(), 0..40),
        ) {
            let mut writes: Vec<_> = values.into_iter().map(|(key, value)| (key, Some(value))).collect();
            let (forwards, _) = tree_of(&writes);
            writes.reverse();
            let (backwards, _) = tree_of(&writes);
            prop_assert_eq!(&forwards, &backwards);
            prop_assert_eq!(forwards.root(), backwards.root());
        }

        #[test]
        fn a_tree_is_loaded_from_the_leaves_that_writes_returned(
            writes in prop::collection::vec((0_u16..200, prop::option::of(any::<u8>())), 0..60),
        ) {
            let (mut tree, mut dumb) = (Tree::default(), DumbTree::default());
            let mut disk = BTreeMap::new();
            for (key, value) in writes {
                disk.insert(leaf_of_key(key), write(&mut tree, &mut dumb, key, value));
            }
            let mut loaded = Tree::default();
            for (leaf, hash) in disk {
                loaded.load(leaf, hash);
            }
            prop_assert_eq!(&loaded, &tree);
            prop_assert_eq!(loaded.root(), tree.root());
        }

        #[test]
        fn a_descent_finds_exactly_the_leaves_that_differ(
            common in prop::collection::btree_map(0_u16..300, any::<u8>(), 0..60),
            changes in prop::collection::btree_map(0_u16..300, prop::option::of(any::<u8>()), 0..6),
        ) {
            let mut writes: Vec<_> =
                common.iter().map(|(&key, &value)| (key, Some(value))).collect();
            let (one, before) = tree_of(&writes);
            writes.extend(changes);
            let (two, after) = tree_of(&writes);
            let mut found = Vec::new();
            for branch in one.differing_branches(&two.branches()) {
                found.extend(one.differing_leaves(branch, &two.leaves_of(branch)));
            }
            let differs = |leaf: &LeafId| {
                before.sum_where(|other| other == *leaf) != after.sum_where(|other| other == *leaf)
            };
            prop_assert_eq!(found, LeafId::all().filter(differs).collect::<Vec<_>>());
        }
    }
}
