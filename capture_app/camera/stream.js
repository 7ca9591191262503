// The phone's camera: opened at its best, its zoom, torch and focus where it has them, and let go.
//
//     const stream = await openStream({ facing: "environment" });
//     const able = abilities(stream.getVideoTracks()[0]);   // { zoom: null | {...}, torch, focus }

const REASON_OF_ERROR = {
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "missing",
  OverconstrainedError: "missing",
  NotReadableError: "busy",
  AbortError: "busy",
};
const MAX_ZOOM = 5; // Beyond it a phone only enlarges pixels.

export function canOpen() {
  return window.isSecureContext && Boolean(navigator.mediaDevices);
}

// Why the camera did not open: a key of the messages in capture_app/words.
export function reasonOf(error) {
  return REASON_OF_ERROR[error?.name] ?? "failed";
}

export function openStream({ facing, deviceId }) {
  const which = deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: facing } };
  return navigator.mediaDevices.getUserMedia({
    audio: false,
    video: { ...which, width: { ideal: 4096 }, height: { ideal: 3072 } },
  });
}

export function stop(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

export async function cameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "videoinput");
}

// The camera after this one: the other side's first, and where the side makes no difference the next in the list.
export async function openNext(before) {
  const { deviceId, facingMode } = before;
  const facing = facingMode === "user" ? "environment" : "user";
  const stream = await openStream({ facing });
  if (stream.getVideoTracks()[0].getSettings().deviceId !== deviceId) return stream;
  const found = await cameras();
  const next = found[(found.findIndex((device) => device.deviceId === deviceId) + 1) % found.length];
  if (!next?.deviceId || next.deviceId === deviceId) return stream;
  stop(stream);
  return openStream({ deviceId: next.deviceId });
}

export function abilities(track) {
  const able = track.getCapabilities?.() ?? {};
  const { zoom: now } = track.getSettings();
  const zoom = able.zoom?.max > able.zoom?.min ? able.zoom : null;
  return {
    zoom: zoom && {
      min: zoom.min,
      max: Math.min(zoom.max, MAX_ZOOM * (now || zoom.min)),
      step: zoom.step || (zoom.max - zoom.min) / 50,
      now: now ?? zoom.min,
    },
    torch: able.torch === true || (Array.isArray(able.torch) && able.torch.includes(true)),
    focus: able.focusMode?.includes("single-shot") ?? false,
  };
}

export function setZoom(track, zoom) {
  return apply(track, keep(track, { zoom }));
}

export function setTorch(track, torch) {
  return apply(track, keep(track, { torch }));
}

// Focus on a point of the picture, x and y in [0, 1].
export function focusOn(track, x, y) {
  return apply(track, { ...kept.get(track), focusMode: "single-shot", pointsOfInterest: [{ x, y }] });
}

// From now on the track's exposure and white balance stay as they are, where it lets them; for two frames of one light.
export async function hold(track) {
  const able = track.getCapabilities?.() ?? {};
  const modes = ["exposureMode", "whiteBalanceMode"].filter((mode) => able[mode]?.includes("manual"));
  if (modes.length === 0) return;
  await apply(track, keep(track, Object.fromEntries(modes.map((mode) => [mode, "manual"])))).catch(() => {});
}

// Each application takes the place of the one before it, and what it does not name may go back: all are named again.
const kept = new WeakMap();

function keep(track, wanted) {
  kept.set(track, { ...kept.get(track), ...wanted });
  return kept.get(track);
}

function apply(track, { focusMode, pointsOfInterest, ...wanted }) {
  const advanced = Object.entries(wanted).map(([name, value]) => ({ [name]: value }));
  if (focusMode) advanced.push({ focusMode, pointsOfInterest });
  return track.applyConstraints({ advanced });
}
