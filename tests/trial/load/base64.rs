//! Base64 with padding (RFC 4648), in which etcd's JSON has its bytes.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the text of some bytes.
pub(crate) fn encode(bytes: &[u8], output: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let [first, second, third] = [0, 1, 2].map(|at| group.get(at).copied().unwrap_or(0));
        let bits = u32::from_be_bytes([0, first, second, third]);
        let letter = |shift| LETTERS[(bits >> shift) as usize & 63];
        let mut letters = [letter(18), letter(12), letter(6), letter(0)];
        letters[group.len() + 1..].fill(b'=');
        output.extend(letters);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, expected) in examples {
            let mut output = Vec::new();
            encode(plain.as_bytes(), &mut output);
            assert_eq!(String::from_utf8(output).expect("letters"), expected);
        }
    }
}
