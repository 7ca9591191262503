// The compiled kernel (kernel.c) and the memory that it works in.
//
//   const kernel = await loadKernel();                // with SIMD where the browser has it
//   const place = kernel.reserve(4 * count);          // bytes; an address, a multiple of 16
//   kernel.floats(place, count).set(values);
//   kernel.run.sum_cells(place, ...);                 // what kernel.c exports

export const BINARIES = ["kernel.simd.wasm", "kernel.wasm"]; // Safari has SIMD from 16.4 on.
const PAGE = 65536; // Bytes by which a WebAssembly memory grows.

/** The first of the binaries, which lie beside this module, that runs here. */
export async function loadKernel(binaries = BINARIES) {
  for (const name of binaries) {
    const answer = await fetch(new URL(`./${name}`, import.meta.url));
    if (!answer.ok) throw new Error(`the checks' kernel did not come (${answer.status})`);
    const bytes = await answer.arrayBuffer();
    if (WebAssembly.validate(bytes)) return openKernel(bytes);
  }
  throw new Error("this browser does not run the checks' kernel");
}

/** The same from a binary's bytes, where there is no address to fetch from. */
export async function openKernel(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes);
  return new Kernel(instance.exports);
}

class Kernel {
  constructor(exports) {
    this.run = exports;
    this.memory = exports.memory;
    this.end = exports.__heap_base.value; // What lies below is the kernel's own.
  }

  /** Takes zeroed memory; what is taken is given back by `release` alone. */
  reserve(bytes) {
    const address = Math.ceil(this.end / 16) * 16;
    this.end = address + bytes;
    const lacking = this.end - this.memory.buffer.byteLength;
    if (lacking > 0) this.memory.grow(Math.ceil(lacking / PAGE));
    new Uint8Array(this.memory.buffer, address, bytes).fill(0);
    return address;
  }

  /** Gives back all that was reserved since `end` was this. */
  release(end) {
    this.end = end;
  }

  // Views are made anew at each use: memory that grows leaves the old ones empty.
  floats = (address, count) => new Float32Array(this.memory.buffer, address, count);
  bytes = (address, count) => new Uint8Array(this.memory.buffer, address, count);
  words = (address, count) => new Uint16Array(this.memory.buffer, address, count);
  integers = (address, count) => new Int32Array(this.memory.buffer, address, count);
}
