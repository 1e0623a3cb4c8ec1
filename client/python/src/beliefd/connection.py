"""A daemon: who is there, which models it serves, and calls that outlive a broken link."""
from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type, Union

import grpc
import numpy.typing as npt

from .errors import (DeadlineError, DisconnectedError, InvalidError, ProtocolError, UnauthenticatedError,
                     from_rpc)
from .messages import Durability, Model
from .pace import Attempts
from .session import Session
from .wire import belief_pb2 as pb
from .wire import belief_pb2_grpc

PROTOCOL = 1

Pem = Union[bytes, str, "os.PathLike[str]"]  # the bytes, or where they are


def connect(address: str, *, token: Optional[str] = None, ca: Optional[Pem] = None,
            certificate: Optional[Pem] = None, key: Optional[Pem] = None, server_name: Optional[str] = None,
            timeout: float = 1.0, client: str = "beliefd-python 0.1.0") -> "Belief":
    """Connects to a daemon.

    address is "unix:PATH", "tcp:HOST:PORT" or "tls:HOST:PORT". token is a bearer token. For tls, ca holds the
    certificates to trust (default: the system's), certificate and key who we are; each is a path or the bytes
    themselves. server_name is whom the daemon's certificate must name if not HOST. timeout, in seconds, holds for
    every call that has none of its own.

    DisconnectedError, UnauthenticatedError, InvalidError (address), ProtocolError.
    """
    credentials = None
    if address.startswith("tls:"):
        credentials = grpc.ssl_channel_credentials(_pem(ca), _pem(key), _pem(certificate))
    elif ca or certificate or key:
        raise InvalidError(f"{address}: certificates are for tls: addresses", field="address")
    belief = Belief(address, token, credentials, server_name, timeout, client)
    try:
        belief._greet()
    except BaseException:
        belief.close()
        raise
    return belief


def _pem(value: Optional[Pem]) -> Optional[bytes]:
    if value is None or isinstance(value, bytes):
        return value
    with open(value, "rb") as file:
        return file.read()


def _target(address: str) -> str:
    scheme, _, rest = address.partition(":")
    if scheme == "unix" and rest:
        return "unix:" + os.path.abspath(rest)
    host, _, port = rest.rpartition(":")
    if scheme in ("tcp", "tls") and host and port.isdigit():
        return f"dns:///{rest}"
    raise InvalidError(f"{address}: an address is unix:PATH, tcp:HOST:PORT or tls:HOST:PORT", field="address")


class Link:
    """One daemon's channel. It connects again by itself; a call that meets no connection fails at once."""

    def __init__(self, address: str, credentials: Optional[grpc.ChannelCredentials], server_name: Optional[str],
                 token: Optional[str]) -> None:
        options: List[Tuple[str, Any]] = [
            ("grpc.enable_retries", 0),            # what may be sent again is decided here
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.min_reconnect_backoff_ms", 50),
            ("grpc.initial_reconnect_backoff_ms", 50),
            ("grpc.max_reconnect_backoff_ms", 500),
        ]
        if server_name:
            options.append(("grpc.ssl_target_name_override", server_name))
        if address.startswith("tls:"):
            credentials = credentials or grpc.ssl_channel_credentials()
            self.channel = grpc.secure_channel(_target(address), credentials, options)
        else:
            self.channel = grpc.insecure_channel(_target(address), options)
        self.address = address
        self._metadata = (("authorization", f"Bearer {token}"),) if token else None
        self._stub = belief_pb2_grpc.BeliefStub(self.channel)
        self._methods: Dict[str, Callable[..., Any]] = {}

    def call(self, method: str, request: Any, deadline: float, where: str) -> Any:
        """One attempt. deadline: as time.monotonic() has it."""
        call = self._methods.get(method)
        if call is None:
            call = self._methods[method] = getattr(self._stub, method)
        left = deadline - time.monotonic()
        if left <= 0:
            raise DeadlineError(f"{where}: no answer in time", code="DEADLINE_EXCEEDED")
        try:
            return call(request, timeout=left, metadata=self._metadata)
        except grpc.RpcError as error:
            raise from_rpc(error, where) from None

    def close(self) -> None:
        self.channel.close()


class Belief:
    """A daemon. Made by `connect`; threads may share it, each with sessions of its own."""

    def __init__(self, address: str, token: Optional[str], credentials: Optional[grpc.ChannelCredentials],
                 server_name: Optional[str], timeout: float, client: str) -> None:
        self.timeout = timeout
        self._token, self._credentials, self._server_name, self._client = token, credentials, server_name, client
        self._lock = threading.Lock()
        self._links: Dict[str, Link] = {}
        self._home = self._link(address)
        self._welcome = pb.Welcome()

    def __enter__(self) -> "Belief":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 trace: Optional[TracebackType]) -> None:
        self.close()

    def close(self) -> None:
        """Drops the links. The daemon keeps the sessions for its idle time, so that they can be opened again."""
        with self._lock:
            links, self._links = list(self._links.values()), {}
        for link in links:
            link.close()

    @property
    def address(self) -> str:
        return self._home.address

    @property
    def server(self) -> str:
        """Name and version of the daemon."""
        return str(self._welcome.server)

    @property
    def models(self) -> Sequence[Model]:
        """The models it served when we connected; the first is its default."""
        return tuple(Model.of(m) for m in self._welcome.models)

    @property
    def durability(self) -> Durability:
        return Durability(self._welcome.durability)

    @property
    def identity(self) -> str:
        """Who the daemon thinks we are; empty: anybody."""
        return str(self._welcome.identity)

    def session(self, name: str, model: str = "", *, hold_prior: bool = False,
                task: Optional[npt.ArrayLike] = None, timeout: Optional[float] = None) -> Session:
        """Opens or resumes a session.

        name is 1 to 64 of A-Z a-z 0-9 . _ : - and names the belief at the daemon; model "" is the daemon's first. One
        that is open elsewhere is taken over: the other gets FencedError. hold_prior lets the policy read the prior
        for ever. task is the task itself (task_dim), for a model of kind "oracle", which needs it; others take none.
        """
        return Session(self, name, model, hold_prior, task, timeout)

    def ping(self, timeout: Optional[float] = None) -> float:
        """One empty round trip; its seconds."""
        start = time.monotonic()
        self._call(self._home, "Ping", pb.Ping(), self._deadline(timeout), self._home.address)
        return time.monotonic() - start

    # For sessions.

    def _deadline(self, timeout: Optional[float]) -> float:
        return time.monotonic() + (self.timeout if timeout is None else timeout)

    def _link(self, address: str) -> Link:
        with self._lock:
            if address not in self._links:
                self._links[address] = Link(address, self._credentials, self._server_name, self._token)
            return self._links[address]

    def _call(self, link: Link, method: str, request: Any, deadline: float, where: str) -> Any:
        """Tries until the deadline, for what may be sent twice."""
        attempts = Attempts(deadline)
        while True:
            try:
                return link.call(method, request, deadline, where)
            except DisconnectedError as error:
                attempts.wait(error)

    def _greet(self) -> None:
        hello = pb.Hello(client=self._client)
        self._welcome = self._home.call("Hello", hello, self._deadline(None), self._home.address)
        if self._welcome.protocol != PROTOCOL:
            raise ProtocolError(f"{self._home.address} speaks version {self._welcome.protocol} of the protocol, this "
                                f"package version {PROTOCOL}")
        if self._welcome.role == pb.ROLE_NONE:
            raise UnauthenticatedError(f"{self._home.address} does not know us: a token or a certificate says who we are",
                                       code="UNAUTHENTICATED", field="token")
