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

