// Where is the lesion, and where is plain skin? A first look at a frame. The same as capture_app/locate.py.

import { CELL, opponentColours, opponentPlanes, planFrame, select } from "./frame.js";
import { planNetwork, readLayers } from "./locator.js";

const REGION_THRESHOLD = 0.6;
const THRESHOLD_OF_PEAK = 0.6;
const JOIN_CELLS = 2;
const BOX_MARGIN = 0.01;
const CENTRE_SIGMA = 0.6;
const SKIN_PROBABILITY = 0.2;
const SKIN_HUE = 1.8;
const MIN_SKIN_SHARE = 0.05;

/** A function (rgba, width, height) => { frame, probability, lesion, skin, body }: a frame, taken apart.
 *
 * rgba: width * height * 4, 0 to 255. What it gives holds until the next frame. `mark` is told what has just been
 * done. */
export function makeSceneReader(weights, kernel, mark = () => {}) {
  const layers = readLayers(weights, kernel);
  const end = kernel.end;
  let plan = null;
  return (rgba, width, height) => {
    if (plan?.width !== width || plan.height !== height) {
      kernel.release(end); // Of the last size, which the camera has left.
      plan = planScene(width, height, layers, kernel);
    }
    const frame = plan.readFrame(rgba);
    mark("frame");
    const { planes, medians } = opponentPlanes(frame);
    const colours = opponentColours(frame, medians);
    mark("planes");
    const probability = plan.lesionProbability(colours);
    mark("network");
    const lesion = findLesion(probability, frame, plan.centre);
    const skin = plainSkin(probability, planes);
    const body = bodyOf(skin, probability, frame);
    mark("lesion and skin");
    return { frame, probability, lesion, skin, body };
  };
}

function planScene(width, height, layers, kernel) {
  const [rows, columns] = [Math.floor(height / CELL), Math.floor(width / CELL)];
  const readFrame = planFrame(width, height, kernel);
  const lesionProbability = planNetwork(layers, 2 * rows, 2 * columns, kernel);
  return { width, height, readFrame, lesionProbability, centre: preferMiddle(rows, columns) };
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

function findLesion(probability, { width, height, rows, columns }, centre) {
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
  // How far from a cell's middle its answer falls to the threshold, on the way to a neighbour beyond the region.
  const reach = (at, next) =>
    probability[next] < threshold ? (probability[at] - threshold) / (probability[at] - probability[next]) : 0;
  let [x0, y0, x1, y1, likelihood, border] = [columns, rows, 0, 0, 0, 0];
  for (let at = 0; at < size; at += 1) {
    if (labels[at] !== chosen || probability[at] < threshold) continue;
    const row = Math.floor(at / columns);
    const column = at % columns;
    x0 = Math.min(x0, column > 0 ? column + 0.5 - reach(at, at - 1) : 0);
    x1 = Math.max(x1, column < columns - 1 ? column + 0.5 + reach(at, at + 1) : columns);
    y0 = Math.min(y0, row > 0 ? row + 0.5 - reach(at, at - columns) : 0);
    y1 = Math.max(y1, row < rows - 1 ? row + 0.5 + reach(at, at + columns) : rows);
    likelihood = Math.max(likelihood, probability[at]);
    border += row === 0 || row === rows - 1 || column === 0 || column === columns - 1 ? 1 : 0;
  }
  const shorter = Math.min(width, height);
  const [left, right] = withMargin(x0, x1, columns).map((edge) => edge * CELL);
  const [top, bottom] = withMargin(y0, y1, rows).map((edge) => edge * CELL);
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
