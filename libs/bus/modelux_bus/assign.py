"""Spread the partitions of a group over its members, moving as few as possible."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from zlib import crc32

from modelux_bus.base import Partition


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that equal keys share, in [0, partitions)."""
    return crc32(key) % partitions


def assign(
    members: Mapping[str, Collection[str]], partitions: Collection[Partition], current: Mapping[Partition, str]
) -> dict[Partition, str]:
    """Who should hold each partition.

    Among members with equal topics the loads differ by at most one, and a partition leaves its holder only when
    that is needed. Deterministic: ties go to the smaller name. Partitions of a topic nobody reads are left out.

    Args:
        members: member -> the topics it reads.
        partitions: all partitions of those topics.
        current: partition -> its holder now; holders that are no members are ignored.
    """
    held: dict[str, list[Partition]] = {member: [] for member in sorted(members)}
    homeless: list[Partition] = []
    for partition in sorted(partitions):
        holder = current.get(partition)
        if holder in held and partition.topic in members[holder]:
            held[holder].append(partition)
        elif any(partition.topic in topics for topics in members.values()):
            homeless.append(partition)
    for partition in homeless:
        takers = [member for member in held if partition.topic in members[member]]
        held[min(takers, key=lambda member: len(held[member]))].append(partition)
    while _move_one(members, held):
        pass
    return {partition: member for member, owned in held.items() for partition in owned}


def _move_one(members: Mapping[str, Collection[str]], held: dict[str, list[Partition]]) -> bool:
    """Moves one partition from a fuller member to an emptier one; False when all are level."""
    by_load = sorted(held, key=lambda member: len(held[member]))
    for giver in reversed(by_load):
        for taker in by_load:
            if len(held[giver]) - len(held[taker]) < 2:
                break
            for partition in reversed(held[giver]):
                if partition.topic in members[taker]:
                    held[giver].remove(partition)
                    held[taker].append(partition)
                    return True
    return False
