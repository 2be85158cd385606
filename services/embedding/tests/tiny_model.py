"""A tiny BERT with made-up weights, written as the files of MiniLM are."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

HIDDEN, HEADS, LAYERS, INNER, PLACES = 16, 4, 2, 32, 256
PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "reset", "my", "pass", "##word", "delete", "account", "?", "un", "##able")


@dataclass(frozen=True)
class TinyModel:
    """The folder of the files, their digests, and the arrays that they hold."""

    folder: Path
    wanted: Mapping[str, str]
    arrays: Mapping[str, npt.NDArray[np.float32]]


def write(folder: Path) -> TinyModel:
    """Writes the files into an empty folder."""
    arrays = _arrays()
    (folder / "model.safetensors").write_bytes(_safetensors(arrays))
    (folder / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    wanted = {each.name: sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}
    return TinyModel(folder, wanted, arrays)


def _arrays() -> dict[str, npt.NDArray[np.float32]]:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (len(PIECES), HIDDEN),
        "embeddings.position_embeddings.weight": (PLACES, HIDDEN),
        "embeddings.token_type_embeddings.weight": (2, HIDDEN),
    }
    norms = ["embeddings.LayerNorm"]
    for number in range(LAYERS):
        prefix = f"encoder.layer.{number}."
        norms += [f"{prefix}attention.output.LayerNorm", f"{prefix}output.LayerNorm"]
        dense = {f"attention.self.{each}": (HIDDEN, HIDDEN) for each in ("query", "key", "value")}
        dense |= {"attention.output.dense": (HIDDEN, HIDDEN)}
        dense |= {"intermediate.dense": (INNER, HIDDEN), "output.dense": (HIDDEN, INNER)}
        for name, shape in dense.items():
            shapes |= {f"{prefix}{name}.weight": shape, f"{prefix}{name}.bias": shape[:1]}
    for name in norms:
        shapes |= {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}
    draw = np.random.default_rng(7)
    return {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def _safetensors(arrays: Mapping[str, npt.NDArray[np.float32]]) -> bytes:
    head, body = {}, b""
    for name, array in arrays.items():
        data = array.tobytes()
        head[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    told = json.dumps(head).encode()
    told += b" " * (-len(told) % 8)
    return struct.pack("<Q", len(told)) + told + body
