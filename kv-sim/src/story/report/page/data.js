// The page of a report: reads the data in it, and draws what is asked for. What is shown is a function
// of the part of the address behind the #, so that a link leads to what its sender saw.
//
// This part has the data and what is looked at; pictures.js draws, and words.js writes.

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

/** True where there is little room: names are short, and nothing sticks to the top. */
const isNarrow = () => document.documentElement.clientWidth < 560;

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
  const to = message.from === message.to ? "itself" : nodeName(message.to);
  return `${data.kinds[message.kind]} from ${nodeName(message.from)} to ${to}${message.says}, `
    + `${seconds(message.sent_us)} s to ${seconds(message.ended_us)} s${fate}; about ${keyName(message.key)}, `
    + `for ${requester(message.client_and_operation)}`;
}
function operationWords(operation) {
  const value = operation.asked === "put" ? ` "${operation.value}"` : "";
  const told = operation.told || ENDINGS[operation.ending][1];
  const asks = operation.asks || `${operation.asked}${value} ${keyName(operation.key)}`;
  return `client ${operation.client} #${operation.number} asks ${nodeName(operation.node)} ${asks}, `
    + `${seconds(operation.begun_us)} s to ${seconds(operation.ended_us)} s: ${told}`;
}
function writeWords(write) {
  const { name, label, client_and_operation } = writes[write];
  if (label === name) return name;
  return client_and_operation ? `${label} (${name}) of ${requester(client_and_operation)}` : `${label} (${name})`;
}
/** The writes in question that a copy accounts for, and does not hold. */
const knownOnly = (copy) => data.bits.filter((write, bit) => copy.knows >> bit & 1 && !copy.live_writes.includes(write));
const NOTHING = { live_writes: [], durable_writes: [], knows: 0 };
/** For each change of a copy, what the node held before. */
const copyBefore = (() => {
  const last = new Map();
  return copies.map((change) => {
    const place = `${change.node} ${change.key}`, before = last.get(place) || NOTHING;
    last.set(place, change);
    return before;
  });
})();
const labels = (list) => list.map((write) => writes[write].label).join(" and ");

/** A change of a copy: what came, what went, what is durable now, and what is held from then on. */
function changeWords(change) {
  const before = copyBefore[change.index], live = change.live_writes, durable = change.durable_writes;
  const without = (list, others) => list.filter((write) => !others.includes(write));
  const parts = [
    ["gets", without(live, before.live_writes)],
    ["drops", without(before.live_writes, live)],
    ["has synced", without(durable, before.durable_writes)],
    ["has synced that there is no more of", without(before.durable_writes, durable)],
    ["knows from now on, without holding it, of", without(knownOnly(change), knownOnly(before))],
  ].filter(([, list]) => list.length).map(([verb, list]) => `${verb} ${labels(list)}`);
  const isSame = live.length === durable.length && without(live, durable).length === 0;
  const state = isSame ? ", durably" : `, and after a crash ${labels(durable) || "nothing"}`;
  return `${nodeName(change.node)} ${parts.join(", ") || "changes what it knows"}: `
    + `it holds ${labels(live) || "nothing"}${live.length + durable.length ? state : ""} (${keyName(change.key)})`;
}
function noteWords(note) {
  return `${note.node === null ? "checks:" : nodeName(note.node)} ${note.text}`;
}

// ---- what is looked at

const SPANS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];
/** The window begins at `from` and lasts for `span`; `at` is the moment whose copies are shown. */
const state = { key: null, kind: null, node: null, at: 0, from: 0, span: 1e6 };

/** What is looked at if the address does not say: from the request to the violation. */
function atFirst() {
  const { from_us, until_us, at_us } = data.opens;
  const margin = Math.max((until_us - from_us) * 0.04, 2000);
  const key = failures.length ? failures[0].key : null;
  return { key, kind: null, node: null, at: at_us, from: from_us - margin, span: until_us - from_us + 2 * margin };
}

const centred = (at, span) => at - span / 2;

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
  const [at, span, from] = [number("at"), number("span"), number("from")];
  if (at !== null) state.at = Math.min(Math.max(Math.round(at), 0), data.ended_us);
  if (span !== null && span > 0) state.span = Math.min(span, 2 * data.ended_us + 1);
  if (from !== null) state.from = from;
  else if (at !== null || span !== null) state.from = centred(state.at, state.span);
}

function writeAddress() {
  const say = new URLSearchParams();
  // "any" is said too: without it the page would begin with the key that failed.
  say.set("key", state.key === null ? "any" : data.keys[state.key].name);
  if (state.kind !== null) say.set("kind", data.kinds[state.kind]);
  if (state.node !== null) say.set("node", nodeName(state.node));
  say.set("at", seconds(state.at));
  say.set("span", String(state.span / 1e6));
  if (Math.abs(state.from - centred(state.at, state.span)) > 1) say.set("from", seconds(state.from));
  try { history.replaceState(null, "", `#${say}`); } catch { /* Some viewers keep the address. */ }
}

function look(change) {
  Object.assign(state, change);
  state.at = Math.min(Math.max(Math.round(state.at), 0), data.ended_us);
  const isMoved = change.at !== undefined || change.span !== undefined;
  if (isMoved && change.from === undefined) state.from = centred(state.at, state.span);
  writeAddress();
  draw();
}

const windowNow = () => [state.from, state.from + state.span];
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

