"""`python -m export.describe`: the card, the file and the graph, checked against the file itself."""

import dataclasses
import functools
import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import export.describe as command
from export.describe import Description, as_text, describe
from export.inventory import Graph, Operator, Stored, Tensor, read_graph
from tests.tiny_model import tiny_card
from training.cli import EXIT_OK, EXIT_USER_ERROR, run
from training.models.card import METADATA_KEY, ModelCard


def graph_of(nodes: list[onnx.NodeProto], stored: dict[str, np.ndarray]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "by hand",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n", 3, None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def test_operators_and_parameters_are_counted() -> None:
    inner = helper.make_graph(
        [helper.make_node("Neg", ["a"], ["b"]), helper.make_node("Neg", ["b"], ["c"])],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])],
        [numpy_helper.from_array(np.zeros(5, np.float16), "of_the_branch")],
    )
    model = graph_of(
        [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
            helper.make_node("DequantizeLinear", ["weight", "scale"], ["w"]),
            helper.make_node("Conv", ["d", "w"], ["convolved"]),
            helper.make_node("Conv", ["x", "w"], ["half_way"]),
            helper.make_node("If", ["x"], ["i"], then_branch=inner, else_branch=inner),
            helper.make_node("Gelu", ["i"], ["y"], domain="com.microsoft"),
            helper.make_node(
                "Constant", [], ["k"], value=numpy_helper.from_array(np.zeros((2, 2), np.int64))
            ),
        ],
        {
            "scale": np.ones((), np.float32),
            "zero": np.zeros((), np.uint8),
            "weight": np.zeros((4, 3, 3, 3), np.int8),
        },
    )
    assert read_graph(model) == Graph(
        opset={"ai.onnx": 18, "com.microsoft": 1},
        ir_version=10,
        inputs=(Tensor("x", "float16", ("n", 3, "*")),),
        outputs=(Tensor("y", "float32", (1,)),),
        operators=(
            Operator("Neg", 4, 0),
            Operator("Conv", 2, 1),
            Operator("DequantizeLinear", 2, 0),
            Operator("Constant", 1, 0),
            Operator("If", 1, 0),
            Operator("QuantizeLinear", 1, 0),
            Operator("com.microsoft.Gelu", 1, 0),
        ),
        parameters=(
            Stored("int8", 108, 108),
            Stored("int64", 4, 32),
            Stored("float16", 10, 20),
            Stored("float32", 1, 4),
            Stored("uint8", 1, 1),
        ),
    )


def test_an_exported_model_is_described(tiny_model_two_heads: Path) -> None:
    description = describe(tiny_model_two_heads)
    data = tiny_model_two_heads.read_bytes()
    assert description.bytes == len(data)
    assert description.sha256 == hashlib.sha256(data).hexdigest()
    assert description.card == tiny_card(two_heads=True, activation="softmax", temperature=2.0)
    graph = description.graph
    assert graph is not None
    assert graph.opset == {"ai.onnx": 18}
    assert graph.inputs == (Tensor("image", "uint8", ("n", "height", "width", 3)),)
    assert [(output.name, output.dtype, output.shape[1:]) for output in graph.outputs] == [
        ("lesion_probabilities", "float32", (3,)),
        ("location_probabilities", "float32", (4,)),
        ("lesion_cam", "float32", (3, 2, 2)),
        ("features", "float32", (512,)),
    ]
    assert sum(row.count for row in graph.operators) == len(onnx.load_from_string(data).graph.node)
    assert graph.operators[0] == Operator("Conv", 21, 0)
    assert 0.99 < sum(row.bytes for row in graph.parameters) / len(data) < 1


def test_json_is_the_same_as_one_object(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: command.main([str(tiny_model), "--json"])) == EXIT_OK
    record = json.loads(capsys.readouterr().out)
    assert set(record) == {"path", "bytes", "sha256", "card", "graph"}
    assert ModelCard.from_json(json.dumps(record["card"])) == tiny_card()
    assert record["graph"]["inputs"] == [
        {"name": "image", "dtype": "uint8", "shape": ["n", "height", "width", 3]}
    ]


def lines_of(card: ModelCard) -> dict[str, str]:
    text = as_text(Description("model.onnx", 1_234_567, "ab" * 32, card, None))
    rows = (line.strip().split("  ", 1) for line in text.splitlines())
    return {row[0]: row[1].strip() for row in rows if len(row) == 2}


def test_the_card_reads_as_words_with_its_intervals() -> None:
    card = dataclasses.replace(
        tiny_card(),
        data={"name": "clinic", "training_photos": 486},
        metrics={
            "balanced_accuracy": 0.57546,
            "balanced_accuracy_interval": [0.455, 0.685],
            "recall": {"acne": 0.5, "ulcer": 0.0},
            "confusion": [[1, 0], [0, 1]],
            "map_class": None,
        },
        export={"target": "cuda-fp16", "precision": "fp16", "kept_in_fp32": {"layer1.0.conv1": 70000.0}},
        recipe={"name": "demo", "seed": 0},
    )
    rows = lines_of(card)
    assert rows["size"] == "1.23 MB (1,234,567 bytes)"
    assert rows["balanced accuracy"] == "0.575 (0.455 to 0.685, 95% interval)"
    assert rows["recall"] == "acne 0.500, ulcer 0"
    assert rows["confusion"] == "2 rows, in --json"
    assert rows["kept in fp32"] == "layer1.0.conv1 7e+04"
    assert rows["training photos"] == "486"
    assert rows["recipe"] == "demo"
    assert "mAP-class" not in rows
    assert "drawings" in rows["WARNING"]
    assert "WARNING" not in lines_of(dataclasses.replace(card, synthetic=False))
    assert "0.875 of the shorter side" in rows["preprocessing"]


def test_text_has_every_section(tiny_model: Path) -> None:
    text = as_text(describe(tiny_model))
    for word in ("SHA-256", "licence", "temperature", "opset", "lesion_cam", "Conv", "float32", "in 8 bits"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 110


def test_files_that_are_none_of_ours(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tiny_model.read_bytes()
    cut, text, bare, other = (
        tmp_path / name for name in ("cut.onnx", "text.onnx", "bare.onnx", "other.onnx")
    )
    cut.write_bytes(data[: len(data) // 2])
    text.write_text("no model")
    model = onnx.load_from_string(data)
    helper.set_model_props(
        model, {METADATA_KEY: tiny_card().to_json().replace('"schema_version": 1', '"schema_version": 9')}
    )
    onnx.save(model, other)
    del model.metadata_props[:]
    onnx.save(model, bare)
    for path, sentence in (
        (cut, "is cut short"),
        (text, "is not an ONNX file"),
        (bare, "carries no model card"),
        (other, "schema version is 9"),
        (tmp_path, "is a folder"),
        (tmp_path / "absent.onnx", "is not there"),
    ):
        assert run(functools.partial(command.main, [str(path)])) == EXIT_USER_ERROR
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith(f"error: {path}")
        assert sentence in err
        assert len(err.splitlines()) == 1


WITHOUT_ONNX = """
import sys

class Absent:
    names = {"torch", "torchvision", "pandas", "onnx"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"{name} is not installed here", name=name)

sys.meta_path.insert(0, Absent())
from export.describe import main
from training.cli import run
sys.exit(run(main))
"""


def test_where_onnx_is_not_installed_the_card_is_shown(tiny_model: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_ONNX, tiny_model],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "SHA-256" in done.stdout
    assert done.stdout.splitlines()[-1].endswith("pip install onnx, and run the command again.")
