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
const isUsed = (part) => {
  const active = document.activeElement;
  return part.contains(active) && !active.matches(".wide, .scroll");
};
const refresh = async () => {
  const parts = [...document.querySelectorAll("[data-live][id]")].filter(isConcerned);
  changed.clear();
  if (parts.length === 0) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // Signed out meanwhile: the login page shows why.
  if (answer.redirected) return location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    if (!fresh || fresh.outerHTML === part.outerHTML) continue;
    // It is not taken from under somebody's hands.
    if (isUsed(part)) isLate = true;
    else part.replaceWith(fresh);
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
    say(state.dataset.lost);
    if (source?.readyState !== EventSource.CLOSED) return;
    // A proxy without its gateway, or somebody who has signed out: the page finds out which.
    close();
    setTimeout(() => look("*").finally(open), 3000);
  });
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
for (const block of document.querySelectorAll("pre[data-copy]")) {
  const button = document.createElement("button");
  const text = block.textContent;
  button.type = "button";
  button.className = "plain";
  button.textContent = block.dataset.copy;
  button.addEventListener("click", () => navigator.clipboard.writeText(text));
  block.append(button);
}
