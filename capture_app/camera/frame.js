// What the checks look at: a frame whose shorter side is 240, whole and in cells. The same as capture_app/frame.py
// and, for the colours, capture_app/locator.py.

export const CELL = 4;
const DISPLAY_GAMMA = 2.2;
const LOG_OFFSET = 8;
const CHANNEL_GAIN = [2, 6, 6];

const ofEverySum = (pixels, of) => Float64Array.from({ length: 255 * pixels + 1 }, (_, sum) => of(sum / pixels));
const logarithm = (value) => Math.log(value + LOG_OFFSET);
const [LOG, FINE_LOG] = [CELL, CELL / 2].map((side) => ofEverySum(side * side, logarithm));

/** Of light, that a pixel's value from 0 to 255 shows, against white. */
export const stops = (value) => DISPLAY_GAMMA * Math.log2((value + 1) / 256);
/** The same of a cell's sum. */
export const STOPS = ofEverySum(CELL * CELL, stops);

/** What is done alike to all frames of a size, in the kernel's memory: a function rgba => frame. */
export function planFrame(width, height, kernel) {
  const { run } = kernel;
  const [rows, columns] = [Math.floor(height / CELL), Math.floor(width / CELL)];
  const rgbaAt = kernel.reserve(4 * width * height);
  const sumsAt = kernel.reserve(2 * 4 * rows * columns);
  const quartersAt = kernel.reserve(2 * 4 * 4 * rows * columns);
  const bodyAt = kernel.reserve(rows * columns);
  const frame = {
    width,
    height,
    rows,
    columns,
    sums: null, // (rows, columns, 4): of the colours in each cell.
    quarters: null, // (2 * rows, 2 * columns, 4): in each cell's quarters.
    brighter: (level, body) => {
      kernel.bytes(bodyAt, body.length).set(body);
      return run.count_brighter(rgbaAt, width, rows, columns, bodyAt, level) / (CELL * CELL * body.length);
    },
    detail: () => run.measure_detail(rgbaAt, width, height),
  };
  return (rgba) => {
    kernel.bytes(rgbaAt, rgba.length).set(rgba);
    run.sum_cells(rgbaAt, width, rows, columns, quartersAt, sumsAt);
    const [sums, quarters] = [kernel.words(sumsAt, 4 * rows * columns), kernel.words(quartersAt, 16 * rows * columns)];
    return { ...frame, sums, quarters };
  };
}

/** Each cell's opponent colours, as three planes, and the planes' medians, which are taken away. */
export function opponentPlanes({ rows, columns, sums }) {
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
export function opponentColours({ quarters }, medians) {
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
export const rank = (values, share) => select(values, Math.floor(share * (values.length - 1) + 0.5));

/** The value that would stand at `index` if the typed array were sorted: quickselect (Hoare 1961). */
export function select(values, index) {
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
