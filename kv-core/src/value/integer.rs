//! Integers in texts, exactly as Redis reads them.

/// The integer that a text is, as `string2ll` of Redis reads it: decimal digits without leading
/// zeros, with a minus sign if it is negative, and nothing else; within 64 bits. So each integer has
/// one text.
pub fn parse_integer(text: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if let [b'0', ..] = digits {
        return (text == b"0").then_some(0);
    }
    if digits.is_empty() {
        return None;
    }
    // Downwards, since there is one more negative number than there are positive ones.
    let negative = digits.iter().try_fold(0_i64, |number, &digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_sub(digit)
    })?;
    if is_negative { Some(negative) } else { negative.checked_neg() }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_that_is_not_the_one_form_of_an_integer_is_refused() {
        let refused = [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "01",
            "-0",
            "-01",
            "00",
            "1.0",
            "1e3",
            "0x1",
            "ten",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "1\0",
        ];
        for text in refused {
            assert_eq!(parse_integer(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn an_integer_is_read_from_its_text(number in any::<i64>(), bits in 0..64_u32) {
            for number in [number >> bits, i64::MIN, i64::MAX, 0] {
                prop_assert_eq!(parse_integer(number.to_string().as_bytes()), Some(number));
            }
        }

        #[test]
        fn what_is_read_is_written_the_same(text in "-?[0-9]{0,20}") {
            if let Some(number) = parse_integer(text.as_bytes()) {
                prop_assert_eq!(number.to_string(), text);
            }
        }
    }
}
