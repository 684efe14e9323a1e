// Keeps the parts of a page that change up to date: each element with `data-live` is fetched again
// every so many seconds while the page is seen, and replaced when it has changed.
const refresh = async () => {
  const parts = document.querySelectorAll("[data-live][id]");
  if (document.hidden || parts.length === 0) return;
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  // Signed out meanwhile: the login page shows why.
  if (answer.redirected) return location.reload();
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts) {
    const fresh = page.getElementById(part.id);
    const isUsed = part.contains(document.activeElement);
    if (fresh && !isUsed && fresh.outerHTML !== part.outerHTML) part.replaceWith(fresh);
  }
};
const wait = () => {
  const parts = [...document.querySelectorAll("[data-live]")];
  const seconds = Math.min(...parts.map((part) => Number(part.dataset.live)));
  if (!Number.isFinite(seconds)) return;
  setTimeout(() => refresh().catch(() => {}).finally(wait), seconds * 1000);
};
wait();
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
