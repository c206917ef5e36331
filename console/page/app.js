"use strict";

// The console's page. Text of an incident comes from outside and may be hostile: it reaches the
// document through textContent alone, never as markup, a link or a style.

const retryFirstMs = 500;
const retryMaxMs = 15000;
const reloadDelayMs = 80;
const pollMs = 10000; // While the live stream is down.

const state = {
  incidents: new Map(), // Summaries by id.
  filter: "active",
  route: { view: "none", id: "" },
  incident: null, // The one that is shown, complete.
  postmortem: null,
  missing: false,
  live: false,
  retryMs: retryFirstMs,
  reload: 0, // The timer of a load that is about to start.
  request: 0, // Grows with every load of the detail: an older answer is dropped.
};

const byId = (id) => document.getElementById(id);

// ---- Building the document ----

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "onclick") node.addEventListener("click", value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === "") continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const words = (name) => String(name || "").replaceAll("_", " ");
const list = (value) => (Array.isArray(value) ? value : []);
const stateTones = {
  open: "warning", diagnosing: "warning", reopened: "warning", acting: "info", verifying: "info",
  awaiting_approval: "warning", escalated: "critical", resolved: "good", reviewed: "good",
};
const statePill = (name) => el("span", { class: "pill", "data-tone": stateTones[name] }, words(name));
const severityPill = (name) => el("span", { class: "pill", "data-tone": name }, name);

function time(text) {
  const at = new Date(text);
  if (!text || Number.isNaN(at.getTime())) return document.createTextNode("–");
  const today = at.toDateString() === new Date().toDateString();
  const clock = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  const day = at.toLocaleDateString([], { year: "numeric", month: "short", day: "numeric" });
  return el("time", { datetime: text, title: text }, today ? clock : `${day}, ${clock}`);
}

// A live update must not throw the keyboard back to the top: what had the focus gets it again.
function replace(target, ...nodes) {
  const key = target.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  target.replaceChildren(...nodes.filter(Boolean));
  if (!key) return;
  for (const node of target.querySelectorAll("[data-key]")) {
    if (node.dataset.key === key) node.focus({ preventScroll: true });
  }
}

// ---- The list ----

function card(summary) {
  const current = state.route.id === summary.id;
  return el("li", {}, el("a", {
    class: "card", href: `#/incidents/${encodeURIComponent(summary.id)}`, "data-key": summary.id,
    "data-severity": summary.severity, "aria-current": current ? "page" : null,
  },
  el("span", { class: "card-title" }, summary.title || summary.id),
  el("span", { class: "card-line" }, statePill(summary.state), severityPill(summary.severity),
    el("span", {}, "opened ", time(summary.opened_at)), summary.owner ? el("span", {}, `owner ${summary.owner}`) : null),
  summary.cause ? el("span", { class: "card-cause" }, `Likely: ${summary.cause}`) : null));
}

function renderList() {
  const all = [...state.incidents.values()].sort((a, b) =>
    (a.opened_at < b.opened_at ? 1 : a.opened_at > b.opened_at ? -1 : a.id < b.id ? 1 : -1));
  const active = all.filter((incident) => incident.active);
  const shown = state.filter === "active" ? active : all;
  replace(byId("incidents"), ...shown.map(card));
  byId("list-note").textContent = shown.length > 0 ? ""
    : state.filter === "active" ? "No active incident. Older ones are under All." : "No incident yet.";
  const asking = active.filter((incident) => incident.awaiting_approval).length;
  byId("counts").textContent = `${active.length} active` + (asking > 0 ? `, ${asking} awaiting approval` : "");
  byId("filter-active").setAttribute("aria-pressed", String(state.filter === "active"));
  byId("filter-all").setAttribute("aria-pressed", String(state.filter === "all"));
  document.title = active.length > 0 ? `(${active.length}) Vigie` : "Vigie";
}

// ---- One incident ----

function renderHead(incident) {
  const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  const canAck = incident.active && !incident.owner;
  const over = incident.state === "resolved" || incident.state === "reviewed";
  return el("header", { class: "head" },
    el("div", { class: "head-pills" }, statePill(incident.state), severityPill(incident.severity),
      el("span", { class: "mono" }, incident.id)),
    el("h1", {}, incident.title || incident.id),
    el("dl", { class: "facts" },
      fact("Opened", time(incident.opened_at)),
      incident.resolved_at ? fact("Resolved", time(incident.resolved_at)) : null,
      fact("Owner", incident.owner || "nobody yet"),
      fact("On", list(incident.entities).join(", ") || "–")),
    el("div", { class: "buttons" },
      canAck ? decideButton("ack", "Acknowledge", { title: "Acknowledge the incident", text: "You become its owner.", confirm: "Acknowledge" }) : null,
      over ? decideButton("right", "The cause was right", { kind: "verdict", value: "right", title: "The diagnosis was right", text: "The verdict calibrates the confidence.", confirm: "Record verdict" }) : null,
      over ? decideButton("wrong", "The cause was wrong", { kind: "verdict", value: "wrong", title: "The diagnosis was wrong", text: "The verdict calibrates the confidence.", confirm: "Record verdict" }) : null,
      over ? decideButton("false", "It was a false alarm", { kind: "verdict", value: "false", title: "It was a false alarm", text: "Nothing was wrong. The detectors ask for more before they say this again.", confirm: "Record verdict" }) : null,
      over ? decideButton("known", "It is known", { kind: "verdict", value: "known", title: "It is known, and not worth an alarm", text: "It happened. For thirty days the detectors raise it only when it is far worse.", confirm: "Record verdict" }) : null,
      incident.postmortem ? el("a", { href: `#/incidents/${encodeURIComponent(incident.id)}/postmortem`, "data-key": "postmortem" }, "Read the post-mortem") : null));
}

function renderCause(cause) {
  const share = Math.max(0, Math.min(1, Number(cause.share) || 0));
  const fill = el("span", {});
  fill.style.width = `${share * 100}%`;
  const unknown = cause.mechanism === "unknown";
  return el("li", { class: "cause" },
    el("div", { class: "cause-name" },
      el("strong", {}, unknown ? "None of these" : words(cause.mechanism)),
      unknown ? null : el("code", {}, cause.entity),
      cause.change_key ? el("span", { class: "mono" }, cause.change_key) : null),
    el("div", { class: "share" }, el("div", { class: "bar", "aria-hidden": "true" }, fill),
      el("span", {}, `share ${share.toFixed(2)} of the evidence`)),
    list(cause.reasons).length > 0 ? el("ul", { class: "reasons" }, list(cause.reasons).map((reason) => el("li", {}, reason))) : null);
}

function renderCauses(incident) {
  const causes = list(incident.diagnosis && incident.diagnosis.causes);
  const confidence = incident.diagnosis && incident.diagnosis.confidence;
  return el("section", { class: "panel", "aria-labelledby": "causes-title" },
    el("div", { class: "panel-head" }, el("h2", { id: "causes-title" }, "Causes"),
      el("p", {}, "Confidence: ", confidence && confidence.text ? confidence.text : "none yet")),
    causes.length > 0 ? el("ol", {}, causes.map(renderCause)) : el("p", { class: "note" }, "No diagnosis yet: evidence is gathering."));
}

function renderDiff(diff) {
  if (list(diff).length === 0) return null;
  const kind = (line) => (line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : null);
  return el("div", { class: "diff", role: "group", "aria-label": "What changes", tabindex: "0", "data-key": "diff" },
    list(diff).map((line) => el("span", { class: kind(String(line)) }, line)));
}

function renderStep(step) {
  const parameters = Object.entries(step.parameters || {}).map(([name, value]) => `${name}=${value}`).join(" ");
  return el("li", { class: "step" },
    el("div", { class: "step-name" }, el("code", {}, step.action), el("span", {}, "on ", el("code", {}, step.target)),
      el("span", { class: "pill" }, words(step.status || "planned")), el("span", { class: "pill" }, words(step.risk))),
    parameters ? el("p", { class: "mono" }, parameters) : null,
    renderDiff(step.diff),
    el("p", { class: "note" }, `To undo it: ${step.inverse || "not possible"}`));
}

function renderGate(gate) {
  if (list(gate).length === 0) return null;
  return [el("h3", { class: "sub" }, "Checks before it may run"), el("ul", { class: "checks" }, list(gate).map((check) =>
    el("li", { "data-passed": check.passed ? "yes" : "no" }, el("span", { class: "verdict" }, check.passed ? "passed" : "held"),
      el("span", {}, words(check.name)), el("span", { class: "why" }, check.reason))))];
}

function renderPlan(incident) {
  const plan = incident.plan;
  if (!plan) return null;
  const asks = incident.awaiting_approval && !plan.approved_by;
  const target = list(plan.steps).map((step) => `${step.action} on ${step.target}`).join(", then ");
  return el("section", { class: "panel", "aria-labelledby": "plan-title", "data-asks": asks ? "yes" : null },
    el("div", { class: "panel-head" }, el("h2", { id: "plan-title" }, asks ? "Plan, awaiting approval" : "Plan"),
      el("p", {}, `mode ${plan.mode}, risk ${words(plan.risk)}, runbook ${plan.runbook || "none"}`)),
    el("p", {}, plan.title, " ", el("span", { class: "mono" }, plan.id)),
    el("ol", {}, list(plan.steps).map(renderStep)),
    renderGate(plan.gate),
    el("p", { class: "note" }, plan.approved_by ? `Approved by ${plan.approved_by}.` : "",
      asks ? "Expires " : "", asks ? time(plan.expires_at) : ""),
    asks ? el("div", { class: "buttons" },
      decideButton("approve", "Approve…", { plan: plan.id, title: "Approve this plan", text: `Vigie will run ${target}.`, confirm: "Approve and run", primary: true }),
      decideButton("reject", "Reject…", { plan: plan.id, title: "Reject this plan", text: "Nothing will be changed; the incident goes to a person.", confirm: "Reject" })) : null);
}

function symptomState(item) {
  if (item.cleared_at) return ["cleared ", time(item.cleared_at)];
  if (item.ended === "silent") return "data stopped";
  if (item.ended === "adapted") return "new normal";
  return item.symptom ? "present" : "–";
}

function renderEvidence(incident) {
  const evidence = list(incident.evidence);
  const row = (item) => el("tr", {},
    el("td", { class: "nowrap" }, time(item.at)), el("td", {}, item.kind), el("td", {}, el("code", {}, item.entity)),
    el("td", { class: "wide" }, item.text),
    el("td", { class: "nowrap" }, symptomState(item)));
  const heading = (text) => el("th", { scope: "col" }, text);
  return el("section", { class: "panel", "aria-labelledby": "evidence-title" },
    el("h2", { id: "evidence-title" }, "Evidence"),
    evidence.length === 0 ? el("p", { class: "note" }, "None.") : el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, heading("Since"), heading("Kind"), heading("On"), heading("What was seen"), heading("Symptom"))),
      el("tbody", {}, evidence.map(row)))),
    incident.evidence_dropped > 0 ? el("p", { class: "note" }, `${incident.evidence_dropped} more were dropped.`) : null);
}

function renderTimeline(incident) {
  return el("section", { class: "panel", "aria-labelledby": "timeline-title" },
    el("h2", { id: "timeline-title" }, "Timeline"),
    el("ol", { class: "timeline" }, list(incident.timeline).map((entry) => el("li", {},
      time(entry.at), el("span", { class: "kind" }, words(entry.kind)), el("span", { class: "text" }, entry.text)))));
}

function renderPostmortem(incident) {
  const id = encodeURIComponent(incident.id);
  return [el("header", { class: "head" }, el("p", {}, el("a", { href: `#/incidents/${id}`, "data-key": "back" }, "Back to the incident")),
    el("h1", {}, `Post-mortem of ${incident.id}`)),
  el("section", { class: "panel" }, el("div", { class: "panel-head" }, el("h2", {}, incident.title),
    el("a", { href: `/api/v1/postmortems/${id}`, download: `${incident.id}.md`, "data-key": "download" }, "Download as Markdown")),
  el("pre", { class: "postmortem" }, state.postmortem === null ? "It is written when the incident is resolved." : state.postmortem))];
}

function message(title, text) {
  return el("div", { class: "empty" }, el("h1", {}, title), el("p", {}, text));
}

function renderDetail() {
  const main = byId("detail");
  const incident = state.incident;
  if (state.route.view === "none") {
    replace(main, message("Choose an incident", "Its causes, plan, evidence and timeline are shown here, and follow it live."));
  } else if (state.missing) {
    replace(main, message("There is no such incident", `Vigie knows no ${state.route.id}, or has forgotten it: the console keeps the last thousand.`));
  } else if (!incident) {
    replace(main, message("Loading…", state.route.id));
  } else if (state.route.view === "postmortem") {
    replace(main, ...renderPostmortem(incident));
  } else {
    replace(main, el("p", { class: "narrow-only" }, el("a", { href: "#/", "data-key": "to-list" }, "All incidents")),
      renderHead(incident), renderPlan(incident), renderCauses(incident), renderTimeline(incident), renderEvidence(incident));
  }
}

// ---- Deciding ----

let asked = null; // What the dialog is about.

function decideButton(key, label, question) {
  return el("button", {
    type: "button", class: question.primary ? "primary" : null, "data-key": `decide-${key}`, id: `button-${key}`,
    onclick: () => ask({ kind: key, incident: state.route.id, ...question }),
  }, label);
}

function stored(storage, name) {
  try { return storage.getItem(name) || ""; } catch { return ""; }
}
function store(storage, name, value) {
  try { storage.setItem(name, value); } catch { /* Private windows may refuse; then it is asked again. */ }
}

function ask(question) {
  asked = question;
  byId("decide-title").textContent = question.title;
  byId("decide-text").textContent = question.text;
  byId("decide-confirm").textContent = question.confirm;
  byId("decide-confirm").disabled = false;
  byId("decide-error").textContent = "";
  byId("decide-reason").value = "";
  byId("decide-actor").value = stored(localStorage, "vigie.actor");
  byId("decide").showModal();
  byId(byId("decide-actor").value ? "decide-confirm" : "decide-actor").focus();
}

async function decide(event) {
  event.preventDefault();
  const question = asked;
  const actor = byId("decide-actor").value.trim();
  const token = byId("decide-token").value || stored(sessionStorage, "vigie.token");
  const body = { kind: question.kind, incident: question.incident, actor };
  const reason = byId("decide-reason").value.trim();
  if (reason) body.reason = reason;
  if (question.plan) body.plan = question.plan;
  if (question.value) body.value = question.value;
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  byId("decide-confirm").disabled = true;
  byId("decide-error").textContent = "";
  try {
    const response = await fetch("/api/v1/decisions", { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) {
      if (response.status === 401) byId("decide-token-row").hidden = false;
      throw new Error(answer.error || `The server answered ${response.status}.`);
    }
    store(localStorage, "vigie.actor", actor);
    if (token) store(sessionStorage, "vigie.token", token);
    byId("decide").close();
    say(`Recorded: ${question.title}.`);
    loadDetail();
  } catch (error) {
    byId("decide-error").textContent = error instanceof TypeError ? "The server did not answer: nothing was recorded for certain. Try again." : error.message;
  } finally {
    byId("decide-confirm").disabled = false;
  }
}

function say(text) {
  byId("announcement").textContent = text;
}

// ---- Loading ----

async function loadList() {
  try {
    const response = await fetch("/api/v1/incidents?limit=1000");
    if (!response.ok) return;
    const answer = await response.json();
    state.incidents = new Map(list(answer.incidents).map((summary) => [summary.id, summary]));
    renderList();
  } catch { /* The connection line says so; the next try is under way. */ }
}

async function loadDetail() {
  const { view, id } = state.route;
  const request = ++state.request;
  if (view === "none") return renderDetail();
  try {
    const response = await fetch(`/api/v1/incidents/${encodeURIComponent(id)}`);
    const incident = response.ok ? await response.json() : null;
    let postmortem = null;
    if (incident && view === "postmortem") {
      const text = await fetch(`/api/v1/postmortems/${encodeURIComponent(id)}`);
      postmortem = text.ok ? await text.text() : null;
    }
    if (request !== state.request) return;
    if (!incident && response.status !== 404) return;
    state.incident = incident;
    state.postmortem = postmortem;
    state.missing = !incident;
    renderDetail();
  } catch { /* As above. */ }
}

function showRoute() {
  const parts = location.hash.replace(/^#\/?/, "").split("/");
  let id = "";
  try { id = decodeURIComponent(parts[1] || ""); } catch { /* Not one of our addresses. */ }
  const known = parts[0] === "incidents" && id !== "";
  state.route = { view: !known ? "none" : parts[2] === "postmortem" ? "postmortem" : "incident", id };
  document.body.dataset.view = known ? "incident" : "list";
  state.incident = null;
  state.missing = false;
  renderList();
  renderDetail();
  loadDetail();
}

// ---- Live ----

function setConnection(name, text) {
  state.live = name === "live";
  byId("connection").dataset.state = name;
  byId("connection").textContent = text;
}

function received(text) {
  let data = null;
  try { data = JSON.parse(text); } catch { return; }
  if (!data || !data.incident) return;
  const before = state.incidents.get(data.incident.id);
  state.incidents.set(data.incident.id, data.incident);
  renderList();
  if (!before) say(`New incident: ${data.incident.title}`);
  else if (data.incident.awaiting_approval && !before.awaiting_approval) say(`Approval needed: ${data.incident.title}`);
  if (data.incident.id === state.route.id && !state.reload) {
    // A burst of changes is one load.
    state.reload = setTimeout(() => { state.reload = 0; loadDetail(); }, reloadDelayMs);
  }
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const socket = new WebSocket(`${scheme}//${location.host}/api/v1/stream`);
  socket.addEventListener("open", () => {
    state.retryMs = retryFirstMs;
    setConnection("live", "live");
    loadList(); // What changed while nobody listened.
    loadDetail();
  });
  socket.addEventListener("message", (event) => received(event.data));
  socket.addEventListener("close", () => {
    setConnection("down", "reconnecting…");
    setTimeout(connect, state.retryMs * (0.75 + Math.random() / 2));
    state.retryMs = Math.min(state.retryMs * 2, retryMaxMs);
  });
}

function setFilter(name) {
  state.filter = name;
  renderList();
}

byId("filter-active").addEventListener("click", () => setFilter("active"));
byId("filter-all").addEventListener("click", () => setFilter("all"));
byId("decide-form").addEventListener("submit", decide);
byId("decide-cancel").addEventListener("click", () => byId("decide").close());
window.addEventListener("hashchange", () => { showRoute(); byId("detail").focus({ preventScroll: true }); });
setInterval(() => { if (!state.live) { loadList(); loadDetail(); } }, pollMs);
showRoute();
loadList();
connect();
