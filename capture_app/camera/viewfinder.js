// The viewfinder: the camera's picture with its guidance over it, the shutter, and the way from a picture to a photo.
//
//     const finder = new Viewfinder(dialog, { words, table, pair }, { close, send });
//     await finder.open();      // and finder.release() whatever happens
//
// Calls `send("photo", photo)` or `send("pair", { ambient, flash })` once, or `close(reason)`.

import { Checker } from "./checker.js";
import { advance, begin, judgeMotion, lastSeen, mirrored, sentence, withAuto } from "./guide.js";
import { glyphOf, Reticle } from "./reticle.js";
import { MAX_JPEG_BYTES, MAX_JPEG_BYTES_OF_PAIR, takeSharpest, untilSettled } from "./shots.js";
import * as streams from "./stream.js";

const CHECK_PAUSE_MS = 60; // At most 16 checks a second: more would only warm the phone.
const MUTED_MS = 3000; // A camera that gives no picture for this long was taken by another app.
const MAX_FAILURES = 3; // Of checks in a row, after which the person is on their own.
const preferences = { auto: true, pair: true }; // Kept from one photo to the next, until the page is left.

export class Viewfinder {
  constructor(dialog, { words, table, pair }, { close, send }) {
    Object.assign(this, { dialog, words, table, limits: table.limits, close, send });
    this.video = dialog.querySelector("video");
    this.reticle = new Reticle(dialog.querySelector(".reticle"), this.video);
    this.offersPair = pair;
    this.listeners = new AbortController();
    this.released = false;
    this.taking = false;
    this.ambient = null; // The first of a pair, while the second is waited for.
    this.failures = 0;
    this.findings = [];
    this.before = null; // The last checked frame's luma and time.
    dialog.dataset.checks = "0";
    this.listen();
  }

  element(name) {
    return this.dialog.querySelector(`.${name}`);
  }

  listen() {
    const { signal } = this.listeners;
    const on = (target, type, action) => target.addEventListener(type, action, { signal });
    on(this.dialog, "cancel", (event) => {
      event.preventDefault();
      this.close("closed");
    });
    on(this.element("close"), "click", () => this.close("closed"));
    on(this.element("shutter"), "click", () => this.take(true));
    on(this.element("switch"), "click", () => this.change());
    on(this.element("torch"), "click", () => this.light(!this.lit));
    on(this.element("auto"), "click", () => this.setAuto(!preferences.auto));
    on(this.element("pair"), "click", () => this.setPair(!preferences.pair));
    on(this.element("zoom").querySelector("input"), "input", (event) => this.zoom(Number(event.target.value)));
    on(this.video, "click", (event) => this.focus(event));
  }

  async open() {
    if (!streams.canOpen()) return this.close("insecure");
    try {
      await this.start(await streams.openStream({ facing: "environment" }));
    } catch (error) {
      this.close(streams.reasonOf(error));
    }
  }

  async change() {
    if (this.taking) return;
    const before = this.track.getSettings();
    this.letGo();
    try {
      await this.start(await streams.openNext(before));
    } catch (error) {
      this.close(streams.reasonOf(error));
    }
  }

  async start(stream) {
    if (this.released) return streams.stop(stream);
    this.stream = stream;
    [this.track] = stream.getVideoTracks();
    this.watch(this.track, stream);
    this.say(this.words.guide.searching, "searching", true);
    if (!this.dialog.open) this.dialog.showModal(); // Before it plays: some phones play nothing that is out of sight.
    this.video.srcObject = stream;
    await this.video.play();
    if (this.released || this.stream !== stream) return;
    this.mirrored = this.track.getSettings().facingMode === "user";
    this.dialog.dataset.facing = this.mirrored ? "user" : "environment";
    this.able = streams.abilities(this.track);
    this.lit = false;
    this.showAbilities();
    this.element("switch").hidden = (await streams.cameras()).length < 2;
    if (this.released || this.stream !== stream) return;
    this.checker ??= new Checker(this.table);
    this.state = begin(this.limits, { auto: this.autoNow() });
    this.before = null;
    this.setAuto(preferences.auto);
    this.setPair(preferences.pair);
    this.show();
    this.loop(stream);
  }

  // A camera that another app takes, or that is pulled out, ends its track or gives no more pictures.
  watch(track, stream) {
    const { signal } = this.listeners;
    const gone = () => this.stream === stream && this.close("ended");
    track.addEventListener("ended", gone, { signal });
    track.addEventListener("mute", () => setTimeout(() => track.muted && gone(), MUTED_MS), { signal });
  }

  async loop(stream) {
    const mine = () => !this.released && this.stream === stream;
    while (mine() && this.failures < MAX_FAILURES) {
      const started = performance.now();
      if (!this.taking) {
        try {
          const seen = await this.checker.look(this.video);
          this.failures = 0;
          if (seen && mine() && !this.taking) this.react(seen, performance.now());
        } catch {
          this.failures += 1;
        }
      }
      const left = CHECK_PAUSE_MS - (performance.now() - started);
      await new Promise((resolve) => setTimeout(resolve, Math.max(4, left)));
    }
    if (mine()) {
      this.findings = []; // What was found before the checks failed says nothing of what is seen now.
      this.say(this.words.guide.unguided, "searching", true);
    }
  }

  react(seen, time_ms) {
    this.before = lastSeen(this.before, seen.luma, time_ms);
    this.findings = [...seen.findings, judgeMotion(this.before.motion, this.limits)];
    const { findings } = this;
    this.state = advance(this.state, {
      time_ms,
      findings: this.mirrored ? findings.map((one) => ({ ...one, towards: mirrored(one.towards) })) : findings,
    });
    Object.assign(this.dialog.dataset, { checkMs: seen.took_ms.toFixed(1), checks: 1 + Number(this.dialog.dataset.checks) });
    this.show(seen);
    if (this.state.fire) this.take(false);
  }

  show(seen = null) {
    const { mode, advice, progress, announce } = this.state;
    this.reticle.draw({ mode, advice, progress, seen, mirrored: this.mirrored });
    this.element("progress").style.strokeDasharray = `${100 * progress} 100`;
    if (this.ambient) return;
    const { words } = this;
    const good = preferences.auto ? words.guide.good : words.guide.good_by_hand;
    const text = advice ? sentence(advice, words) : mode === "good" ? good : words.guide[mode];
    this.say(text, mode, announce !== null, advice);
  }

  say(text, mode, aloud, advice = null) {
    this.dialog.dataset.mode = mode;
    const panel = this.element("advice");
    if (panel.dataset.text !== text) {
      panel.dataset.text = text;
      const cut = text.search(/[:：]/) + 1;
      const lead = document.createElement("b");
      lead.textContent = text.slice(0, cut || text.length);
      panel.querySelector("p").replaceChildren(lead, text.slice(cut || text.length));
    }
    const [glyph, degrees] = glyphOf(mode, advice);
    const path = panel.querySelector("path");
    path.setAttribute("d", glyph);
    path.setAttribute("transform", `rotate(${degrees} 12 12)`);
    if (aloud) this.element("spoken").textContent = text;
  }

  async take(byHand) {
    if (this.taking || this.released) return;
    this.taking = true;
    const findings = this.findings.map(({ code, severity, measure }) => ({ code, severity, measure }));
    const shoot = async (track, maxBytes) => ({
      ...(await takeSharpest(this.video, track, this.checker, maxBytes)), findings, by_hand: byHand,
    });
    const half = () => shoot(null, MAX_JPEG_BYTES_OF_PAIR); // Frames both, and so of one size and one view.
    try {
      this.dialog.dataset.taking = "";
      if (!this.pairNow()) return this.finish("photo", await shoot(this.track, MAX_JPEG_BYTES));
      if (this.ambient) return this.finish("pair", { ambient: this.ambient, flash: await half() });
      if (this.lit) await this.light(false).then(() => untilSettled(this.checker, this.video));
      await streams.hold(this.track);
      const ambient = await half();
      this.blink();
      if (await this.light(true)) {
        this.say(this.words.guide.flash_next, "fired", true);
        await untilSettled(this.checker, this.video);
        const flash = await half();
        await this.light(false);
        return this.finish("pair", { ambient, flash });
      }
      this.askForSecond(ambient);
    } catch {
      if (!this.released) this.close("untaken");
    } finally {
      this.taking = false;
      delete this.dialog.dataset.taking;
    }
  }

  // Where the page cannot drive the torch, the person does, and presses for the second.
  askForSecond(ambient) {
    this.ambient = ambient;
    this.state = begin(this.limits, { auto: false });
    this.say(this.words.guide.second_by_hand, "searching", true);
    for (const name of ["auto", "pair"]) this.element(name).hidden = true;
  }

  finish(name, value) {
    if (this.released) return;
    this.blink();
    navigator.vibrate?.(40);
    this.send(name, value);
  }

  blink() {
    if (window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.element("blink").animate([{ opacity: 0.85 }, { opacity: 0 }], { duration: 260, easing: "ease-out" });
  }

  async light(on) {
    if (!this.able.torch) return false;
    try {
      await streams.setTorch(this.track, on);
      this.lit = on;
    } catch {
      this.able.torch = false; // Promised, and not kept.
      this.showAbilities();
      return false;
    }
    this.element("torch").setAttribute("aria-pressed", String(on));
    return true;
  }

  zoom(value) {
    streams.setZoom(this.track, value).catch(() => (this.element("zoom").hidden = true));
    this.element("zoom").querySelector("output").value = `${(value / this.able.zoom.now).toFixed(1)}×`;
  }

  focus(event) {
    if (!this.able?.focus || this.taking) return;
    const { x, y } = this.reticle.inPicture(event.clientX, event.clientY);
    streams.focusOn(this.track, x, y).catch(() => (this.able.focus = false));
  }

  showAbilities() {
    const { zoom, torch } = this.able;
    const slider = this.element("zoom").querySelector("input");
    this.element("torch").hidden = !torch;
    this.element("torch").setAttribute("aria-pressed", String(this.lit));
    this.element("zoom").hidden = !zoom;
    if (!zoom) return;
    Object.assign(slider, { min: zoom.min, max: zoom.max, step: zoom.step });
    slider.value = zoom.now;
    this.element("zoom").querySelector("output").value = "1.0×";
  }

  autoNow() {
    return preferences.auto && !this.ambient;
  }

  pairNow() {
    return this.offersPair && preferences.pair;
  }

  setAuto(auto) {
    preferences.auto = auto;
    this.element("auto").setAttribute("aria-checked", String(auto));
    this.state = withAuto(this.state, this.autoNow());
  }

  setPair(pair) {
    preferences.pair = pair;
    this.element("pair").hidden = !this.offersPair || this.ambient !== null;
    this.element("pair").setAttribute("aria-checked", String(pair));
  }

  letGo() {
    streams.stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }

  release() {
    this.released = true;
    this.listeners.abort();
    this.letGo();
    this.checker?.close();
    if (this.dialog.open) this.dialog.close();
    this.element("auto").hidden = false;
  }
}
