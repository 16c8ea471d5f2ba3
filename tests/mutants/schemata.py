#!/usr/bin/env python3
"""Puts many mutants into one tree of Rust files, of which one is chosen when the program starts: the
variable KV_MUTANT holds its number. So all of them need one build (mutant schemata: Untch, Offutt and
Harrold, 1993).

Each function that a mutant changes becomes a `match` on the number that was chosen, with a copy of its
body for each mutant and the body as it was for all others. What a mutant changes outside the body of a
function cannot be chosen when the program runs: such a mutant needs a build of its own, and so does one
that does not compile like this.

usage: schemata.py TREE MUTANT...   changes the files of the tree; prints the number and the path of each
                                    mutant that is in it, a line each, and says of the others why not
       schemata.py --test           runs the examples in this file
exit: 0 done, 1 a mutant does not apply, 2 the arguments make no sense
"""

import json
import os
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import apply
from apply import Refused

# The function that encloses all others around a place: its body is between two offsets.
Body = namedtuple("Body", "file name begin end const")

# The core asks for the number once; no other crate asks the environment.
CHOSEN = """
/// The mutant that this process has.
pub mod mutant {
    extern crate std;
    /// The number of the mutant; zero if there is none.
    pub fn chosen() -> u32 {
        static CHOSEN: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        *CHOSEN.get_or_init(|| {
            std::env::var("KV_MUTANT").ok().and_then(|number| number.parse().ok()).unwrap_or(0)
        })
    }
}
"""
CORE = "kv-core/src/lib.rs"


def bodies_of(file, text):
    r"""The bodies of all functions that lie in no other function.

    >>> text = "impl X { pub const fn f() -> [u8; 2] { fn g() { } } } trait T { fn h(); }"
    >>> [(body.name, text[body.begin : body.end], body.const) for body in bodies_of("a.rs", text)]
    [('X::f', '{ fn g() { } }', 13)]
    """
    tokens = apply.tokens_of(text)
    words = [token.text for token in tokens]
    found, past = [], -1
    for item in sorted(apply.items_of(tokens), key=lambda item: item.first):
        at = item.first
        if at < past:
            continue
        while words[at] in apply.QUALIFIERS:
            at += 1
        if words[at] != "fn" or words[item.last] != "}":
            continue
        depth, opened = 0, item.last
        while depth >= 0:
            opened -= 1
            depth += (words[opened] == "}") - (words[opened] == "{")
        qualifiers = words[item.first : at]
        const = tokens[item.first + qualifiers.index("const")].begin if "const" in qualifiers else None
        begin, end = tokens[opened].begin, tokens[item.last].end
        found.append(Body(file, apply.full_name(item), begin, end, const))
        past = item.last
    return found


def changed(tree, mutant):
    r"""The bodies that a mutant changes, each with what it becomes."""
    _, edits = apply.parse(mutant.read_text(encoding="utf-8"))
    result = {}
    for file, after in apply.mutated(tree, mutant).items():
        before = (tree / file).read_text(encoding="utf-8")
        old, new = bodies_of(file, before), bodies_of(file, after)
        if [body.name for body in old] != [body.name for body in new]:
            raise Refused("it adds or takes away functions")
        rests = [rest_of(before, old), rest_of(after, new)]
        if apply.words_of(rests[0]) != apply.words_of(rests[1]):
            raise Refused(f"it changes something in {file} that is not the body of a function")
        for one, other in zip(old, new):
            text = after[other.begin : other.end]
            if text != before[one.begin : one.end]:
                result[one] = text
    return result


def rest_of(text, bodies):
    """A text without the bodies of its functions.

    >>> text = "fn f() { a } fn g() { b }"
    >>> rest_of(text, bodies_of("a.rs", text))
    'fn f() ; fn g() ;'
    """
    parts, at = [], 0
    for body in bodies:
        parts += [text[at : body.begin], ";"]
        at = body.end
    return "".join(parts) + text[at:]


def joined(path, text, mutants):
    """The text of a file with the bodies that mutants make of its functions: by body, then by number.

    >>> text = "const fn f() -> u8 { 1 }\\nfn g() { }\\n"
    >>> f, g = bodies_of("a.rs", text)
    >>> print(joined("kv-sim/a.rs", text, {f: {3: "{ 2 }"}}), end="")
    fn f() -> u8 { match kv_core::mutant::chosen() {
    3 => { 2 }
    _ => { 1 }
    } }
    fn g() { }
    """
    crate = "crate" if str(path).startswith("kv-core/") else "kv_core"
    for body in sorted(mutants, key=lambda body: -body.begin):
        arms = "".join(f"{number} => {code}\n" for number, code in sorted(mutants[body].items()))
        was = text[body.begin : body.end]
        text = (
            f"{text[:body.begin]}{{ match {crate}::mutant::chosen() {{\n{arms}_ => {was}\n}} }}"
            f"{text[body.end:]}"
        )
        if body.const is not None:
            # A constant function could not ask.
            after = body.const + len("const")
            text = text[: body.const] + text[after:].lstrip()
    return text


class Schemata:
    """A tree with the mutants that are in it."""

    def __init__(self, tree):
        self.tree = tree
        self.bodies = {}
        core = (tree / CORE).read_text(encoding="utf-8")
        (tree / CORE).write_text(core + CHOSEN, encoding="utf-8")
        # The files as they are without mutants.
        self.texts = {}

    def add(self, number, mutant):
        for body, code in changed(self.tree, mutant).items():
            self.bodies.setdefault(body.file, {}).setdefault(body, {})[number] = code

    def drop(self, number):
        for bodies in self.bodies.values():
            for codes in bodies.values():
                codes.pop(number, None)

    def write(self):
        for file, bodies in self.bodies.items():
            if file not in self.texts:
                self.texts[file] = (self.tree / file).read_text(encoding="utf-8")
            text = joined(file, self.texts[file], {body: codes for body, codes in bodies.items() if codes})
            (self.tree / file).write_text(text, encoding="utf-8")

    def owner(self, file, line):
        """The numbers of the mutants whose copies of a body hold this line of a file."""
        if file not in self.bodies:
            return []
        text = (self.tree / file).read_text(encoding="utf-8").splitlines()
        # An arm begins with its number at the beginning of a line, which no formatted code does.
        for at in range(min(line, len(text)) - 1, -1, -1):
            number, arrow, _ = text[at].partition(" => {")
            if arrow and (number.isdigit() or number == "_"):
                return [int(number)] if number.isdigit() else []
        return []

    def refused(self, package, arguments):
        """Checks the tree, and tells the numbers of the mutants that do not compile, with why."""
        command = ["cargo", "check", "--quiet", "--message-format=json", "-p", package, *arguments]
        done = subprocess.run(command, cwd=self.tree, capture_output=True, text=True)
        if done.returncode == 0:
            return {}
        guilty, texts = {}, []
        for line in done.stdout.splitlines():
            message = json.loads(line).get("message") if line.startswith("{") else None
            if not message or message.get("level") != "error":
                continue
            texts.append(message.get("rendered") or message["message"])
            for span in message["spans"] + [span for child in message["children"] for span in child["spans"]]:
                for number in self.owner(span["file_name"], span["line_start"]):
                    guilty.setdefault(number, message["message"])
        if not guilty:
            raise Refused("the tree does not compile, and no mutant is to blame:\n" + "\n".join(texts))
        return guilty


def main(arguments):
    if arguments == ["--test"]:
        import doctest

        return 1 if doctest.testmod().failed else 0
    tree, *mutants = arguments or [""]
    if not mutants or not Path(tree).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    tree, numbered, wrong = Path(tree), {}, 0
    schemata = Schemata(tree)
    for number, mutant in enumerate(map(Path, mutants), 1):
        try:
            apply.mutated(tree, mutant)
        except (Refused, OSError) as error:
            print(f"{mutant.stem} does not apply: {error}", file=sys.stderr)
            wrong = 1
            continue
        try:
            schemata.add(number, mutant)
            numbered[number] = mutant
        except Refused as error:
            print(f"{mutant.stem} needs a build of its own: {error}", file=sys.stderr)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    schemata.write()
    while guilty := schemata.refused("kv-sim", ["--profile", "quick", "--target-dir", target]):
        for number, message in sorted(guilty.items()):
            print(f"{numbered.pop(number).stem} does not compile beside others: {message}", file=sys.stderr)
            schemata.drop(number)
        schemata.write()
    for number, mutant in numbered.items():
        print(number, mutant)
    return wrong


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as error:
        sys.exit(str(error))
