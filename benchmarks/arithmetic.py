"""What the processor could do at most: one large matrix product a precision, in the same rounds as the networks.

    products = open_products(threads=(1, 2))
    run_rounds([product.timed for product in products], budget_s=10)
    limits(products)

Convolutions are matrix products with extra work around them, so a network's multiply-adds in the time of such a
product are a bound that no runtime passes by much. Where several libraries offer a product, the fastest counts.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
import torch

from benchmarks.latency_rounds import Timed
from benchmarks.latency_torch import use_threads
from benchmarks.latency_variants import Call, session_options

SIDE = 2048
"""Of the square matrices: large enough to hide what a call costs, small enough for the caches' tiling."""
OPSET = 18


@dataclass(frozen=True)
class Product:
    """One library's product of two square matrices."""

    precision: str
    how: str
    threads: int
    side: int
    timed: Timed


@dataclass(frozen=True)
class Limit:
    """The fastest product of a precision."""

    precision: str
    how: str
    threads: int
    gops_per_s: float
    """10^9 operations a second, a multiply-add counted as two, at the median."""


def open_products(threads: Sequence[int], side: int = SIDE) -> list[Product]:
    """Every product that runs here, for every number of threads."""
    products = []
    for n_threads in threads:
        for (precision, how), make in MAKERS.items():
            with contextlib.suppress(
                RuntimeError, NotImplementedError
            ):  # A precision this torch cannot multiply.
                call = make(n_threads, side)
                call()
                name = f"{how} {precision}, {n_threads} threads"
                products.append(Product(precision, how, n_threads, side, Timed(name, call)))
    return products


def limits(products: Sequence[Product]) -> tuple[Limit, ...]:
    """The fastest of each precision and number of threads, after the rounds."""
    best: dict[tuple[str, int], Limit] = {}
    for product in products:
        seconds = float(np.median(product.timed.times_ms)) / 1000
        limit = Limit(product.precision, product.how, product.threads, 2 * product.side**3 / seconds / 1e9)
        key = product.precision, product.threads
        if key not in best or limit.gops_per_s > best[key].gops_per_s:
            best[key] = limit
    return tuple(best.values())


def _torch_product(dtype: torch.dtype) -> Callable[[int, int], Call]:
    def make(threads: int, side: int) -> Call:
        generator = torch.Generator().manual_seed(0)
        left, right = torch.randn(2, side, side, generator=generator).to(dtype)

        def call() -> object:
            use_threads(threads)
            with torch.inference_mode():
                return left @ right

        return call

    return make


def _torch_int8(threads: int, side: int) -> Call:
    generator = torch.Generator().manual_seed(0)
    left, right = torch.randint(-128, 128, (2, side, side), generator=generator, dtype=torch.int8)

    def call() -> object:
        use_threads(threads)
        with torch.inference_mode():
            return torch._int_mm(left, right)

    return call


def _onnxruntime_int8(threads: int, side: int) -> Call:
    """uint8 activations by int8 weights, which are known beforehand and packed, as in a network."""
    generator = np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(generator.integers(-128, 128, (side, side), np.int8), "weights")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["x", "weights"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, (side, side))],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, (side, side))],
        [weights],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], ir_version=10)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(threads), providers=["CPUExecutionProvider"]
    )
    left = generator.integers(0, 256, (side, side), np.uint8)
    return lambda: session.run(None, {"x": left})


MAKERS: dict[tuple[str, str], Callable[[int, int], Call]] = {
    ("fp32", "torch mm"): _torch_product(torch.float32),
    ("bf16", "torch mm"): _torch_product(torch.bfloat16),
    ("int8", "torch _int_mm"): _torch_int8,
    ("int8", "onnxruntime MatMulInteger"): _onnxruntime_int8,
}
