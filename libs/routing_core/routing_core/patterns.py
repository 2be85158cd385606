"""Search text for a pattern in time linear in the text, whatever the pattern: a lazily built automaton, no
backtracking.

`re` backtracks: on `(a+)+$` a text of thirty letters takes minutes. Here each character costs at most one pass over
the program (Thompson's simulation; the states met are remembered, as in RE2, so that the usual cost is one dictionary
look-up).
"""

from __future__ import annotations

from collections.abc import Sequence

from routing_core.pattern_syntax import Operation, program

_MAX_STATES = 256
_MAX_STEPS_KEPT = 256
"""Bounds on what a pattern remembers: states, and characters per state. Past them it forgets and goes on."""


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern; `pattern_syntax` has the language. Raises InvalidConfig with the column of the mistake."""
    return Pattern(text, program(text))


class _State:
    __slots__ = ("accepts", "accepts_at_end", "positions", "steps")

    def __init__(self, positions: frozenset[int], accepts: bool, accepts_at_end: bool) -> None:
        self.positions = positions
        self.accepts = accepts
        self.accepts_at_end = accepts_at_end
        self.steps: dict[str, _State] = {}


class Pattern:
    """A compiled pattern. What it remembers never changes an answer."""

    def __init__(self, text: str, operations: tuple[Operation, ...]) -> None:
        self.text = text
        self._operations = operations
        self._states: dict[frozenset[int], _State] = {}
        self._first = self._state([0], at_start=True)

    def search(self, text: str) -> bool:
        """Whether the pattern matches anywhere in `text`."""
        state = self._first
        for character in text:
            if state.accepts:
                return True
            state = state.steps.get(character) or self._step(state, character)
        return state.accepts or state.accepts_at_end

    def fullmatch(self, text: str) -> bool:
        """Whether the pattern matches the whole of `text`."""
        positions = self._closure([0], at_start=True, at_end=not text)
        for index, character in enumerate(text, 1):
            reached = [t for p in positions if self._passes(p, character) for t in self._operations[p].targets]
            positions = self._closure(reached, at_start=False, at_end=index == len(text))
            if not positions:
                return False
        return any(self._operations[p].kind == "match" for p in positions)

    def _step(self, state: _State, character: str) -> _State:
        reached = [t for p in state.positions if self._passes(p, character) for t in self._operations[p].targets]
        following = self._state([*reached, 0], at_start=False)
        if len(state.steps) >= _MAX_STEPS_KEPT:
            state.steps.clear()
        state.steps[character] = following
        return following

    def _passes(self, position: int, character: str) -> bool:
        characters = self._operations[position].characters
        return characters is not None and characters.test(character)

    def _state(self, starts: Sequence[int], *, at_start: bool) -> _State:
        positions = self._closure(starts, at_start=at_start, at_end=False)
        # at the start, ^ may lead from the same positions to a match, so that state is not shared
        if not at_start and positions in self._states:
            return self._states[positions]
        at_end = self._closure(starts, at_start=at_start, at_end=True)
        state = _State(positions, self._matches(positions), self._matches(at_end))
        if not at_start:
            if len(self._states) >= _MAX_STATES:
                self._states.clear()
                self._first.steps.clear()
            self._states[positions] = state
        return state

    def _matches(self, positions: frozenset[int]) -> bool:
        return any(self._operations[p].kind == "match" for p in positions)

    def _closure(self, starts: Sequence[int], *, at_start: bool, at_end: bool) -> frozenset[int]:
        """Positions reachable without a character, of those that test one or match."""
        allowed = {"split": True, "start": at_start, "end": at_end}
        seen: set[int] = set()
        stack = list(starts)
        while stack:
            position = stack.pop()
            if position in seen:
                continue
            seen.add(position)
            if allowed.get(self._operations[position].kind, False):
                stack.extend(self._operations[position].targets)
        return frozenset(p for p in seen if self._operations[p].kind in ("test", "match", "end"))
