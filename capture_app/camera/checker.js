// Small copies of what the camera sees, sent to the worker one at a time: a frame that comes too early is dropped.
//
//     const checker = new Checker(table);       // the parsed limits.json
//     const seen = await checker.look(video);   // { findings, lesion, sharpness, luma, took_ms, width, height }

export const SHORTER_SIDE_PX = 240;
const ANSWER_MS = 15_000; // A worker that takes longer has died, or never started.

export class Checker {
  constructor(table) {
    this.waiting = null;
    this.id = 0;
    this.worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => {
      if (data.id === this.waiting?.id) this.settle(data.error ? new Error(data.error) : null, data);
    };
    this.worker.onerror = () => this.settle(new Error("the worker could not run"));
    this.worker.postMessage({ table });
    this.canvas = document.createElement("canvas");
    // Read back many times a second and yet drawn by the GPU: a phone shrinks 12 megapixels far faster there.
    this.context = this.canvas.getContext("2d", { willReadFrequently: false });
  }

  get busy() {
    return this.waiting !== null;
  }

  // What the checks find on a video's frame, an image or a canvas; null while an earlier one is being looked at.
  look(picture) {
    if (this.busy) return Promise.resolve(null);
    const [wide, high] = sizeOf(picture);
    if (!wide || !high) return Promise.resolve(null);
    const scale = SHORTER_SIDE_PX / Math.min(wide, high);
    const [width, height] = [Math.round(wide * scale), Math.round(high * scale)];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      Object.assign(this.canvas, { width, height });
      this.context.imageSmoothingQuality = "high";
    }
    this.context.drawImage(picture, 0, 0, width, height);
    const pixels = this.context.getImageData(0, 0, width, height).data.buffer;
    return new Promise((resolve, reject) => {
      const id = (this.id += 1);
      const timer = setTimeout(() => this.settle(new Error("the worker does not answer")), ANSWER_MS);
      this.waiting = { id, resolve, reject, timer };
      this.worker.postMessage({ id, pixels, width, height }, [pixels]);
    });
  }

  settle(error, answer) {
    if (!this.waiting) return;
    const { resolve, reject, timer } = this.waiting;
    clearTimeout(timer);
    this.waiting = null;
    if (error) reject(error);
    else resolve(answer);
  }

  close() {
    this.worker.terminate();
    this.settle(new Error("closed"));
  }
}

export function sizeOf(picture) {
  return [picture.videoWidth ?? picture.width, picture.videoHeight ?? picture.height];
}
