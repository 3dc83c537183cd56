// What all parts of the page use.

export const $ = (id) => document.getElementById(id);

export const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};

export async function ask(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached. Please try again later.");
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw refusal(told);
  return told;
}

export function refusal(told) {
  const error = new Error(told?.message ?? "Something went wrong.");
  return Object.assign(error, { code: told?.code });
}
