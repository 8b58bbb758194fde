/** The page: a form, a task on its way, and what came of it. */

import { Gateway, Refusal } from "./reelgate.js";

const TASK_ID = /^#(task-unified-[0-9a-z-]+)$/;
const WAYS = { live: "live", asking: "asking", waiting: "connecting…", ended: "" };
const STATUSES = {
  unknown: "Asking the gateway",
  pending: "Waiting to begin",
  processing: "In the making",
  completed: "Completed",
  failed: "Failed",
};

const gateway = new Gateway(mintToken);
let following = new AbortController();

/** Return a new token, from the server that this page came from: it knows who is signed in. */
async function mintToken() {
  const answer = await fetch("token", { method: "POST", cache: "no-store" });
  if (!answer.ok) throw await Refusal.of(answer);
  return answer.json();
}

/** Create what the form says, and follow it. */
async function submit(event) {
  event.preventDefault();
  if (isBusy()) return;
  const { signal } = begin();
  show({ id: "", status: "unknown" });
  try {
    const given = Object.fromEntries(new FormData(part("form")));
    const task = await gateway.create({ model: "sora-character", ...given }, signal);
    // Kept in the address: a reload, a bookmark or another tab goes on from there.
    history.pushState(null, "", `#${task.id}`);
    show(task);
    part("heading").focus();
    await follow(task.id, signal);
  } catch (trouble) {
    tell(trouble, signal);
  }
}

/** Go on with the task that the address names, if it names one. */
async function resume() {
  const { signal } = begin();
  const named = TASK_ID.exec(location.hash);
  part("task").hidden = !named;
  setBusy(Boolean(named));
  if (!named) return;
  show({ id: named[1], status: "unknown" });
  try {
    await follow(named[1], signal);
  } catch (trouble) {
    tell(trouble, signal);
  }
}

async function follow(taskId, signal) {
  for await (const task of gateway.follow(taskId, { signal, onWay: showWay })) show(task);
  showWay("ended");
  setBusy(false);
}

/** Leave what was followed until now, and return the switch of what is begun. */
function begin() {
  following.abort();
  following = new AbortController();
  part("error").hidden = true;
  setBusy(true);
  return following;
}

async function cancel() {
  try {
    show(await gateway.cancel(part("task-id").textContent, following.signal));
  } catch (trouble) {
    tell(trouble, following.signal);
  }
}

function show(task) {
  part("task").hidden = false;
  part("task-id").textContent = task.id;
  // Set where it has changed only, for it is read out whenever it is set.
  if (part("status").dataset.status !== task.status) {
    part("status").textContent = STATUSES[task.status] ?? task.status;
    part("status").dataset.status = task.status;
  }
  const place = task.task_info?.queue_position;
  const isQueued = task.status === "pending" && place !== undefined;
  part("percent").textContent = isQueued ? `number ${place} in the queue` : percent(task);
  if (task.status === "unknown") part("progress").removeAttribute("value");
  else part("progress").value = task.progress;
  part("cancel").hidden = !task.task_info?.can_cancel;
  showResult(task);
  if (task.error) showError(task.error.message, task.error.code);
}

function percent(task) {
  return task.status === "unknown" ? "" : `${task.progress} %`;
}

/** Show a finished task's result, whatever its model calls the parts of it. */
function showResult(task) {
  const parts = Object.entries(task.result_data ?? {});
  if (!parts.length) parts.push(...(task.results ?? []).map((each) => ["result", each]));
  part("result").hidden = !parts.length;
  part("result").replaceChildren(...parts.map(([name, value]) => pair(name, value)));
}

function pair(name, value) {
  const [row, term, said] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
  term.textContent = name.replaceAll("_", " ");
  said.append(/^https:\/\//.test(value) ? link(value) : String(value));
  row.append(term, said);
  return row;
}

function link(address) {
  const found = document.createElement("a");
  Object.assign(found, { href: address, textContent: address, target: "_blank" });
  found.rel = "noopener noreferrer";
  return found;
}

function tell(trouble, signal) {
  if (signal.aborted) return;
  showWay("ended");
  setBusy(false);
  part("task").hidden = part("status").dataset.status === "unknown";
  if (trouble instanceof Refusal) showError(trouble.message, trouble.reason, trouble.requestId);
  // A page is not told why it may not read an answer: it is as if there were none.
  else showError(`No answer from the gateway; or it does not allow pages of ${location.origin}`);
}

function showError(message, reason = "", requestId = "") {
  part("error").hidden = false;
  part("error-message").textContent = message;
  part("error-reason").hidden = !reason;
  part("error-reason").lastChild.textContent = reason;
  part("error-request").hidden = !requestId;
  part("error-request").lastChild.textContent = requestId;
}

function showWay(way) {
  part("way").textContent = WAYS[way];
  part("way").dataset.way = way;
  part("way").hidden = way === "ended";
}

// Not `disabled`, which would take the focus from whoever works with the keyboard.
function setBusy(busy) {
  part("submit").setAttribute("aria-disabled", String(busy));
}

function isBusy() {
  return part("submit").getAttribute("aria-disabled") === "true";
}

function part(id) {
  return document.getElementById(id);
}

part("form").addEventListener("submit", submit);
part("cancel").addEventListener("click", cancel);
addEventListener("popstate", resume);
resume();
