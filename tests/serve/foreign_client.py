#!/usr/bin/env python3
"""A client that shares no code with beliefd: plain protobuf for Python, made from belief.proto at test time.

    foreign_client.py BELIEFD MODEL_WRITER PROTO_DIRECTORY

What docs/wire.md says must be enough to write it: frames of a 4-byte big-endian length and an Envelope. Skipped (77)
where protobuf for Python or protoc is missing; BELIEFD_TEST_PYTHON may name an interpreter that has the former.
"""
import importlib
import math
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


try:
    import google.protobuf  # noqa: F401
except ImportError:
    # Another interpreter may have it: the one of the tests' environment, or Debian's own.
    untried = [path for path in (os.environ.get("BELIEFD_TEST_PYTHON"), "/usr/bin/python3")
               if path and os.path.exists(path) and path not in os.environ.get("FOREIGN_TRIED", "").split(":")]
    if untried:
        os.environ["FOREIGN_TRIED"] = os.environ.get("FOREIGN_TRIED", "") + ":" + untried[0]
        os.execv(untried[0], untried[:1] + sys.argv)
    skip("no protobuf for Python (python3-protobuf)")
if not shutil.which("protoc"):
    skip("no protoc (protobuf-compiler)")

beliefd, model_writer, protos = sys.argv[1:]
directory = tempfile.mkdtemp(prefix="beliefd-foreign-")
made = subprocess.run(["protoc", f"--proto_path={protos}", f"--python_out={directory}", "belief/v1/belief.proto"])
assert made.returncode == 0, "protoc refuses belief.proto"
sys.path.insert(0, directory)
try:
    pb = importlib.import_module("belief.v1.belief_pb2")
except Exception as error:  # a protoc and a runtime that do not fit together
    skip(f"protoc and protobuf for Python do not fit together: {error}")


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.settimeout(30)
        self.last_id = 0

    def send(self, **body):
        self.last_id += 1
        request = pb.Envelope(request_id=self.last_id, **body).SerializeToString()
        self.socket.sendall(struct.pack(">I", len(request)) + request)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        (size,) = struct.unpack(">I", self.read(4))
        return pb.Envelope.FromString(self.read(size))

    def ask(self, **body):
        self.send(**body)
        reply = self.receive()
        assert reply.request_id == self.last_id
        return getattr(reply, reply.WhichOneof("body"))


def observation_at(seq, dim):
    return [math.sin(seq + i) for i in range(dim)]


def live(client, name):
    """One life: act, ten steps, a repeat, transitions, a look, a new task. Returns what two lives must share."""
    opened = client.ask(open=pb.Open(session=name))
    dim, actions = opened.model.observation_dim, opened.model.action_dim
    assert not opened.resumed and opened.epoch == 1 and opened.count == 0
    action = client.ask(act=pb.Act(handle=opened.handle, seq=1, observation=observation_at(1, dim)))
    assert len(action.action) == actions and action.status == pb.STATUS_NONE
    for seq in range(2, 12):
        step = pb.Step(handle=opened.handle, seq=seq, observation=observation_at(seq, dim), reward=0.1 * seq,
                       action=action.action if seq % 2 else [])
        action = client.ask(step=step)
        assert action.status == pb.STATUS_ABSORBED and action.seq == seq and action.count == seq - 1
        assert len(action.action) == actions and len(action.digest) == 16 and 0 <= action.reward_p <= 1
    repeat = client.ask(step=step)
    assert repeat.status == pb.STATUS_DUPLICATE and repeat.action == action.action and repeat.digest == action.digest

    transitions = [pb.Transition(seq=s, observation=observation_at(s, dim), action=[0.1] * actions, reward=s / 10,
                                 next_observation=observation_at(s + 1, dim)) for s in (3, 1, 2, 3)]
    observed = client.ask(observe=pb.Observe(handle=opened.handle, writer=5, transitions=transitions))
    assert list(observed.status) == [pb.STATUS_ABSORBED] * 3 + [pb.STATUS_DUPLICATE] and observed.count == 13

    belief = client.ask(get_belief=pb.GetBelief(handle=opened.handle, sums=True, weights=True, estimate=True))
    assert belief.count == 13 and belief.digest == observed.digest
    for head in belief.heads:
        assert len(head.mean) == head.features * head.targets and len(head.variance) == head.features
        assert len(head.noise) == head.targets and head.sums and all(v > 0 for v in head.variance)

    refused = client.ask(step=pb.Step(handle=opened.handle, seq=12, observation=[1.0]))
    assert refused.code == pb.Error.INVALID and refused.field == "observation", refused
    refused = client.ask(step=pb.Step(handle=opened.handle, seq=40, observation=observation_at(1, dim)))
    assert refused.code == pb.Error.OUT_OF_STEP, refused
    refused = client.ask(act=pb.Act(handle=999, seq=1))
    assert refused.code == pb.Error.UNKNOWN_SESSION, refused

    done = client.ask(reset=pb.Reset(handle=opened.handle, scope=pb.Reset.TASK, task=1))
    assert done.task == 2 and done.count == 0
    client.ask(close=pb.Close(handle=opened.handle, forget=True))
    return list(action.action), bytes(observed.digest), belief.SerializeToString(deterministic=True)


daemon = None
try:
    model, path = os.path.join(directory, "model"), os.path.join(directory, "socket")
    subprocess.run([model_writer, model], check=True)
    ready, tell = os.pipe()
    daemon = subprocess.Popen([beliefd, "--listen", f"unix:{path}", "--model", model, "--ready-fd", str(tell)],
                              pass_fds=[tell])
    os.close(tell)
    assert os.read(ready, 100) == b"READY\n"

    client = Client(path)
    welcome = client.ask(hello=pb.Hello(client="foreign_client.py"))
    assert welcome.protocol == 1 and welcome.server.startswith("beliefd") and len(welcome.models) == 1
    assert live(client, "first") == live(client, "second")

    # A newer Open fences this client.
    handle = client.ask(open=pb.Open(session="shared")).handle
    other = Client(path)
    assert other.ask(open=pb.Open(session="shared")).epoch == 2
    assert client.ask(get_belief=pb.GetBelief(handle=handle)).code == pb.Error.FENCED

    # Bytes that are no Envelope cost the connection, and only it.
    other.socket.sendall(struct.pack(">I", 3) + b"\xff\xff\xff")
    assert other.receive().error.code == pb.Error.BAD_FRAME
    try:
        other.receive()
        raise AssertionError("the connection is still open")
    except EOFError:
        pass
    assert client.ask(ping=pb.Ping()).DESCRIPTOR.name == "Done"

    daemon.send_signal(signal.SIGTERM)
    assert client.receive().error.code == pb.Error.DRAINING
    client.socket.close()
    assert daemon.wait(30) == 0
    print("1 scenario passed")
finally:
    if daemon and daemon.poll() is None:
        daemon.kill()
        daemon.wait()
    shutil.rmtree(directory, ignore_errors=True)
