// The checks of the /connect page: is the address trusted, may the browser use a camera, does the websocket answer.
// `setup` (JSON in the page) gives the mode, the texts, and the message that the page's own websocket opens with.

const setup = JSON.parse(document.getElementById("setup").textContent);
const base = location.pathname.replace(/\/connect\/?$/, "");
const isApple = /iPhone|iPad|iPod/.test(navigator.userAgent) || (/Mac/.test(navigator.userAgent) && navigator.maxTouchPoints > 1);
const isAndroid = /Android/.test(navigator.userAgent);
const TRY_MS = 8000;

const say = (key, values = {}) =>
  setup.texts[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name]));

function show(id, state, key, values) {
  const row = document.getElementById(id);
  row.hidden = state === "later";
  row.className = `dc-${state}`;
  if (row.hidden) return false;
  row.querySelector("em").textContent = say(`word_${state}`);
  row.querySelector("p").textContent = key ? say(key, values) : "";
  return state === "ok";
}

// A request without CORS tells one thing only: whether the connection, and so the certificate, was accepted.
async function reaches(url) {
  try {
    await fetch(url, { mode: "no-cors", cache: "no-store", signal: AbortSignal.timeout(TRY_MS) });
    return true;
  } catch {
    return false;
  }
}

async function checkTrust() {
  if (window.isSecureContext) {
    return show("trust", "ok", location.protocol === "https:" ? "trust_ok" : "trust_here");
  }
  if (setup.mode === "local") return show("trust", "block", "trust_insecure");
  if (await reaches(`https://${location.host}${base}/v1/health`)) return show("trust", "ok", "trust_ready");
  return show("trust", "advise", setup.mode === "authority" ? "trust_not_yet" : "trust_own_failed");
}

async function checkCamera() {
  if (!window.isSecureContext) return show("camera", "later");
  if (!navigator.mediaDevices?.getUserMedia) return show("camera", "block", "camera_missing");
  try {
    const permission = await navigator.permissions.query({ name: "camera" });
    if (permission.state === "denied") return show("camera", "advise", "camera_refused");
  } catch {
    // Not every browser lets itself be asked; it will then ask the person.
  }
  const devices = await navigator.mediaDevices.enumerateDevices();
  if (!devices.some((device) => device.kind === "videoinput")) return show("camera", "advise", "camera_none");
  return show("camera", "ok", "camera_ok");
}

// Opens the page's own websocket, sends what the page sends first, and waits for the first answer.
function trySocket() {
  return new Promise((resolve) => {
    const address = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${base}/_stcore/stream`;
    const started = performance.now();
    let opened = false;
    let socket;
    try {
      socket = new WebSocket(address, ["streamlit"]);
    } catch {
      resolve({ end: "refused" });
      return;
    }
    const finish = (result) => {
      clearTimeout(timer);
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => finish({ end: opened ? "silent" : "refused" }), TRY_MS);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      opened = true;
      socket.send(Uint8Array.from(setup.first_message));
    };
    socket.onmessage = () => finish({ end: "ok", ms: Math.round(performance.now() - started) });
    socket.onclose = (event) => finish({ end: opened ? "closed" : "refused", code: event.code });
  });
}

async function checkSocket() {
  if (!window.isSecureContext && setup.mode !== "local") return show("socket", "later");
  const { end, ms, code } = await trySocket();
  if (end === "ok") return show("socket", "ok", "socket_ok", { ms });
  if (!(await reaches(`${base}/v1/health`))) return show("socket", "block", "socket_server");
  if (end === "silent") return show("socket", "block", "socket_silent", { s: TRY_MS / 1000 });
  if (end === "closed") return show("socket", "block", "socket_closed", { code });
  const cause = isApple && setup.mode === "authority" ? "socket_refused_ios" : "socket_refused";
  return show("socket", "block", cause);
}

const go = document.getElementById("go");
const again = document.getElementById("again");
const heading = document.getElementById("heading");
const lede = document.getElementById("lede");
const asked = { heading: heading.textContent, lede: lede.textContent };
let running = false;
let trusted = false;

async function check() {
  if (running) return;
  running = true;
  heading.textContent = asked.heading;
  lede.textContent = asked.lede;
  again.disabled = true;
  go.hidden = true;
  for (const id of ["trust", "camera", "socket"]) show(id, "wait");
  const [trust, , socket] = await Promise.all([checkTrust(), checkCamera(), checkSocket()]);
  trusted = trust;
  if (trust && socket) {
    lead(`${base}/`, "open");
    sayReady();
  } else if (trust && !window.isSecureContext) lead(`https://${location.host}${base}/connect`, "go_on");
  again.disabled = false;
  running = false;
}

function sayReady() {
  heading.textContent = say("ready_heading");
  lede.textContent = say("ready_lede");
  document.getElementById("gentle")?.remove();
  for (const id of ["ios", "android"]) document.getElementById(id)?.removeAttribute("open");
}

function lead(href, key) {
  go.href = href;
  go.textContent = say(key);
  go.hidden = false;
}

// Everything is open in the page as it comes, for browsers without scripts; here one's own phone is enough.
if (isApple || isAndroid) {
  const other = document.getElementById(isApple ? "android" : "ios");
  if (other) {
    other.open = false;
    other.parentElement.append(other);
  }
}
const code = document.getElementById("no-code");
if (code) code.hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

again.addEventListener("click", check);
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !trusted) check();
});
check();
