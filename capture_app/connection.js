// Says in plain words when the page has lost its server, and that it is back; Streamlit's own dialog speaks to
// programmers. `words` is put before this: { title, text }.

const app = document.querySelector(".stApp");
const GONE_MS = 1500; // A shorter pause is nobody's concern.
window.dermcaptureConnection?.(); // In another language, before a switch.

let notice = null;
let timer = 0;
const watch = new MutationObserver(look);
watch.observe(app, { attributes: true, attributeFilter: ["data-test-connection-state"] });
window.dermcaptureConnection = () => {
  watch.disconnect();
  settle();
};
look();

function look() {
  const state = app.dataset.testConnectionState;
  if (state === "CONNECTED") settle();
  else if (state !== "INITIAL" && !notice && !timer) timer = setTimeout(show, GONE_MS);
}

function settle() {
  clearTimeout(timer);
  notice?.remove();
  [notice, timer] = [null, 0];
}

function show() {
  notice = document.createElement("div");
  notice.className = "dc-notice dc-warn dc-lost";
  notice.setAttribute("role", "alert");
  notice.dataset.reactAriaTopLayer = "true"; // The dialog, unseen, would keep it from screen readers.
  for (const [kind, text] of [["strong", words.title], ["p", words.text]]) {
    notice.append(Object.assign(document.createElement(kind), { textContent: text }));
  }
  document.body.append(notice);
}
