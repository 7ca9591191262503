// The worker of benchmarks/live_check.py: the whole live check of drawn frames, each of the kernel's binaries in turn.
//
//   postMessage({ limits, binaries, width, height, seconds });   // once; the answer: { binary: { stage: rounds } }
//
// A stage's rounds are lists of milliseconds, one a frame; the stage "all" is what camera/worker.js times.

import { makeChecker } from "/camera/checks.js";
import { smallLuma } from "/camera/guide.js";
import { loadKernel } from "/camera/kernel.js";
import { loadWeights } from "/camera/locator.js";

const WARM_UP_ROUNDS = 20; // The browser compiles what is called often a second time.

self.onmessage = async ({ data: { limits, binaries, width, height, seconds } }) => {
  const [weights, frames] = [await loadWeights(), await framesOf(width, height)];
  const ways = [];
  for (const name of binaries) {
    const way = { name, stages: {}, last: 0 };
    const mark = (stage) => {
      const now = performance.now();
      way.stages[stage] ??= [];
      (way.stages[stage][way.round] ??= []).push(now - way.last);
      way.last = now;
    };
    const check = makeChecker(limits, weights, await loadKernel([name]), mark);
    way.look = (rgba, round) => {
      Object.assign(way, { round, last: performance.now() });
      const started = way.last;
      smallLuma(rgba, width, height);
      mark("motion");
      check(rgba, width, height);
      way.last = started;
      mark("all");
    };
    ways.push(way);
  }
  const oneRound = (round) => {
    for (const way of ways) {
      way.look(frames[0], round); // Takes the caches over from whoever ran before.
      for (const stage of Object.values(way.stages)) stage[round] = [];
      for (const frame of frames) way.look(frame, round);
    }
    ways.reverse();
  };
  for (let round = 0; round < WARM_UP_ROUNDS; round += 1) oneRound(0);
  const end = performance.now() + 1000 * seconds;
  for (let round = 0; performance.now() < end; round += 1) oneRound(round);
  self.postMessage(Object.fromEntries(ways.map(({ name, stages }) => [name, stages])));
};

async function framesOf(width, height) {
  const all = new Uint8ClampedArray(await (await fetch("/frames")).arrayBuffer());
  const size = 4 * width * height;
  return Array.from({ length: all.length / size }, (_, index) => all.slice(index * size, (index + 1) * size));
}
