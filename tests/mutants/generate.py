#!/usr/bin/env python3
"""Makes mutants of the core by chance: small mistakes, such as a comparison that is off by one, a condition
that is left out, a call that is forgotten. Nobody aims them, so the share of them that the simulator
notices says what mutants by hand cannot say: how much of the core it sees at all.

usage: generate.py TREE COUNT SEED FOLDER   writes so many mutants into the folder; the same for one seed
       generate.py --test                   runs the examples in this file
"""

import random
import re
import sys
from collections import Counter, namedtuple
from pathlib import Path

import apply
import schemata

# A place in a file where something is replaced: offsets in its text.
Site = namedtuple("Site", "file item begin end code")

SWAPS = [
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )<=(?= )", "<"),
    (r"(?<= )>(?= )", ">="),
    (r"(?<= )>=(?= )", ">"),
    (r"(?<= )==(?= )", "!="),
    (r"(?<= )!=(?= )", "=="),
    (r"(?<= )&&(?= (?!let))", "||"),
    (r"(?<= )\|\|(?= )", "&&"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<=[ (])!(?=[a-z])", ""),
    (r"\btrue\b", "false"),
    (r"\bfalse\b", "true"),
    (r"(?<=\.)min(?=\()", "max"),
    (r"(?<=\.)max(?=\()", "min"),
    (r"(?<=\.)any(?=\()", "all"),
    (r"(?<=\.)all(?=\()", "any"),
    (r"(?<=\.)first\(\)", "last()"),
    (r"(?<=\.)last\(\)", "first()"),
    (r"\.rev\(\)", ""),
    (r"(?<=\.)saturating_sub(?=\()", "saturating_add"),
    (r"(?<=\.)saturating_add(?=\()", "saturating_sub"),
    (r"(?<=[ (])0(?=[,;) ])", "1"),
    (r"(?<=[ (])1(?=[,;) ])", "0"),
    # A condition that always or never holds.
    (r"(?<=\bif )(?!let )[^{};]+(?= \{\n)", "true"),
    (r"(?<=\bif )(?!let )[^{};]+(?= \{\n)", "false"),
    # A statement of one line that is left out.
    (r"(?<=\n) *(?:self\.)?[a-z][\w.]*\([^\n=]*\);(?=\n)", ""),
    (r"(?<=\n) *(?:self\.)?[a-z][\w.]* [-+|&]?= [^\n]*;(?=\n)", ""),
    (r"(?<=\n) *(?:return|continue|break);(?=\n)", ""),
]

# What no run of the simulator executes, or what only people read.
PASSED_OVER = re.compile(r"/(tests?|testing|invariants?|fingerprint|describe)(/|\.rs$)")
SAID = re.compile(r"::(fmt|describe|fingerprint|invariants|new|default)$")


def sites_of(file, text):
    """The sites of a file.

    >>> text = "fn f() {\\n    if a > 1 {\\n        g(2);\\n    }\\n}\\nmod tests { fn h() { a > 1 } }\\n"
    >>> sorted((site.code, text[site.begin : site.end].strip()) for site in sites_of("a.rs", text))
    [('', 'g(2);'), ('0', '1'), ('>=', '>'), ('false', 'a > 1'), ('true', 'a > 1')]
    """
    tokens = apply.tokens_of(text)
    begins = {token.begin for token in tokens}
    names = Counter(apply.full_name(item) for item in apply.items_of(tokens))
    for body in schemata.bodies_of(file, text):
        name = "::" + body.name
        # A constant function may stand where a constant is needed, and then cannot be chosen.
        is_needed = body.const is not None
        if is_needed or "tests::" in name or SAID.search(name) or names[body.name] != 1:
            continue
        for pattern, code in SWAPS:
            for match in re.compile(pattern).finditer(text, body.begin, body.end):
                start = match.end() - len(match[0].lstrip())
                if start in begins:
                    yield Site(file, body.name, match.start(), match.end(), code)


def mutant_of(text, site):
    """The text of the mutant, or nothing if no few lines around the site stand there only once.

    >>> text = "fn f() {\\n    g(1);\\n    g(2);\\n    g(1);\\n}\\n"
    >>> mutant_of(text, Site("a.rs", "f", 15, 16, "0")).split("Replace:")[1].split()
    ['g(1);', 'g(2);', 'With:', 'g(0);', 'g(2);']
    """
    tokens = apply.tokens_of(text)
    [item] = [item for item in apply.items_of(tokens) if apply.full_name(item) == site.item]
    begin, end = text.rfind("\n", 0, site.begin + 1) + 1, text.index("\n", site.end)
    for _ in range(6):
        piece = text[begin:end]
        if len(apply.places_of(piece, tokens, item.first, item.last)) == 1:
            break
        end = text.index("\n", end + 1)
        if end > tokens[item.last].end:
            return None
    else:
        return None
    code = text[begin : site.begin] + site.code + text[site.end : end]

    def indented(lines):
        return "".join(f"    {line}\n" for line in lines.splitlines() if line.strip())

    line = text.count("\n", 0, site.begin) + 1
    was = " ".join(text[site.begin : site.end].split())
    return (
        f"Breaks: in line {line}, {site.code or 'nothing'} stands for {was}\n"
        "Caught-by: any\nScenario: swarm.toml\n\n"
        f"File: {site.file}\nInside: {site.item}\nReplace:\n{indented(piece)}With:\n{indented(code)}"
    )


def main(arguments):
    if arguments == ["--test"]:
        import doctest

        return 1 if doctest.testmod().failed else 0
    if len(arguments) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    tree, count, seed, folder = Path(arguments[0]), int(arguments[1]), arguments[2], Path(arguments[3])
    texts, sites = {}, []
    for path in sorted(tree.glob("kv-core/src/**/*.rs")):
        file = str(path.relative_to(tree))
        if file != schemata.CORE and not PASSED_OVER.search("/" + file):
            texts[file] = path.read_text(encoding="utf-8")
            sites += sites_of(file, texts[file])
    random.Random(seed).shuffle(sites)
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for site in sites:
        if made == count:
            break
        if text := mutant_of(texts[site.file], site):
            made += 1
            name = f"{seed}-{made:03}-{site.item.replace('::', '-').replace(' ', '-')}"
            (folder / f"{name}.mutant").write_text(text, encoding="utf-8")
    print(f"{made} mutants of {len(sites)} sites")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
