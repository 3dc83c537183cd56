// The form: a control for each input, and what people gave there.

import { $, make } from "./dom.js";
import { FileField } from "./files.js";

const CONTROLS = {
  "text-input": (field) => make("input", { type: "text" }),
  paragraph: (field) => make("textarea"),
  json_object: (field) => make("textarea", { spellcheck: false }),
  number: (field) => make("input", { type: "number", step: "any" }),
  checkbox: (field) => make("input", { type: "checkbox", checked: !!field.default }),
  select: (field) =>
    make("select", {}, ...field.options.map((option) => new Option(option, option))),
};

export const fileFields = [];

export function addFields({ fields, kinds }) {
  for (const field of fields) {
    if (field.files) {
      const made = new FileField(field, kinds);
      fileFields.push(made);
      $("fields").append(made.row);
    } else {
      $("fields").append(rowOf(field));
    }
  }
  $("fields").querySelector("[name]")?.focus();
}

function rowOf(field) {
  const makeControl = CONTROLS[field.type];
  if (!makeControl) {
    const note = `“${field.label}” is of a kind that this page does not know.`;
    return make("p", { textContent: note });
  }
  const control = makeControl(field);
  Object.assign(control, { id: `field-${field.name}`, name: field.name });
  control.dataset.type = field.type;
  if (field.type !== "checkbox") {
    control.required = field.required;
    control.value = field.default ?? (field.options[0] || "");
    if (field.placeholder) control.placeholder = field.placeholder;
  }
  if (field.maxLength && "maxLength" in control) control.maxLength = field.maxLength;
  const label = make("label", { htmlFor: control.id, textContent: field.label });
  if (field.required) {
    label.append(make("span", { className: "required", textContent: " *" }));
  }
  const isCheck = field.type === "checkbox";
  const row = make("div", { className: isCheck ? "field check" : "field" });
  row.append(...(isCheck ? [control, label] : [label, control]));
  if (field.hint) row.append(make("small", { textContent: field.hint }));
  return row;
}

// Texts, numbers and choices; a SyntaxError if something is no JSON.
export function plainInputs() {
  const values = {};
  for (const control of $("fields").querySelectorAll("[data-type]")) {
    const { name, value, dataset } = control;
    if (dataset.type === "checkbox") values[name] = control.checked;
    else if (value === "") continue;
    else if (dataset.type === "number") values[name] = Number(value);
    else if (dataset.type === "json_object") values[name] = JSON.parse(value);
    else values[name] = value;
  }
  return values;
}
