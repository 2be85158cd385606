"""Write MiniLM's forward pass as an ONNX graph whose weights stay in their safetensors file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OPSET = 20
EPSILON = 1e-12


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a float32 tensor lies in its file."""

    shape: tuple[int, ...]
    offset: int
    length: int


def tensors(path: Path) -> Mapping[str, Tensor]:
    """The float32 tensors of a safetensors file. Raises ValueError for a file that is none."""
    with path.open("rb") as file:
        start = file.read(8)
        size = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= size <= 1 << 20:
            raise ValueError(f"{path.name} is no safetensors file")
        head: dict[str, Any] = json.loads(file.read(size))
    found = {}
    for name, each in head.items():
        if each.get("dtype") == "F32":
            begin, end = each["data_offsets"]
            found[name] = Tensor(tuple(each["shape"]), 8 + size + begin, end - begin)
    return found


def model(weights: Mapping[str, Tensor], location: str, heads: int) -> bytes:
    """The serialised graph of a BERT encoder of any number of layers, which reads its weights from `location`.

    Inputs: `ids` and `positions` (batch, length) int64, `bias` (batch, 1, 1, length) float32 that is added to attention
    (0, or very negative for padding). Output: `states` (batch, length, hidden) float32.
    """
    import onnx

    graph = _Graph(weights, location, heads)
    hidden = weights["embeddings.word_embeddings.weight"].shape[1]
    value = onnx.helper.make_tensor_value_info
    nodes = graph.encoder()
    made = onnx.helper.make_graph(
        nodes,
        "minilm",
        [
            value("ids", onnx.TensorProto.INT64, ["batch", "length"]),
            value("positions", onnx.TensorProto.INT64, ["batch", "length"]),
            value("bias", onnx.TensorProto.FLOAT, ["batch", 1, 1, "length"]),
        ],
        [value("states", onnx.TensorProto.FLOAT, ["batch", "length", hidden])],
        graph.initializers,
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    whole: bytes = onnx.helper.make_model(made, opset_imports=[opset], ir_version=10).SerializeToString()
    return whole


class _Graph:
    """Nodes and initialisers as they come up."""

    def __init__(self, weights: Mapping[str, Tensor], location: str, heads: int) -> None:
        self._weights = weights
        self._location = location
        self._heads = heads
        self._nodes: list[Any] = []
        self.initializers: list[Any] = []

    def encoder(self) -> Sequence[Any]:
        """Nodes from `ids` to `states`."""
        hidden = self._weights["embeddings.word_embeddings.weight"].shape[1]
        size = hidden // self._heads
        self._integers("split", [0, 0, self._heads, size])
        self._integers("join", [0, 0, hidden])
        self._floats("scale", size**-0.5)
        self._integers("zero", [0])
        words = self._node("Gather", [self._weight("embeddings.word_embeddings.weight"), "ids"])
        places = self._node("Gather", [self._weight("embeddings.position_embeddings.weight"), "positions"])
        kind = self._node("Gather", [self._weight("embeddings.token_type_embeddings.weight"), "zero"])
        state = self._node("Add", [self._node("Add", [words, places]), kind])
        state = self._normalised(state, "embeddings.LayerNorm")
        layers = sum(name.endswith("attention.self.query.weight") for name in self._weights)
        for number in range(layers):
            state = self._layer(state, f"encoder.layer.{number}.")
        self._node("Identity", [state], "states")
        return self._nodes

    def _layer(self, state: str, prefix: str) -> str:
        query, key, value = (
            self._heads_of(self._dense(state, f"{prefix}attention.self.{name}"), order)
            for name, order in (("query", (0, 2, 1, 3)), ("key", (0, 2, 3, 1)), ("value", (0, 2, 1, 3)))
        )
        scores = self._node("Add", [self._node("Mul", [self._node("MatMul", [query, key]), "scale"]), "bias"])
        mixed = self._node("MatMul", [self._node("Softmax", [scores], axis=-1), value])
        joined = self._node("Reshape", [self._node("Transpose", [mixed], perm=[0, 2, 1, 3]), "join"])
        attended = self._node("Add", [self._dense(joined, f"{prefix}attention.output.dense"), state])
        state = self._normalised(attended, f"{prefix}attention.output.LayerNorm")
        inner = self._node("Gelu", [self._dense(state, f"{prefix}intermediate.dense")])
        return self._normalised(
            self._node("Add", [self._dense(inner, f"{prefix}output.dense"), state]), f"{prefix}output.LayerNorm"
        )

    def _heads_of(self, state: str, order: tuple[int, ...]) -> str:
        return self._node("Transpose", [self._node("Reshape", [state, "split"])], perm=list(order))

    def _dense(self, state: str, name: str) -> str:
        turned = self._node("Transpose", [self._weight(f"{name}.weight")], perm=[1, 0])
        return self._node("Add", [self._node("MatMul", [state, turned]), self._weight(f"{name}.bias")])

    def _normalised(self, state: str, name: str) -> str:
        parts = [state, self._weight(f"{name}.weight"), self._weight(f"{name}.bias")]
        return self._node("LayerNormalization", parts, axis=-1, epsilon=EPSILON)

    def _node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        import onnx

        output = output or f"{kind.lower()}{len(self._nodes)}"
        self._nodes.append(onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output

    def _weight(self, name: str) -> str:
        import onnx

        place = self._weights[name]
        each = onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=place.shape)
        each.data_location = onnx.TensorProto.EXTERNAL
        told = {"location": self._location, "offset": str(place.offset), "length": str(place.length)}
        for key, value in told.items():
            each.external_data.add(key=key, value=value)
        self.initializers.append(each)
        return name

    def _integers(self, name: str, values: Sequence[int]) -> None:
        import onnx

        self.initializers.append(onnx.helper.make_tensor(name, onnx.TensorProto.INT64, [len(values)], list(values)))

    def _floats(self, name: str, value: float) -> None:
        import onnx

        self.initializers.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [value]))
