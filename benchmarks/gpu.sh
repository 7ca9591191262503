#!/usr/bin/env bash
# All that needs an NVIDIA GPU, in one call; results go to benchmarks/results/, named for the device.
#
#   benchmarks/gpu.sh                 the tests marked gpu, and the speed of a ResNet-50 with random weights
#   benchmarks/gpu.sh RUN DATA        the run's cuda-fp16 file too: held against its row on DATA, and timed
#
# Needs '.[dev,bench]' with onnxruntime-gpu in place of onnxruntime. PYTHON names the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-.venv/bin/python}

DEVICE=$("$PYTHON" - <<'PY'
import re
import sys

import onnxruntime
import torch

if not torch.cuda.is_available():
    sys.exit("error: torch sees no NVIDIA GPU here; run this where nvidia-smi names one.")
if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
    sys.exit("error: this onnxruntime was built without CUDA; install onnxruntime-gpu in place of onnxruntime.")
print(re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-"))
PY
)
RESULTS=benchmarks/results

"$PYTHON" -m pytest -m gpu
"$PYTHON" -m benchmarks.latency --architecture resnet50 --input-size 224 --peers --threads 1 \
    --out "$RESULTS/latency-resnet50-$DEVICE.json" --plot "$RESULTS/latency-resnet50-$DEVICE.png"
if [ $# -ge 2 ]; then
    OUT=$(mktemp -d)
    trap 'rm -rf "$OUT"' EXIT
    "$PYTHON" -m export "$1" --out "$OUT" --target cpu-fp32 cuda-fp16 --data "$2"
    "$PYTHON" -m export.verify "$OUT/model.fp16.onnx" --against "$1" --data "$2" --json \
        > "$RESULTS/parity-cuda-fp16-$DEVICE.json"
    "$PYTHON" -m benchmarks.latency "$OUT"/model*.onnx --against "$1" --peers --threads 1 \
        --out "$RESULTS/latency-$(basename "$1")-$DEVICE.json"
fi
