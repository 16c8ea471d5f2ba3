"use strict";
// The page of a report: reads the data in it, and draws what is asked for. What is shown is a function
// of the part of the address behind the #, so that a link leads to what its sender saw.

(() => {
const element = (id) => document.getElementById(id);

function complain(error) {
  const place = element("errors");
  place.hidden = false;
  place.textContent += `${error && error.stack || error}\n`;
}
window.addEventListener("error", (event) => complain(event.error || event.message));
window.addEventListener("unhandledrejection", (event) => complain(event.reason));

const data = JSON.parse(element("data").textContent);

// ---- the data, with names

/** The rows of a table as objects. */
function rows(table) {
  return table.rows.map((row, index) => {
    const made = { index };
    table.columns.forEach((column, at) => { made[column] = row[at]; });
    return made;
  });
}

const messages = rows(data.messages);
const operations = rows(data.operations);
const notes = rows(data.notes);
const copies = rows(data.copies);
const writes = rows(data.writes);
const failures = data.violations;
const inQuestion = new Set(failures.flatMap((failure) => failure.writes));

const seconds = (us, digits = 6) => (us / 1e6).toFixed(digits);
const count = (number) => number.toLocaleString("en-US");
const nodeName = (node) => data.nodes[node];
const keyName = (key) => key === null ? "no single key" : data.keys[key].name;
const requester = (pair) => pair ? `client ${pair[0]} #${pair[1]}` : "the nodes themselves";

/** What a kind of message serves, for its colour. */
function service(kind) {
  const name = data.kinds[kind];
  if (/^gossip/.test(name)) return "gossip";
  if (/^repair/.test(name)) return "repair";
  if (/^hint/.test(name)) return "hint";
  return /^read/.test(name) ? "read" : "write";
}
const SERVICES = [
  ["write", "writes: mint, merge, acknowledge"], ["read", "reads"], ["hint", "hints"],
  ["repair", "repair"], ["gossip", "gossip"],
];
const ENDINGS = {
  answered: ["var(--good)", "answered"], refused: ["var(--hint)", "refused"],
  unreachable: ["var(--hint)", "nobody listened"], unknown: ["var(--bad)", "nobody knows how it ended"],
  never: ["var(--gossip)", "not over at the end"],
};

/** A colour of its own for each write: neighbours in the list differ most, and none is red, as a failure is. */
const writeColour = (write) => `hsl(${35 + (write * 137.508 + 170) % 290} 62% 50%)`;
const nodeColour = (node) => `hsl(${(node * 137.508 + 20) % 360} 60% 48%)`;

function messageWords(message) {
  const fate = message.lost_because_it ? `, but it ${message.lost_because_it}` : "";
  return `${data.kinds[message.kind]} from ${nodeName(message.from)} to ${nodeName(message.to)}, `
    + `${seconds(message.sent_us)} s to ${seconds(message.ended_us)} s${fate}; about ${keyName(message.key)}, `
    + `for ${requester(message.client_and_operation)}`;
}
function operationWords(operation) {
  const value = operation.asked === "put" ? ` "${operation.value}"` : "";
  const told = operation.told || ENDINGS[operation.ending][1];
  return `client ${operation.client} #${operation.number}: ${operation.asked}${value} ${keyName(operation.key)} at `
    + `${nodeName(operation.node)}, ${seconds(operation.begun_us)} s to ${seconds(operation.ended_us)} s: ${told}`;
}
function noteWords(note) {
  return `${note.node === null ? "checks:" : nodeName(note.node)} ${note.text}`;
}

// ---- what is looked at

const SPANS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];
const state = { key: null, kind: null, node: null, at: 0, span: 1e6 };

/** What is looked at if the address does not say: the failure, closely. */
function atFirst() {
  const chaos = data.phases.find((phase) => phase.name === "chaos");
  const first = { key: null, kind: null, node: null, at: chaos ? chaos.from_us + 250000 : 0, span: 500000 };
  const failure = failures[0];
  if (!failure) return first;
  first.at = failure.at_us;
  if (failure.key !== null) first.key = failure.key;
  const lines = data.story.filter((line) => line.sort !== "fault" && line.sort !== "gap" && line.sort !== "violated");
  if (lines.length === 0) return first;
  // What is noticed in the end began earlier: there is more to see where the write was still there.
  const last = lines[lines.length - 1].at_us;
  if (failure.at_us - last > 2e6) first.at = last;
  const wanted = 2.4 * Math.abs(first.at - lines[0].at_us) / 1e6;
  first.span = 1e6 * (SPANS.find((span) => span >= Math.min(Math.max(wanted, 0.02), 2)) || 2);
  return first;
}

function place(names, name) {
  const found = names.indexOf(name);
  return found < 0 ? null : found;
}

function readAddress() {
  Object.assign(state, atFirst());
  const said = new URLSearchParams(location.hash.slice(1));
  const keys = data.keys.map((key) => key.name);
  if (said.has("key")) state.key = place(keys, said.get("key"));
  if (said.has("kind")) state.kind = place(data.kinds, said.get("kind"));
  if (said.has("node")) state.node = place(data.nodes, said.get("node"));
  const number = (name) => {
    const value = Number.parseFloat(said.get(name));
    return Number.isFinite(value) ? value * 1e6 : null;
  };
  const [at, span] = [number("at"), number("span")];
  if (at !== null) state.at = Math.min(Math.max(Math.round(at), 0), data.ended_us);
  if (span !== null && span > 0) state.span = Math.min(span, 2 * data.ended_us + 1);
}

function writeAddress() {
  const say = new URLSearchParams();
  // "any" is said too: without it the page would begin with the key that failed.
  say.set("key", state.key === null ? "any" : data.keys[state.key].name);
  if (state.kind !== null) say.set("kind", data.kinds[state.kind]);
  if (state.node !== null) say.set("node", nodeName(state.node));
  say.set("at", seconds(state.at));
  say.set("span", String(state.span / 1e6));
  try { history.replaceState(null, "", `#${say}`); } catch { /* Some viewers keep the address. */ }
}

function look(change) {
  Object.assign(state, change);
  state.at = Math.min(Math.max(Math.round(state.at), 0), data.ended_us);
  writeAddress();
  draw();
}

const windowNow = () => [state.at - state.span / 2, state.at + state.span / 2];
const isMessage = (message) => (state.key === null || message.key === state.key)
  && (state.kind === null || message.kind === state.kind)
  && (state.node === null || message.from === state.node || message.to === state.node);
const isOperation = (operation) => (state.key === null || operation.key === state.key)
  && (state.node === null || operation.node === state.node);
const isNote = (note) => (state.key === null || note.key === null || note.key === state.key)
  && (state.node === null || note.node === null || note.node === state.node);

function shown() {
  const [from, until] = windowNow();
  const meets = (begin, end) => begin <= until && end >= from;
  return {
    messages: messages.filter((message) => isMessage(message) && meets(message.sent_us, message.ended_us)),
    operations: operations.filter((operation) => isOperation(operation) && meets(operation.begun_us, operation.ended_us)),
    notes: notes.filter((note) => isNote(note) && meets(note.at_us, note.at_us)),
    changes: copies.filter((change) => change.key === state.key && meets(change.at_us, change.at_us)
      && (state.node === null || change.node === state.node)),
  };
}

// ---- drawing

const SVG = "http://www.w3.org/2000/svg";
function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}
function html(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  made.append(...children);
  return made;
}
const label = (x, y, text, attributes = {}) => svg("text", { x, y, ...attributes }, text);
const titled = (made, text) => { made.append(svg("title", {}, text)); return made; };
const line = (x1, y1, x2, y2, attributes) => svg("line", { x1, y1, x2, y2, ...attributes });
const box = (x, y, width, height, attributes) => svg("rect", { x, y, width: Math.max(width, 1), height, ...attributes });
const widthOf = (id) => Math.max(element(id).clientWidth || 0, 320);

const GUTTER = 78;

/** Round times between two moments, for a grid of about so many lines. */
function ticks(from, until, wanted) {
  const rough = (until - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 1)));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough) || rough;
  const made = [];
  for (let at = Math.ceil(Math.max(from, 0) / step) * step; at <= until; at += step) made.push(at);
  const digits = Math.max(0, 6 - Math.floor(Math.log10(step)));
  return made.map((at) => [at, `${seconds(at, Math.min(digits, 6))} s`]);
}

/** Bars in as few rows as they need. */
function packed(bars, rowsMax) {
  const ends = [];
  return bars.map((bar) => {
    let row = ends.findIndex((end) => end <= bar.from_us);
    if (row < 0) row = ends.length < rowsMax ? ends.length : rowsMax - 1;
    ends[row] = bar.until_us === null ? Infinity : bar.until_us;
    return { ...bar, row };
  });
}
const endOf = (bar) => bar.until_us === null ? data.ended_us : bar.until_us;

function drawOverview() {
  const width = widthOf("overview"), tall = 46, rowHeight = 6;
  const bars = packed(data.faults, 6);
  const faultRows = bars.reduce((most, bar) => Math.max(most, bar.row + 1), 0);
  const height = 14 + faultRows * rowHeight + tall + 16;
  const x = (at) => at / Math.max(data.ended_us, 1) * width;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "the whole run" });
  let end = -Infinity;
  for (const phase of data.phases) {
    picture.append(line(x(phase.from_us), 0, x(phase.from_us), height - 14, { class: "grid" }));
    if (x(phase.from_us) > end) {
      picture.append(label(x(phase.from_us) + 3, 10, phase.name));
      end = x(phase.from_us) + 8 * phase.name.length;
    }
  }
  for (const bar of bars) {
    picture.append(titled(box(x(bar.from_us), 14 + bar.row * rowHeight, x(endOf(bar)) - x(bar.from_us), rowHeight - 2,
      { class: "fault", rx: 2 }), `${bar.kind}: ${bar.what}`));
  }
  const floor = 14 + faultRows * rowHeight + tall;
  const slices = data.traffic.slices;
  const most = Math.max(1, ...slices.map((slice) => slice.received + slice.lost));
  slices.forEach((slice, at) => {
    const left = x(at * data.traffic.slice_us), wide = x(data.traffic.slice_us) - 0.3;
    // The root shows the quiet parts beside the busy ones.
    const part = (number) => Math.sqrt(number / most) * (tall - 6);
    const all = part(slice.received + slice.lost);
    if (all > 0) picture.append(box(left, floor - all, wide, all, { class: "received" }));
    if (slice.lost > 0) picture.append(box(left, floor - part(slice.lost), wide, part(slice.lost), { class: "lost-bar" }));
  });
  const [from, until] = windowNow();
  picture.append(box(x(from), 0, Math.max(x(until) - x(from), 3), floor, { class: "window" }));
  picture.append(line(x(state.at), 0, x(state.at), floor, { class: "window-edge" }));
  for (const failure of failures) {
    picture.append(titled(line(x(failure.at_us), 0, x(failure.at_us), floor, { class: "failed" }),
      `${failure.check} is violated at ${seconds(failure.at_us)} s`));
  }
  for (const [at, text] of ticks(0, data.ended_us, 8)) {
    picture.append(label(Math.min(x(at) + 2, width - 40), height - 3, text));
  }
  const follow = (event) => {
    const frame = picture.getBoundingClientRect();
    look({ at: (event.clientX - frame.left) / frame.width * data.ended_us });
  };
  picture.addEventListener("pointerdown", follow);
  picture.addEventListener("pointermove", (event) => { if (event.buttons & 1) follow(event); });
  element("overview").replaceChildren(picture);
}

const NODES_MAX = 24, CLIENTS_MAX = 24, DRAWN_MAX = 1500;

/** The lanes that take part in what is shown. */
function lanes(what) {
  const involved = new Set(what.messages.flatMap((message) => [message.from, message.to]));
  for (const operation of what.operations) involved.add(operation.node);
  if (state.key !== null) for (const owner of data.keys[state.key].owners) involved.add(owner);
  const everybody = data.nodes.map((_, node) => node);
  let nodes = data.nodes.length <= NODES_MAX && state.node === null
    ? everybody : everybody.filter((node) => involved.has(node) || node === state.node);
  if (nodes.length === 0) nodes = everybody;
  const clients = [...new Set(what.operations.map((operation) => operation.client))].sort((a, b) => a - b);
  return {
    nodes: nodes.slice(0, NODES_MAX), clients: clients.slice(0, CLIENTS_MAX),
    hidden: Math.max(nodes.length - NODES_MAX, 0) + Math.max(clients.length - CLIENTS_MAX, 0),
  };
}

/** Of too many, those nearest to the moment. */
function nearest(items, middle, most) {
  if (items.length <= most) return items;
  return [...items].sort((a, b) => Math.abs(middle(a) - state.at) - Math.abs(middle(b) - state.at)).slice(0, most);
}

function drawLanes(what) {
  const width = widthOf("lanes"), [from, until] = windowNow();
  const x = (at) => GUTTER + (at - from) / (until - from) * (width - GUTTER);
  const within = (at) => Math.min(Math.max(x(at), GUTTER), width);
  const { nodes, clients, hidden } = lanes(what);
  const active = packed(data.faults.filter((bar) => bar.from_us <= until && endOf(bar) >= from), 8);
  const faultRows = active.reduce((most, bar) => Math.max(most, bar.row + 1), 0);
  const top = 20 + faultRows * 18, clientTall = 26, nodeTall = 50;
  const clientY = new Map(clients.map((client, at) => [client, top + 8 + at * clientTall]));
  const nodesTop = top + clients.length * clientTall + 14;
  const nodeY = new Map(nodes.map((node, at) => [node, nodesTop + 16 + at * nodeTall]));
  const height = nodesTop + nodes.length * nodeTall + 6;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img",
    "aria-label": "nodes and clients over time; the same stands in words below" });
  const defs = svg("defs", {});
  for (const [name] of [...SERVICES, ["bad"]]) {
    defs.append(svg("marker", { id: `head-${name}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 6, markerHeight: 6,
      orient: "auto", markerUnits: "userSpaceOnUse" }, svg("path", { d: "M0,0.5 L8,4 L0,7.5 z", fill: `var(--${name})` })));
  }
  const clip = svg("clipPath", { id: "inside" }, box(GUTTER, 0, width - GUTTER, height, {}));
  defs.append(clip);
  picture.append(defs);
  const inside = svg("g", { "clip-path": "url(#inside)" });
  picture.append(inside);

  for (const [at, text] of ticks(from, until, Math.max(Math.floor(width / 130), 2))) {
    inside.append(line(x(at), 14, x(at), height, { class: "grid" }), label(x(at) + 3, 11, text));
  }
  for (const bar of active) {
    const y = 18 + bar.row * 18, left = within(bar.from_us);
    inside.append(titled(box(left, y, within(endOf(bar)) - left, 15, { class: "fault", rx: 3 }), `${bar.kind}: ${bar.what}`));
    inside.append(label(left + 5, y + 11.5, `${bar.kind}: ${bar.what}`, { class: "on-bar" }));
    for (const node of bar.nodes) {
      if (nodeY.has(node)) inside.append(box(left, nodeY.get(node) - 14, within(endOf(bar)) - left, nodeTall - 6, { class: "fault-wash" }));
    }
  }
  for (const outage of data.outages) {
    if (!nodeY.has(outage.node) || outage.from_us > until || endOf(outage) < from) continue;
    const left = within(outage.from_us), y = nodeY.get(outage.node) - 14;
    inside.append(titled(box(left, y, within(endOf(outage)) - left, nodeTall - 6, { class: outage.how, rx: 3 }),
      `${nodeName(outage.node)} is ${outage.how}, ${seconds(outage.from_us)} s to ${seconds(endOf(outage))} s`));
    inside.append(label(left + 5, y + 12, outage.how));
  }
  const owners = state.key === null ? [] : data.keys[state.key].owners;
  for (const node of nodes) {
    const y = nodeY.get(node);
    inside.append(line(GUTTER, y, width, y, { class: "lane" }));
    picture.append(label(2, y + 4, nodeName(node).slice(0, 9), { class: "name" }));
    if (owners.includes(node)) picture.append(label(2, y + 18, "owner"));
  }
  for (const client of clients) {
    picture.append(label(2, clientY.get(client) + 11, `client ${client}`, { class: "name" }));
  }
  if (state.key !== null && data.keys[state.key].is_followed) drawRibbons(inside, nodeY, x, within, from, until);

  for (const operation of nearest(what.operations, (operation) => operation.ended_us, DRAWN_MAX)) {
    if (!clientY.has(operation.client)) continue;
    const y = clientY.get(operation.client), left = within(operation.begun_us), right = within(operation.ended_us);
    if (nodeY.has(operation.node)) {
      const to = nodeY.get(operation.node);
      inside.append(line(x(operation.begun_us), y + 16, x(operation.begun_us), to, { class: "tie" }),
        line(x(operation.ended_us), to, x(operation.ended_us), y + 16, { class: "tie" }));
    }
    const bar = box(left, y, right - left, 16, { class: "operation", rx: 3, fill: ENDINGS[operation.ending][0] });
    bar.addEventListener("click", () => { element("detail").textContent = operationWords(operation); });
    inside.append(titled(bar, operationWords(operation)));
    const words = operation.asked === "put" ? `put ${operation.value}` : operation.asked;
    const text = state.key === null ? `${words} ${keyName(operation.key)}` : words;
    if (right - left > 6.2 * text.length + 6) inside.append(label(left + 4, y + 12, text, { class: "on-bar" }));
  }
  const drawn = nearest(what.messages, (message) => message.ended_us, DRAWN_MAX);
  for (const message of drawn) {
    if (!nodeY.has(message.from) || !nodeY.has(message.to)) continue;
    const lost = message.lost_because_it !== null, use = service(message.kind);
    const [x1, y1, x2, y2] = [x(message.sent_us), nodeY.get(message.from), x(message.ended_us), nodeY.get(message.to)];
    const path = message.from === message.to
      ? `M${x1},${y1} C${x1},${y1 - 22} ${x2},${y1 - 22} ${x2},${y1}` : `M${x1},${y1} L${x2},${y2}`;
    const arrow = svg("path", { d: path, class: lost ? "message lost" : "message", stroke: `var(--${use})`,
      "marker-end": `url(#head-${lost ? "bad" : use})`, "data-message": message.index });
    arrow.addEventListener("click", () => {
      for (const other of picture.querySelectorAll(".chosen")) other.classList.remove("chosen");
      arrow.classList.add("chosen");
      element("detail").textContent = messageWords(message);
    });
    inside.append(titled(arrow, messageWords(message)));
    if (lost) inside.append(label(x2 - 4, y2 + 4, "×", { class: "failed-text" }));
  }
  for (const note of nearest(what.notes, (note) => note.at_us, 300)) {
    if (note.node === null || !nodeY.has(note.node)) continue;
    const dot = svg("circle", { cx: x(note.at_us), cy: nodeY.get(note.node), r: 3, class: "note" });
    dot.addEventListener("click", () => { element("detail").textContent = `${seconds(note.at_us)} s: ${noteWords(note)}`; });
    inside.append(titled(dot, `${seconds(note.at_us)} s: ${noteWords(note)}`));
  }
  inside.append(line(x(state.at), 14, x(state.at), height, { class: "cursor" }));
  for (const failure of failures) {
    if (failure.at_us < from || failure.at_us > until) continue;
    const at = x(failure.at_us), onLeft = at - GUTTER > (width - GUTTER) / 2;
    inside.append(line(at, 14, at, height, { class: "failed" }));
    inside.append(label(onLeft ? at - 6 : at + 6, height - 4, `${failure.check} is violated`,
      { class: "failed-text", "text-anchor": onLeft ? "end" : "start" }));
  }
  element("lanes").replaceChildren(picture);
  return { left: what.messages.length - drawn.length, hidden };
}

/** Below each lane: what its node holds of the key, a colour for each sibling. */
function drawRibbons(inside, nodeY, x, within, from, until) {
  const perNode = new Map();
  for (const change of copies) {
    if (change.key !== state.key || change.at_us > until) continue;
    if (!perNode.has(change.node)) perNode.set(change.node, []);
    const changes = perNode.get(change.node);
    if (change.at_us <= from) changes.length = 0;
    changes.push(change);
  }
  for (const [node, changes] of perNode) {
    if (!nodeY.has(node)) continue;
    const y = nodeY.get(node) + 10, tall = 14;
    changes.forEach((change, at) => {
      const left = within(change.at_us), right = at + 1 < changes.length ? within(changes[at + 1].at_us) : within(until);
      const live = change.live_writes, each = tall / Math.max(live.length, 1);
      live.forEach((write, row) => {
        const durable = change.durable_writes.includes(write);
        const part = box(left, y + row * each, right - left, each - (live.length > 1 ? 1 : 0),
          { fill: writeColour(write), opacity: durable ? 0.9 : 0.4 });
        if (inQuestion.has(write)) { part.setAttribute("stroke", "var(--bad)"); part.setAttribute("stroke-width", 1.6); }
        inside.append(titled(part, `${nodeName(node)} holds ${writeWords(write)}${durable ? "" : ", not yet durably"}, since ${seconds(change.at_us)} s`));
        const text = writes[write].value || writes[write].name;
        if (each > 9 && right - left > 6.2 * text.length + 6) inside.append(label(left + 4, y + row * each + 11, text, { class: "on-bar" }));
      });
    });
  }
}

function writeWords(write) {
  const { name, value, client_and_operation } = writes[write];
  if (!value) return name;
  return client_and_operation ? `${name} "${value}" of ${requester(client_and_operation)}` : `${name} "${value}"`;
}

// ---- what stands beside the picture

function chip(write) {
  const made = html("span", { class: inQuestion.has(write) ? "chip in-question" : "chip", title: writeWords(write) },
    writes[write].value ? `${writes[write].value} · ${writes[write].name}` : writes[write].name);
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
      html("td", {}, ...chips(change ? change.live_writes : [])),
      html("td", {}, ...chips(change ? change.durable_writes : [])),
      html("td", { class: "time" }, change ? `${seconds(change.at_us)} s` : "")));
  }
  table.replaceChildren(html("thead", {}, html("tr", {}, ...["node", "as", "holds", "would hold after a crash", "since"].map((name) => html("th", {}, name)))), body);
}

/** A line of points at a moment. */
function along(points, at, value) {
  let before = points[0];
  for (const point of points) {
    if (point[0] > at) {
      const share = (at - before[0]) / Math.max(point[0] - before[0], 1);
      return before[value] + share * (point[value] - before[value]);
    }
    before = point;
  }
  return before[value];
}

function drawClocks() {
  const clocks = data.clocks.filter((clock) => clock.points.length > 0 && (state.node === null || clock.node === state.node));
  const width = widthOf("clocks"), height = 170;
  const all = clocks.flatMap((clock) => clock.points.flatMap(([, wall, monotonic]) => [wall, monotonic]));
  const low = Math.min(0, ...all), high = Math.max(0, ...all), room = Math.max(high - low, 1000);
  const x = (at) => GUTTER + at / Math.max(data.ended_us, 1) * (width - GUTTER - 8);
  const y = (us) => 10 + (high + room * 0.05 - us) / (room * 1.1) * (height - 32);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "offsets of the nodes' clocks over the run" });
  for (const us of [low, 0, high]) {
    if (us !== 0 && Math.abs(y(us) - y(0)) < 14) continue;
    picture.append(line(GUTTER, y(us), width, y(us), { class: "grid" }), label(2, y(us) + 4, `${(us / 1000).toFixed(1)} ms`));
  }
  for (const [at, text] of ticks(0, data.ended_us, 8)) picture.append(label(Math.min(x(at), width - 40), height - 4, text));
  for (const clock of clocks) {
    for (const [value, dashes] of [[1, "none"], [2, "3 4"]]) {
      const d = clock.points.map((point, at) => `${at ? "L" : "M"}${x(point[0])},${y(point[value])}`).join("");
      picture.append(titled(svg("path", { d, fill: "none", stroke: nodeColour(clock.node), "stroke-width": 1.7, "stroke-dasharray": dashes }),
        `${nodeName(clock.node)}, ${value === 1 ? "wall clock" : "monotonic clock"}`));
    }
  }
  picture.append(line(x(state.at), 6, x(state.at), height - 18, { class: "cursor" }));
  element("clocks").replaceChildren(picture);
  element("clock-legend").replaceChildren(...clocks.map((clock) => {
    const swatch = html("i", {});
    swatch.style.background = nodeColour(clock.node);
    const ms = (value) => { const us = along(clock.points, state.at, value); return `${us < 0 ? "−" : "+"}${Math.abs(us / 1000).toFixed(3)} ms`; };
    return html("li", {}, swatch, `${nodeName(clock.node)}: wall clock ${ms(1)}, monotonic ${ms(2)}`);
  }));
}

const LISTED_MAX = 250;
function drawList(what) {
  const lines = [
    ...what.messages.map((message) => [message.ended_us, "message", messageWords(message), message.key]),
    ...what.operations.map((operation) => [operation.ended_us, "operation", operationWords(operation), operation.key]),
    ...what.notes.map((note) => [note.at_us, "note", noteWords(note), note.key]),
    ...what.changes.map((change) => [change.at_us, "copy", `${nodeName(change.node)} now holds `
      + `${change.live_writes.map(writeWords).join(", ") || "nothing"} of ${keyName(change.key)}`, change.key]),
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
  const sentences = [`Shown: ${part(what.messages, data.messages.of, "messages")}, ${part(what.operations, data.operations.of, "operations")} within ${state.span / 1e6} s.`];
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
  element("span").append(option("", "other"), ...SPANS.map((span) => option(span, span < 1 ? `${span * 1000} ms` : `${span} s`)));
  element("at").max = data.ended_us;
  element("at").step = 1;

  const chosen = (id) => element(id).value === "" ? null : Number(element(id).value);
  for (const id of ["key", "kind", "node"]) element(id).addEventListener("change", () => look({ [id]: chosen(id) }));
  element("span").addEventListener("change", () => { if (chosen("span") !== null) look({ span: chosen("span") * 1e6 }); });
  element("at").addEventListener("input", () => look({ at: Number(element("at").value) }));
  element("reset").addEventListener("click", () => look({ key: null, kind: null, node: null }));
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
  element("legend").append(
    ...SERVICES.map(([name, text]) => entry(`var(--${name})`, text)),
    entry("repeating-linear-gradient(90deg, var(--bad) 0 4px, transparent 4px 7px)", "a message that is lost"),
    entry("var(--good)", "an operation that is answered"), entry("var(--hint)", "one that is refused"), entry("var(--bad)", "one of which nobody knows"),
    entry("var(--fault)", "a fault"), entry("var(--down)", "a node is down"),
    entry("linear-gradient(90deg, hsl(210 62% 52%), hsl(347 62% 52%))", "below a lane: the siblings it holds, pale until durable"));
}

function fillStory() {
  const verdicts = { pass: "PASSED", fail: "FAILED", nondeterministic: "NOT DETERMINISTIC" };
  element("badge").textContent = verdicts[data.verdict];
  element("facts").replaceChildren(`${data.path}, seed `, html("code", {}, String(data.seed)), ", digest ", html("code", {}, data.digest),
    html("br", {}), "again: ", html("code", {}, data.again));
  const failed = data.verdict !== "pass";
  element("failure").dataset.failed = failed;
  element("failure-heading").textContent = failed ? "What failed" : "Everything held";
  const told = failures.map((failure) => {
    const to = html("button", { type: "button" }, `${seconds(failure.at_us)} s`);
    to.addEventListener("click", () => look({ at: failure.at_us, key: failure.key }));
    return html("div", { class: "violation", "data-check": failure.check }, html("strong", {}, failure.check), " is violated, noticed at ", to,
      html("pre", {}, failure.story));
  });
  if (!data.is_deterministic) told.push(html("p", {}, "Two runs with this seed differ: something decides that is not in the seed. This is the second."));
  if (told.length === 0) told.push(html("p", {}, "No promise was broken. Look around: choose a key, and move through time."));
  element("violations").replaceChildren(...told);

  element("story-section").hidden = data.story.length === 0;
  element("story").replaceChildren(...data.story.map((entry) => {
    const to = html("button", { type: "button", class: "time" }, entry.sort === "gap" ? "…" : `${seconds(entry.at_us)} s`);
    to.addEventListener("click", () => { look({ at: entry.at_us }); element("look").scrollIntoView(); });
    return html("li", { class: entry.sort }, to, html("span", {}, entry.text));
  }));
  const totals = { events: data.totals.events, messages: data.totals.messages, operations: data.totals.operations,
    acknowledged: data.totals.acknowledged, "timed out": data.totals.unknown, refused: data.totals.refused,
    "reads with siblings": data.totals.siblings };
  for (const [name, number] of [...Object.entries(totals).map(([name, number]) => [name, count(number)]), ["simulated", `${seconds(data.ended_us, 3)} s`]]) {
    element("totals").append(html("div", {}, html("dt", {}, name), html("dd", {}, number)));
  }
  element("checks").append(html("tbody", {}, ...Object.entries(data.checks).map(([name, found]) => html("tr", {}, html("td", {}, name),
    html("td", {}, found.verdict === "pass" ? (found.examined ? "held" : "nothing to examine") : "violated"), html("td", {}, `${count(found.examined)} examined`)))));
  element("moments").append(...data.moments.map((moment) => html("li", {}, `${seconds(moment.at_us, 3)} s  ${moment.what}`)));
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
})();
