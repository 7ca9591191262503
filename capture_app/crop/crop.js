// A square on the photo, as a Streamlit component: dragged, sized by its corners, tapped to, or moved by keys.
// Sends one state, `square`: { x, y, side } in shares of the photo, as square.py has them, when it comes to rest.

const STEP = 0.02; // Of the photo's shorter side, a key; with Shift five times as much.
const FACTOR = 1.15; // A press of the button that makes it larger.
const REST_MS = 350; // Keys pressed within it are one change.
const FREE_SHARE = 0.7; // Of the photo's sides: a smaller square leaves room to scroll the page beside it.

const crops = new WeakMap();

export default function (component) {
  const root = component.parentElement.querySelector(".crop");
  let crop = crops.get(root);
  if (!crop) {
    crop = new Crop(root, component.data);
    crops.set(root, crop);
  }
  crop.send = (square) => component.setStateValue("square", square);
  crop.show(component.data);
  crop.listen();
  return () => crop.listeners.abort();
}

class Crop {
  constructor(root, data) {
    this.root = root;
    this.square = data.square; // From here on this side knows best: an answer on its way back may be out of date.
    this.drag = null;
    [this.photo, this.hole, this.box] = ["photo", "hole", "square"].map((name) => root.querySelector(`.${name}`));
  }

  show(data) {
    this.data = data;
    const { words } = data;
    if (this.photo.getAttribute("src") !== data.image) this.photo.src = data.image;
    Object.assign(this.photo, { width: data.width, height: data.height, alt: words.photo });
    this.photo.style.setProperty("--wide", data.width);
    this.photo.style.setProperty("--high", data.height);
    this.box.setAttribute("aria-label", words.square);
    this.root.querySelector(".hint").textContent = words.hint;
    this.root.querySelector(".suggested").textContent = words.suggested;
    for (const name of ["smaller", "larger"]) this.root.querySelector(`.${name}`).setAttribute("aria-label", words[name]);
    this.place();
  }

  listen() {
    this.listeners?.abort();
    this.listeners = new AbortController();
    const on = (target, type, action) => target.addEventListener(type, action, { signal: this.listeners.signal });
    const button = (name) => this.root.querySelector(`.${name}`);
    on(this.box, "pointerdown", (event) => this.take(event));
    on(this.box, "pointermove", (event) => this.pull(event));
    on(this.box, "pointerup", (event) => this.drop(event, true));
    on(this.box, "pointercancel", (event) => this.drop(event, false));
    on(this.box, "keydown", (event) => this.press(event));
    on(this.photo, "click", (event) => this.centre(event));
    on(button("smaller"), "click", () => this.change({ side: this.square.side / FACTOR }));
    on(button("larger"), "click", () => this.change({ side: this.square.side * FACTOR }));
    on(button("suggested"), "click", () => this.change(this.data.suggested));
  }

  // Half of the square in shares of the width and of the height.
  half(side) {
    const { width, height } = this.data;
    const pixels = (side * Math.min(width, height)) / 2;
    return [pixels / width, pixels / height];
  }

  clamp({ x, y, side }) {
    side = between(this.data.smallest, side, 1);
    const [halfX, halfY] = this.half(side);
    return { x: between(halfX, x, 1 - halfX), y: between(halfY, y, 1 - halfY), side };
  }

  place() {
    const { x, y, side } = this.square;
    const [halfX, halfY] = this.half(side);
    const where = {
      left: percent(x - halfX),
      top: percent(y - halfY),
      width: percent(2 * halfX),
      height: percent(2 * halfY),
    };
    Object.assign(this.hole.style, where);
    Object.assign(this.box.style, where);
    this.box.dataset.free = String(Math.max(halfX, halfY) * 2 < FREE_SHARE);
    // Not `disabled`, which would take the focus away from who pressed it.
    this.root.querySelector(".smaller").ariaDisabled = String(side <= this.data.smallest);
    this.root.querySelector(".larger").ariaDisabled = String(side >= 1);
  }

  // Moved by one step: placed at once, sent when it rests.
  change(part) {
    this.square = this.clamp({ ...this.square, ...part });
    this.place();
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this.rest(), REST_MS);
  }

  rest() {
    clearTimeout(this.resting);
    const { x, y, side } = this.square;
    const values = { side: Math.round(100 * side), x: Math.round(100 * x), y: Math.round(100 * y) };
    this.root.querySelector(".place").textContent = this.data.words.place.replace(
      /{(\w+)}/g,
      (_, name) => values[name],
    );
    this.send({ x, y, side });
  }

  take(event) {
    if (this.drag || !event.isPrimary || event.button > 0) return;
    const corner = event.target.closest(".corner");
    this.drag = {
      pointer: event.pointerId,
      from: [event.clientX, event.clientY],
      square: this.square,
      towards: corner && [Number(corner.dataset.x), Number(corner.dataset.y)],
    };
    clearTimeout(this.resting);
    this.box.setPointerCapture(event.pointerId);
  }

  pull(event) {
    if (event.pointerId !== this.drag?.pointer) return;
    const { from, square, towards } = this.drag;
    const frame = this.photo.getBoundingClientRect();
    const [dx, dy] = [event.clientX - from[0], event.clientY - from[1]];
    this.square = towards
      ? this.sized(square, towards, (dx * towards[0] + dy * towards[1]) / 2 / Math.min(frame.width, frame.height))
      : this.clamp({ ...square, x: square.x + dx / frame.width, y: square.y + dy / frame.height });
    this.place();
  }

  // The square with one corner pulled outwards by `growth`; the corner across from it stays where it is.
  sized(square, [right, down], growth) {
    const [halfX, halfY] = this.half(square.side);
    const [fixedX, fixedY] = [square.x - right * halfX, square.y - down * halfY];
    const [perX, perY] = this.half(1).map((half) => 2 * half);
    const room = Math.min(
      (right > 0 ? 1 - fixedX : fixedX) / perX,
      (down > 0 ? 1 - fixedY : fixedY) / perY,
    );
    const side = between(this.data.smallest, square.side + growth, Math.max(room, this.data.smallest));
    return this.clamp({ x: fixedX + (right * side * perX) / 2, y: fixedY + (down * side * perY) / 2, side });
  }

  drop(event, kept) {
    if (event.pointerId !== this.drag?.pointer) return;
    const before = this.drag.square;
    this.drag = null;
    if (!kept) {
      this.square = before;
      this.place();
    } else if (this.square !== before) {
      this.rest();
    }
  }

  // A tap beside the square moves its middle there.
  centre(event) {
    const frame = this.photo.getBoundingClientRect();
    const [x, y] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    this.square = this.clamp({ ...this.square, x, y });
    this.place();
    this.rest();
  }

  press(event) {
    const [stepX, stepY] = this.half(2 * STEP * (event.shiftKey ? 5 : 1));
    const { x, y, side } = this.square;
    const part = {
      ArrowLeft: { x: x - stepX },
      ArrowRight: { x: x + stepX },
      ArrowUp: { y: y - stepY },
      ArrowDown: { y: y + stepY },
      "+": { side: side * FACTOR },
      "=": { side: side * FACTOR },
      "-": { side: side / FACTOR },
    }[event.key];
    if (!part || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.change(part);
  }
}

function between(low, value, high) {
  return Math.min(Math.max(value, low), high);
}

function percent(share) {
  return `${100 * share}%`;
}
