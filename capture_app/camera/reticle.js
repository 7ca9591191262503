// What is drawn over the picture: a ring where the lesion belongs, brackets around what was found, arrows towards
// where the phone goes. A state differs in shape as well as in colour: dots, dashes, a whole ring, a ring that fills.
//
//     new Reticle(svg, video).draw({ mode, advice, progress, seen, mirrored });

const RING = 0.27; // Its radius, in shorter sides of the picture.
const FOLLOW = 0.35; // Of the way to a new box, each frame: brackets glide.
const MIN_BOX = 0.06; // Smaller than this, in shorter sides, brackets would be a blot.
const ANGLES = { right: 0, "down-right": 45, down: 90, "down-left": 135, left: 180, "up-left": 225, up: 270, "up-right": 315 };

const PATHS = {
  arrow: "M5 12h14M12.5 5.5L19 12l-6.5 6.5",
  ring: "M12 4a8 8 0 1 0 0 16a8 8 0 1 0 0-16zM12 1.5V6M12 18v4.5M1.5 12H6M18 12h4.5",
  check: "M5 12.8l4.6 4.7L19 7.2",
  sun: "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8zM12 2v2.6M12 19.4V22M2 12h2.6M19.4 12H22M4.9 4.9l1.9 1.9M17.2 17.2l1.9 1.9M4.9 19.1l1.9-1.9M17.2 6.8l1.9-1.9",
  moon: "M19.5 14.2A8 8 0 0 1 9.8 4.5a8 8 0 1 0 9.7 9.7z",
  shade: "M12 3.5a8.5 8.5 0 1 0 0 17a8.5 8.5 0 1 0 0-17zM12 3.5v17M12 8h6.8M12 12h8.3M12 16h6.8",
  hand: "M3 8.5c2.2-2 4.2-2 6 0s3.8 2 6 0s3.8-2 6 0M3 15.5c2.2-2 4.2-2 6 0s3.8 2 6 0s3.8-2 6 0",
  focus: "M3.5 8V5.5a2 2 0 0 1 2-2H8M16 3.5h2.5a2 2 0 0 1 2 2V8M20.5 16v2.5a2 2 0 0 1-2 2H16M8 20.5H5.5a2 2 0 0 1-2-2V16M9.5 12h5",
  closer: "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6zM8 8L3.5 3.5M3.5 7V3.5H7M16 8l4.5-4.5M17 3.5h3.5V7M8 16l-4.5 4.5M3.5 17v3.5H7M16 16l4.5 4.5M20.5 17v3.5H17",
  away: "M12 9a3 3 0 1 0 0 6a3 3 0 1 0 0-6zM3 3l4.5 4.5M7.5 4v3.5H4M21 3l-4.5 4.5M16.5 4v3.5H20M3 21l4.5-4.5M7.5 20v-3.5H4M21 21l-4.5-4.5M16.5 20v-3.5H20",
};
const GLYPH_OF_CODE = {
  too_dark: "moon", too_bright: "sun", glare: "sun", uneven: "shade", moving: "hand", blurred: "focus",
  no_lesion: "ring", too_far: "closer", too_close: "away",
};

// The picture beside an advice: an SVG path in a box of 24, and by how many degrees it is turned.
export function glyphOf(mode, advice) {
  if (!advice) return [mode === "searching" ? PATHS.ring : PATHS.check, 0];
  const name = GLYPH_OF_CODE[advice.code];
  if (name) return [PATHS[name], 0];
  return advice.towards in ANGLES ? [PATHS.arrow, ANGLES[advice.towards]] : [PATHS.away, 0];
}

export class Reticle {
  constructor(svg, video) {
    Object.assign(this, { svg, video, box: null });
    svg.replaceChildren();
    this.ring = this.doubled("ring", "circle");
    this.brackets = this.doubled("brackets", "path");
    this.arrows = this.doubled("arrows", "path");
    this.progress = this.add("progress-ring", "circle");
    this.progress.setAttribute("pathLength", "100");
  }

  add(className, tag) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    element.setAttribute("class", className);
    this.svg.append(element);
    return element;
  }

  // Each line twice, a dark one below a light one: seen on any picture.
  doubled(className, tag) {
    return [this.add(`halo ${className}`, tag), this.add(className, tag)];
  }

  // Where the picture lies in the viewfinder, in CSS pixels: all of it is shown, in the middle.
  place() {
    const { width, height } = this.video.getBoundingClientRect();
    const [wide, high] = [this.video.videoWidth || 3, this.video.videoHeight || 4];
    const scale = Math.min(width / wide, height / high);
    return { left: (width - wide * scale) / 2, top: (height - high * scale) / 2, wide: wide * scale, high: high * scale };
  }

  inPicture(clientX, clientY) {
    const { x, y } = this.video.getBoundingClientRect();
    const { left, top, wide, high } = this.place();
    const within = (value) => Math.min(1, Math.max(0, value));
    return { x: within((clientX - x - left) / wide), y: within((clientY - y - top) / high) };
  }

  draw({ mode, advice, progress, seen, mirrored }) {
    const place = this.place();
    const side = Math.min(place.wide, place.high);
    const [cx, cy, r] = [place.left + place.wide / 2, place.top + place.high / 2, RING * side];
    for (const ring of [...this.ring, this.progress]) set(ring, { cx, cy, r });
    set(this.progress, { transform: `rotate(-90 ${cx} ${cy})`, "stroke-dasharray": `${100 * progress} 100` });
    this.follow(seen, place, side, mirrored);
    const d = this.box ? corners(this.box) : "";
    for (const brackets of this.brackets) set(brackets, { d });
    const arrows = chevrons(advice, { cx, cy, r }, side);
    for (const arrow of this.arrows) set(arrow, { d: arrows });
    this.svg.dataset.towards = advice?.towards ?? "";
    this.svg.dataset.mode = mode;
  }

  follow(seen, place, side, mirrored) {
    if (!seen) return;
    if (!seen.lesion) {
      this.box = null;
      return;
    }
    let [x0, y0, x1, y1] = seen.lesion.box;
    if (mirrored) [x0, x1] = [seen.width - x1, seen.width - x0];
    const scale = place.wide / seen.width;
    const middle = [place.left + ((x0 + x1) / 2) * scale, place.top + ((y0 + y1) / 2) * scale];
    const half = [((x1 - x0) / 2) * scale, ((y1 - y0) / 2) * scale].map((value) => Math.max(value, (MIN_BOX * side) / 2) + 8);
    const target = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]];
    this.box = this.box ? this.box.map((value, at) => value + FOLLOW * (target[at] - value)) : target;
  }
}

function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
}

// Four rounded corners.
function corners([x0, y0, x1, y1]) {
  const arm = Math.min(26, (x1 - x0) / 3, (y1 - y0) / 3);
  const bend = arm * 0.45;
  const corner = (x, y, dx, dy) =>
    `M${x} ${y + dy * arm}V${y + dy * bend}Q${x} ${y} ${x + dx * bend} ${y}H${x + dx * arm}`;
  return [corner(x0, y0, 1, 1), corner(x1, y0, -1, 1), corner(x0, y1, 1, -1), corner(x1, y1, -1, -1)].join("");
}

// Chevrons in the ring towards where the phone goes; outwards all around it to come closer, inwards to step back.
function chevrons(advice, { cx, cy, r }, side) {
  if (!advice) return "";
  const size = 0.035 * side;
  const one = (angle, distance, outwards) => {
    const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
    const at = (along, across) => `${cx + cos * along - sin * across} ${cy + sin * along + cos * across}`;
    const back = outwards ? -size : size;
    return `M${at(distance + back, -size * 0.95)}L${at(distance, 0)}L${at(distance + back, size * 0.95)}`;
  };
  if (advice.towards in ANGLES) {
    const angle = ANGLES[advice.towards];
    return [0.34, 0.56, 0.78].map((times) => one(angle, r * times, true)).join("");
  }
  if (advice.code === "too_far") return [45, 135, 225, 315].map((angle) => one(angle, r * 1.3, true)).join("");
  if (advice.code === "too_close") return [45, 135, 225, 315].map((angle) => one(angle, r * 1.2, false)).join("");
  return "";
}
