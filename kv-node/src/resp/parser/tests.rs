use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMITS: ParserLimits = ParserLimits {
    arguments_max: 100_001,
    argument_bytes_max: 4_096,
    command_bytes_max: 8 * 1024 * 1024,
    inline_bytes_max: 128,
};

/// The commands and errors of a stream, up to the error that ends it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Heard {
    commands: Vec<Result<Vec<Bytes>, ParseError>>,
    broken: Option<ParseError>,
}

/// Feeds the pieces one by one, as reads of a socket would.
fn feed<'a>(limits: ParserLimits, pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let (mut parser, mut input) = (Parser::new(limits), BytesMut::new());
    let mut heard = Heard::default();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match parser.next(&mut input) {
                Ok(None) => break,
                Ok(Some(command)) => heard.commands.push(Ok(command.words)),
                Err(error) if error.aftermath() == Aftermath::GoOn => {
                    heard.commands.push(Err(error));
                }
                Err(error) => {
                    heard.broken = Some(error);
                    return heard;
                }
            }
        }
    }
    heard
}

fn whole(stream: &[u8]) -> Heard {
    feed(LIMITS, [stream])
}

fn commands(stream: &[u8]) -> Vec<Vec<String>> {
    let heard = whole(stream);
    assert_eq!(heard.broken, None);
    let text = |word: &Bytes| word.escape_ascii().to_string();
    heard
        .commands
        .into_iter()
        .map(|command| command.expect("a command").iter().map(text).collect())
        .collect()
}

fn broken(stream: &[u8]) -> ParseError {
    whole(stream).broken.expect("the stream makes no sense")
}

fn array(words: &[&[u8]]) -> Vec<u8> {
    let mut stream = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        stream.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        stream.extend_from_slice(word);
        stream.extend_from_slice(b"\r\n");
    }
    stream
}

#[test]
fn arrays_of_bulk_strings_are_commands() {
    let stream = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\n\r\n\0\r\n*1\r\n$0\r\n\r\n";
    assert_eq!(commands(stream), [vec!["SET", "k", r"\r\n\x00"], vec![""]]);
}

#[test]
fn commands_of_no_words_are_passed_over() {
    assert_eq!(commands(b"*0\r\n*-1\r\n\r\n  \r\n\nPING\r\n"), [["PING"]]);
}

#[test]
fn lines_are_commands_with_quotes_as_redis_has_them() {
    let cases: [(&[u8], &[&str]); 6] = [
        (b" SET  k\tv \r\n", &["SET", "k", "v"]),
        (b"SET k v\n", &["SET", "k", "v"]),
        (
            br#"ECHO "a \"b\" \x00\xfF\n\r\t\b\a\q""#,
            &["ECHO", r#"a \"b\" \x00\xff\n\r\t\x08\x07q"#],
        ),
        (br"ECHO 'a \'b\' \n'", &["ECHO", r"a \'b\' \\n"]),
        (br#"ECHO "" '' pre"fix""#, &["ECHO", "", "", "prefix"]),
        (br#"ECHO "\xg1""#, &["ECHO", "xg1"]),
    ];
    for (line, expected) in cases {
        let line = [line, b"\n"].concat();
        let escaped = line.escape_ascii().to_string();
        assert_eq!(commands(&line)[0], expected, "{escaped}");
    }
}

#[test]
fn quotes_that_do_not_close_end_the_stream() {
    for line in [&b"ECHO \"a\r\n"[..], b"ECHO 'a\r\n", b"ECHO \"a\"b\r\n", b"ECHO \"a\\\"\r\n"] {
        assert_eq!(broken(line), ParseError::UnbalancedQuotes);
    }
}

#[test]
fn what_makes_no_sense_is_named_and_ends_the_stream() {
    let cases: [(&[u8], ParseError); 12] = [
        (b"*x\r\n", ParseError::ArrayHeader),
        (b"*\r\n", ParseError::ArrayHeader),
        (b"*1\n", ParseError::ArrayHeader),
        (b"*+1\r\n", ParseError::ArrayHeader),
        (b"*99999999999999999999\r\n", ParseError::ArrayHeader),
        (b"*1111111111111111111111111", ParseError::ArrayHeader),
        (b"*2147483648\r\n", ParseError::ArrayHeader),
        (b"*1\r\n:1\r\n", ParseError::NotBulk { found: b':' }),
        (b"*1\r\n$-1\r\n", ParseError::BulkHeader),
        (b"*1\r\n$1x\r\n", ParseError::BulkHeader),
        (b"*1\r\n$536870913\r\n", ParseError::BulkHeader),
        (b"*1\r\n$1\r\nab\r\n", ParseError::BulkEnd { bytes: 1 }),
    ];
    for (stream, expected) in cases {
        assert_eq!(broken(stream), expected, "{}", stream.escape_ascii());
    }
}

#[test]
fn a_stream_that_makes_no_sense_stays_that_way() {
    let (mut parser, mut input) = (Parser::new(LIMITS), BytesMut::from(&b"*x\r\nPING\r\n"[..]));
    for _ in 0..2 {
        assert_eq!(parser.next(&mut input), Err(ParseError::ArrayHeader));
    }
}

#[test]
fn nested_arrays_are_an_error_however_many_there_are() {
    let stream = b"*1\r\n".repeat(100_000);
    assert_eq!(broken(&stream), ParseError::NotBulk { found: b'*' });
}

#[test]
fn a_line_without_end_is_not_kept() {
    assert_eq!(broken(&[b'a'; 129]), ParseError::InlineTooLong { max: 128 });
    assert_eq!(broken(&[&[b'a'; 129][..], b"\n"].concat()), ParseError::InlineTooLong { max: 128 });
    assert_eq!(commands(&[&[b'a'; 128][..], b"\n"].concat()).len(), 1);
}

#[test]
fn an_argument_over_the_limit_is_skipped_and_the_stream_goes_on() {
    let long = vec![b'v'; 4_097];
    let stream = [array(&[b"SET", b"k", &long, b"more"]), array(&[b"PING"])].concat();
    let expected = ParseError::ArgumentTooLong { index: 2, bytes: 4_097, max: 4_096 };
    for pieces in [vec![&stream[..]], stream.chunks(7).collect()] {
        let heard = feed(LIMITS, pieces);
        assert_eq!(heard.commands, [Err(expected), Ok(vec![Bytes::from("PING")])]);
        assert_eq!(heard.broken, None);
    }
}

#[test]
fn a_command_over_the_limit_is_skipped_and_the_stream_goes_on() {
    let max = 10 + 3 * ARGUMENT_BYTES;
    let limits = ParserLimits { command_bytes_max: max, ..LIMITS };
    let stream = [array(&[b"SET", b"key", b"value"]), array(&[b"SET", b"key", b"valu"])].concat();
    let heard = feed(limits, [&stream[..]]);
    assert_eq!(heard.commands[0], Err(ParseError::CommandTooLong { max }));
    assert!(heard.commands[1].is_ok());
}

#[test]
fn a_command_of_too_many_arguments_is_skipped_and_the_stream_goes_on() {
    let limits = ParserLimits { arguments_max: 3, ..LIMITS };
    let stream = [array(&[&b"SET"[..]; 4]), array(&[&b"PING"[..]; 3])].concat();
    let expected = ParseError::TooManyArguments { count: 4, max: 3 };
    for pieces in [vec![&stream[..]], stream.chunks(7).collect()] {
        let heard = feed(limits, pieces);
        assert_eq!(heard.commands, [Err(expected), Ok(vec![Bytes::from("PING"); 3])]);
        assert_eq!(heard.broken, None);
    }
}

#[test]
fn what_is_kept_of_each_argument_counts_as_well() {
    let limits = ParserLimits { command_bytes_max: 2 * ARGUMENT_BYTES, ..LIMITS };
    let heard = feed(limits, [&array(&[b"", b"", b""])[..], &array(&[b"", b""])]);
    let expected = ParseError::CommandTooLong { max: 2 * ARGUMENT_BYTES };
    assert_eq!(heard.commands, [Err(expected), Ok(vec![Bytes::new(); 2])]);
}

#[test]
fn of_a_skipped_command_the_first_words_are_known() {
    let long = vec![b'v'; 4_097];
    let limits = ParserLimits { arguments_max: 9, ..LIMITS };
    let cases: [(&[&[u8]], &[&str]); 6] = [
        (&[b"AUTH", &long, b"more"], &["AUTH"]),
        (&[b"HELLO", b"3", b"AUTH", &long], &["HELLO", "3", "AUTH"]),
        (&[b"SET", &[b'k'; 65], b"v", &long], &["SET"]),
        (&[&long, b"MULTI"], &[]),
        (&[&b"MULTI"[..]; 10], &["MULTI"; 8]),
        (&[b"", b"", b"", b"", b"", b"", b"", b"", b"", &long], &[""; 8]),
    ];
    for (words, expected) in cases {
        for piece in [1_usize, 7, 10_000] {
            let (mut parser, mut input) = (Parser::new(limits), BytesMut::new());
            let mut skipped = None;
            for piece in array(words).chunks(piece) {
                input.extend_from_slice(piece);
                if parser.next(&mut input).is_err() {
                    skipped = Some(parser.take_skipped());
                }
            }
            let skipped = skipped.expect("it is refused");
            let expected: Vec<_> = expected.iter().copied().map(Bytes::from).collect();
            assert_eq!(skipped.map(|command| command.words).unwrap_or_default(), expected);
        }
    }
}

#[test]
fn an_announcement_alone_reserves_nothing() {
    let limits = ParserLimits::default();
    let (mut parser, mut input) = (Parser::new(limits), BytesMut::new());
    input.extend_from_slice(b"*1048576\r\n$60000000\r\n");
    assert_eq!(parser.next(&mut input), Ok(None));
    assert_eq!(parser.words.capacity(), 0);
}

#[test]
fn arguments_are_not_copied() {
    let value = [b'v'; 4_000];
    let mut input = BytesMut::from(&array(&[b"SET", b"k", &value])[..]);
    let memory = input.as_ptr_range();
    let command = Parser::new(LIMITS).next(&mut input).expect("sense").expect("a command");
    assert!(memory.contains(&command.arguments()[1].as_ptr()));
}

/// Measures the parsing of a stream in pieces of this size: the best of three.
fn time(stream: &[u8], piece: usize) -> Duration {
    let run = || {
        let began = Instant::now();
        assert_eq!(feed(LIMITS, stream.chunks(piece)).commands.len(), 1);
        began.elapsed()
    };
    (0..3).map(|_| run()).min().expect("three runs")
}

#[test]
fn an_unfinished_command_is_not_begun_again_from_the_front() {
    let words = vec![&b"argument"[..]; 100_000];
    let stream = array(&words);
    // From the front each time, the small pieces would take about 90 times as long.
    let (small, large) = (time(&stream, 16 * 1024), time(&stream, stream.len()));
    assert!(small < large * 20 + Duration::from_millis(50), "{small:?} and {large:?}");
}

#[test]
fn bytes_may_come_one_by_one() {
    let value = [b'v'; 4_000];
    let stream = [array(&[b"SET", b"k", &value]), b"ECHO 'a b'\r\n".to_vec()].concat();
    assert_eq!(feed(LIMITS, stream.chunks(1)), whole(&stream));
    assert_eq!(whole(&stream).commands.len(), 2);
}

/// Bytes that look like commands more often than chance would have it.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let word = vec(any::<u8>(), 0..40);
    let command = vec(word, 0..6)
        .prop_map(|words| array(&words.iter().map(Vec::as_slice).collect::<Vec<_>>()));
    let line = "[a-z\"'\\\\ ]{0,30}\r?\n".prop_map(String::into_bytes);
    let long = (4_000_usize..4_200).prop_map(|bytes| array(&[b"SET", &vec![b'v'; bytes]]));
    let shards = prop_oneof![
        Just(b"*2\r\n".to_vec()),
        Just(b"$3\r\n".to_vec()),
        Just(b"*-1\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
        vec(any::<u8>(), 0..8),
    ];
    let part = prop_oneof![6 => command, 2 => line, 1 => long, 1 => shards];
    vec(part, 0..12).prop_map(|parts| parts.concat())
}

#[test]
fn what_an_unfinished_command_keeps_is_counted_until_it_is_complete_or_refused() {
    let limits = ParserLimits { command_bytes_max: 10_000, ..LIMITS };
    let (mut parser, mut input) = (Parser::new(limits), BytesMut::new());
    let mut feed = |bytes: &[u8]| {
        input.extend_from_slice(bytes);
        let heard = parser.next(&mut input);
        (heard, parser.held_bytes())
    };
    let argument = [b"$3000\r\n".to_vec(), vec![b'v'; 3_000], b"\r\n".to_vec()].concat();
    let (heard, held) = feed(b"*3\r\n$4\r\nMSET\r\n");
    assert!(heard == Ok(None) && held < 1_000, "{held}");
    let (heard, held) = feed(&argument);
    assert!(heard == Ok(None) && (3_000..4_000).contains(&held), "{held}");
    let (heard, held) = feed(&argument);
    assert!(matches!(heard, Ok(Some(_))) && held < 1_000, "{held}");

    let (heard, _) = feed(b"*6\r\n");
    assert_eq!(heard, Ok(None));
    for _ in 0..3 {
        let (heard, _) = feed(&argument);
        assert_eq!(heard, Ok(None));
    }
    let (heard, held) = feed(&argument);
    assert!(heard == Ok(None) && held < 1_000, "it was refused: {held}");
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_says_what_it_says_as_a_whole(
        stream in stream(),
        cuts in vec(any::<prop::sample::Index>(), 0..30),
    ) {
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|pair| &stream[pair[0]..pair[1]]);
        prop_assert_eq!(feed(LIMITS, pieces), whole(&stream));
    }

    #[test]
    fn what_was_written_is_what_is_read(
        words in vec(vec(vec(any::<u8>(), 0..60), 1..8), 0..8),
    ) {
        let written: Vec<Vec<&[u8]>> =
            words.iter().map(|words| words.iter().map(Vec::as_slice).collect()).collect();
        let stream: Vec<u8> = written.iter().flat_map(|words| array(words)).collect();
        let heard = whole(&stream);
        let read: Vec<_> = heard.commands.into_iter().map(|command| command.expect("sense")).collect();
        prop_assert_eq!(read, words);
    }

    #[test]
    fn garbage_never_panics(garbage in vec(any::<u8>(), 0..400)) {
        let _ = whole(&garbage);
    }
}
