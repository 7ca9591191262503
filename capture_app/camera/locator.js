// How lesion-like is each cell of a frame? The network of capture_app/locator.py, with the same weights.
//
//   const weights = readWeights(locator);                       // the parsed locator.json
//   const probability = lesionProbability(planes, 60, 80, weights);
//
// A map is { data: Float32Array, channels, rows, columns }, one channel after the other. No DOM: runs in a worker.

/** locator.json's arrays as { name: { shape, values: Float32Array } }. */
export function readWeights(locator) {
  return Object.fromEntries(
    Object.entries(locator.arrays).map(([name, { shape, values }]) => [name, { shape, values: Float32Array.from(values) }]),
  );
}

/** (rows * columns) Float32Array: how lesion-like each cell is, 0 to 1. */
export function lesionProbability(planes, rows, columns, weights) {
  const input = { data: concatenate(planes), channels: 3, rows, columns };
  const first = block(weights, "e1", stem(weights, input), 1);
  const second = block(weights, "e2b", block(weights, "e2a", first, 2), 1);
  const third = block(weights, "e3b", block(weights, "e3a", second, 2), 1);
  const fourth = block(weights, "e4b", block(weights, "e4a", third, 2), 1);
  let up = gated(weights, fourth);
  for (const [level, skip] of [["3", third], ["2", second], ["1", first]]) {
    const narrowed = pointwise(up, weights[`u${level}`], weights[`u${level}_bias`]);
    up = block(weights, `f${level}`, added(skip, narrowed), 1);
  }
  const logits = pointwise(up, weights.out, weights.out_bias);
  return enlarge(logits.data.map(sigmoid), logits.rows, logits.columns, rows, columns);
}

function concatenate(planes) {
  const joined = new Float32Array(planes.length * planes[0].length);
  planes.forEach((plane, index) => joined.set(plane, index * plane.length));
  return joined;
}

/** 3x3 over all channels, stride 2, a margin of zeros, ReLU. */
function stem(weights, input) {
  const { shape: [outputs, inputs], values: kernel } = weights.stem;
  const [rows, columns] = strided(input, 2);
  const size = rows * columns;
  const data = new Float32Array(outputs * size);
  for (let output = 0; output < outputs; output += 1) {
    data.fill(weights.stem_bias.values[output], output * size, (output + 1) * size);
  }
  for (let channel = 0; channel < inputs; channel += 1) {
    const padded = withMargin(input, channel);
    for (let output = 0; output < outputs; output += 1) {
      const target = data.subarray(output * size, (output + 1) * size);
      correlate(padded, input.columns + 2, kernel, (output * inputs + channel) * 9, target, rows, columns, 2);
    }
  }
  return { data: rectified(data), channels: outputs, rows, columns };
}

/** 3x3 within each channel, 1x1 across them, ReLU. */
function block(weights, name, input, stride) {
  const [rows, columns] = strided(input, stride);
  const size = rows * columns;
  const data = new Float32Array(input.channels * size);
  const kernel = weights[`${name}_depth`].values;
  for (let channel = 0; channel < input.channels; channel += 1) {
    const target = data.subarray(channel * size, (channel + 1) * size);
    correlate(withMargin(input, channel), input.columns + 2, kernel, channel * 9, target, rows, columns, stride);
  }
  const mixed = pointwise({ data, channels: input.channels, rows, columns }, weights[name], weights[`${name}_bias`]);
  rectified(mixed.data);
  return mixed;
}

const strided = ({ rows, columns }, stride) => [
  Math.floor((rows - 1) / stride) + 1,
  Math.floor((columns - 1) / stride) + 1,
];

function rectified(data) {
  for (let at = 0; at < data.length; at += 1) if (data[at] < 0) data[at] = 0;
  return data;
}

/** One plane inside a margin of zeros, one wide. */
function withMargin({ data, rows, columns }, channel) {
  const padded = new Float32Array((rows + 2) * (columns + 2));
  for (let row = 0; row < rows; row += 1) {
    const from = (channel * rows + row) * columns;
    padded.set(data.subarray(from, from + columns), (row + 1) * (columns + 2) + 1);
  }
  return padded;
}

/** Adds a 3x3 correlation of a padded plane to `target`. */
function correlate(padded, pitch, kernel, at, target, rows, columns, stride) {
  const [a, b, c, d, e, f, g, h, i] = kernel.subarray(at, at + 9);
  for (let row = 0; row < rows; row += 1) {
    let one = row * stride * pitch;
    let two = one + pitch;
    let three = two + pitch;
    const end = (row + 1) * columns;
    for (let own = row * columns; own < end; own += 1) {
      target[own] +=
        a * padded[one] + b * padded[one + 1] + c * padded[one + 2] +
        d * padded[two] + e * padded[two + 1] + f * padded[two + 2] +
        g * padded[three] + h * padded[three + 1] + i * padded[three + 2];
      one += stride;
      two += stride;
      three += stride;
    }
  }
}

/** 1x1: each output plane a weighted sum of the input planes. Two outputs by four inputs at a time, so that most of
 * the work stays in registers; one output at a time where their number is odd. Inputs are a multiple of four. */
function pointwise(input, { shape: [outputs, inputs], values: matrix }, bias) {
  const size = input.rows * input.columns;
  const from = input.data;
  const data = new Float32Array(outputs * size);
  for (let output = 0; output < outputs; output += 1) {
    data.fill(bias.values[output], output * size, (output + 1) * size);
  }
  for (let output = 0; output + 1 < outputs; output += 2) {
    const one = output * size;
    const two = one + size;
    for (let channel = 0; channel < inputs; channel += 4) {
      const own = output * inputs + channel;
      const next = own + inputs;
      const [a1, b1, c1, d1] = [matrix[own], matrix[own + 1], matrix[own + 2], matrix[own + 3]];
      const [a2, b2, c2, d2] = [matrix[next], matrix[next + 1], matrix[next + 2], matrix[next + 3]];
      const p = channel * size;
      const [q, r, s] = [p + size, p + 2 * size, p + 3 * size];
      for (let at = 0; at < size; at += 1) {
        const a = from[p + at];
        const b = from[q + at];
        const c = from[r + at];
        const d = from[s + at];
        data[one + at] += a1 * a + b1 * b + c1 * c + d1 * d;
        data[two + at] += a2 * a + b2 * b + c2 * c + d2 * d;
      }
    }
  }
  if (outputs % 2) {
    const own = (outputs - 1) * inputs;
    const target = (outputs - 1) * size;
    for (let channel = 0; channel < inputs; channel += 1) {
      for (let at = 0; at < size; at += 1) data[target + at] += matrix[own + channel] * from[channel * size + at];
    }
  }
  return { data, channels: outputs, rows: input.rows, columns: input.columns };
}

/** Each channel times a gate that all channels' means decide. */
function gated(weights, input) {
  const size = input.rows * input.columns;
  const means = Array.from({ length: input.channels }, (_, channel) => {
    let sum = 0;
    for (let at = 0; at < size; at += 1) sum += input.data[channel * size + at];
    return sum / size;
  });
  const data = new Float32Array(input.data.length);
  for (let output = 0; output < input.channels; output += 1) {
    let logit = weights.gate_bias.values[output];
    for (let channel = 0; channel < input.channels; channel += 1) {
      logit += weights.gate.values[output * input.channels + channel] * means[channel];
    }
    const gate = sigmoid(logit);
    for (let at = 0; at < size; at += 1) data[output * size + at] = input.data[output * size + at] * gate;
  }
  return { ...input, data };
}

/** skip + the coarser planes, enlarged by repetition. */
function added(skip, coarse) {
  const { rows, columns, channels } = skip;
  const data = new Float32Array(skip.data);
  const across = Int32Array.from({ length: columns }, (_, column) => Math.floor((column * coarse.columns) / columns));
  for (let channel = 0, at = 0; channel < channels; channel += 1) {
    for (let row = 0; row < rows; row += 1) {
      const line = (channel * coarse.rows + Math.floor((row * coarse.rows) / rows)) * coarse.columns;
      for (let column = 0; column < columns; column += 1, at += 1) data[at] += coarse.data[line + across[column]];
    }
  }
  return { data, channels, rows, columns };
}

const sigmoid = (value) => 1 / (1 + Math.exp(-value));

/** Twice as many cells each way, bilinear, of which rows x columns are kept: along the lines first, then down. */
function enlarge(plane, inRows, inColumns, rows, columns) {
  const lines = new Float32Array(inRows * columns);
  for (let row = 0; row < inRows; row += 1) {
    const own = plane.subarray(row * inColumns, (row + 1) * inColumns);
    for (let column = 0; column < columns; column += 1) {
      const [lower, upper, share] = between(column, inColumns);
      lines[row * columns + column] = own[lower] * (1 - share) + own[upper] * share;
    }
  }
  const found = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row += 1) {
    const [lower, upper, share] = between(row, inRows);
    const [above, below] = [lower * columns, upper * columns];
    for (let column = 0; column < columns; column += 1) {
      found[row * columns + column] = lines[above + column] * (1 - share) + lines[below + column] * share;
    }
  }
  return found;
}

/** Which two of `size` places a place of twice as many lies between, and how far along. */
function between(place, size) {
  const at = Math.min(Math.max((place + 0.5) / 2 - 0.5, 0), size - 1);
  const lower = Math.floor(at);
  return [lower, Math.min(lower + 1, size - 1), at - lower];
}
