// The capture checks on a frame of the preview: field of view, illumination, focus. The same measures, limits and
// weights as capture_app/frame.py, locate.py and quality.py; tests/capture_app/test_checks_agree.py holds the two to
// each other. No DOM: runs in a worker.
//
//   const check = makeChecker(limits, locator);          // the parsed limits.json and locator.json
//   const { findings, lesion } = check(imageData.data, 320, 240);

import { lesionProbability, readWeights } from "./locator.js";

const CELL = 4;
const LUMA = [299, 587, 114]; // Per mille.
const DISPLAY_GAMMA = 2.2;
const LOG_OFFSET = 8;
const CHANNEL_GAIN = [2, 6, 6];
const REGION_THRESHOLD = 0.6;
const THRESHOLD_OF_PEAK = 0.6;
const CENTRE_SIGMA = 0.6;
const SKIN_PROBABILITY = 0.2;
const SKIN_HUE = 1.8;
const MIN_SKIN_SHARE = 0.05;
const SIDE_BEGINS = 0.2;
const SIDE_SKIN_SHARE = 0.02;
const BRIGHT_SHARE = 0.95;
const TONE_ALLOWED = 0.25;
const GLARE_RISE = 0.6;
const DETAIL_SIDE = 160;
const SHADING_RADIUS = 6;
const CONTRAST_FLOOR = 1;
const STEADY = 0.02; // Offsets below it have no direction.

const ofEverySum = (of) => Float64Array.from({ length: 255 * CELL * CELL + 1 }, (_, sum) => of(sum / (CELL * CELL)));
const stops = (value) => DISPLAY_GAMMA * Math.log2((value + 1) / 256);
const [LOG, STOPS] = [ofEverySum((value) => Math.log(value + LOG_OFFSET)), ofEverySum(stops)];

/** A function (rgba, width, height) => { findings, faults, lesion, measures } over frames whose shorter side is 240.
 *
 * `findings` are the server's three; `faults` all that were looked for, those that are well too. */
export function makeChecker(limits, locator) {
  const weights = readWeights(locator);
  return (rgba, width, height) => {
    const measures = measure(rgba, width, height, weights, limits.usual_brightness);
    return { ...judge(measures, limits.limits), lesion: measures.lesion, measures };
  };
}

/** All measures of a frame: rgba (width * height * 4, 0 to 255), weights from readWeights. */
export function measure(rgba, width, height, weights, usualBrightness) {
  const frame = readFrame(rgba, width, height);
  const planes = opponentPlanes(frame);
  const probability = lesionProbability(planes, frame.rows, frame.columns, weights);
  const lesion = findLesion(probability, frame);
  const skin = plainSkin(probability, planes);
  return { lesion, ...measureLight(frame, skin, usualBrightness), detail: measureDetail(rgba, width, height) };
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
    found("illumination", "too_bright", measures.bright_luma),
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

function readFrame(rgba, width, height) {
  const rows = Math.floor(height / CELL);
  const columns = Math.floor(width / CELL);
  const darkest = new Uint8Array(width * height); // Of the three colours.
  for (let at = 0, from = 0; at < darkest.length; at += 1, from += 4) {
    darkest[at] = Math.min(rgba[from], rgba[from + 1], rgba[from + 2]);
  }
  const [reds, greens, blues] = [0, 1, 2].map(() => new Int32Array(rows * columns));
  for (let row = 0, cell = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1, cell += 1) {
      let red = 0;
      let green = 0;
      let blue = 0;
      for (let y = row * CELL; y < (row + 1) * CELL; y += 1) {
        const from = 4 * (y * width + column * CELL);
        for (let at = from; at < from + 4 * CELL; at += 4) {
          red += rgba[at];
          green += rgba[at + 1];
          blue += rgba[at + 2];
        }
      }
      reds[cell] = red;
      greens[cell] = green;
      blues[cell] = blue;
    }
  }
  return { width, height, rows, columns, darkest, sums: [reds, greens, blues] };
}

function opponentPlanes({ rows, columns, sums }) {
  const size = rows * columns;
  const planes = [0, 1, 2].map(() => new Float64Array(size));
  for (let cell = 0; cell < size; cell += 1) {
    const red = LOG[sums[0][cell]];
    const green = LOG[sums[1][cell]];
    const blue = LOG[sums[2][cell]];
    planes[0][cell] = (red + green + blue) / 3;
    planes[1][cell] = red - green;
    planes[2][cell] = (red + green) / 2 - blue;
  }
  return planes.map((plane, channel) => {
    const middle = select(plane.slice(), size >> 1);
    const found = new Float32Array(size);
    for (let cell = 0; cell < size; cell += 1) found[cell] = (plane[cell] - middle) * CHANNEL_GAIN[channel];
    return found;
  });
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

function findLesion(probability, { width, height, rows, columns }) {
  const side = Math.min(rows, columns);
  const size = rows * columns;
  const weight = new Float64Array(size);
  let peak = 0;
  for (let row = 0, at = 0; row < rows; row += 1) {
    const y = (1 - rows + 2 * row) / side;
    for (let column = 0; column < columns; column += 1, at += 1) {
      const x = (1 - columns + 2 * column) / side;
      weight[at] = probability[at] * Math.exp(-(x * x + y * y) / (2 * CENTRE_SIGMA * CENTRE_SIGMA));
      if (weight[at] > weight[peak]) peak = at;
    }
  }
  const threshold = Math.min(REGION_THRESHOLD, THRESHOLD_OF_PEAK * probability[peak]);
  const labels = new Int32Array(size);
  let [chosen, mostMass] = [0, -1];
  const stack = [];
  for (let start = 0, label = 0; start < size; start += 1) {
    if (labels[start] || probability[start] < threshold) continue;
    label += 1;
    let mass = 0;
    labels[start] = label;
    stack.push(start);
    while (stack.length) {
      const at = stack.pop();
      mass += weight[at];
      const column = at % columns;
      for (const next of [column > 0 ? at - 1 : -1, column < columns - 1 ? at + 1 : -1, at - columns, at + columns]) {
        if (next < 0 || next >= size || labels[next] || probability[next] < threshold) continue;
        labels[next] = label;
        stack.push(next);
      }
    }
    if (mass > mostMass) [chosen, mostMass] = [label, mass];
  }
  let [x0, y0, x1, y1, likelihood, border] = [columns, rows, 0, 0, 0, 0];
  for (let at = 0; at < size; at += 1) {
    if (labels[at] !== chosen) continue;
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
  return {
    box: [x0 * CELL, y0 * CELL, Math.min(x1 * CELL, width), Math.min(y1 * CELL, height)],
    offset_xy: [((x0 + x1) * CELL - width) / 2 / shorter, ((y0 + y1) * CELL - height) / 2 / shorter],
    extent: (Math.max(x1 - x0, y1 - y0) * CELL) / shorter,
    cut_off: border / (2 * (rows + columns) - 4),
    likelihood,
  };
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

// ---- Light and detail ------------------------------------------------------------------------------------------

function measureLight({ rows, columns, sums, darkest }, skin, usualBrightness) {
  const perCell = CELL * CELL;
  const luma = new Float64Array(skin.length);
  const [ofSkin, redOverGreen] = [new Float64Array(skin.length), new Float64Array(skin.length)];
  let count = 0;
  for (let cell = 0; cell < skin.length; cell += 1) {
    const red = sums[0][cell] / perCell;
    const green = sums[1][cell] / perCell;
    luma[cell] = (red * LUMA[0] + green * LUMA[1] + (sums[2][cell] / perCell) * LUMA[2]) / 1000;
    if (!skin[cell]) continue;
    ofSkin[count] = luma[cell];
    redOverGreen[count] = STOPS[sums[0][cell]] - STOPS[sums[1][cell]];
    count += 1;
  }
  const bright = rank(ofSkin.subarray(0, count), BRIGHT_SHARE);
  const middle = rank(ofSkin.subarray(0, count), 0.5);
  const redder = Math.max(0, rank(redOverGreen.subarray(0, count), 0.5) - usualBrightness.up_to_red_over_green);
  const usual = usualBrightness.stops + usualBrightness.and_then_per_stop * redder;
  const asLight = stops(bright) + TONE_ALLOWED * (usualBrightness.stops - usual);
  const glare = middle + GLARE_RISE * (255 - middle);
  let beyond = 0;
  for (let at = 0; at < darkest.length; at += 1) beyond += darkest[at] > glare ? 1 : 0;
  return {
    underexposed_stops: usual - stops(bright),
    bright_luma: 256 * 2 ** (asLight / DISPLAY_GAMMA) - 1,
    glare_share: beyond / darkest.length,
    uneven_stops: unevenStops(luma, skin, rows, columns),
  };
}

/** The largest difference between the medians of two opposite sides: across, along and both ways aslant. */
function unevenStops(luma, skin, rows, columns) {
  const edge = 2 * SIDE_BEGINS * Math.min(rows, columns);
  const least = SIDE_SKIN_SHARE * luma.length;
  const sides = Array.from({ length: 8 }, () => ({ values: new Float64Array(luma.length), count: 0 }));
  const put = (direction, along, beyond, value) => {
    if (along <= beyond && along >= -beyond) return;
    const side = sides[2 * direction + (along > 0 ? 1 : 0)];
    side.values[side.count] = value;
    side.count += 1;
  };
  for (let row = 0, cell = 0; row < rows; row += 1) {
    const y = 1 - rows + 2 * row;
    for (let column = 0; column < columns; column += 1, cell += 1) {
      if (!skin[cell]) continue;
      const x = 1 - columns + 2 * column;
      put(0, x, edge, luma[cell]);
      put(1, y, edge, luma[cell]);
      put(2, x + y, edge * Math.SQRT2, luma[cell]);
      put(3, x - y, edge * Math.SQRT2, luma[cell]);
    }
  }
  let found = 0;
  for (let side = 0; side < 8; side += 2) {
    const [one, other] = [sides[side], sides[side + 1]];
    if (Math.min(one.count, other.count) < least) continue;
    const middle = ({ values, count }) => stops(rank(values.subarray(0, count), 0.5));
    found = Math.max(found, Math.abs(middle(one) - middle(other)));
  }
  return found;
}

/** Fine detail in the direction that has least, as a share of the contrast, in the frame's middle. */
function measureDetail(rgba, wholeWidth, wholeHeight) {
  const [width, height] = [DETAIL_SIDE, DETAIL_SIDE];
  const [x0, y0] = [(wholeWidth - width) >> 1, (wholeHeight - height) >> 1];
  const luma = new Float32Array(width * height);
  for (let y = 0, own = 0; y < height; y += 1) {
    let at = 4 * ((y0 + y) * wholeWidth + x0);
    for (const end = own + width; own < end; own += 1, at += 4) {
      luma[own] = Math.floor((LUMA[0] * rgba[at] + LUMA[1] * rgba[at + 1] + LUMA[2] * rgba[at + 2] + 500) / 1000);
    }
  }
  const smooth = binomial(luma, width, height);
  const shading = boxBlur(boxBlur(luma, width, height), width, height);
  return leastBend(smooth, width, height) / (deviation(luma, shading) + CONTRAST_FLOOR);
}

/** The least, over four directions, of the second difference's standard deviation. */
function leastBend(smooth, width, height) {
  let [across, down, falling, rising] = [0, 0, 0, 0];
  let [across2, down2, falling2, rising2] = [0, 0, 0, 0];
  for (let y = 1; y < height - 1; y += 1) {
    const end = (y + 1) * width - 1;
    for (let at = y * width + 1; at < end; at += 1) {
      const twice = 2 * smooth[at];
      const a = smooth[at + 1] + smooth[at - 1] - twice;
      const b = smooth[at + width] + smooth[at - width] - twice;
      const c = smooth[at + width + 1] + smooth[at - width - 1] - twice;
      const d = smooth[at + width - 1] + smooth[at - width + 1] - twice;
      across += a;
      across2 += a * a;
      down += b;
      down2 += b * b;
      falling += c;
      falling2 += c * c;
      rising += d;
      rising2 += d * d;
    }
  }
  const count = (width - 2) * (height - 2);
  return Math.min(
    spread(across, across2, count),
    spread(down, down2, count),
    spread(falling, falling2, count) / 2, // The diagonals' neighbours lie further apart.
    spread(rising, rising2, count) / 2,
  );
}

/** The standard deviation of one plane less another. */
function deviation(plane, base) {
  let [sum, squares] = [0, 0];
  for (let at = 0; at < plane.length; at += 1) {
    const value = plane[at] - base[at];
    sum += value;
    squares += value * value;
  }
  return spread(sum, squares, plane.length);
}

const spread = (sum, squares, count) => Math.sqrt(Math.max(squares / count - (sum / count) ** 2, 0));

/** [1 4 6 4 1] / 16 both ways, the border repeated. */
function binomial(plane, width, height) {
  const along = new Float32Array(plane.length);
  const padded = new Float32Array(width + 4);
  for (let y = 0; y < height; y += 1) {
    const line = plane.subarray(y * width, (y + 1) * width);
    padded.set(line, 2);
    padded.fill(line[0], 0, 2).fill(line[width - 1], width + 2);
    for (let x = 0; x < width; x += 1) {
      along[y * width + x] =
        (padded[x] + padded[x + 4] + 4 * (padded[x + 1] + padded[x + 3]) + 6 * padded[x + 2]) / 16;
    }
  }
  const found = new Float32Array(plane.length);
  for (let y = 0; y < height; y += 1) {
    const [a, b, d, e] = [-2, -1, 1, 2].map((step) => Math.min(Math.max(y + step, 0), height - 1) * width);
    const line = y * width;
    for (let x = 0; x < width; x += 1) {
      found[line + x] = (along[a + x] + along[e + x] + 4 * (along[b + x] + along[d + x]) + 6 * along[line + x]) / 16;
    }
  }
  return found;
}

/** The mean over a square of 13 pixels, the border repeated, by running sums. */
function boxBlur(plane, width, height) {
  const side = 2 * SHADING_RADIUS + 1;
  const along = new Float32Array(plane.length);
  for (let y = 0; y < height; y += 1) {
    const line = y * width;
    let sum = 0;
    for (let x = -SHADING_RADIUS; x <= SHADING_RADIUS; x += 1) sum += plane[line + Math.max(x, 0)];
    for (let x = 0; x < width; x += 1) {
      along[line + x] = sum / side;
      sum += plane[line + Math.min(x + SHADING_RADIUS + 1, width - 1)] - plane[line + Math.max(x - SHADING_RADIUS, 0)];
    }
  }
  const found = new Float32Array(plane.length);
  const sums = new Float64Array(width);
  for (let y = -SHADING_RADIUS; y <= SHADING_RADIUS; y += 1) {
    const line = Math.max(y, 0) * width;
    for (let x = 0; x < width; x += 1) sums[x] += along[line + x];
  }
  for (let y = 0; y < height; y += 1) {
    const enters = Math.min(y + SHADING_RADIUS + 1, height - 1) * width;
    const leaves = Math.max(y - SHADING_RADIUS, 0) * width;
    for (let x = 0; x < width; x += 1) {
      found[y * width + x] = sums[x] / side;
      sums[x] += along[enters + x] - along[leaves + x];
    }
  }
  return found;
}
