"""A session: one robot (or simulator) with one belief about its task."""
from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Iterable, List, Optional, Tuple, Type

import numpy as np
import numpy.typing as npt

from .delivery import OBSERVE_BESIDE, OBSERVE_LIMIT, Delivery, Entry
from .errors import InternalError, InvalidError, LimitError, LostError, OutOfStepError, ProtocolError, UndurableError
from .messages import BeliefState, Durability, Floats, Report, Status, Transition
from .wire import belief_pb2 as pb

if TYPE_CHECKING:
    from .connection import Belief

UNANSWERED_LIMIT = 32    # steps without an answer that are kept: the robot has been on its own for that long
KEPT_LIMIT = 4096        # entries that wait for the daemon's disk; then a step waits for it too


def told(task: Optional[npt.ArrayLike]) -> List[float]:
    """A task as messages tell it."""
    return [] if task is None else [float(number) for number in np.asarray(task, dtype=np.float32)]


class Session(Delivery):
    """Made by `Belief.session`. One thread at a time; a lock sees to it.

    Every call may raise, besides what it says itself: DeadlineError, DisconnectedError (no answer in time, no link),
    FencedError (somebody else has the session now), LostError (the daemon no longer has the belief; a call never goes on
    with an empty one as if nothing had happened), LimitError, PermissionDeniedError, ProtocolError.
    """

    def __init__(self, belief: "Belief", name: str, model: str, hold_prior: bool, task: Optional[npt.ArrayLike],
                 timeout: Optional[float]) -> None:
        super().__init__(belief, name, model, hold_prior, told(task), belief._deadline(timeout))
        self._lock = threading.RLock()
        self._observation: Optional[Floats] = None  # number _seq
        self._acted = False                         # it came by an act
        self._following = False                     # a step can follow it
        self._action: Optional[Floats] = None       # last one that was returned
        self.report: Optional[Report] = None        # that came with it

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        if kind is None:
            self.close()

    @property
    def task(self) -> int:
        """Number of the current task, from 1."""
        return self._task

    @property
    def count(self) -> int:
        """Transitions in the belief, as last told."""
        return self._count

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def kept(self) -> int:
        """Observations that are kept to be sent again, should the daemon lose them."""
        return len(self._entries) + len(self._owed)

    # ---- Acting ---------------------------------------------------------------------------------------------------

    def act(self, observation: npt.ArrayLike, *, timeout: Optional[float] = None) -> Floats:
        """The first observation (observation_dim) of an episode, or after a break. Returns the action (action_dim).

        When this fails, begin again with act. InvalidError.
        """
        with self._lock:
            self._check_usable()
            entry = Entry(self._seq + 1, self._task, self._vector(observation, self.model.observation_dim,
                                                                  "observation"), step=False)
            reply, report = self._take_turn(entry, timeout)
            return self._take_action(reply, report)

    def step(self, reward: float, observation: npt.ArrayLike, *, executed: Optional[npt.ArrayLike] = None,
             timeout: Optional[float] = None) -> Tuple[Floats, Report]:
        """One control step: `executed` was done after the last observation, gave `reward` and led to `observation`.

        executed (action_dim) is the last action that was returned, unless told. Returns the next action and what
        became of the transition.

        DeadlineError, DisconnectedError: no action, but the transition is kept and reaches the belief with a later
        call. Do what your robot does without advice, and go on with step; tell `executed` then. OutOfStepError: no
        observation to follow; begin with act. InvalidError: nothing happened.
        """
        with self._lock:
            reply, report = self._take_turn(self._step_entry(reward, observation, executed, False), timeout)
            if report.status == Status.OTHER_TASK and not reply.action:
                self._following = False
                raise OutOfStepError(f"{self.name}: the task was reset since; begin with act", code="OUT_OF_STEP")
            return self._take_action(reply, report), report

    def step_last(self, reward: float, observation: npt.ArrayLike, *, executed: Optional[npt.ArrayLike] = None,
                  timeout: Optional[float] = None) -> Report:
        """The last step of an episode: no action wanted. Then `act` begins the next."""
        with self._lock:
            _, report = self._take_turn(self._step_entry(reward, observation, executed, True), timeout)
            return report

    def reset_episode(self, *, timeout: Optional[float] = None) -> None:
        """The episode ends, the belief stays: a simulator that is put back to a start. Then act."""
        with self._lock:
            self._check_usable()
            self._ask("Reset", timeout, lambda: pb.Reset(session=self.name, epoch=self._epoch, scope=pb.Reset.EPISODE))
            self._following = False

    def reset_task(self, *, task: Optional[npt.ArrayLike] = None, timeout: Optional[float] = None) -> None:
        """Another task: the belief goes back to the prior. Then act. task: the one that begins, for an oracle."""
        with self._lock:
            self._check_usable()
            if self._owed:
                self._pay(self._belief._deadline(timeout), OBSERVE_LIMIT)
            ending = self._task  # a repeat of its reset changes nothing
            told_task = told(task)
            done = self._ask("Reset", timeout, lambda: pb.Reset(session=self.name, epoch=self._epoch,
                                                                scope=pb.Reset.TASK, task=ending, told_task=told_task))
            self._following = False
            self._task = done.task
            self._count = done.count

    # ---- Belief ---------------------------------------------------------------------------------------------------

    def observe(self, writer: int, transitions: Iterable[Transition], *,
                timeout: Optional[float] = None) -> List[Status]:
        """Whole transitions of the current task, at most 1024, in any order, from a writer other than this session's
        own steps (1 and up are yours to give). Returns what became of each. InvalidError."""
        with self._lock:
            self._check_usable()
            o, a = self.model.observation_dim, self.model.action_dim
            packed = [
                pb.Transition(
                    seq=t.seq, reward=t.reward,
                    observation=self._vector(t.observation, o, f"transitions[{i}].observation"),
                    action=self._vector(t.action, a, f"transitions[{i}].action"),
                    next_observation=self._vector(t.next_observation, o, f"transitions[{i}].next_observation"))
                for i, t in enumerate(transitions)]
            observed = self._ask("Observe", timeout,
                                 lambda: pb.Observe(session=self.name, epoch=self._epoch, writer=writer,
                                                    task=self._task, transitions=packed))
            self._count = observed.count
            return [Status(s) for s in observed.status]

    def belief(self, *, sums: bool = False, weights: bool = False, estimate: bool = False,
               timeout: Optional[float] = None) -> BeliefState:
        """What the belief holds. UnsupportedError: an estimate of a model without landmarks."""
        with self._lock:
            self._check_usable()
            return BeliefState.of(self._ask(
                "GetBelief", timeout, lambda: pb.GetBelief(session=self.name, epoch=self._epoch, sums=sums,
                                                           weights=weights, estimate=estimate)))

    # ---- The end --------------------------------------------------------------------------------------------------

    def flush(self, *, timeout: Optional[float] = None) -> None:
        """Returns when everything that was reported has reached the belief and, if the daemon keeps a log, its disk.

        UndurableError: the log cannot take it now.
        """
        with self._lock:
            self._check_usable()
            deadline = self._belief._deadline(timeout)
            self._deliver(deadline)
            self._pay_all(deadline)
            pause = 0.001
            while self._durability != Durability.OFF and self._undelivered():
                # An Opened tells how far the disk is, and that the daemon we talk to has it all.
                self._reopen(deadline)
                self._deliver(deadline)
                if self._undelivered() and time.monotonic() + pause > deadline:
                    raise UndurableError(f"{self.name}: the daemon's log does not take what was reported in time",
                                         code="UNDURABLE")
                time.sleep(pause)
                pause = min(2 * pause, 0.1)

    def close(self, forget: bool = False, *, timeout: Optional[float] = None) -> None:
        """Ends the use of the session; the daemon keeps it for the next. forget: it is dropped with its belief.

        Delivers what has no answer yet, as `flush` does.
        """
        with self._lock:
            if self._fate is not None:
                return
            if forget:
                self._entries.clear()
                self._owed.clear()
                self._answered = 0
                try:
                    self._ask("Close", timeout,
                              lambda: pb.Close(session=self.name, epoch=self._epoch, forget=True))
                except LostError:
                    pass  # it is not there any more, and that was wanted
            else:
                self.flush(timeout=timeout)
            self._fate = InvalidError(f"{self.name}: the session is closed", field="session")

    # ---- Turns: an observation, delivered after all before it -----------------------------------------------------

    def _check_usable(self) -> None:
        if self._fate is not None:
            raise self._fate

    def _vector(self, values: npt.ArrayLike, dim: int, field: str) -> Floats:
        vector = np.array(values, dtype=np.float32)
        if vector.shape != (dim,):
            raise InvalidError(f"{self.name}: {field} has shape {vector.shape}, not ({dim},)", code="INVALID",
                               field=field, limit=dim)
        return vector

    def _step_entry(self, reward: float, observation: npt.ArrayLike, executed: Optional[npt.ArrayLike],
                    last: bool) -> Entry:
        self._check_usable()
        if not self._following:
            raise OutOfStepError(f"{self.name}: there is no observation that a step could follow; begin with act",
                                 code="OUT_OF_STEP")
        if executed is None and self._action is None:
            raise InvalidError(f"{self.name}: no action was returned yet, so the executed one must be told (executed)",
                               code="INVALID", field="executed")
        if len(self._owed) >= KEPT_LIMIT:
            raise UndurableError(f"{self.name}: {KEPT_LIMIT} transitions wait already for the daemon's log",
                                 code="UNDURABLE", limit=KEPT_LIMIT)
        if self._unanswered() >= UNANSWERED_LIMIT:
            self._following = False
            raise LimitError(f"{self.name}: {UNANSWERED_LIMIT} steps wait for an answer already; begin again with act",
                             code="LIMIT", limit=UNANSWERED_LIMIT)
        seen = self._vector(observation, self.model.observation_dim, "observation")
        action = self._action if executed is None else self._vector(executed, self.model.action_dim, "executed")
        return Entry(self._seq + 1, self._task, seen, step=True, last=last, reward=float(reward), action=action,
                     previous=self._observation, first=self._acted)

    def _take_turn(self, entry: Entry, timeout: Optional[float]) -> Tuple[Any, Report]:
        started = time.monotonic()
        deadline = self._belief._deadline(timeout)
        if len(self._entries) >= KEPT_LIMIT:
            self.flush(timeout=timeout)
        self._entries.append(entry)
        try:
            reply = self._deliver(deadline, entry)
        except InvalidError:
            raise  # nothing happened
        except (InternalError, OutOfStepError):
            self._pass(entry, followed=False)
            raise
        except BaseException:
            # No answer. A step stays, to be delivered by a later call.
            self._pass(entry, followed=entry.step and not entry.last)
            if not entry.step:
                self._entries.remove(entry)
            raise
        self._pass(entry, followed=not entry.last)
        if self._owed and entry.status != Status.UNDURABLE:
            self._pay(deadline, OBSERVE_BESIDE)
        return reply, Report.of(reply, (time.monotonic() - started) * 1e6)

    def _pass(self, entry: Entry, followed: bool) -> None:
        """From here on the session's last observation is the entry's."""
        self._seq = entry.seq
        self._observation = entry.observation
        self._acted = not entry.step
        self._following = followed

    def _take_action(self, reply: Any, report: Report) -> Floats:
        action = np.array(reply.action, dtype=np.float32)
        if action.shape != (self.model.action_dim,):
            self._following = False
            raise ProtocolError(f"{self.name}: an action of {action.size} numbers instead of {self.model.action_dim}")
        self._action = action
        self.report = report
        return action.copy()
