// How the light falls on the skin and the lesion. The same as capture_app/quality.py.

import { CELL, rank, STOPS, stops } from "./frame.js";

const LUMA = [299, 587, 114]; // Per mille.
const SIDE_BEGINS = 0.25;
const SIDE_SHARE = 0.6;
const HUE_SHARE = 0.6;
const MAX_HUE_STOPS = 0.5;
const SIDE_SKIN_SHARE = 0.02;
const BRIGHT_SHARE = 0.95;
const WHITE = 250;
const GLARE_SHARE = 0.9;
const GLARE_RISE = 0.5;

/** The measures of illumination of a scene, by the names that quality.py gives them. */
export function measureLight({ frame, skin, body }, usualBrightness) {
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
