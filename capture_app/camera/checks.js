// The capture checks on a frame of the preview: field of view, illumination, focus. The same measures, limits and
// weights as capture_app/frame.py, locate.py and quality.py, as frame.js, scene.js and light.js;
// tests/capture_app/test_checks_agree.py holds the two to each other. No DOM: runs in a worker.
//
//   const check = makeChecker(limits, await loadWeights(), await loadKernel());    // the parsed limits.json
//   const { findings, lesion } = check(imageData.data, 320, 240);

import { measureLight } from "./light.js";
import { makeSceneReader } from "./scene.js";

const STEADY = 0.02; // Offsets below it have no direction.

/** A function (rgba, width, height) => { findings, faults, lesion, measures } over frames whose shorter side is 240.
 *
 * `findings` are the server's three; `faults` all that were looked for, those that are well too. `mark` is told what
 * has just been done, for timing. */
export function makeChecker(limits, weights, kernel, mark = () => {}) {
  const readScene = makeSceneReader(weights, kernel, mark);
  return (rgba, width, height) => {
    const scene = readScene(rgba, width, height);
    const light = measureLight(scene, limits.usual_brightness);
    mark("light");
    const detail = scene.frame.detail();
    mark("detail");
    const measures = { lesion: scene.lesion, ...light, detail };
    return { ...judge(measures, limits.limits), lesion: scene.lesion, measures };
  };
}

/** All faults looked for, and the three findings: the first of the most severe of each check. */
export function judge(measures, limits) {
  const { lesion } = measures;
  const [dx, dy] = lesion.offset_xy;
  const towards = directionOf(dx, dy);
  const found = (check, code, measure, towards = null) => ({
    check,
    code,
    ...severityOf(limits[code], measure),
    measure,
    towards,
  });
  const presence = found("field_of_view", "no_lesion", lesion.likelihood);
  const place = [
    found("field_of_view", "cut_off", lesion.cut_off, towards),
    found("field_of_view", "off_centre", Math.max(Math.abs(dx), Math.abs(dy)), towards),
    found("field_of_view", "too_far", lesion.extent),
    found("field_of_view", "too_close", lesion.extent),
  ];
  const light = [
    found("illumination", "too_dark", measures.underexposed_stops),
    found("illumination", "glare", measures.glare_share),
    found("illumination", "too_bright", measures.washed_share),
    found("illumination", "uneven", measures.uneven_stops),
  ];
  const focus = found("focus", "blurred", measures.detail);
  const present = presence.severity === "ok";
  return {
    findings: [present ? worst(place, place[1]) : presence, worst(light, light[0]), worst([focus], focus)],
    faults: [presence, ...(present ? place : []), ...light, focus],
  };
}

function severityOf(limit, value) {
  const sign = limit.worse === "above" ? 1 : -1;
  if (limit.block !== null && sign * (value - limit.block) > 0) return { severity: "block", limit: limit.block };
  return { severity: sign * (value - limit.advise) > 0 ? "advise" : "ok", limit: limit.advise };
}

function worst(faults, usual) {
  const first = (severity) => faults.find((fault) => fault.severity === severity);
  return first("block") ?? first("advise") ?? { ...usual, code: usual.check, towards: null };
}

/** Where the phone goes: "up", "left", "up-left", ..., or null where the lesion lies in the middle. */
function directionOf(dx, dy) {
  const larger = Math.max(Math.abs(dx), Math.abs(dy));
  if (larger < STEADY) return null;
  const sideways = dx > 0 ? "right" : "left";
  const upright = dy > 0 ? "down" : "up";
  if (Math.min(Math.abs(dx), Math.abs(dy)) > larger / 2) return `${upright}-${sideways}`;
  return Math.abs(dx) > Math.abs(dy) ? sideways : upright;
}
