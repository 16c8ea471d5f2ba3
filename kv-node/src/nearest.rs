//! The known word that was probably meant by an unknown one.

/// How similar two words must be before one is offered for the other, from 0 (not at all) to 1.
const SIMILARITY_MIN: f64 = 0.6;

/// No known word is nearly as long: longer ones, which clients may send, are not compared.
const WORD_BYTES_MAX: usize = 64;

/// The known word that is most similar to `word`, whatever the case; none, if that would be a guess.
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
