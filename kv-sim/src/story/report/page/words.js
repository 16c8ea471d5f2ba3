// ---- what stands beside the picture

function chip(write) {
  const { name, label } = writes[write];
  const made = html("span", { class: inQuestion.has(write) ? "chip in-question" : "chip", title: writeWords(write) },
    label === name || isNarrow() ? label : `${label} · ${name}`);
  made.style.borderLeftColor = writeColour(write);
  return made;
}
const chips = (list) => list.length ? list.map(chip) : [html("span", { class: "nothing" }, "nothing")];

function drawCopies() {
  const key = state.key !== null && data.keys[state.key].is_followed ? state.key : data.keys.length && data.keys[0].is_followed ? 0 : null;
  const table = element("copies");
  if (key === null) {
    element("copies-heading").textContent = "Where copies stand";
    return table.replaceChildren(html("tbody", {}, html("tr", {}, html("td", {}, "No key was followed."))));
  }
  element("copies-heading").textContent = `Where copies of ${keyName(key)} stand at ${seconds(state.at)} s`;
  const held = new Map(data.keys[key].owners.map((owner) => [owner, null]));
  for (const change of copies) if (change.key === key && change.at_us <= state.at) held.set(change.node, change);
  const siblings = new Set([...held.values()].flatMap((change) => change ? change.live_writes : []));
  table.dataset.siblings = siblings.size;
  const body = html("tbody", {});
  for (const [node, change] of [...held].sort(([a], [b]) => a - b)) {
    const isOwner = data.keys[key].owners.includes(node);
    if (!isOwner && change.live_writes.length + change.durable_writes.length === 0) continue;
    const isDown = data.outages.some((outage) => outage.node === node && outage.from_us <= state.at && endOf(outage) > state.at);
    body.append(html("tr", {}, html("td", {}, html("b", {}, nodeName(node)), isDown ? " (does not work)" : ""),
      html("td", {}, isOwner ? "owner" : "keeps it for an owner"),
      html("td", {}, ...chips(change ? change.live_writes : []),
        ...change && knownOnly(change).length ? [html("div", { class: "nothing" }, "knows of ", ...knownOnly(change).map(chip), " and does not hold it")] : []),
      html("td", {}, ...chips(change ? change.durable_writes : [])),
      html("td", { class: "time" }, change ? `${seconds(change.at_us)} s` : "")));
  }
  table.replaceChildren(html("thead", {}, html("tr", {}, ...["node", "as", "holds", "would hold after a crash", "since"].map((name) => html("th", {}, name)))), body);
}

const LISTED_MAX = 250;
function drawList(what) {
  const lines = [
    ...what.messages.map((message) => [message.ended_us, "message", messageWords(message), message.key]),
    ...what.operations.map((operation) => [operation.ended_us, "operation", operationWords(operation), operation.key]),
    ...what.notes.map((note) => [note.at_us, "note", noteWords(note), note.key]),
    ...what.changes.map((change) => [change.at_us, "copy", changeWords(change), change.key]),
    ...failures.map((failure) => [failure.at_us, "failure", `${failure.check} is violated`, failure.key])
      .filter(([at]) => { const [from, until] = windowNow(); return at >= from && at <= until; }),
  ];
  const near = nearest(lines, (entry) => entry[0], LISTED_MAX).sort((a, b) => a[0] - b[0]);
  const body = html("tbody", {}, ...near.map(([at, sort, words, key]) => {
    const row = html("tr", { "data-at": at, "data-sort": sort, "data-key": key === null ? "" : keyName(key) },
      html("td", { class: "time" }, `${seconds(at)} s`), html("td", {}, sort), html("td", {}, words));
    row.addEventListener("click", () => look({ at }));
    return row;
  }));
  const left = lines.length - near.length;
  if (left > 0) body.append(html("tr", {}, html("td", { colspan: 3, class: "nothing" }, `and ${count(left)} more, further away`)));
  element("list").replaceChildren(html("thead", {}, html("tr", {}, ...["when", "what", ""].map((name) => html("th", {}, name)))), body);
}

function drawSummary(what, { left, hidden }) {
  const part = (list, of, noun) => `${count(list.length)} of ${count(of)} ${noun}`;
  const sentences = [`Shown: ${part(what.messages, data.messages.of, "messages")}, ${part(what.operations, data.operations.of, "operations")}, `
    + `from ${seconds(Math.max(windowNow()[0], 0))} s to ${seconds(windowNow()[1])} s.`];
  if (data.messages.rows.length < data.messages.of) {
    sentences.push(`Of the run ${count(data.messages.rows.length)} messages were kept: those about what failed and near it, and a sample of the rest.`);
  }
  if (left > 0) sentences.push(`${count(left)} arrows are not drawn: choose a shorter window.`);
  if (hidden > 0) sentences.push(`${count(hidden)} lanes are not drawn.`);
  const place = element("summary");
  place.textContent = sentences.join(" ");
  place.dataset.messages = what.messages.length;
  place.dataset.operations = what.operations.length;
  place.dataset.notes = what.notes.length;
}

/** The writes that are seen below the lanes, each with its colour. */
function drawWritesLegend() {
  const [from, until] = windowNow();
  const last = new Map();
  const seen = new Set();
  for (const change of copies) {
    if (change.key !== state.key || change.at_us > until) continue;
    if (change.at_us < from) last.set(change.node, change.live_writes);
    else change.live_writes.forEach((write) => seen.add(write));
  }
  for (const live of last.values()) live.forEach((write) => seen.add(write));
  const all = [...seen].sort((a, b) => a - b);
  element("writes-legend").replaceChildren(...all.slice(0, 24).map(chip),
    ...all.length > 24 ? [html("span", { class: "nothing" }, `and ${count(all.length - 24)} more`)] : []);
}

function draw() {
  element("at").value = state.at;
  element("now").textContent = `${seconds(state.at)} s`;
  element("key").value = state.key === null ? "" : state.key;
  element("kind").value = state.kind === null ? "" : state.kind;
  element("node").value = state.node === null ? "" : state.node;
  const span = SPANS.find((seconds) => Math.abs(seconds * 1e6 - state.span) < 1);
  element("span").value = span === undefined ? "" : span;
  const what = shown();
  drawOverview();
  drawSummary(what, drawLanes(what));
  drawWritesLegend();
  drawCopies();
  drawClocks();
  drawList(what);
}

// ---- what does not change

function option(value, text) { return html("option", { value }, text); }

function fillControls() {
  const followed = data.keys.flatMap((key, at) => key.is_followed ? [at] : []);
  const others = data.keys.flatMap((key, at) => key.is_followed ? [] : [at]);
  const failed = new Set(failures.map((failure) => failure.key));
  const keyOption = (at) => option(at, failed.has(at) ? `${keyName(at)} (violated)` : keyName(at));
  element("key").append(option("", "any"), html("optgroup", { label: "copies are followed" }, ...followed.map(keyOption)));
  if (others.length) element("key").append(html("optgroup", { label: "others" }, ...others.slice(0, 500).map(keyOption)));
  const kinds = data.kinds.map((name, at) => [name, at]).sort(([a], [b]) => a < b ? -1 : 1);
  element("kind").append(option("", "all"), ...kinds.map(([name, at]) => option(at, name)));
  element("node").append(option("", "all"), ...data.nodes.map((name, at) => option(at, name)));
  element("span").append(option("", "as it is"), ...SPANS.map((span) => option(span, span < 1 ? `${span * 1000} ms` : `${span} s`)));
  element("at").max = data.ended_us;
  element("at").step = 1;

  const chosen = (id) => element(id).value === "" ? null : Number(element(id).value);
  for (const id of ["key", "kind", "node"]) element(id).addEventListener("change", () => look({ [id]: chosen(id) }));
  element("span").addEventListener("change", () => { if (chosen("span") !== null) look({ span: chosen("span") * 1e6 }); });
  element("at").addEventListener("input", () => look({ at: Number(element("at").value) }));
  element("reset").addEventListener("click", () => look({ key: null, kind: null, node: null }));
  element("opening").addEventListener("click", () => look(atFirst()));
  const times = () => [
    ...messages.filter(isMessage).map((message) => message.ended_us),
    ...operations.filter(isOperation).map((operation) => operation.ended_us),
  ];
  element("next").addEventListener("click", () => {
    const at = times().reduce((best, time) => time > state.at && time < best ? time : best, Infinity);
    if (at < Infinity) look({ at });
  });
  element("previous").addEventListener("click", () => {
    const at = times().reduce((best, time) => time < state.at && time > best ? time : best, -1);
    if (at >= 0) look({ at });
  });
  element("controls").addEventListener("submit", (event) => event.preventDefault());
}

function fillLegend() {
  const entry = (colour, text) => {
    const swatch = html("i", {});
    swatch.style.background = colour;
    return html("li", {}, swatch, text);
  };
  const dashed = "repeating-linear-gradient(90deg, var(--bad) 0 4px, transparent 4px 7px)";
  // Only what occurs is explained.
  const group = (name, entries) => {
    const occurring = entries.filter(([occurs]) => occurs).map(([, colour, text]) => entry(colour, text));
    return occurring.length ? [html("li", { class: "group" }, name), ...occurring] : [];
  };
  const services = new Set(messages.map((message) => service(message.kind)));
  const endings = new Set(operations.map((operation) => operation.ending));
  const isOut = (how) => data.outages.some((outage) => outage.how === how);
  element("legend").append(
    ...group("messages", [...SERVICES.map(([name, text]) => [services.has(name), `var(--${name})`, text]),
      [messages.some((message) => message.lost_because_it !== null), dashed, "one that is lost"]]),
    ...group("operations of clients", Object.entries(ENDINGS).map(([name, [colour, text]]) => [endings.has(name), colour, text])),
    ...group("nodes", [[data.faults.length, "var(--fault)", "a fault"],
      [data.faults.some((fault) => fault.nodes.length), "var(--fault-wash)", "a node that it hits"], [isOut("down"), "var(--down)", "down"],
      [isOut("paused"), "var(--paused)", "paused"], [notes.some((note) => note.node !== null), "var(--ink)", "○ something noticed"]]),
    ...group("times", [[failures.length, "var(--bad)", "not true; violated"],
      [true, "repeating-linear-gradient(90deg, var(--ink) 0 2px, transparent 2px 5px)", "the chosen moment"]]),
    ...group("below a lane", [
      [copies.length, "linear-gradient(90deg, hsl(210 62% 52%), hsl(347 62% 52%))", "what the node holds, pale until durable; outlined in red: in question"],
      [copies.some((change) => knownOnly(change).length), "repeating-linear-gradient(90deg, var(--faint) 0 3px, transparent 3px 6px)", "what it knows of and does not hold"]]));
  element("overview-legend").append(entry("var(--gossip)", "messages"), entry("var(--bad)", "lost ones; a violation"),
    ...data.faults.length ? [entry("var(--fault)", "faults")] : [], entry("var(--window)", "what is looked at"));
  element("story-legend").append(...SORTS.filter(([sort]) => data.story.some((line) => line.sort === sort))
    .map(([sort, text]) => entry(`var(--${sort})`, text)));
}

const SORTS = [
  ["asked", "a client asks"], ["minted", "a write is stored, and a dot minted"], ["copy", "a copy comes, changes or goes"], ["said", "a node says something"],
  ["noticed", "a node notices something"], ["told", "a client is answered"], ["fault", "something is broken, or ends"], ["violated", "not true; violated"],
];

function fillStory() {
  const verdicts = { pass: "PASSED", fail: "FAILED", nondeterministic: "NOT DETERMINISTIC" };
  element("badge").textContent = verdicts[data.verdict];
  element("facts").replaceChildren(`${data.path}, seed `, html("code", {}, String(data.seed)), ", digest ", html("code", {}, data.digest),
    html("br", {}), "again: ", html("code", {}, data.again), html("br", {}), data.time_base);
  const failed = data.verdict !== "pass";
  element("failure").dataset.failed = failed;
  element("failure-heading").textContent = failed ? "What failed" : "Everything held";
  const told = failures.map((failure) => {
    const to = html("button", { type: "button" }, `${seconds(failure.at_us)} s`);
    to.addEventListener("click", () => look({ at: failure.at_us, key: failure.key }));
    return html("div", { class: "violation", "data-check": failure.check }, html("strong", {}, failure.check), " is violated, noticed at ", to,
      html("p", {}, `The promise: ${failure.promise}.`),
      html("pre", {}, failure.story),
      ...failure.details.length ? [html("ul", { class: "details" }, ...failure.details.map((detail) => html("li", {}, detail)))] : []);
  });
  if (!data.is_deterministic) told.push(html("p", {}, "Two runs with this seed differ: something decides that is not in the seed. This is the second."));
  if (told.length === 0) told.push(html("p", {}, "No promise was broken. Look around: choose a key, and move through time."));
  element("violations").replaceChildren(...told);

  element("story-section").hidden = data.story.length === 0;
  element("story").replaceChildren(...data.story.map((entry) => {
    const to = html("button", { type: "button", class: "time" }, entry.sort === "gap" ? "…" : `${seconds(entry.at_us)} s`);
    to.addEventListener("click", () => { look({ at: entry.at_us }); element("look").scrollIntoView(); });
    const words = html("span", {}, entry.text);
    if (entry.lie) words.append(html("strong", { class: "truth" }, `Not true: ${entry.lie}`));
    return html("li", { class: entry.lie ? `${entry.sort} lie` : entry.sort }, to, words);
  }));
  element("cluster").append(...data.cluster.map((text) => html("li", {}, text)));
  element("words").append(...data.words.flatMap(([word, meaning]) => [html("dt", {}, word), html("dd", {}, meaning)]));
  const totals = { events: data.totals.events, messages: data.totals.messages, operations: data.totals.operations,
    acknowledged: data.totals.acknowledged, "timed out": data.totals.unknown, refused: data.totals.refused,
    "reads with siblings": data.totals.siblings };
  for (const [name, number] of [...Object.entries(totals).map(([name, number]) => [name, count(number)]), ["simulated", `${seconds(data.ended_us, 3)} s`]]) {
    element("totals").append(html("div", {}, html("dt", {}, name), html("dd", {}, number)));
  }
  element("checks").append(html("tbody", {}, ...Object.entries(data.checks).map(([name, found]) => html("tr", {}, html("td", {}, name),
    html("td", {}, found.verdict === "pass" ? (found.examined ? "held" : "nothing to examine") : "violated"), html("td", {}, `${count(found.examined)} examined`)))));
  if (data.moments.length === 0) element("moments").append(html("li", {}, "nothing but the ordinary delays"));
  element("moments").append(...data.moments.map((moment) => html("li", {}, `${seconds(moment.at_us)} s  ${moment.what}`)));
  element("scenario").textContent = data.scenario_text;
}

try {
  fillControls();
  fillLegend();
  fillStory();
  document.querySelector("main").hidden = false;
  readAddress();
  draw();
  window.addEventListener("hashchange", () => { readAddress(); draw(); });
  let waits = false;
  window.addEventListener("resize", () => {
    if (waits) return;
    waits = true;
    requestAnimationFrame(() => { waits = false; draw(); });
  });
  document.documentElement.dataset.ready = "true";
} catch (error) {
  complain(error);
}
