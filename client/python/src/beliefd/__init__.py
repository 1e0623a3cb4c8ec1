"""Client of beliefd over gRPC.

    with beliefd.connect("unix:/run/beliefd/socket") as belief:
        with belief.session("robot-1", model="half-cheetah-vel") as session:
            action = session.act(observation)
            while running:
                reward, observation = robot.do(action)
                action, report = session.step(reward, observation)

A step reaches the belief exactly once, whatever breaks meanwhile: what the daemon has not put on its disk is kept here
and sent again when it turns out to be missing there. See `Session` for what a call may raise.
"""
from .connection import Belief, connect
from .errors import (BeliefError, DeadlineError, DisconnectedError, DrainingError, FencedError, InternalError,
                     InvalidError, LimitError, LostError, MovedError, OutOfStepError, PermissionDeniedError,
                     ProtocolError, UnauthenticatedError, UndurableError, UnknownModelError, UnsupportedError)
from .messages import BeliefState, Durability, Head, Model, Report, Status, Transition
from .session import Session

__version__ = "0.1.0"

__all__ = [
    "Belief", "BeliefError", "BeliefState", "DeadlineError", "DisconnectedError", "DrainingError", "Durability",
    "FencedError", "Head", "InternalError", "InvalidError", "LimitError", "LostError", "Model", "MovedError",
    "OutOfStepError", "PermissionDeniedError", "ProtocolError", "Report", "Session", "Status", "Transition", "UnauthenticatedError",
    "UndurableError", "UnknownModelError", "UnsupportedError", "connect",
]
