use super::*;

/// The options of operations that come near to those on a register.
fn options() -> Options {
    Options {
        read: Some(Level::Quorum),
        write: Some(Level::Quorum),
        mode: Some(Mode::Strict),
        ..Options::default()
    }
}

/// Lets a client ask to overwrite the latest, which reads first and finds these dots.
fn ask_to_overwrite(fixture: &mut Fixture) -> TestPut {
    fixture.operations += 1;
    let request = RequestId(u128::from(fixture.operations));
    let content = Content::Value(Bytes::from(format!("value of {request}").into_bytes()));
    let context = PutContext::Latest(Default::default());
    let verb = Verb::Put { content: content.clone(), expiry: None, context };
    let options = Options { request: Some(request), ..options() };
    let operation = ClientOperation { key: Key::from(KEY), verb, options };
    let (at, number) = (fixture.tick(), OperationNumber(7 << 32 | fixture.operations));
    fixture.checks.on_invoke(at, number, A, &operation, &[]);
    TestPut { number, request, content }
}

/// Lets a replica mint for a put that has read these dots. The number of a dot is its hybrid time.
fn mint(fixture: &mut Fixture, node: NodeId, time: u64, asked: &TestPut, read: &[Dot]) -> Dot {
    let event =
        Event::ReadBeforeWrite { request: asked.request, key: Key::from(KEY), dots: read.to_vec() };
    let at = fixture.tick();
    fixture.checks.on_event(at, A, &event, &fixture.cluster);
    let dot = Dot { actor: Actor { node, epoch: Epoch(1) }, n: time };
    fixture.stamp = HybridTime(time);
    fixture.mint_as(dot, asked, context(read));
    dot
}

/// Seen with lost messages: the first minter's answer is lost, so that another node mints once more
/// for the request, after others have seen it and have overwritten it.
fn request_that_is_minted_twice() -> Fixture {
    let mut fixture = Fixture::new();
    let first = ask_to_overwrite(&mut fixture);
    let dot = mint(&mut fixture, A, 1, &first, &[]);
    fixture.send(A, &[B]);
    fixture.read_as(options(), &[A, B]);
    let second = ask_to_overwrite(&mut fixture);
    mint(&mut fixture, B, 2, &second, &[dot]);
    fixture.send(B, &[A]);
    fixture.sync(&[A, B]);
    fixture.stored(&second, &[A, B], &[]);
    fixture.read_as(options(), &[A, B]);
    mint(&mut fixture, C, 3, &first, &[]);
    fixture.send(C, &[B]);
    fixture.sync(&[B, C]);
    fixture.stored(&first, &[B, C], &[]);
    fixture.read_as(options(), &[A, B]);
    fixture
}

/// Writes that three clients ask for at once, and two reads. The first write is the newest. The third
/// has read that one alone, and is minted by a node whose clock is behind: when it has overwritten
/// the first, the second is the newest of those that are left.
fn value_that_comes_back() -> Fixture {
    let mut fixture = Fixture::new();
    let [first, second, third] = [(); 3].map(|()| ask_to_overwrite(&mut fixture));
    let newest = mint(&mut fixture, B, 10, &first, &[]);
    mint(&mut fixture, C, 7, &second, &[]);
    fixture.send(B, &[C]);
    fixture.send(C, &[B]);
    fixture.sync(&[B, C]);
    fixture.stored(&first, &[B, C], &[]);
    fixture.stored(&second, &[B, C], &[]);
    fixture.read_as(options(), &[B, C]);
    mint(&mut fixture, A, 5, &third, &[newest]);
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&third, &[A, B], &[]);
    fixture.read_as(options(), &[A, B]);
    fixture
}

#[test]
fn writes_and_reads_one_after_the_other_are_a_register() {
    let mut fixture = Fixture::new();
    let mut last = Vec::new();
    for time in 1..=3 {
        let asked = ask_to_overwrite(&mut fixture);
        last = vec![mint(&mut fixture, A, time, &asked, &last)];
        fixture.send(A, &[B]);
        fixture.sync(&[A, B]);
        fixture.stored(&asked, &[A, B], &[]);
        fixture.read_as(options(), &[B, C]);
    }
    fixture.end();
    fixture.assert_held();
    assert_eq!(fixture.checks.findings(CheckName::Linearizability).examined, 6);
}

#[test]
fn a_request_that_is_minted_once_more_after_it_was_overwritten_is_no_registers() {
    let mut fixture = request_that_is_minted_twice();
    fixture.end();
    fixture.assert_violated(CheckName::Linearizability, "there before and after another one");
    for check in [CheckName::Durability, CheckName::Freshness, CheckName::Session] {
        assert_eq!(fixture.violation(check), None, "the containers are right");
    }
}

#[test]
fn a_sibling_that_is_the_newest_again_is_no_registers() {
    let mut fixture = value_that_comes_back();
    fixture.end();
    fixture.assert_violated(CheckName::Linearizability, "there before and after another one");
    let subject = fixture.checks.findings(CheckName::Linearizability).subject();
    assert_eq!(subject.map(|subject| subject.dots.len()), Some(2));
    for check in [CheckName::Causality, CheckName::Freshness, CheckName::Session] {
        assert_eq!(fixture.violation(check), None, "the containers are right");
    }
}

#[test]
fn a_write_under_way_that_one_read_sees_and_the_next_does_not_is_no_registers() {
    let mut fixture = Fixture::new();
    let asked = ask_to_overwrite(&mut fixture);
    mint(&mut fixture, A, 1, &asked, &[]);
    fixture.sync(&[A]);
    fixture.read_as(options(), &[A, B]);
    fixture.read_as(options(), &[B, C]);
    fixture.send(A, &[B]);
    fixture.sync(&[A, B]);
    fixture.stored(&asked, &[A, B], &[]);
    fixture.end();
    fixture.assert_violated(CheckName::Linearizability, "are those of no register");
}

#[test]
fn a_key_of_which_a_fault_took_something_is_promised_less() {
    let mut fixture = value_that_comes_back();
    fixture.lose(A, Loss::Wipe);
    fixture.end();
    assert_eq!(fixture.violation(CheckName::Linearizability), None);
    assert_eq!(fixture.weakened(CheckName::Linearizability), 1);
}

#[test]
fn a_key_with_an_operation_on_other_terms_is_not_judged() {
    let mut fixture = value_that_comes_back();
    fixture.read(Mode::Sloppy, &[A, B]);
    fixture.end();
    assert_eq!(fixture.checks.findings(CheckName::Linearizability).examined, 0);
}
