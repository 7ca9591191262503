// Photos: a short burst at full size, of which the sharpest is kept, as a JPEG in base64.
//
//     const photo = await takeSharpest(video, track, checker);   // { jpeg, width, height }; track null: of frames
//
// Through ImageCapture.takePhoto where the browser has it: the sensor's own photo, larger than the preview's
// frames. Where it fails, is slow or gives a turned or smaller photo, the preview's full-size frames.

import { sizeOf } from "./checker.js";

const STILLS = 3;
const STILLS_MS = 1200; // No further still is begun after this.
const STILL_LIMIT_MS = 3000; // A still that takes longer is given up for a frame.
const FRAMES = 4;
const CHECKER_LIMIT_MS = 1500; // In a burst, for a check that is still under way: the first one starts its worker.
const PICTURE_LIMIT_MS = 2000; // For the first frame, where the shutter is pressed before the camera gives one.
const FRAME_PAUSE_MS = 80;
const JPEG_QUALITIES = [0.92, 0.8, 0.65];
export const MAX_JPEG_BYTES = 12_000_000; // Its base64 stays well below the server's limit of 25 MB a message,
export const MAX_JPEG_BYTES_OF_PAIR = 8_000_000; // and so do two of these.

export async function takeSharpest(video, track, checker, maxBytes = MAX_JPEG_BYTES) {
  const still = track && (await sharpestStill(video, track, checker).catch(() => null));
  return still ? fromStill(still, maxBytes) : sharpestFrame(video, checker, maxBytes);
}

async function sharpestStill(video, track, checker) {
  if (typeof ImageCapture === "undefined" || !ImageCapture.prototype.takePhoto) return null;
  await untilPicture(video); // Before it a video has no size, and no photo would be smaller.
  const capture = new ImageCapture(track);
  const settings = await within(500, bestSettings(capture)).catch(() => ({}));
  const started = performance.now();
  let best = null;
  for (let taken = 0; taken < STILLS; taken += 1) {
    let shot;
    try {
      shot = await oneStill(capture, settings, video, checker, started);
    } catch (error) {
      if (best) break;
      throw error;
    }
    if (!best || shot.sharpness > best.sharpness) best = shot;
    if (performance.now() - started > STILLS_MS) break;
  }
  return best;
}

async function oneStill(capture, settings, video, checker, started) {
  const blob = await within(STILL_LIMIT_MS, capture.takePhoto(settings));
  const bitmap = await createImageBitmap(blob); // Upright: the browser reads the orientation in its EXIF.
  const [wide, high] = sizeOf(video);
  const { width, height } = bitmap;
  try {
    const turned = wide !== high && wide > high !== width > height;
    if (turned || width * height < wide * high) throw new Error("worse than the preview's frame");
    return { blob, width, height, sharpness: await sharpnessOf(checker, bitmap, started) };
  } finally {
    bitmap.close();
  }
}

async function bestSettings(capture) {
  const { imageWidth, imageHeight } = await capture.getPhotoCapabilities();
  return imageWidth?.max && imageHeight?.max ? { imageWidth: imageWidth.max, imageHeight: imageHeight.max } : {};
}

async function fromStill({ blob, width, height }, maxBytes) {
  if (blob.type === "image/jpeg" && blob.size <= maxBytes) return { jpeg: await toBase64(blob), width, height };
  const bitmap = await createImageBitmap(blob);
  const canvas = draw(bitmap, document.createElement("canvas"));
  bitmap.close();
  return { jpeg: await toBase64(await toJpeg(canvas, maxBytes)), width, height };
}

async function sharpestFrame(video, checker, maxBytes) {
  let [best, spare] = [null, document.createElement("canvas")];
  let bestSharpness = -Infinity;
  await untilPicture(video);
  const started = performance.now();
  for (let taken = 0; taken < FRAMES; taken += 1) {
    if (taken) await pause(FRAME_PAUSE_MS);
    if (!hasPicture(video)) break; // The camera went away; what there is, is kept.
    draw(video, spare);
    const sharpness = await sharpnessOf(checker, spare, started);
    if (sharpness > bestSharpness) {
      bestSharpness = sharpness;
      [best, spare] = [spare, best ?? document.createElement("canvas")];
    }
  }
  if (!best) throw new Error("the camera gave no picture");
  const { width, height } = best;
  return { jpeg: await toBase64(await toJpeg(best, maxBytes)), width, height };
}

// Without one a canvas stays black, and nobody is told.
const hasPicture = (video) => video.videoWidth > 0 && video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;

async function untilPicture(video) {
  const started = performance.now();
  while (!hasPicture(video) && performance.now() - started < PICTURE_LIMIT_MS) await pause(20);
}

// 0 where the checks cannot say: then the first photo is as good as any.
async function sharpnessOf(checker, picture, started) {
  while (checker?.busy && performance.now() - started < CHECKER_LIMIT_MS) await pause(10);
  try {
    return (await checker?.look(picture))?.sharpness ?? 0;
  } catch {
    return 0;
  }
}

// Waits until the picture's brightness has come to rest, as it must after the torch is switched.
export async function untilSettled(checker, video, { atLeast_ms = 500, atMost_ms = 2500 } = {}) {
  const started = performance.now();
  const levels = [];
  while (performance.now() - started < atMost_ms) {
    await pause(90);
    const seen = await checker?.look(video).catch(() => null);
    if (seen) levels.push(seen.luma.reduce((sum, value) => sum + value, 0) / seen.luma.length);
    const last = levels.slice(-4);
    const atRest = last.length === 4 && Math.max(...last) - Math.min(...last) < 1.5;
    if (atRest && performance.now() - started >= atLeast_ms) return;
  }
}

function draw(picture, canvas) {
  const [width, height] = sizeOf(picture);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d").drawImage(picture, 0, 0, width, height);
  return canvas;
}

async function toJpeg(canvas, maxBytes) {
  let blob = null;
  for (const quality of JPEG_QUALITIES) {
    blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));
    if (blob && blob.size <= maxBytes) return blob;
  }
  if (!blob) throw new Error("the browser gave no JPEG");
  return blob;
}

function toBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

export function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function within(ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
