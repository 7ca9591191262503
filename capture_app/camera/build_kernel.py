"""Compile kernel.c for the browser, with SIMD and without.

    python -m capture_app.camera.build_kernel     # after kernel.c has changed; needs the dev requirements

Both files are committed beside the source, so that whoever runs the page needs no compiler; a test compiles them
again and compares the bytes. The processor is WebAssembly's first, so that old browsers know every instruction.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROCESSORS = {"kernel.simd.wasm": "mvp+simd128", "kernel.wasm": "mvp"}
OPTIONS = (
    *("-target", "wasm32-freestanding", "-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-nostdlib"),
    *("-Wl,--no-entry", "-Wl,--export=__heap_base", "-Wl,--strip-all", "-Wl,-z,stack-size=65536"),
)


def build_kernel(folder: Path) -> list[Path]:
    """Write the binaries to a folder; gives their paths.

    Raises:
        subprocess.CalledProcessError: the compiler is not installed, or refuses the source.
    """
    built = []
    for name, processor in PROCESSORS.items():
        path = folder / name
        how = [f"-mcpu={processor}", *OPTIONS, "-o", str(path), str(HERE / "kernel.c")]
        subprocess.run([sys.executable, "-m", "ziglang", "cc", *how], check=True)
        path.chmod(0o644)
        built.append(path)
    return built


if __name__ == "__main__":
    for path in build_kernel(HERE):
        print(f"{path.name}: {path.stat().st_size:,} bytes")
