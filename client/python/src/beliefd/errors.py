"""What can go wrong, as exceptions.

Each carries what the daemon said: `code` (a name of belief.v1.Error.Code, or of the gRPC status if the daemon said
nothing itself), `field` (what was wrong, "observation"; may be empty), `limit` (the limit that was passed, or 0).
"""
from __future__ import annotations

from typing import Optional

import grpc
from google.rpc import status_pb2

from .wire import belief_pb2 as pb


class BeliefError(Exception):
    """Of all errors of this package. `code`, `field` and `limit` as above."""

    def __init__(self, message: str, code: str = "", field: str = "", limit: int = 0, address: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.limit = limit
        self.address = address


class InvalidError(BeliefError, ValueError):
    """A value; `field` names it. Nothing happened."""


class UnknownModelError(BeliefError, LookupError):
    """The daemon serves no model of that name."""


class FencedError(BeliefError):
    """Somebody else has opened or continued this session; it is theirs now."""


class LostError(BeliefError):
    """The daemon no longer has this session's belief. Close it and open it anew."""


class OutOfStepError(BeliefError):
    """There is no observation that a step could follow; begin with `act`."""


class LimitError(BeliefError):
    """A limit of the daemon or of this package; `limit` tells how many."""


class UndurableError(BeliefError):
    """The daemon's experience log cannot take it now (disk full?)."""


class PermissionDeniedError(BeliefError, PermissionError):
    """Not yours, or not for your role."""


class UnauthenticatedError(BeliefError, PermissionError):
    """No token or certificate, or one that the daemon does not know."""


class UnsupportedError(BeliefError):
    """The daemon or the model cannot do this."""


class InternalError(BeliefError):
    """An error inside the daemon. A step was taken all the same; only its action is missing."""


class ProtocolError(BeliefError):
    """The peer does not speak belief.v1, or spoke it wrongly."""


class DeadlineError(BeliefError, TimeoutError):
    """No answer within the deadline. A step is kept and reaches the belief with a later call."""


class DisconnectedError(BeliefError, ConnectionError):
    """No link, and none could be made within the deadline. A step is kept, as with DeadlineError."""


class DrainingError(DisconnectedError):
    """The daemon is stopping, or the session is on its way to another, and neither ended within the deadline."""


class MovedError(BeliefError):
    """The session is at another daemon, `address`. Followed by this package, but not from TLS into the clear."""


class UnknownSessionError(BeliefError):
    """There is no such session. Callers see LostError."""


BY_CODE = {
    "INVALID": InvalidError,
    "TOO_LARGE": LimitError,
    "UNSUPPORTED": UnsupportedError,
    "UNKNOWN_SESSION": UnknownSessionError,
    "UNKNOWN_MODEL": UnknownModelError,
    "FENCED": FencedError,
    "OUT_OF_STEP": OutOfStepError,
    "LIMIT": LimitError,
    "RATE": LimitError,
    "DRAINING": DrainingError,
    "BUSY": DrainingError,
    "INTERNAL": InternalError,
    "IDLE": DisconnectedError,
    "PERMISSION": PermissionDeniedError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "MOVED": MovedError,
    "UNDURABLE": UndurableError,
    "DEADLINE": DeadlineError,
    "WRONG_MODEL": InvalidError,
    "BAD_FRAME": ProtocolError,
}

# Where the daemon said nothing itself: a proxy, the library, or the link.
BY_STATUS = {
    grpc.StatusCode.UNAVAILABLE: DisconnectedError,
    grpc.StatusCode.CANCELLED: DisconnectedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAUTHENTICATED: UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: LimitError,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidError,
    grpc.StatusCode.UNIMPLEMENTED: UnsupportedError,
}


def detail(error: grpc.RpcError) -> Optional[pb.Error]:
    """The daemon's own Error among the details of a status, or None."""
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        try:
            status = status_pb2.Status.FromString(value)
            for packed in status.details:
                told = pb.Error()
                if packed.Unpack(told):
                    return told
        except Exception:  # not a google.rpc.Status: somebody else's detail
            return None
    return None


def from_rpc(error: grpc.RpcError, where: str) -> BeliefError:
    """The exception for a call that failed; where: session and address, for the sentence."""
    told = detail(error)
    if told is None:
        kind = BY_STATUS.get(error.code(), ProtocolError)
        return kind(f"{where}: {error.details()}", code=error.code().name)
    names = pb.Error.Code.DESCRIPTOR.values_by_number
    code = names[told.code].name if told.code in names else "UNKNOWN"
    text = f"{where}: {told.message}"
    if told.field and told.field not in told.message:
        text += f" ({told.field})"
    if told.limit and str(told.limit) not in told.message:
        text += f" (limit {told.limit})"
    return BY_CODE.get(code, ProtocolError)(text, code=code, field=told.field, limit=told.limit,
                                            address=told.address)
