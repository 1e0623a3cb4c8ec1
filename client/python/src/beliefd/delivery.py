"""How a session's observations reach the daemon: none lost, none counted twice.

Observations have ascending numbers, and transition n leads from observation n - 1 to n. What was sent is an `Entry`,
and entries stay here until the daemon has said that their transitions are on its disk. They are delivered in order: those
without an answer, and answered ones again if a daemon that was restarted turns out not to have them. The daemon
remembers which numbers it has seen, so sending again is harmless. A transition that cannot be told as a step any more
is owed: it is told as something that happened meanwhile (Observe, writer 0).
"""
from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Union

from .errors import (BeliefError, DeadlineError, DisconnectedError, DrainingError, FencedError, InternalError,
                     InvalidError, LostError, MovedError, OutOfStepError, ProtocolError, UndurableError,
                     UnknownSessionError)
from .messages import Durability, Floats, Model, Status
from .pace import Attempts
from .wire import belief_pb2 as pb

if TYPE_CHECKING:
    from .connection import Belief

OBSERVE_LIMIT = 1024     # the daemon's, transitions in one Observe
OBSERVE_BESIDE = 64      # of them beside a step, so that the step stays quick
ROUNDS_LIMIT = 8         # openings in a row that did not help


@dataclass(eq=False)
class Entry:
    """An observation, and with a step the transition that led to it."""

    seq: int
    task: int
    observation: Floats
    step: bool
    last: bool = False
    reward: float = 0.0
    action: Optional[Floats] = None     # executed
    previous: Optional[Floats] = None   # observation seq - 1
    first: bool = False                 # observation seq - 1 came by an act
    answered: bool = False
    status: Status = Status.NONE


class Reopen(Exception):
    """The daemon does not stand where we do; opening the session again tells where."""

    def __init__(self, reason: BeliefError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Delivery:
    """The part of a session that talks to the daemon."""

    def __init__(self, belief: "Belief", name: str, model: str, hold_prior: bool, told_task: List[float],
                 deadline: float) -> None:
        self._belief = belief
        self._home = belief._home
        self.name = name
        self._hold_prior = hold_prior
        self._fate: Optional[BeliefError] = None  # fenced, lost or closed: for good
        self._epoch = 0
        self._opener = secrets.randbits(64) | 1  # the daemon knows by it that an Open without an answer was ours
        self._entries: List[Entry] = []    # ascending; those with an answer first
        self._answered = 0                 # how many those are
        self._owed: List[Entry] = []       # transitions to be told by Observe
        self.resent = 0                    # entries that were told again

        opened = self._open(pb.Open(session=name, model=model, hold_prior=hold_prior,
                                   opener=self._opener, told_task=told_task), deadline)
        self.model = Model.of(opened.model)
        self.resumed = bool(opened.resumed)       # it was there already
        self._epoch = int(opened.epoch)
        self._task: int = opened.task
        self._count: int = opened.count
        self._seq: int = opened.seq        # of the last observation that was sent or kept
        self._stands: int = opened.seq     # of the last observation that the daemon has
        self._durable: int = opened.durable_seq
        self._durability = Durability(opened.durability)

    # ---- Entries ----------------------------------------------------------------------------------------------------

    def _unanswered(self) -> int:
        return len(self._entries) - self._answered

    def _undelivered(self) -> bool:
        """Is there a step that may not be on the daemon's disk?"""
        return any(e.step and e.seq > self._durable for e in self._entries)

    def _deliver(self, deadline: float, current: Optional[Entry] = None) -> Any:
        """Sends what has no answer, in order. Returns the answer to `current`, the last entry, and raises what the
        daemon has against it. What it has against older ones concerns nobody any more."""
        reply = None
        rounds = 0
        while self._answered < len(self._entries):
            entry = self._entries[self._answered]
            try:
                reply = self._send(entry, deadline, astray=rounds > 1)
                rounds = 0  # daemons may crash as often as they like
            except Reopen as astray:
                rounds += 1
                if rounds < ROUNDS_LIMIT:
                    self._reopen(deadline)
                    continue
                self._owe_unanswered()
                if current is not None:
                    raise astray.reason from None
            except (InvalidError, InternalError):
                # Never to be absorbed, or taken without an answer.
                self._entries.remove(entry)
                if entry is current:
                    raise
        self._trim()
        return reply

    def _send(self, entry: Entry, deadline: float, astray: bool) -> Any:
        """One entry. astray: opening again did not help, so the daemon does not stand where the step begins."""
        observation = entry.observation.tolist()
        if not entry.step:
            reply = self._request("Act", pb.Act(session=self.name, epoch=self._epoch, seq=entry.seq,
                                                observation=observation), deadline)
        else:
            assert entry.action is not None and entry.previous is not None
            if entry.first and (astray or self._stands < entry.seq - 1):
                # The act before it was answered, but an act alone leaves no trace on the daemon's disk.
                self._request("Act", pb.Act(session=self.name, epoch=self._epoch, seq=entry.seq - 1,
                                            observation=entry.previous.tolist()), deadline)
            reply = self._request("Step", pb.Step(session=self.name, epoch=self._epoch, seq=entry.seq,
                                                  task=entry.task, observation=observation, reward=entry.reward,
                                                  action=entry.action.tolist(), last=entry.last), deadline)
        if reply.seq != entry.seq:
            raise ProtocolError(f"{self.name}: an action for observation {reply.seq} instead of {entry.seq}")
        entry.answered = True
        entry.status = Status(reply.status)
        self._answered += 1
        self._stands = entry.seq
        self._count = reply.count
        self._task = reply.task
        self._durable = max(self._durable, reply.durable_seq)
        if entry.status == Status.UNDURABLE:
            self._owed.append(entry)
        return reply

    def _trim(self) -> None:
        """Drops the entries that the daemon will not lose, or will lose with everything else."""
        count = self._answered
        if self._durability != Durability.OFF:
            count = 0
            while count < self._answered and self._entries[count].seq <= self._durable:
                count += 1
        del self._entries[:count]
        self._answered -= count

    def _owe_unanswered(self) -> None:
        self._owed.extend(e for e in self._entries[self._answered:] if e.step)
        del self._entries[self._answered:]

    # ---- Transitions that are owed ------------------------------------------------------------------------------------

    def _pay(self, deadline: float, limit: int) -> Union[Reopen, BeliefError, None]:
        """Tells some of them; those that the log refuses again stay, and so do all when there is a reason, returned."""
        batch = [e for e in self._owed if e.task == self._owed[0].task][:limit]
        request = pb.Observe(session=self.name, epoch=self._epoch, writer=0, task=batch[0].task)
        for entry in batch:
            assert entry.action is not None and entry.previous is not None
            request.transitions.add(seq=entry.seq, observation=entry.previous.tolist(), reward=entry.reward,
                                    action=entry.action.tolist(), next_observation=entry.observation.tolist())
        try:
            observed = self._request("Observe", request, deadline)
        except (Reopen, BeliefError) as reason:
            return reason
        self.resent += len(batch)
        self._count = observed.count
        for entry, status in zip(batch, observed.status):
            entry.status = Status(status)
            if entry.status != Status.UNDURABLE:
                self._owed.remove(entry)
        return None

    def _pay_all(self, deadline: float) -> None:
        pause = 0.001
        while self._owed:
            before = len(self._owed)
            reason = self._pay(deadline, OBSERVE_LIMIT)
            if isinstance(reason, Reopen):
                self._reopen(deadline)
                self._deliver(deadline)
            if len(self._owed) < before:
                continue
            if time.monotonic() + pause > deadline:
                if isinstance(reason, BeliefError):
                    raise reason
                raise UndurableError(f"{self.name}: the daemon's log cannot take {before} transitions now",
                                     code="UNDURABLE", limit=before)
            time.sleep(pause)
            pause = min(2 * pause, 0.1)

    # ---- Requests, and opening again ----------------------------------------------------------------------------------

    def _where(self) -> str:
        return f"{self.name} at {self._home.address}"

    def _request(self, method: str, request: Any, deadline: float) -> Any:
        """One request by name and epoch, tried until the deadline. Reopen: the daemon stands elsewhere."""
        try:
            return self._belief._call(self._home, method, request, deadline, self._where())
        except MovedError as error:
            self._follow(error)
            raise Reopen(error) from None
        except (OutOfStepError, UnknownSessionError, FencedError) as error:
            raise Reopen(error) from None  # opening tells which it is: that fences nobody who came after us

    def _follow(self, error: MovedError) -> None:
        """The session is at another daemon. Leaving raised its epoch."""
        if self._home.address.startswith("tls:") and error.address.startswith("tcp:"):
            raise error  # what was said under TLS is not said in the clear because the other end asks for it
        self._home = self._belief._link(error.address)
        self._epoch += 1

    def _ask(self, method: str, timeout: Optional[float], request: Callable[[], Any]) -> Any:
        """A request that comes after everything reported before. request() makes it, for the epoch may change."""
        deadline = self._belief._deadline(timeout)
        rounds = 0
        while True:
            self._deliver(deadline)
            try:
                return self._request(method, request(), deadline)
            except Reopen as astray:
                rounds += 1
                if rounds == ROUNDS_LIMIT:
                    raise astray.reason from None
                self._reopen(deadline)

    def _open(self, request: Any, deadline: float) -> Any:
        attempts = Attempts(deadline)
        while True:
            try:
                return self._home.call("Open", request, deadline, self._where())
            except MovedError as error:
                self._follow(error)
                if request.epoch:
                    request.epoch = self._epoch
                attempts.wait(error)
            except (DrainingError, DisconnectedError, DeadlineError) as error:
                attempts.wait(error)

    def _reopen(self, deadline: float) -> None:
        request = pb.Open(session=self.name, model=self.model.name, hold_prior=self._hold_prior,
                          epoch=self._epoch, opener=self._opener)
        try:
            opened = self._open(request, deadline)
        except UnknownSessionError as error:
            self._fate = LostError(f"{self.name}: the daemon no longer has this session; close it and open it anew to "
                                   "begin from the prior", code=error.code, field=error.field)
            raise self._fate from None
        except FencedError as error:
            self._fate = error
            raise
        self._take_opened_again(opened)

    def _take_opened_again(self, opened: Any) -> None:
        """What the daemon still has, and what is to be told again."""
        if opened.seq > (self._entries[-1].seq if self._entries else self._seq):
            self._fate = FencedError(f"{self.name}: somebody else has continued this session", code="FENCED")
            raise self._fate
        missing = [e for e in self._entries if e.answered and e.seq > opened.seq]
        absorbed = sum(e.task == self._task and e.status in (Status.ABSORBED, Status.DUPLICATE) for e in missing)
        if opened.task < self._task or (opened.task == self._task and opened.count < self._count - absorbed):
            self._fate = LostError(
                f"{self.name}: the daemon no longer has this session's belief: it counts {opened.count} transitions of "
                f"task {opened.task} instead of {self._count} of task {self._task}; close it and open it anew to begin "
                "from the prior", code="UNKNOWN_SESSION")
            raise self._fate
        self.resent += len(missing)
        for entry in missing:
            entry.answered = False
            if entry in self._owed:
                self._owed.remove(entry)
        for entry in self._entries[:-1]:
            # It was taken, though its answer never came; or its task is over. The last one's answer is still wanted.
            entry.answered = entry.answered or entry.seq <= opened.seq or entry.task < opened.task
        self._answered = sum(e.answered for e in self._entries)
        self._epoch = opened.epoch
        self._task = opened.task
        self._count = opened.count
        self._stands = opened.seq
        self._durable = opened.durable_seq
        self._durability = Durability(opened.durability)
