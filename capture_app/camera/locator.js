// How lesion-like is each cell of a frame? The network of capture_app/locator.py, with the same weights, run by the
// kernel.
//
//   const layers = readLayers(await loadWeights(), kernel);             // once
//   const lesionProbability = planNetwork(layers, 120, 160, kernel);    // once a size
//   const probability = lesionProbability(colours);                     // 60 by 80: the mean of the last four looks
//
// A map is { at, values, channels, rows, columns }: `at` the address of the same in the kernel's memory, `values` that
// of its values, channels last inside a margin of zeros. No DOM: runs in a worker.

const LANES = 4; // Floats in a vector: channels are filled up to a multiple of it, with zeros.
const filled = (channels) => Math.ceil(channels / LANES) * LANES;

/** locator.safetensors as { name: { shape, values: Float32Array } }. */
export async function loadWeights() {
  const answer = await fetch(new URL("./locator.safetensors", import.meta.url));
  if (!answer.ok) throw new Error(`the locator's weights did not come (${answer.status})`);
  return readTensors(await answer.arrayBuffer());
}

/** A safetensors file of float16. */
function readTensors(buffer) {
  const view = new DataView(buffer);
  const begin = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, begin - 8)));
  const arrays = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return Object.fromEntries(
    arrays.map(([name, { dtype, shape, data_offsets: [from, to] }]) => {
      if (dtype !== "F16") throw new Error(`${name} is ${dtype}, not F16`);
      const at = (index) => view.getUint16(begin + from + 2 * index, true);
      return [name, { shape, values: Float32Array.from({ length: (to - from) / 2 }, (_, index) => fromHalf(at(index))) }];
    }),
  );
}

/** IEEE 754 binary16, of finite numbers. */
function fromHalf(bits) {
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, (bits & 1023) / 1024];
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction) : 2 ** -14 * fraction);
}

/** The layers in the kernel's memory: { name: { outputs, weights, bias, depth } }, the last three
 * addresses; `depth` is the kernel that goes before within each channel, if one does. */
export function readLayers(arrays, kernel) {
  const put = (values) => {
    const address = kernel.reserve(4 * values.length);
    kernel.floats(address, values.length).set(values);
    return address;
  };
  const putMatrix = ({ matrix, outputs, inputs }) => {
    const address = kernel.reserve(4 * matrix.length);
    const end = kernel.end;
    kernel.run.pack(put(matrix), outputs, inputs, address);
    kernel.release(end); // Of the matrix as it came.
    return address;
  };
  const names = Object.keys(arrays).filter((name) => `${name}_bias` in arrays);
  const layers = names.map((name) => {
    const outputs = filled(arrays[name].shape[0]);
    const bias = new Float32Array(outputs);
    bias.set(arrays[`${name}_bias`].values);
    const depth = arrays[`${name}_depth`];
    const weights = putMatrix(matrixOf(arrays[name]));
    return [name, { outputs, weights, bias: put(bias), depth: depth && put(tapsOf(depth)) }];
  });
  return Object.fromEntries(layers);
}

/** (outputs, inputs) or (outputs, inputs, 3, 3) to (outputs, taps * inputs). The network's own input, which alone
 * meets a 3x3 across channels, is not filled up. */
function matrixOf({ shape, values }) {
  const [outputs, inputs, height = 1, width = 1] = shape;
  const taps = height * width;
  const channels = taps > 1 ? inputs : filled(inputs);
  const matrix = new Float32Array(filled(outputs) * taps * channels);
  for (let output = 0, from = 0; output < outputs; output += 1) {
    for (let input = 0; input < inputs; input += 1) {
      for (let tap = 0; tap < taps; tap += 1, from += 1) {
        matrix[(output * taps + tap) * channels + input] = values[from];
      }
    }
  }
  return { matrix, outputs: filled(outputs), inputs: taps * channels };
}

/** (channels, 3, 3) to (9, channels). */
function tapsOf({ shape, values }) {
  const channels = filled(shape[0]);
  const taps = new Float32Array(9 * channels);
  values.forEach((value, from) => {
    taps[(from % 9) * channels + Math.floor(from / 9)] = value;
  });
  return taps;
}

// A frame is looked at as it is, mirrored sideways, upside down, or both, as locator.py does.
const LOOKS = [[], ["columns"], ["rows"], ["rows", "columns"]];

/** A function (colours) => probability over frames of one size: how lesion-like each cell is, 0 to 1.
 *
 * `colours`: rows * columns * 3, the opponent colours of the cells' quarters; half as many cells each way.
 *
 * One look a frame, each in turn, of which the last four's mean is given: a preview has no time for four, and shows
 * the same for longer than four frames take. What it needs is reserved now, so that a frame takes no memory of the
 * kernel's. */
export function planNetwork(layers, rows, columns, kernel) {
  const { run } = kernel;
  const steps = [];

  const newMap = (channels, rows, columns) => {
    const values = kernel.reserve(4 * (rows + 2) * (columns + 2) * channels);
    const at = kernel.reserve(16);
    kernel.integers(at, 4).set([values, channels, rows, columns]);
    return { at, values, channels, rows, columns };
  };
  const strided = ({ rows, columns }, stride) => [rows, columns].map((size) => Math.floor((size - 1) / stride) + 1);

  /** 3x3 over all channels, stride 2, ReLU. */
  const stem = (input) => {
    const { outputs, weights, bias } = layers.stem;
    const out = newMap(outputs, ...strided(input, 2));
    steps.push(() => run.convolve(input.at, weights, bias, out.at, 2));
    return out;
  };
  /** 3x3 within each channel, 1x1 across them, ReLU. */
  const block = (name, input, stride) => {
    const { outputs, weights, bias, depth } = layers[name];
    const out = newMap(outputs, ...strided(input, stride));
    const line = kernel.reserve(4 * out.columns * input.channels);
    steps.push(() => run.block(input.at, depth, weights, bias, line, out.at, stride));
    return out;
  };
  const pointwise = (name, input) => {
    const { outputs, weights, bias } = layers[name];
    const out = newMap(outputs, input.rows, input.columns);
    steps.push(() => run.pointwise(input.at, weights, bias, out.at));
    return out;
  };
  /** Each channel times a gate that all channels' means decide; in place, as `added` is. */
  const gated = (input) => {
    const means = newMap(input.channels, 1, 1);
    steps.push(() => run.average(input.at, means.at));
    const gates = pointwise("gate", means);
    steps.push(() => {
      const line = lineOf(gates, 0, kernel);
      for (let at = 0; at < line.length; at += 1) line[at] = sigmoid(line[at]);
      run.scale(input.at, gates.at);
    });
    return input;
  };
  const added = (skip, coarse) => {
    steps.push(() => run.add_enlarged(skip.at, coarse.at));
    return skip;
  };

  const input = newMap(3, rows, columns);
  const zeroth = stem(input);
  const first = block("e1b", block("e1a", zeroth, 2), 1);
  const second = block("e2b", block("e2a", first, 2), 1);
  const third = block("e3b", block("e3a", second, 2), 1);
  const fourth = block("e4b", block("e4a", third, 2), 1);
  let up = gated(fourth);
  for (const [level, skip] of [["3", third], ["2", second], ["1", first], ["0", zeroth]]) {
    up = block(`f${level}`, added(skip, pointwise(`u${level}`, up)), 1);
  }
  const logits = pointwise("out", up);
  const recent = []; // By look.
  let turn = 0;

  return (colours) => {
    fill(input, colours, LOOKS[turn], kernel);
    for (const step of steps) step();
    recent[turn] = firstChannel(logits, LOOKS[turn], kernel).map(sigmoid);
    turn = (turn + 1) % LOOKS.length;
    const mean = new Float32Array(logits.rows * logits.columns);
    for (const look of recent) {
      for (let at = 0; at < mean.length; at += 1) mean[at] += look[at] / recent.length;
    }
    return mean;
  };
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

/** A view of a map's row, without the margin. */
function lineOf({ values, channels, columns }, row, kernel) {
  return kernel.floats(values + 4 * channels * ((row + 1) * (columns + 2) + 1), channels * columns);
}

/** Where each of `size` rows or columns comes from. */
const order = (size, mirrored) => Array.from({ length: size }, (_, at) => (mirrored ? size - 1 - at : at));

function fill(map, values, mirrored, kernel) {
  const { rows, columns, channels } = map;
  const from = order(columns, mirrored.includes("columns"));
  for (const [row, own] of order(rows, mirrored.includes("rows")).entries()) {
    const line = lineOf(map, row, kernel);
    for (let column = 0, to = 0; column < columns; column += 1) {
      const at = (own * columns + from[column]) * channels;
      for (let channel = 0; channel < channels; channel += 1, to += 1) line[to] = values[at + channel];
    }
  }
}

function firstChannel(map, mirrored, kernel) {
  const plane = new Float32Array(map.rows * map.columns);
  const from = order(map.columns, mirrored.includes("columns"));
  let to = 0;
  for (const row of order(map.rows, mirrored.includes("rows"))) {
    const line = lineOf(map, row, kernel);
    for (const column of from) {
      plane[to] = line[column * map.channels];
      to += 1;
    }
  }
  return plane;
}
