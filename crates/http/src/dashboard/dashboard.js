// Keeps a page up to date. One stream says what has changed; the parts that name it in `data-live` are
// fetched again with their page, and replaced.
const main = document.querySelector("main[data-stream]");
const state = document.querySelector("#stream-state");
const say = (text = "") => Object.assign(state, { textContent: text, hidden: text === "" });
// What has changed since the page was fetched; `*` is everything.
const changed = new Set();
// Whether a part waits until nobody uses it any more.
let isLate = false;
const isConcerned = (part) =>
  changed.has("*") || part.dataset.live.split(" ").some((topic) => changed.has(topic));
// What has the focus and still lets its part be replaced; it gets the focus back.
const PASSIVE = ".wide, .scroll, summary, pre, pre > button";
const isUsed = (part) => {
  const active = document.activeElement;
  const isWritten = (field) => field.value !== field.defaultValue;
  return (
    (part.contains(active) && !active.matches(PASSIVE)) ||
    [...part.querySelectorAll("textarea, input:not([type=hidden])")].some(isWritten)
  );
};
// A part that names its version is another one only when that is.
const isSame = (part, fresh) =>
  fresh.outerHTML === part.outerHTML || (part.dataset.version !== undefined && part.dataset.version === fresh.dataset.version);
const replace = (part, fresh) => {
  const focused = [...part.querySelectorAll(PASSIVE)].indexOf(document.activeElement);
  const opened = [...part.querySelectorAll("details")].map(({ open }) => open);
  for (const [n, details] of [...fresh.querySelectorAll("details")].entries()) details.open ||= opened[n] ?? false;
  part.replaceWith(fresh);
  addCopies(fresh);
  [...fresh.querySelectorAll(PASSIVE)][focused]?.focus({ preventScroll: true });
};
// The page as it is now, by GET; where its subject is gone, or one's right to it, that says so.
const leave = () => location.replace(location.pathname + location.search);
const refresh = async () => {
  const parts = [...document.querySelectorAll("[data-live][id]")].filter(isConcerned);
  changed.clear();
  if (parts.length === 0) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // Signed out meanwhile, or there is no such thing any more.
  if (answer.redirected || [401, 403, 404].includes(answer.status)) return leave();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (!fresh || isSame(part, fresh)) continue;
    // It is not taken from under somebody's hands.
    if (isUsed(part)) isLate = true;
    else replace(part, fresh);
  }
};
let isRunning = false;
const look = async (...topics) => {
  topics.forEach((topic) => changed.add(topic));
  if (isRunning || document.hidden) return;
  isRunning = true;
  // What happens at once is looked at once; many things at once are looked at now and then.
  await refresh().catch(() => {});
  setTimeout(() => {
    isRunning = false;
    if (changed.size > 0) look();
  }, 500);
};
let source;
let last = "";
const open = () => {
  if (!main || source || document.hidden) return;
  const address = new URL(main.dataset.stream, location.href);
  if (last !== "") address.searchParams.set("last", last);
  source = new EventSource(address);
  source.addEventListener("hello", ({ data, lastEventId }) => {
    last = lastEventId;
    say(data === "restarted" ? state.dataset.restarted : "");
    look("*");
  });
  source.addEventListener("changed", ({ data }) => look(data));
  source.addEventListener("error", () => {
    close();
    revive(address);
  });
};
// A stream has ended, or there was none: because the page is gone, because too many are open, or because the
// gateway cannot be reached.
const revive = async (address) => {
  const status = await fetch(address, { method: "HEAD" }).then(({ status }) => status, () => 0);
  const isFull = status === 429;
  if (isFull) say(state.dataset.full);
  else if (status === 0 || status >= 500) say(state.dataset.lost);
  look("*");
  setTimeout(open, isFull ? 30_000 : 3_000);
};
const close = () => {
  source?.close();
  source = undefined;
};
document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
document.addEventListener("focusout", () => {
  if (isLate) look("*");
  isLate = false;
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);
// On a phone the pages are one line, wider than the screen.
const here = document.querySelector(".side [aria-current]");
if (here) here.closest(".side").scrollLeft = here.offsetLeft - here.closest(".side").clientWidth / 2 + here.clientWidth / 2;
// A file that is too large is refused before it is sent.
document.addEventListener("change", ({ target }) => {
  const { bytesMax, tooLarge } = target.dataset ?? {};
  if (bytesMax === undefined) return;
  const isTooLarge = [...target.files].some((file) => file.size > Number(bytesMax));
  target.setCustomValidity(isTooLarge ? tooLarge : "");
  target.reportValidity();
});
// Code gets a button that copies it.
const addCopies = (root) => {
  for (const block of root.querySelectorAll("pre[data-copy]")) {
    const button = document.createElement("button");
    const text = block.textContent;
    button.type = "button";
    button.className = "plain";
    button.textContent = block.dataset.copy;
    button.addEventListener("click", () => navigator.clipboard.writeText(text));
    block.append(button);
  }
};
addCopies(document);
