"""Follow the config service: take over each snapshot once it is known to be good, and keep the last one on disk."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from modelux.config.v1 import snapshot_pb2 as pb
from modelux.config.v1.snapshot_pb2_grpc import SnapshotServiceStub
from modelux_calling.clock import Clock
from modelux_calling.snapshot import Builder, Refused, merge
from modelux_calling.tenants import Tenants

log = logging.getLogger("modelux.calling")

_HEADER = struct.Struct("<8sQI")
"""Magic, when it was saved (epoch ms), CRC-32 of the snapshot."""
_MAGIC = b"MLXS\x01\0\0\0"
_LOOK_S = 1.0
"""How often to look whether a price has come into force."""

Watch = Callable[[int], AsyncGenerator[pb.WatchSnapshotResponse, None]]
"""Updates since a version, until the connection ends; first an empty one as soon as it stands."""


@dataclass(slots=True)
class Counts:
    accepted: int = 0
    refused: int = 0


class ConfigSource:
    """The current `Tenants`, or None before there are any or when what we have is too old to trust."""

    def __init__(self, builder: Builder, file: Path, clock: Clock, max_stale_ms: int) -> None:
        self._builder = builder
        self._file = file
        self._clock = clock
        self._max_stale_ms = max_stale_ms
        self._snapshot: pb.Snapshot | None = None
        self._tenants: Tenants | None = None
        self._confirmed_ms = 0
        self._connected = False
        self._resync = False
        self.counts = Counts()
        self.last_refusal = ""

    def current(self) -> Tenants | None:
        """What to serve from. Keys that may have been revoked long ago are not honoured: too old means none."""
        if self._connected or self._tenants is None:
            return self._tenants
        if self._clock.now_ms() - self._confirmed_ms > self._max_stale_ms:
            return None
        return self._tenants

    @property
    def age_ms(self) -> int:
        """Since the config service was last heard of; 0 while connected."""
        return 0 if self._connected else self._clock.now_ms() - self._confirmed_ms

    async def load(self) -> None:
        """Takes over the last good snapshot on disk, if there is one."""
        found = await asyncio.to_thread(_read, self._file)
        if found is None:
            return
        saved_ms, snapshot = found
        if await self._take(snapshot):
            self._confirmed_ms = saved_ms

    async def follow(self, watch: Watch) -> None:
        """Watches for as long as it runs, reconnecting with growing, jittered pauses."""
        delay_s = 0.1
        while True:
            try:
                async with aclosing(watch(0 if self._resync else self._version)) as updates:
                    async for update in updates:
                        self._connected = True
                        self._confirmed_ms = self._clock.now_ms()
                        if not await self.apply(update):
                            break
                        if update.WhichOneof("update"):
                            delay_s = 0.1
            except Refused as reason:
                self._refuse(0, reason)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                    self._refuse(0, Refused("it is too large"))
                else:
                    log.warning("the config service does not answer: %s", error.code())
            finally:
                if self._connected:
                    self._confirmed_ms = self._clock.now_ms()
                self._connected = False
            await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
            delay_s = min(delay_s * 2, 5.0)

    async def rebuild(self) -> None:
        """Looks at the clock from time to time, for prices whose moment has come."""
        while True:
            await asyncio.sleep(_LOOK_S)
            await self.refresh()

    async def refresh(self) -> None:
        """Reads the same snapshot again once one of its prices has given way to another."""
        tenants, snapshot = self._tenants, self._snapshot
        if tenants is None or snapshot is None or tenants.prices_until_ms is None:
            return
        if self._clock.now_ms() >= tenants.prices_until_ms:
            fresh = await asyncio.to_thread(self._builder.build, snapshot, self._clock.now_ms())
            if self._snapshot is snapshot:  # else a newer one has come meanwhile
                self._tenants = fresh

    async def apply(self, update: pb.WatchSnapshotResponse) -> bool:
        """Takes an update over whole, or refuses it and asks for a whole snapshot next time."""
        kind = update.WhichOneof("update")
        if kind is None:  # the connection stands, nothing is new
            return True
        if kind == "snapshot":
            snapshot = update.snapshot
            if snapshot.version < self._version:
                self._refuse(snapshot.version, Refused(f"it is older; after restoring a database delete {self._file}"))
                return False
        elif kind == "change" and self._snapshot is not None and update.change.version >= self._version:
            snapshot = merge(self._snapshot, update.change)
        else:
            self._resync = True
            return False
        taken = await self._take(snapshot)
        self._resync = not taken
        if taken:
            await asyncio.to_thread(self._save, snapshot)
        return taken

    @property
    def _version(self) -> int:
        return 0 if self._snapshot is None else self._snapshot.version

    async def _take(self, snapshot: pb.Snapshot) -> bool:
        try:
            tenants = await asyncio.to_thread(self._builder.build, snapshot, self._clock.now_ms())
        except Refused as reason:
            self._refuse(snapshot.version, reason)
            return False
        self._snapshot, self._tenants = snapshot, tenants
        self.counts.accepted += 1
        return True

    def _refuse(self, version: int, reason: Refused) -> None:
        self.counts.refused += 1
        self.last_refusal = str(reason)
        log.error("snapshot %s is refused, %s stays: %s", version or "of unknown version", self._version, reason)

    def _save(self, snapshot: pb.Snapshot) -> None:
        """Secrets in it stay sealed. A disk that refuses it is no reason not to serve."""
        body = snapshot.SerializeToString()
        fresh = self._file.with_suffix(".new")
        try:
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as out:
                out.write(_HEADER.pack(_MAGIC, self._clock.now_ms(), crc32(body)) + body)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(self._file)
        except OSError as error:
            log.error("the configuration cannot be kept on disk: %s", error)


def watch_over(channel: grpc.aio.Channel, proxy_id: str) -> Watch:
    """Updates from the config service at the other end of `channel`; raises Refused for bytes that are none."""
    stub = SnapshotServiceStub(channel)

    async def watch(since_version: int) -> AsyncGenerator[pb.WatchSnapshotResponse, None]:
        await channel.channel_ready()
        yield pb.WatchSnapshotResponse()
        call = stub.WatchSnapshot(pb.WatchSnapshotRequest(since_version=since_version, proxy_id=proxy_id))
        try:
            async for update in call:
                if update is None:  # what gRPC makes of bytes that are no message
                    raise Refused("it cannot be decoded")
                yield update
        finally:
            call.cancel()

    return watch


def _read(file: Path) -> tuple[int, pb.Snapshot] | None:
    try:
        content = file.read_bytes()
        magic, saved_ms, crc = _HEADER.unpack_from(content)
        body = content[_HEADER.size :]
        if magic != _MAGIC or crc32(body) != crc:
            raise ValueError("damaged")
        return saved_ms, pb.Snapshot.FromString(body)
    except FileNotFoundError:
        return None
    except (OSError, struct.error, ValueError, DecodeError) as error:
        log.error("the configuration on disk cannot be read: %s", error)
        return None
