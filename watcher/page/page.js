// ocinet's page: it shows what the watcher streams at /live, and changes nothing.
//
// All text reaches the document as text (textContent): a container's name is what anybody chose.
"use strict";

const MOST_EVENTS = 200;      // in the document
const MOST_ROWS = 300;        // of the table, unless all are asked for
const FEW = 12;               // of a network: each is told with its address and ports
const MANY = 24;              // of a network: who runs becomes a small tile
const SILENT_MS = 20000;      // the watcher says something each 5 s
const HIDDEN_MS = 30000;      // a tab that nobody sees costs nothing from then on
const WORDS = {
  running: "running", broken: "broken", refused: "refused", attaching: "attaching",
  left: "members only", dead: "ended",
};
const WHAT = {
  running: "wired, as it was made", broken: "it runs, and its wiring is not as it was made",
  refused: "it was not attached", attaching: "being attached",
  left: "only members live in its sandbox", dead: "it has ended, and what it had is still there",
};
const WRONG = ["broken", "refused", "dead"];
const COMMAND = /^(ocinet|docker|podman|nft|ip|iptables|systemctl|sysctl|firewall-cmd|ufw|modprobe|chown|chmod) \S/;
const FIRST = ["error", "what", "why", "hint", "addresses", "networks"]; // of an event's fields
const BAD_EVENTS = /failed|refused|not served|ignored/;
const WARN_EVENTS = /warning|repair|held|drift|lost|collected/;

const $ = (id) => document.getElementById(id);
const view = {
  picture: null, containers: new Map(), rates: new Map(), events: [], coming: [], missed: 0,
  state: "", filter: "", all: false, paused: false, open: null, trouble: "", version: null,
};

// --- Small things ---------------------------------------------------------------------------

// What does not show, or turns the text around it, is shown by its number.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

function plain(text, longest = 300) {
  const shown = String(text ?? "").slice(0, longest + 1)
    .replace(UNSEEN, (unit) => `\u27e8${unit.charCodeAt(0).toString(16).padStart(4, "0")}\u27e9`);
  return shown.length > longest ? `${shown.slice(0, longest)}\u2026` : shown;
}

function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") node.className = value;
    else if (name in node && name !== "role") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== ""));
  return node;
}

const named = (text, longest) => make("bdi", { textContent: plain(text, longest) });

function put(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function classes(node, text) {
  if (node.className !== text) node.className = text;
}

// Makes a node's children those of a list: kept by key, made, moved and removed as needed.
function arrange(parent, items, key, create, update) {
  const known = parent.known ??= new Map();
  const wanted = new Set();
  let next = parent.firstChild;
  for (const item of items) {
    const id = key(item);
    if (wanted.has(id)) continue;
    wanted.add(id);
    let node = known.get(id);
    if (!node) known.set(id, node = create(item));
    update(node, item);
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
  for (const [id, node] of known) {
    if (!wanted.has(id)) { node.remove(); known.delete(id); }
  }
}

function amount(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let index = 0;
  for (; bytes >= 1000 && index < units.length - 1; index += 1) bytes /= 1000;
  return `${index && bytes < 10 ? bytes.toFixed(1) : Math.round(bytes)} ${units[index]}`;
}

const rate = (bytes) => (bytes >= 1 ? `${amount(bytes)}/s` : "\u2013");

function age(time, now) {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (!Number.isFinite(seconds)) return "";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

const clock = (time) => {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString([], { hour12: false });
};

const count = (number, one, more = `${one}s`) => `${number} ${number === 1 ? one : more}`;
const names = new Intl.Collator("en", { numeric: true }); // api-2 before api-10
const order = (a, b) => names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1);
const severity = (container) => (WRONG.includes(container.state) ? 0 : container.state === "running" ? 2 : 1);

function sign(state) {
  return make("span", { class: `sign ${WORDS[state] ? state : ""}`, "aria-hidden": "true" });
}

function portOf(published) {
  const host = published.host_address ? `${published.host_address}:` : "";
  const last = published.count > 1 ? `-${published.host_port + published.count - 1}` : "";
  const inside = published.count > 1 ? `-${published.port + published.count - 1}` : "";
  const shown = host.split(":").length > 2 ? `[${published.host_address}]:` : host;
  return `${shown}${published.host_port}${last} \u2192 ${published.port}${inside}/${published.protocol}`;
}

const addressesOf = (container) => container.interfaces.flatMap((each) => each.addresses);
const addressesOn = (container, network) => container.interfaces.filter((each) => each.network === network)
  .flatMap((each) => each.addresses).map((address) => address.split("/")[0]).join(" ");
const portsOf = (published) => [...new Set(published.map(portOf))]; // of both families each
const portsOn = (container, network) => portsOf(
  container.published.filter((each) => each.network === network || !each.network)).slice(0, 3).join(", ");
const networksOf = (container) => [...new Set(container.interfaces.map((each) => each.network))];

// --- What comes -----------------------------------------------------------------------------

const handlers = {
  hello(version) {
    if (view.version !== null && view.version !== version) location.reload(); // upgraded meanwhile
    view.version = version;
  },
  picture(picture) {
    view.containers = new Map(picture.containers.map((container) => [container.id, container]));
    view.rates.clear();
    delete picture.containers;
    view.picture = picture;
  },
  change(change) {
    if (!view.picture) return;
    const passed_s = (Date.parse(change.taken_at) - Date.parse(view.picture.taken_at)) / 1000;
    view.rates.clear();
    for (const container of change.containers) {
      note_rates(view.containers.get(container.id), container, passed_s);
      view.containers.set(container.id, container);
    }
    for (const id of change.gone) view.containers.delete(id);
    delete change.containers;
    delete change.gone;
    Object.assign(view.picture, change);
  },
  events({ events, missed }) {
    view.missed += missed;
    view.coming = [...view.coming, ...events].slice(-MOST_EVENTS);
  },
  trouble(text) { view.trouble = text; },
};

// Figures of one that is not told of are as they were: nothing passed it.
function note_rates(before, after, passed_s) {
  if (!before || !(passed_s > 0)) return;
  const former = new Map(before.interfaces.map((each) => [each.name, each.figures]));
  const found = [];
  for (const { name, network, figures } of after.interfaces) {
    const then = former.get(name);
    if (!figures || !then) continue;
    const rx = Math.max(0, figures.rx_bytes - then.rx_bytes) / passed_s;
    const tx = Math.max(0, figures.tx_bytes - then.tx_bytes) / passed_s;
    found.push({ network, rx, tx });
  }
  view.rates.set(after.id, found);
}

// What passes containers in a second: of all their interfaces, or of those on one network.
function passing(containers, network) {
  const sum = { rx: 0, tx: 0 };
  for (const { id } of containers) {
    for (const each of view.rates.get(id) ?? []) {
      if (network !== undefined && each.network !== network) continue;
      sum.rx += each.rx;
      sum.tx += each.tx;
    }
  }
  return sum;
}

// --- What is shown --------------------------------------------------------------------------

let drawing = false;

function draw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    tick();
    drawTrouble();
    if (view.picture) {
      const containers = [...view.containers.values()].sort(order);
      drawVerdict(containers);
      drawWrong(containers);
      drawMachine();
      drawLanes(containers);
      drawLegend(containers);
      drawTable(containers);
      drawDetails();
    }
    drawEvents();
  });
}

function drawTrouble() {
  $("trouble").hidden = !view.trouble;
  put($("trouble"), plain(view.trouble, 1000));
}

function drawVerdict(containers) {
  const { picture } = view;
  put($("host"), plain(picture.hostname));
  const told = WRONG.map((state) => [containers.filter((each) => each.state === state).length, WORDS[state]])
    .filter(([number]) => number).map(([number, word]) => `${number} ${word}`);
  const networks = picture.networks.filter((network) => network.why).length;
  if (networks) told.push(`${count(networks, "network")} with a flaw`);
  if (picture.flaws.length) told.push(count(picture.flaws.length, "flaw"));
  const tight = picture.networks.filter((network) => network.pools.some((pool) => share(pool) >= 0.9));
  const running = `${containers.filter((each) => each.state === "running").length} running`;
  if (tight.length && !told.length) told.push(`${count(tight.length, "network")} almost full`);
  put($("verdict"), told.length ? `${told.join(", ")} \u00b7 ${running}` : `${running}, nothing is wrong`);
  classes($("verdict"), `verdict${!told.length ? "" : tight.length && told.length === 1 && told[0].includes("almost") ? " warn" : " bad"}`);
  document.title = told.length ? `${told.join(", ")} \u2013 ocinet ${plain(picture.hostname)}` : `ocinet ${plain(picture.hostname)}`;
}

function drawWrong(containers) {
  const { picture } = view;
  const wrongs = [
    ...picture.flaws.map((flaw) => ({ key: `flaw ${flaw.what}`, what: "Host", state: "broken", why: flaw.what, hint: flaw.hint })),
    ...picture.networks.filter((network) => network.why).map((network) => (
      { key: `network ${network.name}`, what: network.name, kind: "network", state: "broken", why: network.why, hint: network.hint })),
    ...containers.filter((each) => WRONG.includes(each.state)).map((each) => (
      { key: `container ${each.id}`, id: each.id, what: each.name, state: each.state, why: each.why, hint: each.hint, since: each.since })),
  ].slice(0, 50);
  $("wrong").hidden = !wrongs.length;
  const now = Date.now();
  arrange($("wrong-list"), wrongs, (wrong) => wrong.key, (wrong) => {
    const head = make("span", {}, make("b", {}, named(wrong.what, 120)), " ", make("span", { class: "soft" }));
    return make("li", { class: "wrong" }, sign(wrong.state), head, make("span", { class: "soft since" }),
      make("p", { class: "why" }), hintOf(wrong.hint));
  }, (node, wrong) => {
    const [shape, head, since, why, hint] = node.children;
    classes(shape, `sign ${wrong.state}`);
    put(head.lastChild, wrong.kind ?? (wrong.id ? WORDS[wrong.state] : ""));
    put(since, wrong.since ? `for ${age(wrong.since, now)}` : "");
    put(why, plain(wrong.why, 1000));
    setHint(hint, wrong.hint);
  });
}

// A command that helps: to be read, and taken over.
function hintOf(hint) {
  const button = make("button", { type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(button.command);
      button.textContent = "Copied";
    } catch { button.textContent = "Not copied"; }
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  const node = make("p", { class: "hint" }, make("code"), button);
  setHint(node, hint);
  return node;
}

function setHint(node, hint) {
  node.hidden = !hint;
  const isCommand = COMMAND.test(hint ?? "");
  classes(node, isCommand ? "hint" : "hint words");
  put(node.firstChild, plain(hint, 1000));
  node.lastChild.command = hint;
  // What would be another command in a terminal than it looks here is not offered.
  node.lastChild.hidden = !isCommand || plain(hint, 1e6) !== hint;
  node.lastChild.setAttribute("aria-label", `Copy: ${plain(hint)}`);
}

function drawMachine() {
  const { picture } = view;
  const boxes = [
    { key: "self", class: "box self", name: picture.hostname, lines: ["this host"] },
    ...picture.uplinks.map((uplink) => ({
      key: `uplink ${uplink.name}`, class: uplink.state === "up" ? "box" : "box down", name: uplink.name,
      lines: [uplink.addresses.join(", ") || "no address", uplink.state === "up" ? "uplink" : `uplink, ${uplink.state}`],
    })),
  ];
  if (!picture.uplinks.length) boxes.push({ key: "none", class: "box", name: "no uplink", lines: ["there is no default route"] });
  arrange($("machine"), boxes, (box) => box.key, () => make("div", {}, make("b"), make("small"), make("small")), (node, box) => {
    classes(node, box.class);
    put(node.children[0], plain(box.name));
    put(node.children[1], plain(box.lines[0]));
    put(node.children[2], plain(box.lines[1] ?? ""));
  });
}

const share = (pool) => (pool.size ? pool.used / pool.size : 1);

function drawLanes(containers) {
  const { picture } = view;
  const on = new Map(picture.networks.map((network) => [network.name, []]));
  const apart = [];
  for (const container of containers) {
    const networks = networksOf(container).filter((name) => on.has(name));
    for (const name of networks) on.get(name).push(container);
    if (!networks.length) apart.push(container);
  }
  const lanes = picture.networks.map((network) => ({ key: network.name, network, containers: on.get(network.name) }));
  const last = lanes.at(-1);
  if (apart.length) lanes.push({ key: "", network: null, containers: apart });
  arrange($("lanes"), lanes, (lane) => lane.key, () => make("li", {}, make("div", { class: "network" },
    make("b"), make("small"), make("small"), make("small", { class: "flaw" }), make("div")),
    make("ul", { class: "tiles" })), (node, lane) => {
    const { network } = lane;
    classes(node, `lane${network ? (network.internal ? " internal" : "") : " apart"}${lane === last ? " end" : ""}`);
    drawNetwork(node.firstChild, network, lane.containers);
    drawTiles(node.lastChild, lane);
  });
}

function drawNetwork(node, network, containers) {
  const [name, kind, much, flaw, pools] = node.children;
  classes(node, network?.why ? "network bad" : "network");
  if (!network) {
    put(name, "On no network");
    put(kind, "refused, or in the sandbox of another");
    put(much, count(containers.length, "container"));
    flaw.hidden = true;
    return;
  }
  put(name, plain(network.name, 100));
  const state = network.state === "up" || !containers.length ? "" : `, ${network.state}`;
  put(kind, network.bridge ? plain(`${network.kind} ${network.bridge}${state}`) : "");
  const { rx, tx } = passing(containers, network.name);
  const traffic = rx + tx >= 1 ? ` \u00b7 \u2193 ${rate(rx)} \u2191 ${rate(tx)}` : "";
  put(much, `${count(containers.length, "container")}${traffic}`);
  flaw.hidden = !network.why;
  put(flaw, plain(network.why, 500));
  arrange(pools, network.pools, (pool) => pool.subnet, () => make("div", {},
    make("div", { class: "line" }, make("code"), make("span", { class: "count" })),
    make("div", { class: "gauge", role: "meter", "aria-valuemin": "0" }, make("i"), make("i", { class: "kept" }))), drawPool);
}

function drawPool(node, pool) {
  const [line, gauge] = node.children;
  const used = share(pool);
  classes(node, `pool${used >= 1 ? " full" : used >= 0.9 ? " tight" : ""}`);
  put(line.firstChild, pool.subnet);
  // A /64 has more than anybody counts.
  const size = pool.size > 1e6 ? "" : ` / ${pool.size}`;
  const kept = pool.reserved ? `, ${pool.reserved} kept` : "";
  put(line.lastChild, `${pool.used}${size}${kept}`);
  const percent = (number) => `${Math.min(100, 100 * number / Math.max(1, pool.size))}%`;
  gauge.children[0].style.width = pool.used ? percent(pool.used) : "0";
  gauge.children[0].hidden = !pool.used;
  gauge.children[1].style.width = percent(Math.min(pool.reserved, Math.max(0, pool.size - pool.used)));
  gauge.setAttribute("aria-label", `Addresses of ${pool.subnet} that are held`);
  gauge.setAttribute("aria-valuemax", pool.size);
  gauge.setAttribute("aria-valuenow", pool.used);
  gauge.setAttribute("aria-valuetext", `${pool.used} of ${pool.size}${kept} for names`);
}

function drawTiles(list, lane) {
  const many = lane.containers.length > MANY;
  const shown = many ? [...lane.containers].sort((a, b) => severity(a) - severity(b) || order(a, b)) : lane.containers;
  const items = shown.length ? shown : [null];
  arrange(list, items, (each) => each?.id ?? "", (each) => {
    if (!each) return make("li", { class: "none", textContent: "nobody is on it" });
    const button = make("button", { type: "button" }, sign(each.state), make("bdi"), make("small"), make("small"));
    button.addEventListener("click", () => show(each.id));
    return make("li", {}, button);
  }, (node, each) => {
    if (!each) return;
    const button = node.firstChild;
    const few = lane.network && lane.containers.length <= FEW;
    const small = many && severity(each) === 2;
    const others = networksOf(each).length - 1;
    classes(button, `tile ${WORDS[each.state] ? each.state : ""}${small ? " small" : few ? " full" : ""}${others > 0 ? " also" : ""}`);
    if (others > 0) button.dataset.also = `+${others}`;
    classes(button.firstChild, `sign ${WORDS[each.state] ? each.state : ""}`);
    put(button.children[1], plain(each.name, 60));
    put(button.children[2], few ? plain(addressesOn(each, lane.network.name), 80) : "");
    put(button.children[3], few ? plain(portsOn(each, lane.network.name), 80) : "");
    const says = `${plain(each.name, 120)}, ${WORDS[each.state] ?? each.state}${each.why ? `: ${plain(each.why, 200)}` : ""}`;
    if (button.title !== says) {
      button.title = says;
      button.setAttribute("aria-label", says);
    }
  });
  classes(list, many ? "tiles many" : "tiles");
  rove(list);
}

// One stop of the tabulator for each network; arrows go from tile to tile.
function rove(list) {
  const buttons = [...list.querySelectorAll("button")];
  if (!buttons.length) return;
  const held = buttons.find((button) => button === document.activeElement)
    ?? buttons.find((button) => button.tabIndex === 0 && button.held) ?? buttons[0];
  for (const button of buttons) {
    const index = button === held ? 0 : -1;
    if (button.tabIndex !== index) button.tabIndex = index;
  }
  if (list.roves) return;
  list.roves = true;
  list.addEventListener("keydown", (event) => {
    const all = [...list.querySelectorAll("button")];
    const at = all.indexOf(event.target);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || to === undefined || !all[to]) return;
    event.preventDefault();
    for (const button of all) { button.tabIndex = -1; button.held = false; }
    all[to].tabIndex = 0;
    all[to].held = true;
    all[to].focus();
  });
}

function drawLegend(containers) {
  const states = Object.keys(WORDS).filter((state) => containers.some((each) => each.state === state));
  arrange($("legend"), states, (state) => state,
    (state) => make("li", {}, sign(state), `${WORDS[state]}: ${WHAT[state]}`), () => {});
}

function drawTable(containers) {
  const found = containers.filter((each) => !view.filter || wordsOf(each).includes(view.filter));
  const counts = ["", ...Object.keys(WORDS)].map((state) => (
    { state, number: state ? found.filter((each) => each.state === state).length : found.length }))
    .filter(({ state, number }) => !state || number || state === view.state);
  arrange($("states"), counts, ({ state }) => state, ({ state }) => {
    const button = make("button", { type: "button" });
    button.addEventListener("click", () => { view.state = state; draw(); });
    return button;
  }, (button, { state, number }) => {
    put(button, `${state ? WORDS[state] : "all"} ${number}`);
    button.setAttribute("aria-pressed", String(view.state === state));
  });
  const chosen = found.filter((each) => !view.state || each.state === view.state);
  const rows = view.all ? chosen : chosen.slice(0, MOST_ROWS);
  const now = Date.now();
  arrange($("rows"), rows, (each) => each.id, newRow, (row, each) => drawRow(row, each, now));
  const note = $("rows-note");
  note.hidden = rows.length === chosen.length && chosen.length > 0;
  if (!chosen.length) put(note, containers.length ? "None of them is so." : "There are none yet. docker run --net=none, or podman run --net=none with ocinet's hook, makes the first.");
  else if (!note.hidden && note.rest !== chosen.length - rows.length) {
    note.rest = chosen.length - rows.length;
    const button = make("button", { type: "button", textContent: "Show all" });
    button.addEventListener("click", () => { view.all = true; draw(); });
    note.replaceChildren(`${note.rest} more. `, button);
  }
}

const HEADS = ["Name", "State", "Addresses", "Networks", "Published", "Receives", "Sends", "Since"];
const CELLS = ["", "state", "mono", "", "mono", "number", "number", "since"];

function newRow(each) {
  const cells = CELLS.map((name, index) => make(index ? "td" : "th", { class: name, "data-head": HEADS[index] }));
  cells[0].scope = "row";
  const button = make("button", { type: "button", class: "named" }, make("bdi"));
  button.addEventListener("click", () => show(each.id));
  cells[0].append(button);
  cells[1].append(make("span", { class: "state" }, sign(each.state), make("span")));
  return make("tr", {}, ...cells);
}

function drawRow(row, each, now) {
  const [name, state, addresses, networks, published, rx, tx, since] = row.children;
  put(name.firstChild.firstChild, plain(each.name, 120));
  name.firstChild.title = plain(each.name);
  classes(state.firstChild.firstChild, `sign ${WORDS[each.state] ? each.state : ""}`);
  put(state.firstChild.lastChild, WORDS[each.state] ?? plain(each.state));
  lines(addresses, addressesOf(each).map((address) => address.split("/")[0]));
  lines(networks, each.shares ? [`in ${view.containers.get(each.shares)?.name ?? each.shares.slice(0, 12)}`] : networksOf(each));
  lines(published, portsOf(each.published));
  const passed = passing([each]);
  put(rx, rate(passed.rx));
  put(tx, rate(passed.tx));
  put(since, age(each.since, now));
}

function lines(cell, texts) {
  const shown = texts.slice(0, 4).map((text) => plain(text, 100));
  if (texts.length > 4) shown.push(`and ${texts.length - 4} more`);
  const whole = shown.join("\n");
  if (cell.shown === whole) return;
  cell.shown = whole;
  cell.classList.toggle("empty", !shown.length);
  cell.replaceChildren(make("span", {}, ...shown.map((text) => make("div", { textContent: text }))));
}

function wordsOf(each) {
  const words = [each.name, each.id, each.why, each.door, ...networksOf(each), ...addressesOf(each),
    ...portsOf(each.published), ...each.interfaces.map((link) => `${link.mac} ${link.host_end}`)];
  return words.join("\n").toLowerCase();
}

// --- One container --------------------------------------------------------------------------

function show(id) {
  view.open = id;
  drawDetails();
  if (!$("details").open) $("details").showModal();
}

function drawDetails() {
  const each = view.open && view.containers.get(view.open);
  if (!view.open) return;
  if (!each) { $("details").close(); return; }
  put($("details-name"), plain(each.name, 5000));
  const body = $("details-body");
  const fresh = JSON.stringify(each);
  if (body.shown === fresh) return;
  body.shown = fresh;
  const parts = [make("p", { class: "state" }, sign(each.state), `${WORDS[each.state] ?? each.state}`)];
  if (each.why) parts.push(make("div", { class: "why" }, make("span", { textContent: plain(each.why, 4000) }), each.hint ? hintOf(each.hint) : null));
  parts.push(facts([["id", each.id], ["came by", each.door], ["mode", each.mode], ["since", each.since],
    ["in the sandbox of", each.shares && (view.containers.get(each.shares)?.name ?? each.shares)]]));
  for (const link of each.interfaces) {
    const figures = link.figures;
    parts.push(make("h3", {}, `${plain(link.name)} on `, named(link.network)), facts([
      ["addresses", link.addresses.join(", ")], ["MAC", link.mac], ["host end", `${link.host_end}, ${link.state}`],
      ["received", figures && `${amount(figures.rx_bytes)}, ${count(figures.rx_packets, "packet")}, ${figures.rx_dropped} dropped`],
      ["sent", figures && `${amount(figures.tx_bytes)}, ${count(figures.tx_packets, "packet")}, ${figures.tx_dropped} dropped`],
      ["refused by the guard", figures?.refused ? count(figures.refused, "packet") : ""],
    ]));
  }
  if (each.published.length) parts.push(make("h3", { textContent: "Published" }),
    make("ul", { class: "mono" }, ...portsOf(each.published).slice(0, 200).map((port) => make("li", { textContent: port }))));
  body.replaceChildren(...parts);
}

function facts(pairs) {
  const rows = pairs.filter(([, value]) => value)
    .flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, named(value, 1000))]);
  return make("dl", {}, ...rows);
}

// --- Events ---------------------------------------------------------------------------------

let serial = 0;

function drawEvents() {
  put($("pause"), view.paused ? `Go on${view.coming.length ? ` (${view.coming.length} new)` : ""}` : "Pause");
  $("pause").setAttribute("aria-pressed", String(view.paused));
  if (view.paused || !view.coming.length) return;
  const list = $("events");
  const fresh = view.coming.map(newEvent).reverse();
  view.coming = [];
  list.prepend(...fresh);
  while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
  $("missed").hidden = !view.missed;
  put($("missed"), `They came faster than they are shown: ${view.missed} are in ocinet events alone.`);
}

function spell(value) {
  if (Array.isArray(value)) return value.map(spell).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function newEvent(event) {
  const { time, event: kind, container, name, ...rest } = event;
  const says = plain(kind ?? "?", 100);
  const tone = BAD_EVENTS.test(says) ? "bad" : WARN_EVENTS.test(says) ? "warn" : kind === "host changed" ? "quiet" : "";
  const rank = ([key]) => (FIRST.includes(key) ? FIRST.indexOf(key) : FIRST.length);
  const told = Object.entries(rest).sort((a, b) => rank(a) - rank(b))
    .map(([key, value]) => `${plain(key, 40)}: ${plain(spell(value), 400)}`);
  serial += 1;
  return make("li", { class: tone, id: `event-${serial}` },
    make("time", { textContent: clock(time), title: plain(time, 40) }),
    make("b", { textContent: says }), " ",
    named(name || String(container ?? "").slice(0, 12), 100),
    told.length ? make("span", { class: "rest", textContent: told.join(" \u00b7 ") }) : null);
}

// --- The connection -------------------------------------------------------------------------

const KEY = "ocinet token";
let stream = null;  // an AbortController while connected, or while it is tried
let connected = false;
let heard = 0;
let wait_ms = 1000;
let retry = 0;

// What stands behind # is not sent to anybody, and does not stay where it can be read.
function takeToken() {
  const given = location.hash.slice(1);
  if (!given) return;
  if (/^[A-Za-z0-9_-]{8,128}$/.test(given)) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
}

function lock(why) {
  $("shown").hidden = true;
  $("locked").hidden = false;
  pulse("", "not connected");
  put($("verdict"), "");
  if (why) put($("locked-why"), why);
}

function pulse(kind, text) {
  classes($("pulse"), `pulse ${kind}`);
  put($("pulse-text"), text);
}

async function connect() {
  clearTimeout(retry);
  stream?.abort();
  connected = false;
  const token = sessionStorage.getItem(KEY);
  if (!token) { lock(""); return; }
  const own = stream = new AbortController();
  heard = performance.now();
  try {
    const answer = await fetch("/live", { headers: { Authorization: `Bearer ${token}` }, signal: own.signal, cache: "no-store" });
    if (answer.status === 401) {
      sessionStorage.removeItem(KEY);
      lock("That token is not the right one, or not any more.");
      return;
    }
    if (!answer.ok) throw new Error((await answer.text()).trim());
    $("locked").hidden = true;
    $("shown").hidden = false;
    wait_ms = 1000;
    view.picture = null;
    connected = true;
    pulse("live", "looking\u2026");
    await read(answer.body.getReader());
    throw new Error("the watcher has closed the connection");
  } catch (error) {
    if (own !== stream || document.hidden && own.signal.aborted) return;
    connected = false;
    pulse("lost", view.picture ? `lost: this is of ${clock(view.picture.taken_at)}` : `no answer: ${plain(error.message, 120)}`);
    retry = setTimeout(connect, wait_ms);
    wait_ms = Math.min(10000, wait_ms * 1.6);
  }
}

async function read(reader) {
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    heard = performance.now();
    const messages = (rest + decoder.decode(value, { stream: true })).split("\n\n");
    rest = messages.pop();
    for (const text of messages) take(text);
    draw();
  }
}

function take(text) {
  const fields = new Map(text.split("\n").map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 2)];
  }));
  const handler = Object.hasOwn(handlers, fields.get("event") ?? "") && handlers[fields.get("event")];
  if (handler) handler(JSON.parse(fields.get("data")));
}

function tick() {
  if (!connected || document.hidden) return;
  const silent_ms = performance.now() - heard;
  if (silent_ms > SILENT_MS) { connect(); return; }
  const old_s = view.picture ? Math.round((Date.now() - Date.parse(view.picture.taken_at)) / 1000) : 0;
  pulse("live", view.picture ? (old_s < 4 ? "live" : `${old_s} s old`) : "looking\u2026");
}

let away = 0;
document.addEventListener("visibilitychange", () => {
  clearTimeout(away);
  if (document.hidden) away = setTimeout(() => { stream?.abort(); stream = null; }, HIDDEN_MS);
  else if (!stream && sessionStorage.getItem(KEY)) connect();
});
addEventListener("hashchange", () => { takeToken(); connect(); });

$("unlock").addEventListener("click", () => {
  const given = $("token").value.trim().replace(/^.*#/, "");
  $("token").value = "";
  if (given) sessionStorage.setItem(KEY, given);
  connect();
});
$("token").addEventListener("keydown", (event) => { if (event.key === "Enter") $("unlock").click(); });
$("filter").addEventListener("input", () => { view.filter = $("filter").value.trim().toLowerCase(); draw(); });
$("pause").addEventListener("click", () => { view.paused = !view.paused; draw(); });
$("close").addEventListener("click", () => $("details").close());
$("details").addEventListener("close", () => { view.open = null; });
$("details").addEventListener("click", (event) => { if (event.target === $("details")) $("details").close(); });

takeToken();
connect();
setInterval(tick, 1000);
