"""What the daemon tells, as plain data with numpy arrays."""
from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional, Tuple

import numpy as np
import numpy.typing as npt

from .wire import belief_pb2 as pb

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


class Status(enum.IntEnum):
    """What became of a transition. Whatever it is, the action answers the newest observation."""

    NONE = 0           # there was no transition
    ABSORBED = 1
    DUPLICATE = 2      # it was there already (sent again); counted once
    NOT_FINITE = 3     # not absorbed: an input is NaN or infinite
    OUT_OF_RANGE = 4   # not absorbed: more than 32 standard deviations from what the model has seen
    OTHER_TASK = 5     # not absorbed: of a task that was reset since
    UNDURABLE = 6      # not absorbed yet: the daemon's log cannot take it now; kept here and sent again
    OUT_OF_ORDER = 7   # not absorbed, but logged: a recurrent model's belief had come further, or another writer's
    UNKNOWN = 255      # told by a later daemon

    @classmethod
    def _missing_(cls, value: object) -> "Status":
        return cls.UNKNOWN


class Durability(enum.IntEnum):
    """What the daemon does about its experience log."""

    OFF = 0       # what it knows ends with it
    INTERVAL = 1  # replies do not wait; `Report.durable_seq` tells how far its disk is
    ALWAYS = 2    # a reply means that it is on disk

    @classmethod
    def _missing_(cls, value: object) -> "Durability":
        return cls.OFF


@dataclass(frozen=True)
class Model:
    name: str
    world: str                       # task family, "half-cheetah-vel"
    digest: str                      # SHA-256 of the model file, hexadecimal
    observation_dim: int
    action_dim: int
    task_dim: int
    action_low: Floats               # (action_dim)
    action_high: Floats              # (action_dim)
    action_log_sd: Optional[Floats]  # exploration noise of training (action_dim)
    transition_features: int         # D of the transition head; 0: no such head
    reward_features: int
    provenance: str                  # JSON: how it was trained; empty but in `Belief.models`
    kind: str = ""                   # how it infers the task: "glibrl", "varibad", "rl2", "pearl", "none"; "oracle": told it
    discrete: bool = False           # an action is one-hot

    @classmethod
    def of(cls, m: pb.ModelInfo) -> "Model":
        return cls(m.name, m.world, m.digest, m.observation_dim, m.action_dim, m.task_dim, floats(m.action_low),
                   floats(m.action_high), floats(m.action_log_sd) if m.action_log_sd else None,
                   m.transition_features, m.reward_features, m.provenance, m.kind, m.discrete)


@dataclass(frozen=True)
class Report:
    """What came with an action."""

    status: Status
    task: int            # number of the task, from 1
    seq: int             # number of the observation that this answers
    count: int           # transitions in the belief
    digest: str          # of the belief, 32 hexadecimal digits; equal beliefs, equal digests
    reward_p: float      # probability, under the belief before, of a reward at least as surprising; 1: not judged
    transition_p: float  # the same for the observation
    queue_us: int        # in the daemon, from read to the start of its batch
    compute_us: int      # computing the batch it was in
    durable_seq: int     # transitions up to this number are on the daemon's disk
    round_trip_us: float # from the start of the call until this answer was here

    @classmethod
    def of(cls, m: pb.Action, round_trip_us: float) -> "Report":
        return cls(Status(m.status), m.task, m.seq, m.count, m.digest.hex(), m.reward_p, m.transition_p,
                   m.queue_us, m.compute_us, m.durable_seq, round_trip_us)


@dataclass(frozen=True)
class Transition:
    """Something that happened, for `Session.observe`."""

    seq: int                    # unique for its writer, from 1; a repeat changes nothing
    observation: npt.ArrayLike
    action: npt.ArrayLike
    reward: float
    next_observation: npt.ArrayLike


@dataclass(frozen=True)
class Head:
    name: str               # "transition", "reward"
    features: int           # D
    targets: int            # d
    log_evidence: float     # log probability of all targets so far, nats
    mean: Doubles           # posterior mean of the weights (D, d); empty unless asked for
    variance: Doubles       # diagonal of Xi^-1 (D); empty unless asked for
    noise: Doubles          # expected noise variance (d); empty unless asked for
    sums: bytes             # the integer sums, encoded; empty unless asked for

    @classmethod
    def of(cls, m: pb.Head) -> "Head":
        mean = np.array(m.mean, dtype=np.float64)
        return cls(m.name, m.features, m.targets, m.log_evidence,
                   mean.reshape(m.features, m.targets) if mean.size else mean,
                   np.array(m.variance, dtype=np.float64), np.array(m.noise, dtype=np.float64), m.sums)


@dataclass(frozen=True)
class BeliefState:
    count: int
    digest: str
    task: int
    heads: Tuple[Head, ...]
    estimate_mean: Doubles  # the task it believes in (task_dim); empty unless asked for
    estimate_sd: Doubles

    @classmethod
    def of(cls, m: pb.BeliefState) -> "BeliefState":
        return cls(m.count, m.digest.hex(), m.task, tuple(Head.of(h) for h in m.heads),
                   np.array(m.estimate_mean, dtype=np.float64), np.array(m.estimate_sd, dtype=np.float64))


def floats(values: npt.ArrayLike) -> Floats:
    return np.array(values, dtype=np.float32)
