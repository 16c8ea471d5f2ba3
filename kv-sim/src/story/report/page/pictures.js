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
const widthOf = (id) => Math.max(element(id).clientWidth || 0, 240);

/** The room for names on the left. */
const gutterNow = () => isNarrow() ? 40 : 78;
/** About how wide a text is in a picture. */
const textWidth = (text) => 6.8 * text.length + 6;

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
  for (const [at, text] of ticks(0, data.ended_us, Math.max(Math.floor(width / 110), 2))) {
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
  const width = widthOf("lanes"), [from, until] = windowNow(), GUTTER = gutterNow();
  const x = (at) => GUTTER + (at - from) / (until - from) * (width - GUTTER);
  const within = (at) => Math.min(Math.max(x(at), GUTTER), width);
  const { nodes, clients, hidden } = lanes(what);
  const active = packed(data.faults.filter((bar) => bar.from_us <= until && endOf(bar) >= from), 8);
  const faultRows = active.reduce((most, bar) => Math.max(most, bar.row + 1), 0);
  const top = 20 + faultRows * 18, clientTall = 26, nodeTall = 52;
  const clientY = new Map(clients.map((client, at) => [client, top + 8 + at * clientTall]));
  const nodesTop = top + clients.length * clientTall + 14;
  const nodeY = new Map(nodes.map((node, at) => [node, nodesTop + 16 + at * nodeTall]));
  const height = nodesTop + nodes.length * nodeTall + 34;
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

  for (const [at, text] of ticks(from, until, Math.max(Math.floor(width / 150), 2))) {
    inside.append(line(x(at), 14, x(at), height, { class: "grid" }));
    if (x(at) + textWidth(text) < width) inside.append(label(x(at) + 3, 11, text));
  }
  for (const bar of active) {
    const y = 18 + bar.row * 18, left = within(bar.from_us);
    inside.append(titled(box(left, y, within(endOf(bar)) - left, 15, { class: "fault", rx: 3 }), `${bar.kind}: ${bar.what}`));
    const words = `${bar.kind}: ${bar.what}`, right = within(endOf(bar)), isWithin = right - left > textWidth(words);
    // Beside a bar that is too short, on the side where there is room.
    const onLeft = !isWithin && right + textWidth(words) > width;
    inside.append(label(isWithin ? left + 5 : onLeft ? left - 4 : right + 4, y + 11.5, words,
      { class: isWithin ? "on-bar" : "on-pale", "text-anchor": onLeft ? "end" : "start" }));
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
    picture.append(label(2, y + 4, nodeName(node).slice(0, isNarrow() ? 5 : 9), { class: "name" }));
    if (owners.includes(node)) picture.append(label(2, y + 18, "owner"));
  }
  for (const client of clients) {
    picture.append(label(2, clientY.get(client) + 12, isNarrow() ? `c${client}` : `client ${client}`, { class: "name" }));
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
    if (right - left > textWidth(text)) inside.append(label(left + 4, y + 12, text, { class: "on-bar" }));
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
  for (const lie of data.story.filter((entry) => entry.lie && entry.at_us >= from && entry.at_us <= until)) {
    const at = x(lie.at_us), onLeft = at - GUTTER > (width - GUTTER) / 2;
    inside.append(titled(line(at, 14, at, height, { class: "lie" }), `${lie.text}: ${lie.lie}`));
    inside.append(label(onLeft ? at - 6 : at + 6, height - 20, "not true", { class: "failed-text", "text-anchor": onLeft ? "end" : "start" }));
  }
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
      const live = change.live_writes, known = knownOnly(change), each = tall / Math.max(live.length + known.length, 1);
      const since = `since ${seconds(change.at_us)} s`, room = each - (live.length + known.length > 1 ? 1 : 0);
      live.forEach((write, row) => {
        const durable = change.durable_writes.includes(write);
        const part = box(left, y + row * each, right - left, room, { fill: writeColour(write), opacity: durable ? 0.9 : 0.4 });
        if (inQuestion.has(write)) { part.setAttribute("stroke", "var(--bad)"); part.setAttribute("stroke-width", 1.6); }
        inside.append(titled(part, `${nodeName(node)} holds ${writeWords(write)}${durable ? "" : ", not yet durably"}, ${since}`));
        const text = writes[write].label;
        if (each > 11 && right - left > textWidth(text)) {
          inside.append(label(left + 4, y + row * each + 11, text, { class: durable ? "on-bar" : "on-pale" }));
        }
      });
      known.forEach((write, row) => {
        const part = box(left, y + (live.length + row) * each, right - left, room,
          { fill: "transparent", stroke: writeColour(write), "stroke-width": 1.4, "stroke-dasharray": "3 3" });
        inside.append(titled(part, `${nodeName(node)} knows of ${writeWords(write)}, and does not hold it, ${since}`));
      });
    });
  }
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

/** The error of a clock that is worth a picture, in microseconds. */
const CLOCK_ERROR_MIN = 100_000;

function drawClocks() {
  const isOff = data.clocks.some((clock) => clock.points.some(([, wall, monotonic]) => Math.max(Math.abs(wall), Math.abs(monotonic)) > CLOCK_ERROR_MIN));
  const isShown = isOff || data.faults.some((fault) => fault.kind.startsWith("clock"));
  element("clocks-section").hidden = !isShown;
  if (!isShown) return;
  const clocks = data.clocks.filter((clock) => clock.points.length > 0 && (state.node === null || clock.node === state.node));
  const width = widthOf("clocks"), height = 170, GUTTER = Math.max(gutterNow(), 60);
  const all = clocks.flatMap((clock) => clock.points.flatMap(([, wall, monotonic]) => [wall, monotonic]));
  const low = Math.min(0, ...all), high = Math.max(0, ...all), room = Math.max(high - low, 1000);
  const x = (at) => GUTTER + at / Math.max(data.ended_us, 1) * (width - GUTTER - 8);
  const y = (us) => 10 + (high + room * 0.05 - us) / (room * 1.1) * (height - 32);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": "offsets of the nodes' clocks over the run" });
  for (const us of [low, 0, high]) {
    if (us !== 0 && Math.abs(y(us) - y(0)) < 14) continue;
    picture.append(line(GUTTER, y(us), width, y(us), { class: "grid" }), label(2, y(us) + 4, `${(us / 1000).toFixed(1)} ms`));
  }
  for (const [at, text] of ticks(0, data.ended_us, Math.max(Math.floor(width / 110), 2))) picture.append(label(Math.min(x(at), width - 40), height - 4, text));
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

