// The page of a workflow: a form, the run as it goes on, and nothing to build.

import { $, ask, make } from "./dom.js";
import { addFields, fileFields, plainInputs } from "./form.js";
import { sendFiles } from "./files.js";

// -- what is shown ----------------------------------------------------------------

const ENDS = {
  succeeded: "Done",
  "partial-succeeded": "Done, although a node failed",
  failed: "Failed",
  stopped: "Stopped",
  paused: "Waiting for a person",
};
let run = null;

function say(text, state) {
  $("status").textContent = text;
  $("status").dataset.state = state;
}

function showError(message) {
  $("error").textContent = message;
  $("error").hidden = !message;
}

function setRunning(isRunning, canStop = isRunning) {
  $("run").disabled = isRunning;
  $("stop").disabled = !canStop;
  document.title = isRunning ? "… Workflow" : $("name").textContent;
}

function clear() {
  showError("");
  for (const id of ["text", "outputs", "nodes"]) $(id).replaceChildren();
  for (const id of ["text", "outputs", "audio"]) $(id).hidden = true;
}

function showText(text, isWhole) {
  if (isWhole) $("text").textContent = "";
  $("text").append(text);
  $("text").hidden = false;
}

function showOutputs(outputs) {
  const streamed = $("text").textContent;
  for (const [name, value] of Object.entries(outputs ?? {})) {
    if (value === streamed) continue; // it stands above
    const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
    const parts = [make("dt", { textContent: name }), make("dd", { textContent: text })];
    $("outputs").append(...parts);
  }
  $("outputs").hidden = !$("outputs").children.length;
}

function showAudio() {
  if (!run.audio.length) return;
  URL.revokeObjectURL($("audio").src);
  $("audio").src = URL.createObjectURL(new Blob(run.audio, { type: "audio/mpeg" }));
  $("audio").hidden = false;
  run.audio = [];
}

// -- the tree of nodes ------------------------------------------------------------

const seconds = (value) => `${value.toFixed(1)} s`;

function listOf(parent) {
  const around = parent && run.nodes.get(parent);
  if (!around) return $("nodes");
  around.list ??= around.item.appendChild(make("ol"));
  return around.list;
}

function nodeOf(data) {
  let node = run.nodes.get(data.id);
  if (node && !(node.done && node.isBlock)) return node;
  const time = make("time");
  const kind = make("span", { className: "kind", textContent: data.node_type ?? "" });
  const title = make("span", { textContent: data.title || data.node_type || "Node" });
  const row = make("div", { className: "node" }, title, kind, time);
  const item = make("li", {}, row);
  node = { item, row, kind, time, since: performance.now(), done: false };
  listOf(data.iteration_id ?? data.loop_id).append(item);
  run.nodes.set(data.id, node);
  row.dataset.state = "running";
  return node;
}

function endNode(data) {
  const node = nodeOf(data);
  node.done = true;
  node.row.dataset.state = data.status;
  node.row.title = data.status;
  node.time.textContent = seconds(data.elapsed_time ?? 0);
}

function endNodes(status) {
  for (const node of run.nodes.values()) {
    if (!node.done) Object.assign(node, { done: true }).row.dataset.state = status;
  }
}

setInterval(() => {
  for (const node of run?.nodes.values() ?? []) {
    if (node.done) continue;
    node.time.textContent = seconds((performance.now() - node.since) / 1000);
  }
}, 100);

// -- events -----------------------------------------------------------------------

const beginBlock = ({ data }) => {
  const node = nodeOf(data);
  node.isBlock = true;
  const { iteration_length: items, loop_length: rounds } = data.metadata ?? {};
  node.length = items ?? rounds;
};
const nextRound = ({ data }, first) => {
  const node = nodeOf(data);
  node.kind.textContent = `${data.index - first + 1} of ${node.length ?? "?"}`;
};

const HANDLERS = {
  text_chunk: ({ data }) => showText(data.text, false),
  text_replace: ({ data }) => showText(data.text, true),
  node_started: ({ data }) => nodeOf(data),
  node_finished: ({ data }) => endNode(data),
  iteration_started: beginBlock,
  iteration_next: (event) => nextRound(event, 0),
  iteration_completed: ({ data }) => endNode(data),
  loop_started: beginBlock,
  loop_next: (event) => nextRound(event, 1),
  loop_completed: ({ data }) => endNode(data),
  tts_message: ({ audio }) =>
    run.audio.push(Uint8Array.from(atob(audio), (char) => char.charCodeAt(0))),
  tts_message_end: showAudio,
  human_input_required: ({ data }) => showText(data.form_content ?? "", false),
  workflow_paused: () => end("paused"),
  workflow_finished: ({ data }) => {
    showOutputs(data.outputs);
    end(data.status, data.elapsed_time);
    if (data.status === "failed") showError("The workflow failed.");
  },
  error: ({ message }) => {
    end("failed");
    showError(message);
  },
};

function end(status, elapsed) {
  const time = elapsed === undefined || elapsed === null ? "" : ` in ${seconds(elapsed)}`;
  const isGood = status.endsWith("succeeded");
  say(`${ENDS[status] ?? status}${time}.`, isGood ? "succeeded" : "failed");
  run.ended = true;
  setRunning(false);
  endNodes(status);
}

function watch(id) {
  run?.source.close();
  clear();
  const source = new EventSource(`/api/runs/${id}/events`);
  run = { id, source, nodes: new Map(), audio: [], ended: false };
  say("Starting …", "running");
  setRunning(true);
  source.onopen = () => run.ended || say("Running …", "running");
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    HANDLERS[event.event]?.(event);
  };
  source.onerror = () => {
    if (run.ended) {
      source.close(); // all has come; a browser would ask again
      showAudio();
    } else if (source.readyState === EventSource.CLOSED) {
      diagnose(source); // a browser gives up at any answer that is no stream
    } else {
      say("The connection was lost. Reconnecting …", "running");
    }
  };
}

const REFUSALS = {
  401: "You may not watch this run.",
  403: "You may not watch this run.",
  404: "There is no such run, or not any more.",
};

async function diagnose(source) {
  const asking = new AbortController();
  let [status, isStream, told] = [0, false, {}];
  try {
    const answer = await fetch(source.url, { signal: asking.signal });
    status = answer.status;
    isStream = !!answer.headers.get("Content-Type")?.startsWith("text/event-stream");
    if (!answer.ok) told = await answer.json().catch(() => ({}));
  } catch {
    // it cannot be reached
  }
  asking.abort();
  if (run?.source !== source) return; // another run is watched by now
  if (status >= 400 && status < 500) {
    end("failed");
    showError(told.message ?? REFUSALS[status] ?? "Something went wrong.");
  } else if (isStream && status === 200) {
    watch(run.id); // from its beginning
  } else {
    say("The server is not available. Trying again …", "running");
    setTimeout(() => run?.source === source && diagnose(source), 2000);
  }
}

// -- what people do ---------------------------------------------------------------

let sending = null; // what stops the files on their way

function showProgress({ name, place, part }) {
  say(`Sending ${name}${place} …`, "running");
  $("progress").hidden = false;
  $("progress").value = part;
}

async function sendAll() {
  sending = new AbortController();
  setRunning(true);
  try {
    const { signal } = sending;
    await sendFiles(fileFields, { signal, onProgress: showProgress });
  } finally {
    sending = null;
    $("progress").hidden = true;
    setRunning(true, false);
  }
}

async function inputs() {
  const values = plainInputs();
  await sendAll();
  for (const field of fileFields) values[field.name] = field.value;
  return values;
}

async function begin() {
  const headers = { "Content-Type": "application/json" };
  const body = JSON.stringify(await inputs());
  say("Starting …", "running");
  return ask("/api/runs", { method: "POST", headers, body });
}

async function beginAgain(error) {
  if (error.code !== "Gone") throw error;
  for (const field of fileFields) field.handles.clear(); // the server has forgotten them
  return begin();
}

async function start() {
  run?.source.close();
  run = null;
  clear();
  say("Starting …", "running");
  setRunning(true, false);
  try {
    const { id } = await begin().catch(beginAgain);
    history.replaceState(null, "", `#${id}`); // the address shows this very run
    watch(id);
  } catch (error) {
    say("Not started.", "failed");
    setRunning(false);
    const isJson = error instanceof SyntaxError;
    const message = isJson ? `This is no JSON: ${error.message}` : error.message;
    if (error.name !== "AbortError") showError(message);
  }
}

async function stop() {
  if ($("stop").disabled) return;
  $("stop").disabled = true;
  say("Stopping …", "running");
  if (sending) {
    sending.abort();
    return;
  }
  try {
    await ask(`/api/runs/${run.id}/stop`, { method: "POST" });
  } catch (error) {
    showError(error.message);
    setRunning(true);
  }
}

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!$("run").disabled) start();
});
$("stop").addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    $("form").requestSubmit();
  }
});

try {
  const form = await ask("/api/form");
  $("name").textContent = document.title = form.name;
  $("description").textContent = form.description;
  addFields(form);
} catch (error) {
  showError(error.message);
}
if (location.hash.length > 1) watch(location.hash.slice(1));
