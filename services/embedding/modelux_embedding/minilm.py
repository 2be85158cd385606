"""Embed texts on this machine by all-MiniLM-L6-v2 on onnxruntime: 384 numbers, English, the first 256 tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from modelux_embedding import weights
from modelux_embedding.embedder import Embedder, Vectors, unit
from modelux_embedding.minilm_graph import model, tensors
from modelux_embedding.wordpiece import WordPiece
from routing_core.errors import ModeluxError

NAME = "all-MiniLM-L6-v2"
HEADS = 12
MOST_TOKENS = 256
BATCH = 16
_HIDDEN = -1e9
"""Added to attention for padding."""


class MiniLM(Embedder):
    """Runs on a thread of its own. `threads` is how many onnxruntime uses for one batch."""

    name = NAME

    def __init__(
        self, folder: Path, threads: int, *, heads: int = HEADS, wanted: Mapping[str, str] = weights.FILES
    ) -> None:
        """Checks the files before any of them is used. Raises `ModeluxError`."""
        weights.check(folder, wanted)
        require()
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
        # Threads that spin while they wait would take the core from the services beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        graph = model(tensors(folder / weights.WEIGHTS), weights.WEIGHTS, heads)
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._pieces = WordPiece((folder / weights.VOCABULARY).read_text(encoding="utf-8").splitlines())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="minilm")

    async def embed(self, texts: Sequence[str]) -> Vectors:
        loop = asyncio.get_running_loop()
        tokens = await loop.run_in_executor(self._thread, self._encode, texts)
        # Texts of like length share a batch: padding costs as much as text.
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        rows: dict[int, npt.NDArray[np.float32]] = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            states = await loop.run_in_executor(self._thread, partial(self._run, [tokens[each] for each in places]))
            rows.update(zip(places, states, strict=True))
        return np.stack([rows[place] for place in range(len(texts))])

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._pieces.encode(text, MOST_TOKENS) for text in texts]

    def _run(self, tokens: Sequence[Sequence[int]]) -> Vectors:
        """The mean of each text's states, at unit length."""
        longest = max(map(len, tokens))
        ids = np.zeros((len(tokens), longest), dtype=np.int64)
        real = np.zeros((len(tokens), longest), dtype=np.float32)
        for row, each in enumerate(tokens):
            ids[row, : len(each)] = each
            real[row, : len(each)] = 1.0
        positions = np.broadcast_to(np.arange(longest), ids.shape)
        bias = ((1.0 - real) * _HIDDEN).astype(np.float32)[:, None, None, :]
        (states,) = self._session.run(None, {"ids": ids, "positions": np.ascontiguousarray(positions), "bias": bias})
        return unit(np.einsum("btd,bt->bd", states, real, dtype=np.float64))


def require() -> None:
    """Raises `ModeluxError` where the libraries of the extra are not installed."""
    missing = [name for name in ("onnxruntime", "onnx") if find_spec(name) is None]
    if missing:
        hint = "pip install 'modelux[embeddings]'"
        raise ModeluxError("extra_missing", f"{NAME} needs {' and '.join(missing)}", hint=hint)
