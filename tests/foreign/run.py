#!/usr/bin/env python3
"""The scenario of scenario.md by one gRPC client, compared line by line with what frames tell.

    run.py LANGUAGE BELIEFD MODEL_WRITER PROTO_DIRECTORY WORK_DIRECTORY

LANGUAGE is python, node or go. Its libraries are installed in WORK_DIRECTORY, from PyPI (tests/run does that), npm or the Go
module proxy. Skipped (77), with a line that says why, where they cannot be had.
"""
import importlib
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "python"))
import support  # noqa: E402

language, program, model_writer, protos, work = sys.argv[1:]
support.require("google.protobuf")
if not shutil.which("protoc"):
    support.skip("no protoc (protobuf-compiler)")

INSTALL_SECONDS, RUN_SECONDS = 400, 60
CODES = {"INVALID": "INVALID_ARGUMENT", "OUT_OF_STEP": "FAILED_PRECONDITION", "FENCED": "ABORTED",
         "UNKNOWN_SESSION": "NOT_FOUND"}
SERVICES = ["belief.v1.Belief", "belief.v1.Control", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection"]


# ---- The client under test -------------------------------------------------------------------------------------------

def install(what, *command, **options):
    """Runs an installation; what cannot be had skips the test."""
    try:
        made = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=INSTALL_SECONDS, **options)
    except (OSError, subprocess.TimeoutExpired) as error:
        support.skip(f"{what} cannot be had here: {error}")
    if made.returncode:
        lines = made.stdout.strip().splitlines() or ["no reason given"]
        support.skip(f"{what} cannot be had here: {lines[-1]}")


def copy_to(directory):
    directory.mkdir(parents=True, exist_ok=True)
    for file in (HERE / language).iterdir():
        if file.is_file():
            shutil.copy(file, directory)
    return directory


def python_client():
    support.require("grpc_tools.protoc", "grpc_health.v1.health_pb2", "grpc_reflection.v1alpha.reflection_pb2",
                    "google.rpc.status_pb2")
    return [sys.executable, str(HERE / "python" / "client.py")]


def node_client():
    place = copy_to(Path(work) / "node")
    if not shutil.which("node") or not shutil.which("npm"):
        support.skip("no node or npm")
    if not (place / "node_modules" / ".ready").exists():
        install("grpc-js (npm)", "npm", "install", "--no-audit", "--no-fund", "--loglevel=error", cwd=place)
        (place / "node_modules" / ".ready").touch()
    return ["node", str(place / "client.js")]


def go_client():
    place = copy_to(Path(work) / "go")
    if not shutil.which("go"):
        support.skip("no go")
    environment = dict(os.environ, GOFLAGS="-mod=readonly -buildvcs=false", GOTOOLCHAIN="local")
    install("grpc-go (Go module proxy)", "go", "mod", "download", cwd=place, env=environment)
    made = [["go", "build", "-o", "protoc-gen-go", "google.golang.org/protobuf/cmd/protoc-gen-go"],
            ["protoc", f"-I{protos}", "--plugin=./protoc-gen-go", "--go_out=.", "--go_opt=module=beliefd.test/foreign",
             "--go_opt=Mbelief/v1/belief.proto=beliefd.test/foreign/belief", "belief/v1/belief.proto"],
            ["go", "build", "-o", "client", "."]]
    for command in made:
        subprocess.run(command, cwd=place, env=environment, check=True, timeout=INSTALL_SECONDS)
    return [str(place / "client")]


# ---- The same over frames --------------------------------------------------------------------------------------------

def load_messages():
    place = support.scratch()
    subprocess.run(["protoc", f"--proto_path={protos}", f"--python_out={place}", "belief/v1/belief.proto"], check=True)
    sys.path.insert(0, str(place))
    try:
        return importlib.import_module("belief.v1.belief_pb2")
    except Exception as error:  # a protoc and a runtime that do not fit together
        support.skip(f"protoc and protobuf for Python do not fit together: {error}")


class Frames:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(str(path))

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            assert more, "the daemon hangs up"
            data += more
        return data

    def ask(self, **body):
        request = pb.Envelope(request_id=1, **body).SerializeToString()
        self.socket.sendall(struct.pack(">I", len(request)) + request)
        reply = pb.Envelope.FromString(self.read(struct.unpack(">I", self.read(4))[0]))
        return getattr(reply, reply.WhichOneof("body"))


def scenario(frames, name):
    """The lines that every client must print."""
    lines = ["health SERVING", "health-unknown NOT_FOUND"]

    def say(*words):
        lines.append(" ".join(str(word) for word in words))

    def say_action(word, a):
        bits = b"".join(struct.pack("<f", x) for x in a.action)
        say(word, a.seq, a.status, a.count, a.digest.hex(), bits.hex() or "-")

    def say_opened(o):
        say("open", o.epoch, int(o.resumed), o.task, o.seq, o.count, o.model.observation_dim, o.model.action_dim)

    def say_refused(word, error):
        code = pb.Error.Code.Name(error.code)
        say(word, CODES[code], code, error.field or "-", error.limit)

    def observation(n, dim):
        return [((7 * n + 3 * i) % 11 - 5) / 8 for i in range(dim)]

    def reward(n):
        return (n % 5 - 2) / 4

    say("hello", frames.ask(hello=pb.Hello(client="foreign/frames")).protocol)
    opened = frames.ask(open=pb.Open(session=name))
    say_opened(opened)
    dim, actions = opened.model.observation_dim, opened.model.action_dim

    def step(n, epoch=opened.epoch, numbers=dim):
        return frames.ask(step=pb.Step(session=name, epoch=epoch, seq=n, observation=observation(n, numbers),
                                       reward=reward(n)))

    act = pb.Act(session=name, epoch=opened.epoch, seq=1, observation=observation(1, dim))
    say_action("act", frames.ask(act=act))
    for n in range(2, 12):
        say_action("step", step(n))
    say_action("again", step(11))
    transitions = [pb.Transition(seq=n, observation=observation(n, dim), action=[0.25] * actions, reward=reward(n),
                                 next_observation=observation(n + 1, dim)) for n in (3, 1, 2, 3)]
    observed = frames.ask(observe=pb.Observe(session=name, epoch=opened.epoch, writer=5, transitions=transitions))
    say("observe", ",".join(str(s) for s in observed.status), observed.count, observed.digest.hex())
    for n in range(12, 17):
        say_action("stream", step(n))
    say("stream-end OK")
    state = frames.ask(get_belief=pb.GetBelief(session=name, epoch=opened.epoch, sums=True))
    say("belief", state.count, state.digest.hex(), ",".join(f"{h.name}:{len(h.sums)}" for h in state.heads))
    say_refused("wrong-dims", step(17, numbers=1))
    say_refused("out-of-step", step(40))
    say_refused("stream-refused", step(17, numbers=1))
    again = frames.ask(open=pb.Open(session=name))
    say_opened(again)
    say_refused("fenced", step(17))
    done = frames.ask(reset=pb.Reset(session=name, epoch=again.epoch, scope=pb.Reset.TASK, task=1))
    say("reset", done.task, done.count)
    say("unknown-method UNIMPLEMENTED")
    say("watch SERVING DEADLINE_EXCEEDED")
    say("cancel SERVING CANCELLED")
    say("ping ok")
    for _ in range(2):
        say("services", ",".join(SERVICES))
    frames.ask(close=pb.Close(session=name, epoch=again.epoch, forget=True))
    say("close ok")
    say_refused("gone", step(18, epoch=again.epoch))
    # What must hold whatever the numbers are: the repeat is told the same, and as seen before.
    assert lines[14].split()[2] == "1" and lines[15].split()[2] == "2", lines[14:16]
    assert lines[14].split()[3:] == lines[15].split()[3:], lines[14:16]
    return lines


client = {"python": python_client, "node": node_client, "go": go_client}[language]()
pb = load_messages()
model = support.scratch() / "model"
subprocess.run([model_writer, str(model)], check=True)
daemon = support.Daemon(program, model)
try:
    expected = scenario(Frames(daemon.path), "frames")
    ran = subprocess.run([*client, daemon.address, language, protos], stdout=subprocess.PIPE, text=True,
                         timeout=RUN_SECONDS)
    printed = ran.stdout.splitlines()
finally:
    ended = daemon.stop()
wrong = [f"frames: {a}\n{language}: {b}" for a, b in
         zip(expected + ["(nothing more)"] * len(printed), printed + ["(nothing more)"] * len(expected)) if a != b]
if wrong or ran.returncode:
    print(f"{language} ended with {ran.returncode}", *wrong, daemon.log(), sep="\n")
    sys.exit(1)
assert ended == 0, f"the daemon ended with {ended}"
digests = [line.split()[4] for line in printed if line.startswith(("step", "stream "))]
print(f"{language}: {len(printed)} lines as over frames; the last digest is {digests[-1]}")
