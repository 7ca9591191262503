// The camera component: opens the rear camera, shows it with a reticle, sends the full-size frame as a JPEG.
// Sends one trigger, `photo`: { jpeg: base64, width, height }. See __init__.py for the other side.

const JPEG_QUALITIES = [0.92, 0.8, 0.65];
const MAX_JPEG_BYTES = 12_000_000; // Its base64 stays well below the server's limit of 25 MB a message.

const MESSAGES = {
  closed: "Hold the phone a hand’s width away, in good light.",
  opening: "Opening the camera. If the browser asks, choose “Allow”.",
  hidden: "The camera was closed while this page was out of sight.",
  denied:
    "The browser was not allowed to use the camera. Allow it in the browser’s settings for this page, " +
    "or use “Upload” above: it opens your phone’s own camera too.",
  missing: "No camera was found here. Use “Upload” above to choose a photo instead.",
  busy: "Another app is using the camera. Close it and try again, or use “Upload” above.",
  insecure:
    "Browsers allow the camera only on a secure address (https://). " +
    "Use “Upload” above: on a phone it opens the phone’s own camera.",
  ended: "The camera stopped. Open it again, or use “Upload” above.",
  failed: "The camera could not be opened. Try again, or use “Upload” above.",
};

const REASON_OF_ERROR = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};

const cameras = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".camera");
  let camera = cameras.get(root);
  if (!camera) {
    camera = new Camera(root);
    cameras.set(root, camera);
  }
  camera.send = (photo) => component.setTriggerValue("photo", photo);
  camera.listen();
  return () => camera.leave();
}

class Camera {
  constructor(root) {
    this.root = root;
    this.video = root.querySelector("video");
    this.facing = "environment";
    this.stream = null;
    this.attempt = 0; // Of opening: an answer to an earlier one is out of date.
    this.show("closed");
  }

  listen() {
    this.listeners?.abort();
    this.listeners = new AbortController();
    const on = (target, type, action) =>
      target.addEventListener(type, action, { signal: this.listeners.signal });
    on(this.root.querySelector(".open"), "click", () => this.open());
    on(this.root.querySelector(".close"), "click", () => this.close("closed"));
    on(this.root.querySelector(".shutter"), "click", () => this.take());
    on(this.root.querySelector(".switch"), "click", () => {
      this.facing = this.facing === "environment" ? "user" : "environment";
      this.open();
    });
    on(document, "visibilitychange", () => {
      if (document.hidden && this.stream) this.close("hidden");
    });
    on(window, "pagehide", () => this.release());
  }

  leave() {
    this.listeners.abort();
    // Streamlit also calls this between two runs of a script; only a component that is gone lets go.
    setTimeout(() => this.root.isConnected || this.release());
  }

  async open() {
    this.release();
    if (!window.isSecureContext || !navigator.mediaDevices) return this.show("insecure");
    this.show("opening");
    const attempt = this.attempt;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false,
        video: { facingMode: { ideal: this.facing }, width: { ideal: 4096 }, height: { ideal: 3072 } },
      });
      if (attempt !== this.attempt || !this.root.isConnected) return stop(stream);
      this.stream = stream;
      const [track] = stream.getVideoTracks();
      track.addEventListener("ended", () => this.stream === stream && this.close("ended"));
      this.video.srcObject = stream;
      await this.video.play();
      const settings = track.getSettings();
      this.root.dataset.facing = settings.facingMode ?? (this.facing === "user" ? "user" : "environment");
      const devices = await navigator.mediaDevices.enumerateDevices();
      this.root.querySelector(".switch").hidden =
        devices.filter((device) => device.kind === "videoinput").length < 2;
      if (attempt !== this.attempt) return;
      this.show("live");
      this.root.scrollIntoView({ block: "center" });
    } catch (error) {
      if (attempt === this.attempt) this.close(REASON_OF_ERROR[error.name] ?? "failed");
    }
  }

  async take() {
    if (this.root.dataset.state !== "live") return;
    this.show("taking");
    try {
      const { videoWidth: width, videoHeight: height } = this.video;
      const canvas = document.createElement("canvas");
      canvas.width = width;
      canvas.height = height;
      canvas.getContext("2d").drawImage(this.video, 0, 0, width, height);
      const jpeg = await toBase64(await toJpeg(canvas));
      navigator.vibrate?.(30);
      this.close("closed");
      this.send({ jpeg, width, height });
    } catch {
      this.close("failed");
    }
  }

  close(reason) {
    this.release();
    this.show(reason);
  }

  release() {
    this.attempt += 1;
    if (this.stream) stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }

  show(state) {
    this.root.dataset.state = state;
    if (MESSAGES[state]) this.root.querySelector(".message").textContent = MESSAGES[state];
  }
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}

async function toJpeg(canvas) {
  let blob = null;
  for (const quality of JPEG_QUALITIES) {
    blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    if (blob && blob.size <= MAX_JPEG_BYTES) return blob;
  }
  if (!blob) throw new Error("the browser gave no JPEG");
  return blob;
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
