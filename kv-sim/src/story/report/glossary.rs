//! The words of a report that a reader may not know.

/// The words, each with its meaning.
pub(super) const GLOSSARY: &[(&str, &str)] = &[
    (
        "N, R, W",
        "the number of owners of a key; how many answers a read waits for; how many durable copies a write waits for",
    ),
    ("owner", "a node on the preference list of a key: N nodes should hold each key"),
    (
        "fallback",
        "a node that takes a write in the place of an owner that does not answer; it keeps a hint, and hands it over later",
    ),
    (
        "hint",
        "a copy that a node keeps for an owner that did not answer. It hands it over when it can, and may delete it when the owner says that it holds it durably",
    ),
    (
        "partition",
        "one of the equal parts of the ring, with the same owners for all of its keys; also the fault that cuts the network in parts",
    ),
    (
        "comparison",
        "two owners compare hashes of a partition that both own, and send each other what differs",
    ),
    ("strict, sloppy", "whether only owners count towards R and W, or fallbacks too"),
    (
        "coordinator",
        "the node that a client asks: it asks the owners, counts their answers, and answers the client",
    ),
    (
        "\"c1#2\"",
        "the value that client 1 wrote with its operation #2; no other operation writes it",
    ),
    (
        "n2.8bc5f4:1",
        "a dot, the name that a replica mints for a write: the first of node n2 in its epoch 8bc5f4. A node that may have lost something begins a new epoch",
    ),
    (
        "mint",
        "to store a client's write and give it its dot: one replica does that for each write, and sends what it then holds to the others",
    ),
    (
        "merge",
        "to join what another node sends into the own copy: siblings stand, but for those that either side knows of and does not hold",
    ),
    (
        "vector",
        "what a copy accounts for: all writes that it holds, or that were overwritten. A write that it accounts for and does not hold is taken for overwritten",
    ),
    (
        "twin",
        "a second dot of one write, minted by another replica because the first was silent for too long",
    ),
    ("context", "what a writer says that it has seen: the write overwrites that, and nothing else"),
    (
        "sibling",
        "one of several values that stand side by side, as their writers did not know of each other",
    ),
    ("durable", "synced to the disk of a node: a crash does not take it"),
    (
        "complete",
        "said of an owner that holds all that it must; one that lost data answers no reads until it has copied it back",
    ),
];
