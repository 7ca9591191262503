// The camera as a Streamlit component: the button that opens it, and what is said when it cannot be had.
// The viewfinder and its guidance are the modules beside this one, which the server gives at camera/*.js (files.py).
// Sends one trigger, `photo` or `pair`; see __init__.py for the other side.

const SLOW_MS = 15_000; // After this long without an answer the connection is doubted.

const cameras = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".camera");
  let camera = cameras.get(root);
  if (!camera) {
    camera = new Camera(root, component.data);
    cameras.set(root, camera);
  }
  camera.send = (name, value) => component.setTriggerValue(name, value);
  camera.listen();
  return () => camera.leave();
}

class Camera {
  constructor(root, data) {
    this.root = root;
    this.data = data; // { words, table, pair }
    this.finder = null; // The viewfinder, while it is open.
    this.attempt = 0; // Of opening: an answer to an earlier one is out of date.
    for (const element of root.querySelectorAll("[data-text]")) {
      element.textContent = data.words.controls[element.dataset.text];
    }
    for (const element of [root, ...root.querySelectorAll("[data-label]")]) {
      element.setAttribute("aria-label", data.words.controls[element.dataset.label]);
    }
    this.show("closed");
  }

  listen() {
    this.listeners?.abort();
    this.listeners = new AbortController();
    const on = (target, type, action) => target.addEventListener(type, action, { signal: this.listeners.signal });
    on(this.root.querySelector(".open"), "click", () => this.open());
    on(document, "visibilitychange", () => {
      if (document.hidden && this.isOpen()) this.close("hidden");
    });
    on(window, "pagehide", () => this.isOpen() && this.close("hidden"));
  }

  isOpen() {
    return this.finder !== null || this.root.dataset.state === "opening";
  }

  leave() {
    this.listeners.abort();
    // Streamlit also calls this between two runs of a script; only a component that is gone lets go.
    setTimeout(() => this.root.isConnected || this.close("closed"));
  }

  async open() {
    this.close("opening");
    const attempt = this.attempt;
    try {
      const { Viewfinder } = await load("viewfinder.js");
      if (attempt !== this.attempt) return;
      const finder = new Viewfinder(this.root.querySelector(".finder"), this.data, {
        close: (reason) => this.finder === finder && this.close(reason),
        send: (name, value) => {
          this.close("sending");
          this.slow = setTimeout(() => this.show("slow"), SLOW_MS);
          this.send(name, value);
        },
      });
      this.finder = finder;
      await finder.open();
      if (attempt === this.attempt) this.root.dataset.state = "live";
    } catch {
      if (attempt === this.attempt) this.close("failed");
    }
  }

  close(reason) {
    this.attempt += 1;
    clearTimeout(this.slow);
    this.finder?.release();
    this.finder = null;
    this.show(reason);
  }

  show(state) {
    this.root.dataset.state = state;
    const message = this.data.words.messages[state];
    if (message) this.root.querySelector(".message").textContent = message;
  }
}

// This text runs from a blob, so a module's address is given from the page's own, whatever path that lies below.
function load(name) {
  return import(new URL(`camera/${name}`, document.baseURI).href);
}
