//! The known word that was probably meant by an unknown one.

/// The least similarity of a word that is offered for another, from 0 (none) to 1 (equal).
const SIMILARITY_MIN: f64 = 0.6;

/// The length up to which words are compared, in bytes. No known word is nearly as long, but
/// clients may send longer ones.
const WORD_BYTES_MAX: usize = 64;

/// Finds the known word that is most similar to `word`, whatever the case; `None`, if that would be
/// a guess.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_ascii_lowercase();
    known
        .map(|candidate| {
            let lower = candidate.to_ascii_lowercase();
            (strsim::normalized_damerau_levenshtein(&word, &lower), candidate)
        })
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_understood_and_anything_else_is_not_guessed_at() {
        let known = || ["GET", "MGET", "KV.GET", "EXISTS"].into_iter();
        assert_eq!(nearest("exist", known()), Some("EXISTS"));
        assert_eq!(nearest("GTE", known()), Some("GET"));
        assert_eq!(nearest("subscribe", known()), None);
    }
}
