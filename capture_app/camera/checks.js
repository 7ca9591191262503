// The capture checks on a frame of the preview: field of view, illumination, focus. The same measures, limits and
// weights as capture_app/frame.py, locate.py and quality.py; tests/capture_app/test_checks_agree.py holds the two to
// each other. No DOM: runs in a worker.
//
//   const check = makeChecker(limits, await loadWeights(), await loadKernel());    // the parsed limits.json
//   const { findings, lesion } = check(imageData.data, 320, 240);

import { planNetwork, readLayers } from "./locator.js";

const CELL = 4;
const LUMA = [299, 587, 114]; // Per mille.
const DISPLAY_GAMMA = 2.2;
const LOG_OFFSET = 8;
const CHANNEL_GAIN = [2, 6, 6];
const REGION_THRESHOLD = 0.6;
const THRESHOLD_OF_PEAK = 0.6;
const JOIN_CELLS = 2;
const BOX_MARGIN = 0.02;
const CENTRE_SIGMA = 0.6;
const SKIN_PROBABILITY = 0.2;
const SKIN_HUE = 1.8;
const MIN_SKIN_SHARE = 0.05;
const SIDE_BEGINS = 0.25;
const SIDE_SHARE = 0.6;
const HUE_SHARE = 0.6;
const MAX_HUE_STOPS = 0.5;
const SIDE_SKIN_SHARE = 0.02;
const BRIGHT_SHARE = 0.95;
const WHITE = 250;
const GLARE_SHARE = 0.9;
const GLARE_RISE = 0.5;
const STEADY = 0.02; // Offsets below it have no direction.

const ofEverySum = (pixels, of) => Float64Array.from({ length: 255 * pixels + 1 }, (_, sum) => of(sum / pixels));
const stops = (value) => DISPLAY_GAMMA * Math.log2((value + 1) / 256);
const logarithm = (value) => Math.log(value + LOG_OFFSET);
const STOPS = ofEverySum(CELL * CELL, stops);
const [LOG, FINE_LOG] = [CELL, CELL / 2].map((side) => ofEverySum(side * side, logarithm));

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

/** A function (rgba, width, height) => { frame, probability, lesion, skin, body }: a frame, taken apart.
 *
 * rgba: width * height * 4, 0 to 255. What it gives holds until the next frame. */
export function makeSceneReader(weights, kernel, mark = () => {}) {
  const layers = readLayers(weights, kernel);
  const end = kernel.end;
  let plan = null;
  return (rgba, width, height) => {
    if (plan?.width !== width || plan.height !== height) {
      kernel.release(end); // Of the last size, which the camera has left.
      plan = planFrame(width, height, layers, kernel);
    }
    const frame = plan.read(rgba);
    mark("frame");
    const { planes, medians } = opponentPlanes(frame);
    const colours = opponentColours(frame, medians);
    mark("planes");
    const probability = plan.lesionProbability(colours);
    mark("network");
    const lesion = findLesion(probability, frame);
    const skin = plainSkin(probability, planes);
    const body = bodyOf(skin, probability, frame);
    mark("lesion and skin");
    return { frame, probability, lesion, skin, body };
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

// ---- The frame -------------------------------------------------------------------------------------------------

/** What is done alike to all frames of a size, in the kernel's memory. */
function planFrame(width, height, layers, kernel) {
  const { run } = kernel;
  const [rows, columns] = [Math.floor(height / CELL), Math.floor(width / CELL)];
  const rgbaAt = kernel.reserve(4 * width * height);
  const sumsAt = kernel.reserve(2 * 4 * rows * columns);
  const quartersAt = kernel.reserve(2 * 4 * 4 * rows * columns);
  const bodyAt = kernel.reserve(rows * columns);
  const lesionProbability = planNetwork(layers, 2 * rows, 2 * columns, kernel);
  const frame = {
    width,
    height,
    rows,
    columns,
    centre: preferMiddle(rows, columns),
    sums: null, // (rows, columns, 4): of the colours in each cell.
    quarters: null, // (2 * rows, 2 * columns, 4): in each cell's quarters.
    brighter: (level, body) => {
      kernel.bytes(bodyAt, body.length).set(body);
      return run.count_brighter(rgbaAt, width, rows, columns, bodyAt, level) / (CELL * CELL * body.length);
    },
    detail: () => run.measure_detail(rgbaAt, width, height),
  };
  const read = (rgba) => {
    kernel.bytes(rgbaAt, rgba.length).set(rgba);
    run.sum_cells(rgbaAt, width, rows, columns, quartersAt, sumsAt);
    const [sums, quarters] = [kernel.words(sumsAt, 4 * rows * columns), kernel.words(quartersAt, 16 * rows * columns)];
    return { ...frame, sums, quarters };
  };
  return { width, height, read, lesionProbability };
}

/** (rows * columns): how much each cell counts when the lesion is looked for. */
function preferMiddle(rows, columns) {
  const side = Math.min(rows, columns);
  return Float64Array.from({ length: rows * columns }, (_, cell) => {
    const y = (1 - rows + 2 * Math.floor(cell / columns)) / side;
    const x = (1 - columns + 2 * (cell % columns)) / side;
    return Math.exp(-(x * x + y * y) / (2 * CENTRE_SIGMA * CENTRE_SIGMA));
  });
}

/** Each cell's opponent colours, as three planes, and the planes' medians, which are taken away. */
function opponentPlanes({ rows, columns, sums }) {
  const size = rows * columns;
  const planes = [0, 1, 2].map(() => new Float64Array(size));
  for (let cell = 0; cell < size; cell += 1) {
    const red = LOG[sums[4 * cell]];
    const green = LOG[sums[4 * cell + 1]];
    const blue = LOG[sums[4 * cell + 2]];
    planes[0][cell] = (red + green + blue) / 3;
    planes[1][cell] = red - green;
    planes[2][cell] = (red + green) / 2 - blue;
  }
  const medians = planes.map((plane) => select(plane.slice(), size >> 1));
  const found = planes.map((plane, channel) => {
    const own = new Float32Array(size);
    for (let cell = 0; cell < size; cell += 1) own[cell] = (plane[cell] - medians[channel]) * CHANNEL_GAIN[channel];
    return own;
  });
  return { planes: found, medians };
}

/** (2 * rows * 2 * columns * 3): the opponent colours of the cells' quarters, less the medians of the cells. */
function opponentColours({ quarters }, medians) {
  const [lightness, redGreen, yellowBlue] = medians;
  const [one, two, three] = CHANNEL_GAIN;
  const colours = new Float32Array((quarters.length / 4) * 3);
  for (let from = 0, to = 0; from < quarters.length; from += 4, to += 3) {
    const red = FINE_LOG[quarters[from]];
    const green = FINE_LOG[quarters[from + 1]];
    const blue = FINE_LOG[quarters[from + 2]];
    colours[to] = ((red + green + blue) / 3 - lightness) * one;
    colours[to + 1] = (red - green - redGreen) * two;
    colours[to + 2] = ((red + green) / 2 - blue - yellowBlue) * three;
  }
  return colours;
}

/** The value below which `share` of the values lie, one of them; reorders the Float64Array. */
const rank = (values, share) => select(values, Math.floor(share * (values.length - 1) + 0.5));

/** The value that would stand at `index` if the typed array were sorted: quickselect (Hoare 1961). */
function select(values, index) {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let [left, right] = [low, high];
    while (left <= right) {
      while (values[left] < pivot) left += 1;
      while (values[right] > pivot) right -= 1;
      if (left > right) break;
      const kept = values[left];
      values[left] = values[right];
      values[right] = kept;
      left += 1;
      right -= 1;
    }
    if (index <= right) high = right;
    else if (index >= left) low = left;
    else break;
  }
  return values[index];
}

// ---- The lesion and the skin -----------------------------------------------------------------------------------

function findLesion(probability, { width, height, rows, columns, centre }) {
  const size = rows * columns;
  const weight = Float64Array.from(centre);
  let peak = 0;
  for (let at = 0; at < size; at += 1) {
    weight[at] *= probability[at];
    if (weight[at] > weight[peak]) peak = at;
  }
  const threshold = Math.min(REGION_THRESHOLD, THRESHOLD_OF_PEAK * probability[peak]);
  const joined = spread(probability, threshold, rows, columns);
  const labels = new Int32Array(size);
  let [chosen, mostMass] = [0, -1];
  const stack = [];
  for (let start = 0, label = 0; start < size; start += 1) {
    if (labels[start] || !joined[start]) continue;
    label += 1;
    let mass = 0;
    labels[start] = label;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      if (probability[at] >= threshold) mass += weight[at];
      const column = at % columns;
      for (const next of [column > 0 ? at - 1 : -1, column < columns - 1 ? at + 1 : -1, at - columns, at + columns]) {
        if (next < 0 || next >= size || labels[next] || !joined[next]) continue;
        labels[next] = label;
        stack.push(next);
      }
    }
    if (mass > mostMass) [chosen, mostMass] = [label, mass];
  }
  let [x0, y0, x1, y1, likelihood, border] = [columns, rows, 0, 0, 0, 0];
  for (let at = 0; at < size; at += 1) {
    if (labels[at] !== chosen || probability[at] < threshold) continue;
    const row = Math.floor(at / columns);
    const column = at % columns;
    x0 = Math.min(x0, column);
    x1 = Math.max(x1, column + 1);
    y0 = Math.min(y0, row);
    y1 = Math.max(y1, row + 1);
    likelihood = Math.max(likelihood, probability[at]);
    border += row === 0 || row === rows - 1 || column === 0 || column === columns - 1 ? 1 : 0;
  }
  const shorter = Math.min(width, height);
  const [left, right] = withMargin(x0 * CELL, x1 * CELL, width);
  const [top, bottom] = withMargin(y0 * CELL, y1 * CELL, height);
  return {
    box: [left, top, right, bottom].map(Math.round),
    offset_xy: [(left + right - width) / 2 / shorter, (top + bottom - height) / 2 / shorter],
    extent: Math.max(right - left, bottom - top) / shorter,
    cut_off: border / (2 * (rows + columns) - 4),
    likelihood,
  };
}

/** (cells) Uint8Array: 1 up to JOIN_CELLS around a cell that is lesion-like enough, so that near ones touch. */
function spread(probability, threshold, rows, columns) {
  const joined = new Uint8Array(probability.length);
  for (let at = 0; at < probability.length; at += 1) {
    if (probability[at] < threshold) continue;
    const [row, column] = [Math.floor(at / columns), at % columns];
    const [left, right] = [Math.max(0, column - JOIN_CELLS), Math.min(columns, column + JOIN_CELLS + 1)];
    const end = Math.min(rows, row + JOIN_CELLS + 1);
    for (let y = Math.max(0, row - JOIN_CELLS); y < end; y += 1) joined.fill(1, y * columns + left, y * columns + right);
  }
  return joined;
}

function withMargin(low, high, end) {
  const margin = BOX_MARGIN * (high - low);
  return [Math.max(low - margin, 0), Math.min(high + margin, end)];
}

/** (cells) Uint8Array: 1 where a cell is plain skin; all where there is too little of it. */
function plainSkin(probability, [, redGreen, yellowBlue]) {
  const size = probability.length;
  const all = () => new Uint8Array(size).fill(1);
  const apart = new Int32Array(size);
  let count = 0;
  for (let at = 0; at < size; at += 1) {
    if (probability[at] < SKIN_PROBABILITY) {
      apart[count] = at;
      count += 1;
    }
  }
  if (count < MIN_SKIN_SHARE * size) return all();
  const [ofRed, ofYellow] = [redGreen, yellowBlue].map((plane) => {
    const values = new Float32Array(count);
    for (let i = 0; i < count; i += 1) values[i] = plane[apart[i]];
    return select(values, count >> 1);
  });
  const skin = new Uint8Array(size);
  let kept = 0;
  for (let i = 0; i < count; i += 1) {
    const at = apart[i];
    if (Math.abs(redGreen[at] - ofRed) < SKIN_HUE && Math.abs(yellowBlue[at] - ofYellow) < SKIN_HUE) {
      skin[at] = 1;
      kept += 1;
    }
  }
  return kept < MIN_SKIN_SHARE * size ? all() : skin;
}

/** (cells) Uint8Array: 0 where a cell is neither skin nor lesion and others of its kind join it to the border. */
function bodyOf(skin, probability, { rows, columns }) {
  const body = new Uint8Array(skin.length).fill(1);
  const stack = [];
  const visit = (at) => {
    if (!body[at] || skin[at] || probability[at] >= SKIN_PROBABILITY) return;
    body[at] = 0;
    stack.push(at);
  };
  for (let column = 0; column < columns; column += 1) [column, (rows - 1) * columns + column].forEach(visit);
  for (let row = 0; row < rows; row += 1) [row * columns, (row + 1) * columns - 1].forEach(visit);
  while (stack.length) {
    const at = stack.pop();
    const column = at % columns;
    if (column > 0) visit(at - 1);
    if (column < columns - 1) visit(at + 1);
    if (at >= columns) visit(at - columns);
    if (at < skin.length - columns) visit(at + columns);
  }
  return body;
}

// ---- Light -----------------------------------------------------------------------------------------------------

function measureLight({ frame, skin, body }, usualBrightness) {
  const { rows, columns, sums, brighter } = frame;
  const perCell = CELL * CELL;
  const [brightest, ofBlue] = [0, 1].map(() => new Float64Array(skin.length));
  const [ofSkin, luma, redOverGreen] = [0, 1, 2].map(() => new Float64Array(skin.length));
  let [count, washed] = [0, 0];
  for (let cell = 0; cell < skin.length; cell += 1) {
    const [red, green, blue] = [sums[4 * cell], sums[4 * cell + 1], sums[4 * cell + 2]];
    brightest[cell] = Math.max(red, green, blue) / perCell;
    ofBlue[cell] = blue / perCell;
    if (!skin[cell]) continue;
    ofSkin[count] = brightest[cell];
    washed += brightest[cell] >= WHITE ? 1 : 0;
    luma[count] = (red * LUMA[0] + green * LUMA[1] + blue * LUMA[2]) / (1000 * perCell);
    redOverGreen[count] = STOPS[red] - STOPS[green];
    count += 1;
  }
  const ranked = (values, share) => rank(values.subarray(0, count), share);
  const redder = Math.max(0, ranked(redOverGreen, 0.5) - usualBrightness.up_to_red_over_green);
  const usual = usualBrightness.stops + usualBrightness.and_then_per_stop * redder;
  const lit = ranked(luma, GLARE_SHARE);
  return {
    underexposed_stops: usual - stops(ranked(ofSkin, BRIGHT_SHARE)),
    washed_share: washed / count,
    glare_share: brighter(Math.floor(lit + GLARE_RISE * (255 - lit)), body),
    uneven_stops: unevenStops(brightest, ofBlue, skin, rows, columns),
  };
}

/** Between two opposite sides, less what their hues tell: the root mean square of four directions. */
function unevenStops(brightest, blue, skin, rows, columns) {
  const edge = 2 * SIDE_BEGINS * Math.min(rows, columns);
  const least = SIDE_SKIN_SHARE * skin.length;
  const [before, after] = [0, 1].map(() => new Int32Array(skin.length));
  const values = new Float64Array(skin.length);
  const level = (colour, cells) => {
    for (let i = 0; i < cells.length; i += 1) values[i] = colour[cells[i]];
    return stops(rank(values.subarray(0, cells.length), SIDE_SHARE));
  };
  let squares = 0;
  for (const [across, down] of [[1, 0], [0, 1], [1, 1], [1, -1]]) {
    const beyond = edge * Math.hypot(across, down);
    let [countBefore, countAfter] = [0, 0];
    for (let row = 0, cell = 0; row < rows; row += 1) {
      const y = down * (1 - rows + 2 * row);
      for (let column = 0; column < columns; column += 1, cell += 1) {
        const along = across * (1 - columns + 2 * column) + y;
        if (!skin[cell] || (along <= beyond && along >= -beyond)) continue;
        if (along > 0) {
          after[countAfter] = cell;
          countAfter += 1;
        } else {
          before[countBefore] = cell;
          countBefore += 1;
        }
      }
    }
    if (Math.min(countBefore, countAfter) < least) continue;
    const [one, other] = [before.subarray(0, countBefore), after.subarray(0, countAfter)];
    const [light, ofBlue] = [brightest, blue].map((colour) => level(colour, one) - level(colour, other));
    const hue = (light > 0 ? ofBlue : -ofBlue) - Math.abs(light);
    squares += Math.max(0, Math.abs(light) - HUE_SHARE * Math.min(Math.max(hue, 0), MAX_HUE_STOPS)) ** 2;
  }
  return Math.sqrt(squares / 4);
}
