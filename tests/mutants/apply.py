#!/usr/bin/env python3
r"""Applies mutants to a tree of Rust files. README.md in this folder describes how a mutant is written.

usage: apply.py TREE MUTANT...           changes the files of the tree
       apply.py --check TREE MUTANT...   changes nothing; says of each mutant that does not apply why not
       apply.py --test                   runs the examples in this file
exit: 0 all apply, 1 one does not, 2 the arguments make no sense
"""

import difflib
import functools
import re
import sys
import textwrap
from collections import namedtuple
from pathlib import Path

HEAD = ["Breaks", "Caught-by", "Scenario", "Torture"]

# What may be tortured alone: each is a command of kv-sim.
TORTURES = ["log"]

# The code between tokens `start` and `end` of a file, replaced by `code`.
Edit = namedtuple("Edit", "file inside piece code")
# `begin` and `end` are offsets in the text.
Token = namedtuple("Token", "text begin end")
# `path` has a list of names for each item around it and for itself; `first` and `last` are its tokens.
Item = namedtuple("Item", "path first last")


class Refused(Exception):
    """A mutant does not apply. The text says why, and what to look at."""


# --- Rust, as far as it is needed: tokens, and which item encloses which of them.

TOKEN = re.compile(
    r"""
      (?P<space> \s+ | //[^\n]* )
    | (?P<comment> /\* )
    | [bc]? r (?P<hashes> \#* ) " .*? " (?P=hashes)
    | [bc]? " (?: [^"\\] | \\. )* "
    | b? ' (?: [^'\\] | \\ u\{ \w+ \} | \\ x \w\w | \\. ) '
    | ' \w+
    | (?: r\# )? \w+
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


def tokens_of(text):
    r"""The tokens of a text, without space, comments, and the commas and semicolons before a closing
    bracket, which a line break brings or takes.

    >>> [token.text for token in tokens_of("f(a, 'x', &'a b, /* /* } */ */ r#\"}\"\"#,\n) // }")]
    ['f', '(', 'a', ',', "'x'", ',', '&', "'a", 'b', ',', 'r#"}""#', ')']
    """
    tokens, at = [], 0
    while at < len(text):
        match = TOKEN.match(text, at)
        at = match.end()
        if match["comment"]:
            depth = 1
            while depth > 0 and (mark := re.compile(r"/\*|\*/").search(text, at)):
                depth, at = depth + (1 if mark[0] == "/*" else -1), mark.end()
        elif not match["space"]:
            before = tokens[-1].text if tokens else ""
            if (before == "," and match[0] in list(")]}>")) or (before, match[0]) == (";", "}"):
                tokens.pop()
            tokens.append(Token(match[0], match.start(), at))
    return tokens

# What may stand before the word that an item begins with.
QUALIFIERS = ["pub", "(", "crate", "super", "in", "self", ")", "const", "async", "unsafe", "extern"]


def is_name(text):
    return re.fullmatch(r"(r#)?[A-Za-z_]\w*", text) is not None


def impl_names(words):
    """What the block that begins with these words is called.

    >>> impl_names("< 'a , S : Store > fmt :: Display for Reader < 'a , S > where S : Copy { }".split())
    ['Display for Reader', 'Reader']
    """
    parts, angles = [[]], 0
    for before, word in zip([""] + words, words):
        if angles == 0 and word in ("{", "where"):
            break
        if word == "for" and angles == 0:
            parts.append([])
        elif word == "<" or (word == ">" and before != "-"):
            angles += 1 if word == "<" else -1
        elif angles == 0 and is_name(word):
            parts[-1].append(word)
    names = [part[-1] if part else "?" for part in parts]
    return [names[-1]] if len(names) == 1 else [f"{names[-2]} for {names[-1]}", names[-1]]


def names_at(words, at):
    """The names of the item that begins with this word, if one does."""
    word, after = words[at], words[at + 1 : at + 3] + ["", ""]
    before = words[at - 1] if at > 0 else ";"
    if word == "impl" and before in ("}", ";", "{", "]", "unsafe"):
        return impl_names(words[at + 1 : at + 200])
    if word in ("fn", "struct", "enum", "trait", "mod", "type") and is_name(after[0]):
        return [after[0]]
    if word in ("const", "static") and before not in ("<", ",") and after[1] == ":":
        return [after[0]]
    return [words[at + 2]] if word == "macro_rules" and after[0] == "!" else None


def items_of(tokens):
    """All items, each with those around it. An item ends with its braces, or with a semicolon.

    >>> text = "impl X { const A: B = B { c: 1 }; fn f() -> [u8; 2] { fn g(); } } fn f(a: fn(u8)) { }"
    >>> [full_name(item) for item in items_of(tokens_of(text))]
    ['X::A', 'X::f::g', 'X::f', 'X', 'f']
    >>> items_of(tokens_of("mod m; pub(super) async fn f() { }"))[1].first
    3
    """
    words, items, around, depth = [token.text for token in tokens], [], [], 0

    def end(last):
        first = around[-1][1]
        while first > 0 and words[first - 1] in QUALIFIERS:
            first -= 1
        items.append(Item([names for names, _, _ in around], first, last))
        around.pop()

    for at, word in enumerate(words):
        if names := names_at(words, at):
            around.append((names, at, depth))
        depth += (word in ("(", "[", "{")) - (word in (")", "]", "}"))
        while around and around[-1][2] > depth:
            # Its semicolon is not among the tokens.
            end(at - 1)
        if around and around[-1][2] == depth:
            needs_semicolon = words[around[-1][1]] in ("const", "static", "type")
            if word == ";" or (word == "}" and not needs_semicolon):
                end(at)
    return items


def full_name(item):
    return "::".join(names[0] for names in item.path)


def items_named(anchor, items):
    """Those whose names end with the anchor; an item with exactly this name is meant before others.

    >>> items = items_of(tokens_of("impl Tally { fn record() { } } fn record() { } fn count() { }"))
    >>> [full_name(item) for item in items_named("record", items)]
    ['record']
    >>> [full_name(item) for item in items_named("Tally::record", items)]
    ['Tally::record']
    """
    parts = anchor.split("::")
    fits = [
        item
        for item in items
        if len(item.path) >= len(parts)
        and all(part in names for part, names in zip(parts, item.path[-len(parts) :]))
    ]
    return [item for item in fits if len(item.path) == len(parts)] or fits


# --- A mutant, and where it belongs.


def parse(text):
    r"""The head of a mutant, by key, and its edits.

    >>> parse("Breaks: b\nCaught-by: c\nScenario: s\n\nFile: f\nInside: i\nReplace:\n  a\nWith:\n  b\n")[1]
    [Edit(file='f', inside='i', piece='a', code='b')]
    """
    keys, edits, block = {}, [], None
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if not line or line[0].isspace():
            if line.strip() and block is None:
                raise Refused(f"this indented line belongs to no Replace and no With: {line.strip()}")
            if block is not None:
                block.append(line)
        elif colon and key == "Replace" and "File" in keys and "Inside" in keys:
            edits.append((keys["File"], keys["Inside"], block := [], []))
        elif colon and key == "With" and edits and block is edits[-1][2]:
            block = edits[-1][3]
        elif colon and (key in ("File", "Inside") or (key in HEAD and not edits)):
            keys[key], block = value.strip(), None
        else:
            raise Refused(f"this line is not understood where it stands: {line}")
    if missing := [key for key in HEAD[:2] if not keys.get(key)]:
        raise Refused(f"its head has no line {missing[0]}:")
    if bool(keys.get("Scenario")) == bool(keys.get("Torture")):
        raise Refused("its head needs a line Scenario: or a line Torture:, and not both")
    code = [[textwrap.dedent("\n".join(block)).strip() for block in edit[2:]] for edit in edits]
    edits = [Edit(*edit[:2], *blocks) for edit, blocks in zip(edits, code)]
    if not edits or not all(words_of(edit.piece)[0] for edit in edits):
        raise Refused("it replaces nothing: it needs File:, Inside:, Replace: and With:")
    return keys, edits


def words_of(piece):
    """The words to look for, and the comma or semicolon after them, which may be missing in the text.

    >>> words_of("return a;"), words_of("f(a)")
    ((['return', 'a'], ';'), (['f', '(', 'a', ')'], ''))
    """
    words = [token.text for token in tokens_of(piece)]
    return (words[:-1], words[-1]) if words[-1:] in ([","], [";"]) else (words, "")


def places_of(piece, tokens, first, last):
    """The first token of each place between two tokens where the piece stands."""
    text = [token.text for token in tokens]
    words, end = words_of(piece)
    return [
        at
        for at in range(first, last + 2 - len(words))
        if text[at : at + 1] == words[:1]
        and text[at : at + len(words)] == words
        and (not end or text[at + len(words) : at + len(words) + 1] in ([end], [")"], ["]"], ["}"]))
    ]


def line_of(text, token):
    return text.count("\n", 0, token.begin) + 1


def innermost(items, at):
    around = [item for item in items if item.first <= at <= item.last]
    return full_name(min(around, key=lambda item: item.last - item.first)) if around else "no item"


def nearest(words, text, tokens, item):
    """The lines inside an item that are most like the words, or nothing if none is like them."""
    inside, best = tokens[item.first : item.last + 1], (0.5, 0, [])
    matcher = difflib.SequenceMatcher(b=words, autojunk=False)
    for at in range(max(1, len(inside) - len(words) + 1)):
        matcher.set_seq1([token.text for token in inside[at : at + len(words)]])
        if matcher.quick_ratio() > best[0] and matcher.ratio() > best[0]:
            best = (matcher.ratio(), at, matcher.get_matching_blocks())
    ratio, at, blocks = best
    if not blocks:
        return ""
    first, last = inside[at + blocks[0].a], inside[at + blocks[-2].a + blocks[-2].size - 1]
    begin, end = text.rfind("\n", 0, first.begin) + 1, text.find("\n", last.end)
    lines = textwrap.indent(textwrap.dedent(text[begin : end if end >= 0 else None]), "    ")
    return f"\n  the nearest piece there, in line {line_of(text, first)}:\n{lines}"


@functools.lru_cache(maxsize=None)
def read_rust(file):
    text = file.read_text(encoding="utf-8")
    return text, tokens_of(text)


def elsewhere(tree, edit):
    """Where else the piece stands; if nowhere, which other files have an item of that name."""
    words, _ = words_of(edit.piece)
    pieces, others = [], []
    for file in sorted(tree.glob("kv-*/src/**/*.rs")):
        text, tokens = read_rust(file)
        shown = file.relative_to(tree)
        if all(word in text for word in words):
            items, places = items_of(tokens), places_of(edit.piece, tokens, 0, len(tokens) - 1)
            pieces += [f"{shown}, inside {innermost(items, at)}" for at in places]
        if edit.inside.rpartition("::")[2] in text and items_named(edit.inside, items_of(tokens)):
            others.append(str(shown))
    if pieces:
        return "\n  this piece stands in " + "\n  and in ".join(list(dict.fromkeys(pieces))[:5])
    return f"\n  there is {edit.inside} in {', '.join(others[:5])}" if others else ""


def replaced(tree, text, edit):
    r"""The text of a file with the piece replaced, which must stand exactly once inside the anchor.

    >>> text = "fn f() {\n    g(\n        1, // one\n        2,\n    );\n}\nfn h() {\n    g(1, 2);\n}\n"
    >>> print(replaced(None, text, Edit("a.rs", "f", "g(1, 2);", "g(1);\ng(2);")), end="")
    fn f() {
        g(1);
        g(2);
    }
    fn h() {
        g(1, 2);
    }
    >>> replaced(Path("none"), text, Edit("a.rs", "f", "g(1, 3)", ""))
    Traceback (most recent call last):
    Refused: a.rs, inside f: the piece to replace is found 0 times
        g(1, 3)
      the nearest piece there, in line 2:
        g(
            1, // one
            2,
        );
    """
    tokens = tokens_of(text)
    items = items_of(tokens)
    place = f"{edit.file}, inside {edit.inside}"
    fits = items_named(edit.inside, items)
    if not fits:
        near = difflib.get_close_matches(edit.inside, map(full_name, items), cutoff=0.5)
        hint = f"\n  names like it there: {', '.join(near)}" if near else ""
        raise Refused(f"{place}: this item is found 0 times{elsewhere(tree, edit) or hint}")
    if len(fits) > 1:
        those = [f"{full_name(item)} in line {line_of(text, tokens[item.first])}" for item in fits]
        raise Refused(f"{place}: this item is found {len(fits)} times\n  " + "\n  ".join(those))
    (words, mark), item = words_of(edit.piece), fits[0]
    places = places_of(edit.piece, tokens, item.first, item.last)
    if len(places) != 1:
        lines = [str(line_of(text, tokens[at])) for at in places]
        hint = f"\n  in lines {' and '.join(lines)}: make the piece longer"
        if not places:
            hint = nearest(words, text, tokens, item) or elsewhere(tree, edit)
        shown = textwrap.indent(edit.piece, "    ")
        raise Refused(f"{place}: the piece to replace is found {len(places)} times\n{shown}{hint}")
    if words_of(edit.code)[0] == words:
        raise Refused(f"{place}: the piece is replaced by itself")
    begin, end = tokens[places[0]].begin, tokens[places[0] + len(words) - 1].end
    if mark and (found := re.compile(rf"\s*{mark}").match(text, end)):
        end = found.end()
    line = text[text.rfind("\n", 0, begin) + 1 : begin]
    indent = line[: len(line) - len(line.lstrip())]
    return text[:begin] + edit.code.replace("\n", "\n" + indent) + text[end:]


def mutated(tree, mutant):
    """What the files that a mutant changes become, by name."""
    keys, edits = parse(mutant.read_text(encoding="utf-8"))
    if keys.get("Torture", "log") not in TORTURES:
        raise Refused(f"nothing is tortured as {keys['Torture']}")
    for scenario in keys.get("Scenario", "").split():
        if not any((tree / folder / scenario).is_file() for folder in ("scenarios", ".")):
            raise Refused(f"there is no scenario {scenario}")
    files = {}
    for edit in edits:
        if edit.file not in files and not (tree / edit.file).is_file():
            raise Refused(f"{edit.file}: there is no such file{elsewhere(tree, edit)}")
        text = files.get(edit.file) or (tree / edit.file).read_text(encoding="utf-8")
        files[edit.file] = replaced(tree, text, edit)
    return files


def main(arguments):
    if arguments == ["--test"]:
        import doctest

        return 1 if doctest.testmod().failed else 0
    checks = arguments[:1] == ["--check"]
    tree, *mutants = arguments[checks:] or [""]
    if not mutants or not Path(tree).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    refused = 0
    for mutant in map(Path, mutants):
        try:
            for file, text in mutated(Path(tree), mutant).items():
                checks or (Path(tree) / file).write_text(text, encoding="utf-8")
        except (Refused, OSError) as error:
            print(f"{mutant.stem} does not apply: {error}", file=sys.stderr)
            refused += 1
    if refused:
        print(f"{refused} of {len(mutants)} mutants do not apply: bring them up to the code", file=sys.stderr)
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
