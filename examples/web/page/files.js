// Fields for files: chosen, checked before anything is sent, and then sent.

import { make, refusal } from "./dom.js";

const MB = 1024 * 1024;
const NAMES = {
  image: "images",
  document: "documents",
  audio: "sounds",
  video: "videos",
  custom: "other files",
};

const extensionOf = (name) => /[^.]\.([^.]+)$/.exec(name)?.[1].toLowerCase() ?? "";

export function sizeOf(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  const isLarge = bytes >= 0.1 * MB;
  const [value, unit] = isLarge ? [bytes / MB, "MB"] : [bytes / 1024, "KB"];
  return `${Math.ceil(value * 10) / 10} ${unit}`; // never less than it has
}

// What an app's variable allows: the backend asks the same again, and Dify, too.
class Rules {
  constructor({ types, extensions, most }, kinds) {
    Object.assign(this, { types, extensions, most, kinds });
    this.takesAll = !types.length && !extensions.length;
  }

  kindByName(extension) {
    const all = Object.entries(this.kinds.extensions);
    return all.find(([, extensions]) => extensions.includes(extension))?.[0];
  }

  kindOf(file) {
    const [main, sub = ""] = file.type.toLowerCase().split("/");
    const byType = ["image", "video", "audio"].includes(main) ? main : null;
    const isText = main === "text" || sub.startsWith("pdf");
    const known = this.kindByName(extensionOf(file.name)) ?? byType;
    return known ?? (isText ? "document" : "custom");
  }

  limitOf(extension) {
    return this.kinds.sizes[this.kindByName(extension) ?? "custom"] * MB;
  }

  get accept() {
    const types = this.types.flatMap((type) => [
      ...(type === "document" ? [] : [`${type}/*`]),
      ...this.kinds.extensions[type].map((extension) => `.${extension}`),
    ]);
    return [...types, ...this.extensions.map((extension) => `.${extension}`)].join();
  }

  get hint() {
    const kinds = this.takesAll ? Object.keys(NAMES) : this.types;
    const allowed = [
      ...kinds.map((kind) => [NAMES[kind], this.kinds.sizes[kind] * MB]),
      ...this.extensions.map((each) => [`.${each}`, this.limitOf(each)]),
    ];
    const groups = new Map();
    for (const [name, limit] of allowed) {
      groups.set(limit, [...(groups.get(limit) ?? []), name]);
    }
    const list = new Intl.ListFormat("en");
    const parts = [...groups].map(
      ([limit, names]) => `${list.format(names)} up to ${sizeOf(limit)}`,
    );
    if (this.most !== 1 && this.most) parts.push(`at most ${this.most}`);
    const text = parts.join("; ");
    return `${text[0].toUpperCase()}${text.slice(1)}.`;
  }

  problemOf(file) {
    const extension = extensionOf(file.name);
    const isAllowed =
      this.takesAll ||
      this.types.includes(this.kindOf(file)) ||
      this.extensions.includes(extension);
    if (!isAllowed) return `“${file.name}” is of a kind that is not taken here.`;
    const limit = this.limitOf(extension);
    if (file.size <= limit) return "";
    return `“${file.name}” has ${sizeOf(file.size)}; at most ${sizeOf(limit)} are taken.`;
  }

  problemOfAll(files, links) {
    const count = files.length + links.length;
    for (const problem of files.map((file) => this.problemOf(file))) {
      if (problem) return problem;
    }
    const wrong = links.find((link) => !isLink(link));
    if (wrong) return `“${wrong}” is no link: it begins with https:// or http://.`;
    if (!this.most || count <= this.most) return "";
    if (this.most > 1) return `These are ${count}; at most ${this.most} are taken.`;
    return "Only one is taken: either a file or a link.";
  }
}

const isLink = (text) => URL.canParse(text) && /^https?:/.test(text);

export class FileField {
  constructor(field, kinds) {
    this.name = field.name;
    this.isList = field.type === "file-list";
    this.rules = new Rules(field.files, kinds);
    this.isRequired = field.required;
    this.handles = new Map(); // of what was sent
    this.files = [];
    this.row = make("div", { className: "field files" });
    this.row.setAttribute("role", "group");
    this.row.setAttribute("aria-label", field.label);
    this.list = make("ul", { className: "chosen" });
    this.problem = make("small", { className: "problem" });
    this.problem.setAttribute("role", "alert");
    if (field.files.local) this.addChooser(field);
    if (field.files.remote) this.addLinks(field);
    if (field.hint) this.row.append(make("small", { textContent: field.hint }));
    this.row.append(this.problem);
    this.check();
  }

  get links() {
    const text = this.linkControl?.value ?? "";
    return text.split("\n").map((line) => line.trim()).filter(Boolean);
  }

  addChooser(field) {
    const id = `field-${field.name}`;
    const props = { id, name: field.name, type: "file", multiple: this.isList };
    this.chooser = make("input", { ...props, accept: this.rules.accept });
    this.chooser.addEventListener("change", () => this.choose(this.chooser.files));
    const hint = make("small", { id: `${id}-hint`, textContent: this.rules.hint });
    this.chooser.setAttribute("aria-describedby", hint.id);
    this.row.append(labelOf(this.chooser, field), this.chooser, hint, this.list);
  }

  addLinks(field) {
    const id = `field-${field.name}-link`;
    const placeholder = "https://";
    this.linkControl = this.isList
      ? make("textarea", { id, placeholder, rows: 2 })
      : make("input", { id, placeholder, type: "text", inputMode: "url" });
    if (!field.files.local) this.linkControl.name = field.name;
    this.linkControl.addEventListener("input", () => this.check());
    const words = this.isList ? "links, one on each line" : "a link";
    const label = field.files.local
      ? make("label", { htmlFor: id, className: "or", textContent: `or ${words}` })
      : labelOf(this.linkControl, { ...field, label: `${field.label} (${words})` });
    this.row.append(label, this.linkControl);
  }

  choose(added) {
    this.files = this.isList ? [...this.files, ...added] : [...added];
    this.show();
  }

  remove(file) {
    this.files = this.files.filter((each) => each !== file);
    this.show();
    this.chooser.focus();
  }

  show() {
    const transfer = new DataTransfer(); // so that the control, too, tells how many
    for (const file of this.files) transfer.items.add(file);
    this.chooser.files = transfer.files;
    this.list.replaceChildren(...this.files.map((file) => this.itemOf(file)));
    this.check();
  }

  itemOf(file) {
    const props = { type: "button", className: "remove", textContent: "×" };
    const remove = make("button", { ...props, title: `Remove ${file.name}` });
    remove.setAttribute("aria-label", remove.title);
    remove.addEventListener("click", () => this.remove(file));
    const size = make("small", { textContent: sizeOf(file.size) });
    return make("li", {}, make("span", { textContent: file.name }), size, remove);
  }

  // The browser lets no form be sent in which a control has a problem, and says it.
  check() {
    const { files, links } = this;
    const problem = this.rules.problemOfAll(files, links);
    this.problem.textContent = problem;
    const ways = [this.chooser && "choose a file", this.linkControl && "give a link"];
    const isMissing = this.isRequired && !files.length && !links.length;
    const missing = isMissing ? `Please ${ways.filter(Boolean).join(" or ")}.` : "";
    (this.chooser ?? this.linkControl)?.setCustomValidity(problem || missing);
  }

  get waiting() {
    return this.files.filter((file) => !this.handles.has(file));
  }

  get value() {
    const files = this.files.map((file) => ({ upload: this.handles.get(file) }));
    const all = [...files, ...this.links.map((url) => ({ url }))];
    if (this.isList) return all.length ? all : undefined;
    return all[0];
  }
}

function labelOf(control, field) {
  const label = make("label", { htmlFor: control.id, textContent: field.label });
  if (field.required) {
    label.append(make("span", { className: "required", textContent: " *" }));
  }
  return label;
}

// Sends what was chosen and is not there yet, one after another.
export async function sendFiles(fields, { signal, onProgress }) {
  const waiting = fields.flatMap((field) => field.waiting.map((file) => [field, file]));
  const total = waiting.reduce((sum, [, file]) => sum + file.size, 0);
  let sent = 0;
  for (const [index, [field, file]] of waiting.entries()) {
    const tell = (loaded) =>
      onProgress({
        name: file.name,
        place: waiting.length > 1 ? ` (${index + 1} of ${waiting.length})` : "",
        part: total ? Math.min(1, (sent + loaded) / total) : 1,
      });
    tell(0);
    field.handles.set(file, await send(field.name, file, tell, signal));
    sent += file.size;
  }
}

// An XMLHttpRequest, since fetch() does not tell how much it has sent.
function send(field, file, tell, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const query = new URLSearchParams({ field, name: file.name });
    request.open("POST", `/api/uploads?${query}`);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded }) => tell(loaded);
    request.onload = () => {
      const { status, response } = request;
      if (status === 201) resolve(response.upload);
      else reject(refusal(response));
    };
    request.onerror = () =>
      reject(new Error(`“${file.name}” could not be sent. Please try again.`));
    request.onabort = () => reject(signal.reason);
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
