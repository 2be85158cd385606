"""The index of a project's prompts: built from the log, kept fresh, bounded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest

from modelux_embedding.cache import Cached
from modelux_embedding.embedder import Embedder, EmbedderFailed, Vectors
from modelux_embedding.index import Faiss
from modelux_embedding.lexical import Lexical, vectors
from modelux_embedding.metrics import meters
from modelux_embedding.neighbours import Neighbours, WrongSize
from modelux_embedding.prompts import Prompt


@dataclass
class Log:
    """Prompts by organization and project, and every reading of them."""

    prompts: dict[tuple[str, str], list[Prompt]] = field(default_factory=dict)
    readings: list[tuple[str, str, int, int]] = field(default_factory=list)

    def add(self, project: str, request_id: str, text: str, ingested_ms: int) -> None:
        self.prompts.setdefault(("org", project), []).append(Prompt(request_id, text, ingested_ms))

    async def read(self, organization: str, project: str, since_ms: int, most: int) -> Sequence[Prompt]:
        self.readings.append((organization, project, since_ms, most))
        found = [each for each in self.prompts.get((organization, project), []) if each.ingested_ms >= since_ms]
        return found[-most:]


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
async def faiss() -> AsyncIterator[Faiss]:
    made = Faiss()
    yield made
    await made.close()


def build(log: Log, faiss: Faiss, clock: Clock, *, embedder: Embedder | None = None, rows: int = 100) -> Neighbours:
    used = embedder or Cached(Lexical(), 1 << 20, meters())
    return Neighbours(used, log.read, faiss, clock, rows=rows, projects=2, refresh_ms=1_000)


async def near(neighbours: Neighbours, project: str, text: str, k: int = 3) -> tuple[list[str], int]:
    found, indexed = await neighbours.similar("org", project, vectors([text])[0], k)
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    return [name for name, _ in found], indexed


async def test_the_nearest_prompts_of_the_project_are_found(faiss: Faiss) -> None:
    log = Log()
    for number, text in enumerate(["reset my password", "weather in Lisbon", "I forgot my password"]):
        log.add("one", f"req_{number}", text, number)
    log.add("two", "req_other", "reset my password", 9)
    neighbours = build(log, faiss, Clock())
    assert await near(neighbours, "one", "reset my password please", 2) == (["req_0", "req_2"], 3)
    assert await near(neighbours, "nowhere", "reset my password") == ([], 0)


async def test_new_prompts_are_added_after_a_while_and_none_twice(faiss: Faiss) -> None:
    log, clock = Log(), Clock()
    log.add("one", "req_0", "weather in Lisbon", 5)
    neighbours = build(log, faiss, clock)
    await near(neighbours, "one", "weather")
    log.add("one", "req_1", "weather in Porto", 5)
    assert (await near(neighbours, "one", "weather in Porto"))[1] == 1
    clock.now_ms += 1_000
    assert await near(neighbours, "one", "weather in Porto") == (["req_1", "req_0"], 2)
    assert [since for _, _, since, _ in log.readings] == [0, 5]


async def test_the_newest_rows_and_the_projects_asked_for_last_are_kept(faiss: Faiss) -> None:
    log, clock = Log(), Clock()
    for number in range(30):
        log.add("one", f"req_{number}", f"prompt {number}", number)
    neighbours = build(log, faiss, clock, rows=10)
    names, indexed = await near(neighbours, "one", "prompt 3", 100)
    assert (set(names), indexed) == ({f"req_{number}" for number in range(20, 30)}, 10)
    for number in range(30, 33):
        log.add("one", f"req_{number}", f"prompt {number}", number)
    clock.now_ms += 1_000
    names, indexed = await near(neighbours, "one", "prompt 3", 100)
    assert (set(names), indexed) == ({f"req_{number}" for number in range(23, 33)}, 10)
    assert neighbours.indexed() == 10
    for project in ("two", "three", "one"):
        await near(neighbours, project, "prompt")
    assert [project for _, project, _, _ in log.readings] == ["one", "one", "two", "three", "one"]


class Failing(Embedder):
    """Fails at a text, until it is mended."""

    name = "failing"
    broken = True

    async def embed(self, texts: Sequence[str]) -> Vectors:
        if self.broken and "bad" in texts:
            raise EmbedderFailed("not now", passing=True)
        return vectors(texts)


async def test_after_a_failure_the_next_question_goes_on(faiss: Faiss) -> None:
    log, embedder = Log(), Failing()
    for number in range(1_500):
        log.add("one", f"req_{number}", "bad" if number == 1_200 else f"prompt {number}", number)
    neighbours = build(log, faiss, Clock(), embedder=embedder, rows=5_000)
    with pytest.raises(EmbedderFailed):
        await near(neighbours, "one", "prompt")
    embedder.broken = False
    assert (await near(neighbours, "one", "prompt"))[1] == 1_500
    assert [since for _, _, since, _ in log.readings] == [0, 999]


async def test_a_vector_of_another_embedder_is_refused(faiss: Faiss) -> None:
    log = Log()
    log.add("one", "req_0", "weather", 1)
    with pytest.raises(WrongSize, match="has 3 dimensions"):
        await build(log, faiss, Clock()).similar("org", "one", vectors(["x"])[0][:3], 1)
