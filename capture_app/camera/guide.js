// What the viewfinder says and does about what the checks found: pure functions, no DOM, no clock of its own.
//
//     let state = begin(limits);
//     state = advance(state, { time_ms, findings });   // for each checked frame
//     state.advice, state.mode, state.progress, state.fire
//
// One advice at a time, the worst first; steady, because a finding must hold before it counts and be gone, with a
// margin, before it is forgotten. `findings` are those of checks.js and `judgeMotion`.

export const TIMES_MS = Object.freeze({
  appear: 240, // A finding must hold this long, and MIN_FRAMES frames, to count,
  leave: 400, // and be gone this long to be forgotten.
  steady: 700, // No advice is replaced sooner.
  good: 800, // A good picture must last this long for the shutter to fire by itself.
  announce: 2500, // A screen reader is told at most this often.
  warm_up: 500, // The camera's own exposure and focus settle first.
  gap: 200, // Of a longer pause between two frames, no more is counted.
});
export const MIN_FRAMES = 3;
export const MARGIN = 0.1; // Of the limit, by which a measure must clear it for the finding to leave.
const SETBACK = 2; // A frame that is not good takes back this many times its own length.

// What to mend first among findings of one severity: light, without which nothing else can be judged; a steady
// hand; then where the lesion is; then what is left.
export const ORDER = Object.freeze([
  "too_dark", "glare", "too_bright", "moving", "no_lesion", "cut_off", "off_centre", "too_far", "too_close",
  "blurred", "uneven",
]);

const QUIET = Object.freeze({ active: false, since: null, frames: 0 });

export function begin(limits, { auto = true } = {}) {
  return {
    limits,
    auto, // Whether the shutter fires by itself.
    started_ms: null,
    time_ms: null,
    held: {}, // By code: { advise, block: triggers; towards, turning }.
    advice: null, // { code, severity, towards }
    advice_since: -Infinity,
    counting: false, // Whether the picture was good enough at the last frame for its time to count.
    good_ms: 0,
    progress: 0, // Towards firing, 0 to 1.
    fire: false, // True in one state only, ever.
    fired: false,
    mode: "searching", // searching | block | advise | good | fired
    announce: null, // What to say now: "good" or an advice; null to stay silent.
    announced: null,
    announced_ms: -Infinity,
  };
}

export function advance(state, { time_ms, findings }) {
  if (state.fired) return { ...state, time_ms, fire: false, announce: null, mode: "fired" };
  const started_ms = state.started_ms ?? time_ms;
  const elapsed = Math.max(0, Math.min(time_ms - (state.time_ms ?? time_ms), TIMES_MS.gap));
  const held = holdAll(state, findings, time_ms);
  const next = { ...state, started_ms, time_ms, held, fire: false, announce: null };

  const warm = time_ms - started_ms >= TIMES_MS.warm_up;
  const wanted = warm ? worst(held) : null;
  if (key(wanted) !== key(state.advice) && time_ms - state.advice_since >= TIMES_MS.steady) {
    next.advice = wanted;
    next.advice_since = time_ms;
  }

  const clean = findings.every((finding) => finding.severity === "ok");
  const blocked = findings.some((finding) => finding.severity === "block");
  next.counting = state.auto && warm && !wanted && !next.advice && !blocked;
  if (!next.counting || !state.counting) next.good_ms = 0; // What lies between the first two frames counts first.
  else if (clean) next.good_ms = state.good_ms + elapsed;
  else next.good_ms = Math.max(0, state.good_ms - SETBACK * elapsed);
  next.progress = Math.min(1, next.good_ms / TIMES_MS.good);

  if (next.advice) next.mode = next.advice.severity;
  else next.mode = warm && !wanted ? "good" : state.mode === "good" ? "good" : "searching";
  if (next.progress === 1 && clean) Object.assign(next, { fire: true, fired: true, mode: "fired" });
  return speak(next);
}

// The same state with the shutter's own firing on or off; a good picture is waited for anew.
export function withAuto(state, auto) {
  return { ...state, auto, counting: false, good_ms: 0, progress: 0 };
}

// Tells a screen reader what has changed, when it was not told anything just now.
function speak(state) {
  const now = state.advice ? key(state.advice) : state.mode === "good" ? "good" : null;
  const due = state.time_ms - state.announced_ms >= TIMES_MS.announce;
  if (now === null || now === state.announced || !due) return state;
  return { ...state, announce: state.advice ?? "good", announced: now, announced_ms: state.time_ms };
}

function holdAll(state, findings, time_ms) {
  const held = {};
  const seen = new Map(findings.map((finding) => [finding.code, finding]));
  for (const code of new Set([...ORDER, ...seen.keys()])) {
    const before = state.held[code] ?? { advise: QUIET, block: QUIET, towards: null, turning: QUIET };
    const finding = seen.get(code);
    const advise = settle(before.advise, isAmiss(state.limits[code], finding, "advise", before.advise), time_ms);
    const block = settle(before.block, isAmiss(state.limits[code], finding, "block", before.block), time_ms);
    held[code] = { advise, block, ...turn(before, finding, advise.active, time_ms) };
  }
  return held;
}

// Whether a finding is at least of this level; for one that counts already, the limit is moved by the margin.
function isAmiss(limit, finding, level, trigger) {
  if (!finding) return false;
  if (finding.severity === "block" || finding.severity === level) return true;
  if (!trigger.active || limit?.[level] == null) return false;
  const sign = limit.worse === "above" ? 1 : -1;
  return sign * (finding.measure - limit[level] * (1 - sign * MARGIN)) > 0;
}

// A switch that gives way only to what lasts.
function settle(trigger, wanted, time_ms) {
  if (wanted === trigger.active) return { ...QUIET, active: trigger.active };
  const since = trigger.since ?? time_ms;
  const frames = trigger.frames + 1;
  const long = wanted ? TIMES_MS.appear : TIMES_MS.leave;
  if (frames >= MIN_FRAMES && time_ms - since >= long) return { ...QUIET, active: wanted };
  return { active: trigger.active, since, frames };
}

// The direction of an advice changes only when the new one lasts, too.
function turn(before, finding, active, time_ms) {
  const towards = finding?.towards ?? null;
  if (!active || !before.advise.active) return { towards, turning: QUIET };
  if (towards === null || towards === before.towards) return { towards: before.towards, turning: QUIET };
  const turning = settle(before.turning, true, time_ms);
  return turning.active ? { towards, turning: QUIET } : { towards: before.towards, turning };
}

function worst(held) {
  for (const severity of ["block", "advise"]) {
    for (const code of Object.keys(held)) {
      if (held[code][severity].active) return { code, severity, towards: held[code].towards };
    }
  }
  return null;
}

function key(advice) {
  return advice && `${advice.code} ${advice.severity} ${advice.towards}`;
}

// The sentence of an advice in a table of words: one a code, or one a direction.
export function sentence(advice, words) {
  const found = words.advice[advice.code];
  return typeof found === "string" ? found : (found[advice.towards ?? "none"] ?? found.none);
}

// What is left on the front camera is right in its mirrored preview, and the hand goes by the preview.
export function mirrored(towards) {
  return towards?.replace(/left|right/, (side) => (side === "left" ? "right" : "left")) ?? null;
}

export const MOTION_SIZE = Object.freeze({ width: 48, height: 48 });

// A small copy of a frame's luma, each of its pixels the mean of a cell: what motion is judged from.
export function smallLuma(rgba, width, height, { width: columns, height: rows } = MOTION_SIZE) {
  const [ofRow, ofColumn] = [bounds(height, rows), bounds(width, columns)];
  const means = new Float32Array(rows * columns);
  for (let row = 0, cell = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, cell += 1) {
      let [red, green, blue] = [0, 0, 0]; // Here and not in an array: half of the time went into writing sums.
      for (let y = ofRow[row]; y < ofRow[row + 1]; y += 1) {
        const end = 4 * (y * width + ofColumn[column + 1]);
        for (let at = 4 * (y * width + ofColumn[column]); at < end; at += 4) {
          red += rgba[at];
          green += rgba[at + 1];
          blue += rgba[at + 2];
        }
      }
      const count = (ofRow[row + 1] - ofRow[row]) * (ofColumn[column + 1] - ofColumn[column]);
      means[cell] = (0.299 * red + 0.587 * green + 0.114 * blue) / Math.max(1, count);
    }
  }
  return means;
}

// Where each of `count` cells begins among `size` pixels, and where the last one ends.
const bounds = (size, count) => Int32Array.from({ length: count + 1 }, (_, cell) => Math.ceil((cell * size) / count));

// How much the picture changes in 0.1 s, as a share of its own contrast. What changes everywhere alike is the
// camera's exposure, not the hand. What lies further apart than LONG_MS has nothing left to differ by, and is not
// taken for slower.
const LONG_MS = 150;
export function motionBetween(before, after, elapsed_ms) {
  if (!before || before.length !== after.length || !(elapsed_ms > 0)) return 0;
  const [level, shift] = [mean(after), mean(after) - mean(before)];
  let [moved, contrast] = [0, 0];
  for (let at = 0; at < after.length; at += 1) {
    moved += Math.abs(after[at] - before[at] - shift);
    contrast += Math.abs(after[at] - level);
  }
  return (moved / (contrast + 2 * after.length)) * (100 / Math.min(elapsed_ms, LONG_MS));
}

// The last picture that was seen, with how much it moved: { luma, time_ms, motion }. Checks may run faster than the
// camera; a picture that is seen twice does not stand still.
export function lastSeen(before, luma, time_ms) {
  if (!before) return { luma, time_ms, motion: 0 };
  const elapsed_ms = time_ms - before.time_ms;
  if (elapsed_ms < LONG_MS && luma.every((value, at) => value === before.luma[at])) return before;
  return { luma, time_ms, motion: motionBetween(before.luma, luma, elapsed_ms) };
}

function mean(values) {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}

export function judgeMotion(measure, limits) {
  const { advise, block } = limits.moving;
  const severity = block !== null && measure > block ? "block" : measure > advise ? "advise" : "ok";
  const limit = severity === "block" ? block : advise;
  return { check: "motion", code: "moving", severity, measure, limit, towards: null };
}
