"""Run real holders against the real ledger under a seeded scheduler of faults. One seed is one run."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ledger_audit import Done, audit
from ledger_world import MINUTE, SECOND, Call, Database, MemoryTable, Replica, Truth, Violation, budgets

from routing_core.ledger.holder import GrantAsk, Holder, Limits
from routing_core.ledger.messages import Denied, Joined
from routing_core.ledger.meters import Meter, Want


@dataclass(frozen=True)
class Rules:
    """How spenders behave; mutants replace some of it."""

    holder: type[Holder] = Holder
    trust_after_power_loss: bool = False
    keep_identity_after_disk_loss: bool = False
    count_from_receipt: bool = False


RULES = Rules()


class Simulation:
    """A few replicas, some budgets, one database, a network that loses, repeats, delays and reorders."""

    def __init__(self, seed: int, rules: Rules = RULES) -> None:
        self.rng = rng = random.Random(seed)
        self.rules = rules
        self.faultless = self.calm = seed % 10 == 0
        self.fails_over = seed % 10 == 1
        self.overruns = seed % 4 == 3
        self.now_us = 1_700_000_000 * SECOND + rng.randrange(MINUTE)
        self.truth = Truth()
        self.terms = budgets(rng)
        self.meters = list(self.terms)
        self.db = Database(self.terms, self.truth)
        self.net: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self.ids = 0
        self.lost: set[str] = set()
        """Identities whose table is gone."""
        self.limits = Limits(
            slice_us=rng.choice((SECOND, 5 * SECOND)),
            idle_us=rng.choice((SECOND, 5 * SECOND)),
            retain_us=10**12 if self.fails_over else rng.choice((0, 5 * SECOND)),
        )
        self.replicas = [Replica(self.new("r"), rng.randrange(MINUTE)) for _ in range(rng.randint(1, 4))]

    def new(self, prefix: str) -> str:
        self.ids += 1
        return f"{prefix}{self.ids}"

    def run(self, steps: int | None = None) -> Done:
        """Raises Violation. Raises whatever the code under test raises, too."""
        rng = self.rng
        pace_us = rng.choice((10_000, 50_000, 200_000))
        actions, weights = zip(*(CALM if self.calm else FAULTY), strict=True)
        for action in rng.choices(actions, weights, k=steps or rng.randint(80, 400)):
            self.now_us += int(rng.random() * pace_us)
            replica = rng.choice(self.replicas)
            action(self, replica)
            self.check(replica)
        return self.quiesce()

    def check(self, replica: Replica) -> None:
        if replica.holder is not None:
            faults = replica.holder.faults()
            if faults:
                raise Violation(f"I4: {faults}")

    # The network

    def send(self, deliver: Callable[..., None], *args: Any) -> None:
        """Now, later, twice or never."""
        chance = 0.0 if self.calm else self.rng.random()
        if chance < 0.7:
            deliver(*args)
        elif chance < 0.9:
            self.net.append((deliver, args))
        if 0.65 < chance < 0.75:
            self.net.append((deliver, args))

    def deliver(self, _: Replica) -> None:
        if self.net:
            at = self.rng.randrange(len(self.net))
            deliver, args = self.net.pop(at)
            deliver(*args)

    def join(self, replica: Replica) -> None:
        self.send(self._joins, replica, replica.life, replica.replica_id)

    def _joins(self, replica: Replica, life: int, replica_id: str) -> None:
        if self.db.up:
            joined = self.db.join(self.now_us, replica_id)
            self.send(self._joined, replica, life, joined)

    def _joined(self, replica: Replica, life: int, joined: Joined) -> None:
        if replica.life != life or replica.replica_id != joined.replica_id:
            return
        if replica.holder is None:
            replica.holder = self.rules.holder(replica.table, self.limits)
            replica.life += 1
            reports = replica.holder.join(joined.replica_id, joined.epoch, joined.leases, self.now_us + replica.boot_us)
        else:
            reports = replica.holder.resync(joined.epoch, joined.leases)
        self._report(replica, reports)

    def _grants(self, replica: Replica, life: int, who: tuple[str, int], ask: GrantAsk, sent_us: int) -> None:
        if self.db.up:
            answer = self.db.grant(self.now_us, *who, ask.op_id, ask.asks, len(self.replicas))
            self.send(self._granted, replica, life, ask, answer, sent_us)

    def _granted(self, replica: Replica, life: int, ask: GrantAsk, answer: Any, sent_us: int) -> None:
        holder = replica.holder
        if replica.life != life or holder is None or replica.paused:
            return
        replica.asking.pop(ask.op_id, None)
        if isinstance(answer, Denied):
            holder.denied(ask, answer.account, answer.reason)
        else:
            received_us = self.now_us + replica.boot_us
            holder.granted(ask, answer, received_us if self.rules.count_from_receipt else sent_us)

    def _report(self, replica: Replica, reports: list[Any]) -> None:
        assert replica.holder is not None
        who = (replica.holder.replica_id, replica.holder.epoch)
        self.send(self._reports, replica, replica.life, who, reports)

    def _reports(self, replica: Replica, life: int, who: tuple[str, int], reports: list[Any]) -> None:
        if self.db.up:
            answers = self.db.report(self.now_us, *who, reports)
            self.send(self._answered, replica, life, reports, answers)

    def _answered(self, replica: Replica, life: int, reports: list[Any], answers: list[Any]) -> None:
        if replica.life == life and replica.holder is not None and not replica.paused:
            for report, answer in zip(reports, answers, strict=True):
                replica.holder.answered(report, answer.state, answer.account)

    # What spenders do

    def request(self, replica: Replica) -> None:
        holder = replica.holder
        if holder is None or replica.paused:
            return
        rng = self.rng
        chosen = [meter for meter in self.meters if rng.random() < 0.8] or self.meters[:1]
        wants = tuple(Want(meter, 1 if meter.unit == "calls" else 1 + int(rng.random() * 300)) for meter in chosen)
        at_us = self.now_us + replica.boot_us
        held = holder.reserve(wants, at_us)
        if held is None:
            ask = holder.ask(self.new("op"), wants, at_us)
            replica.asking[ask.op_id] = (ask, at_us)
            self.send(self._grants, replica, replica.life, (holder.replica_id, holder.epoch), ask, at_us)
            held = holder.reserve(wants, at_us) if holder is replica.holder else None
        if held is not None:
            call = Call(held, wants, [(slot.lease_id, part) for slot, part in held.parts], {})
            for slot, _ in held.parts:
                call.key_of[slot.lease_id] = (slot.meter, slot.window_start_us)
                self.check_window(slot.meter, slot.window_start_us)
            replica.held.append(call)

    def check_window(self, meter: Meter, start_us: int) -> None:
        """No lease is spent outside of its window, whatever the clocks and delays."""
        account = self.db.unit.accounts.get((meter, start_us))
        if account is None:
            return
        ends = [account.window_end_us] if account.window_end_us else []
        if account.hard and account.max_duration_us:
            ends.append(account.started_us + account.max_duration_us)
        if not self.db.set_back and (self.now_us < start_us or any(self.now_us >= end for end in ends)):
            raise Violation(f"I10: reserved outside of the window of {account}")

    def chase(self, replica: Replica) -> None:
        """Repeat an ask that was not answered, or give it up."""
        holder = replica.holder
        if holder is None or replica.paused or not replica.asking:
            return
        op_id = self.rng.choice(list(replica.asking))
        ask, sent_us = replica.asking[op_id]
        assert isinstance(ask, GrantAsk)
        if self.rng.random() < 0.5:
            self.send(self._grants, replica, replica.life, (holder.replica_id, holder.epoch), ask, sent_us)
        else:
            del replica.asking[op_id]
            holder.lost(ask)

    def dispatch(self, replica: Replica) -> None:
        if replica.holder is None or replica.paused or not replica.held:
            return
        rng = self.rng
        call = replica.held.pop(rng.randrange(len(replica.held)))
        if rng.random() < 0.1:
            replica.holder.release(call.held)
            return
        replica.holder.dispatch(call.held)
        call.costs = tuple(self.cost(want) for want in call.wants)
        self.db.dispatched(call)
        replica.running.append(call)

    def cost(self, want: Want) -> int:
        if want.meter.unit == "calls":
            return 1
        if self.overruns and self.rng.random() < 0.1:
            return want.amount + int(self.rng.random() * 50)
        return int(self.rng.random() * (want.amount + 1))

    def settle(self, replica: Replica) -> None:
        if replica.holder is None or replica.paused or not replica.running:
            return
        call = replica.running.pop(self.rng.randrange(len(replica.running)))
        self.finish(replica.holder, call, known=self.calm or self.rng.random() < 0.9)

    def finish(self, holder: Holder, call: Call, *, known: bool) -> None:
        self.truth.settled += 1
        call.known = known
        if known and not any(call.costs):
            holder.release(call.held)
        else:
            holder.settle(call.held, call.costs if known else None)

    def report(self, replica: Replica) -> None:
        holder = replica.holder
        if holder is not None and not replica.paused:
            if holder.fenced:
                self.join(replica)
            self._report(replica, holder.reports(self.now_us + replica.boot_us))

    def recall(self, replica: Replica) -> None:
        if replica.holder is not None and not replica.paused:
            replica.holder.recall(self.rng.sample(self.meters, 1))

    # What happens to them

    def kill(self, replica: Replica) -> None:
        """kill -9: the process is gone, the table is as it was."""
        replica.holder = None
        replica.life += 1
        replica.paused = False
        replica.held, replica.running = [], []
        replica.asking.clear()

    def start(self, replica: Replica) -> None:
        if replica.holder is None:
            self.join(replica)

    def lose_power(self, replica: Replica) -> None:
        self.kill(replica)
        if self.rules.trust_after_power_loss:
            replica.table = replica.stale or replica.table
            replica.stale = None
        else:
            self._begin_anew(replica)

    def lose_disk(self, replica: Replica) -> None:
        self.kill(replica)
        if self.rules.keep_identity_after_disk_loss:
            replica.table = MemoryTable()
        else:
            self._begin_anew(replica)

    def _begin_anew(self, replica: Replica) -> None:
        self.lost.add(replica.replica_id)
        replica.replica_id, replica.table, replica.stale = self.new("r"), MemoryTable(), None

    def write_back(self, replica: Replica) -> None:
        """The disk holds this state of the table, whatever comes after."""
        if self.rules.trust_after_power_loss:
            replica.stale = copy.deepcopy(replica.table)

    def pause(self, replica: Replica) -> None:
        replica.paused = not replica.paused and self.rng.random() < 0.3

    def switch_database(self, _: Replica) -> None:
        self.db.up = not self.db.up or self.rng.random() < 0.8

    def reap(self, replica: Replica) -> None:
        if self.db.up:
            silent_us = self.rng.choice((SECOND // 5, 5 * SECOND, 15 * MINUTE))
            self.db.reap(self.now_us, self.rng.choice([replica.replica_id, *self.lost]), silent_us)

    def change_cap(self, _: Replica) -> None:
        meter = self.rng.choice(self.meters)
        terms = self.terms[meter]
        terms.cap = max(int(terms.cap * self.rng.uniform(0.3, 1.8)), 1)
        self.db.begin(self.now_us)
        self.db.load_current([meter])
        self.db.commit()

    def leap(self, _: Replica) -> None:
        self.now_us += int(self.rng.random() * 10 * SECOND)

    def resync(self, replica: Replica) -> None:
        if replica.holder is not None and not replica.paused:
            self.join(replica)

    def fail_over(self, _: Replica) -> None:
        if not self.fails_over or not self.db.up:
            return
        if self.db.snapshot is None or self.rng.random() < 0.3:
            self.db.take_snapshot()
        else:
            self.db.restore()

    # The end

    def quiesce(self) -> Done:
        """End all calls and lives in order; then nothing is leased, and all that was charged is accounted for."""
        self.db.up = True
        self.now_us += SECOND
        half = self.net[: len(self.net) // 2]
        self.net = self.net[len(self.net) // 2 :]
        for deliver, args in half:
            deliver(*args)
        self.calm = True  # the network delivers from here on
        for replica in self.replicas:
            self._end(replica)
        for deliver, args in self.net:
            deliver(*args)
        for replica in self.replicas:
            self._drain(replica)
        for replica_id in self.lost:
            self.db.reap(self.now_us, replica_id, 0)
        return audit(self.db, self.truth, self.lost, faultless=self.faultless)

    def _end(self, replica: Replica) -> None:
        replica.paused = False
        if replica.holder is None or self.db.set_back:
            self.join(replica)
        holder = replica.holder
        assert holder is not None
        for call in replica.running:
            self.finish(holder, call, known=True)
        for call in replica.held:
            holder.release(call.held)
        for ask, _ in replica.asking.values():
            assert isinstance(ask, GrantAsk)
            holder.lost(ask)
        self._drain(replica)

    def _drain(self, replica: Replica) -> None:
        holder = replica.holder
        assert holder is not None
        for _ in range(6):
            holder.give_back()
            reports = holder.reports(self.now_us + replica.boot_us)
            self.check(replica)
            if not reports and not holder.fenced:
                return
            if holder.fenced or self.db.set_back:
                self.join(replica)
            self._report(replica, holder.reports(self.now_us + replica.boot_us))
        raise Violation(f"I6: never comes to rest: {holder.reports(self.now_us + replica.boot_us)}")


Action = Callable[[Simulation, Replica], None]
CALM: list[tuple[Action, float]] = [
    (Simulation.request, 34),
    (Simulation.dispatch, 26),
    (Simulation.settle, 22),
    (Simulation.report, 12),
    (Simulation.start, 16),
    (Simulation.recall, 2),
    (Simulation.leap, 1),
]
FAULTY: list[tuple[Action, float]] = [
    *CALM,
    (Simulation.deliver, 8),
    (Simulation.chase, 5),
    (Simulation.switch_database, 3),
    (Simulation.kill, 1.2),
    (Simulation.lose_power, 0.4),
    (Simulation.lose_disk, 0.4),
    (Simulation.write_back, 0.5),
    (Simulation.pause, 2),
    (Simulation.reap, 2),
    (Simulation.change_cap, 1),
    (Simulation.resync, 1),
    (Simulation.fail_over, 2),
]


def simulate(seed: int, rules: Rules = RULES) -> Done:
    """One run; raises Violation naming the invariant."""
    return Simulation(seed, rules).run()
