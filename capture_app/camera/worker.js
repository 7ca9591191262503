// The checks, off the page's main thread: takes one frame, gives what was found on it, and the frame's memory back.
//
//     worker.postMessage({ table });                                        // once: the parsed limits.json
//     worker.postMessage({ id, pixels: ArrayBuffer, width, height }, [pixels]);

import { makeChecker } from "./checks.js";
import { smallLuma } from "./guide.js";
import { loadKernel } from "./kernel.js";
import { loadWeights } from "./locator.js";

let checker; // A promise of the checks, which wait for the locator's weights and the kernel.

self.onmessage = async ({ data }) => {
  if (data.table) {
    checker = loadChecker(data.table);
    checker.catch(() => {}); // Each frame tells of it.
    return;
  }
  const { id, pixels, width, height } = data;
  try {
    const check = await checker;
    const started = performance.now();
    const rgba = new Uint8ClampedArray(pixels);
    const luma = smallLuma(rgba, width, height);
    const { faults, lesion, measures } = check(rgba, width, height);
    const took_ms = performance.now() - started;
    const found = { id, findings: faults, lesion, sharpness: measures.detail, luma, took_ms, width, height };
    self.postMessage(found, [luma.buffer]);
  } catch (error) {
    self.postMessage({ id, error: String(error) });
  }
};

async function loadChecker(table) {
  const [weights, kernel] = await Promise.all([loadWeights(), loadKernel()]);
  return makeChecker(table, weights, kernel);
}
