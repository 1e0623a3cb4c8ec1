"""The scenario (scenario.md) by Google's grpcio, which is the C++ core in Python."""
import importlib
import struct
import sys
import tempfile

import grpc
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_tools import protoc

address, name, protos = sys.argv[1:]
made = tempfile.TemporaryDirectory()
if protoc.main(["protoc", f"-I{protos}", f"--python_out={made.name}", f"--grpc_python_out={made.name}",
                "belief/v1/belief.proto"]):
    sys.exit("protoc refuses belief.proto")
sys.path.insert(0, made.name)
pb = importlib.import_module("belief.v1.belief_pb2")
belief = importlib.import_module("belief.v1.belief_pb2_grpc")

channel = grpc.insecure_channel(address)
stub = belief.BeliefStub(channel)
health = health_pb2_grpc.HealthStub(channel)
WAIT = 20


def say(*words):
    print(*words, flush=True)


def observation(n, dim):
    return [((7 * n + 3 * i) % 11 - 5) / 8 for i in range(dim)]


def reward(n):
    return (n % 5 - 2) / 4


def hex_of(floats):
    return b"".join(struct.pack("<f", x) for x in floats).hex() or "-"


def say_action(word, a):
    say(word, a.seq, a.status, a.count, a.digest.hex(), hex_of(a.action))


def say_opened(o):
    say("open", o.epoch, int(o.resumed), o.task, o.seq, o.count, o.model.observation_dim, o.model.action_dim)


def refusal(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    sys.exit("a call that must be refused was answered")


def say_refused(word, call):
    error = refusal(call)
    told, code = pb.Error(), "-"
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert status.code == error.code().value[0] and status.details[0].Unpack(told)
            code = pb.Error.Code.Name(told.code)
    say(word, error.code().name, code, told.field or "-", told.limit)


def end_of(call):
    """How a stream ended, by name, when there is nothing more to read."""
    try:
        for _ in call:
            pass
    except grpc.RpcError:
        pass
    return call.code().name


def watch(word, timeout, cancel):
    call = health.Watch(health_pb2.HealthCheckRequest(), timeout=timeout)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(next(call).status)
    if cancel:
        call.cancel()
    say(word, status, end_of(call))


answer = health.Check(health_pb2.HealthCheckRequest(), timeout=WAIT)
say("health", health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
say("health-unknown", refusal(lambda: health.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=WAIT))
    .code().name)
say("hello", stub.Hello(pb.Hello(client="foreign/python"), timeout=WAIT).protocol)

opened = stub.Open(pb.Open(session=name), timeout=WAIT)
say_opened(opened)
dim, actions = opened.model.observation_dim, opened.model.action_dim


def step(n, epoch=opened.epoch, numbers=dim):
    return pb.Step(session=name, epoch=epoch, seq=n, observation=observation(n, numbers), reward=reward(n))


say_action("act", stub.Act(pb.Act(session=name, epoch=opened.epoch, seq=1, observation=observation(1, dim)),
                           timeout=WAIT))
for n in range(2, 12):
    say_action("step", stub.Step(step(n), timeout=WAIT))
say_action("again", stub.Step(step(11), timeout=WAIT))

transitions = [pb.Transition(seq=n, observation=observation(n, dim), action=[0.25] * actions, reward=reward(n),
                             next_observation=observation(n + 1, dim)) for n in (3, 1, 2, 3)]
observed = stub.Observe(pb.Observe(session=name, epoch=opened.epoch, writer=5, transitions=transitions), timeout=WAIT)
say("observe", ",".join(str(s) for s in observed.status), observed.count, observed.digest.hex())


class Steps:
    """Requests of a stream, each given when the answer to the one before is there."""

    def __init__(self):
        self.ready = []
        self.condition = __import__("threading").Condition()

    def give(self, request):
        with self.condition:
            self.ready.append(request)
            self.condition.notify()

    def __iter__(self):
        while True:
            with self.condition:
                self.condition.wait_for(lambda: self.ready)
                request = self.ready.pop(0)
            if request is None:
                return
            yield request


steps = Steps()
call = stub.Steps(iter(steps), timeout=WAIT)
for n in range(12, 17):
    steps.give(step(n))
    say_action("stream", next(call))
steps.give(None)
say("stream-end", end_of(call))

state = stub.GetBelief(pb.GetBelief(session=name, epoch=opened.epoch, sums=True), timeout=WAIT)
say("belief", state.count, state.digest.hex(), ",".join(f"{h.name}:{len(h.sums)}" for h in state.heads))

say_refused("wrong-dims", lambda: stub.Step(step(17, numbers=1), timeout=WAIT))
say_refused("out-of-step", lambda: stub.Step(step(40), timeout=WAIT))
say_refused("stream-refused", lambda: next(stub.Steps(iter([step(17, numbers=1)]), timeout=WAIT)))

again = stub.Open(pb.Open(session=name), timeout=WAIT)
say_opened(again)
say_refused("fenced", lambda: stub.Step(step(17), timeout=WAIT))
done = stub.Reset(pb.Reset(session=name, epoch=again.epoch, scope=pb.Reset.TASK, task=1), timeout=WAIT)
say("reset", done.task, done.count)

say("unknown-method", refusal(lambda: channel.unary_unary("/belief.v1.Belief/Nothing")(b"", timeout=WAIT)).code().name)
watch("watch", 0.2, cancel=False)
watch("cancel", WAIT, cancel=True)
stub.Ping(pb.Ping(), timeout=WAIT)
say("ping ok")

for version in ("v1", "v1alpha"):  # their messages are the same
    listing = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
                                    reflection_pb2.ServerReflectionRequest.SerializeToString,
                                    reflection_pb2.ServerReflectionResponse.FromString)
    request = reflection_pb2.ServerReflectionRequest(list_services="*")
    services = next(listing(iter([request]), timeout=WAIT)).list_services_response.service
    say("services", ",".join(sorted(s.name for s in services)))

stub.Close(pb.Close(session=name, epoch=again.epoch, forget=True), timeout=WAIT)
say("close ok")
say_refused("gone", lambda: stub.Step(step(18, epoch=again.epoch), timeout=WAIT))
