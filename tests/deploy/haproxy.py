"""Two daemons behind a stock HAProxy with deploy/haproxy.cfg: sessions stick, a daemon restarts and a machine leaves,
and no robot loses a step.

    haproxy.py BELIEFD BELIEFCTL MODEL SOURCE-ROOT

Robots are a Python gRPC client. Beside them a third daemon, asked directly, gets the same transitions and nothing of
the rest: what it believes is what they should believe.
"""
import importlib.util
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

SKIP = 77
ROBOTS = 12
OBSERVATION, ACTION = 5, 2  # of the sample model
PATIENCE = 30


def skip(why):
    print("skipped: " + why)
    sys.exit(SKIP)


try:
    import grpc
except ImportError:
    if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
        os.execv("/usr/bin/python3", ["/usr/bin/python3", *sys.argv])
    skip("no Python with grpc (python3-grpcio)")

beliefd, beliefctl, model = sys.argv[1:4]
root = pathlib.Path(sys.argv[4])
haproxy = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin") or skip("no haproxy")
protoc = shutil.which("protoc") or skip("no protoc (protobuf-compiler)")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    def __init__(self, directory, name):
        self.name, self.port, self.admin = name, free_port(), free_port()
        self.control = f"unix:{directory}/{name}.control"
        self.address = f"tcp:127.0.0.1:{self.port}"
        self.data = f"{directory}/{name}.data"
        self.log = open(f"{directory}/{name}.log", "w+")
        self.start()

    def start(self):
        ready, write = os.pipe()
        self.process = subprocess.Popen(
            [beliefd, "--listen", self.address, "--control", self.control, "--admin", f"127.0.0.1:{self.admin}",
             "--data", self.data, "--model", model, "--ready-fd", str(write)], pass_fds=[write], stderr=self.log)
        os.close(write)
        assert os.read(ready, 6) == b"READY\n", self.said()
        os.close(ready)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def ctl(self, *words):
        return subprocess.Popen([beliefctl, *words, "--json", "--control", self.control], stdout=subprocess.PIPE,
                                text=True)

    def sessions(self):
        said, _ = self.ctl("sessions").communicate()
        return {s["session"]: s for s in json.loads(said.splitlines()[-1])["sessions"] if s["place"] != "moved"}


def configuration(daemons, port, frames_port, admin):
    """deploy/haproxy.cfg with this test's addresses in place of the example's."""
    text = (root / "deploy" / "haproxy.cfg").read_text()
    text = text.replace("bind :7000 ", f"bind 127.0.0.1:{port} ").replace("bind :7001", f"bind 127.0.0.1:{frames_port}")
    text = text.replace("/run/haproxy/admin.sock mode", admin + " mode")
    for daemon in daemons:
        text, count = re.subn(rf"server {daemon.name} \S+(.*) port \d+",
                              rf"server {daemon.name} 127.0.0.1:{daemon.port}\1 port {daemon.admin}", text)
        assert count == 2, "the example has each daemon twice"
    return text


class Robot:
    """One session, as a careful client keeps it: asks again until it is answered, and counts nothing twice."""

    def __init__(self, name, channel):
        self.name, self.epoch, self.seq = name, 0, 0
        self.random = random.Random(name)
        self.connect(channel)
        self.open()
        self.observation = self.numbers(OBSERVATION)
        self.seq = 1
        self.call("Act", belief.Act(session=name, epoch=self.epoch, seq=1, observation=self.observation), belief.Action)

    def connect(self, channel):
        self.channel = channel

    def numbers(self, count):
        return [self.random.gauss(0, 1) for _ in range(count)]

    def call(self, method, request, reply):
        stub = self.channel.unary_unary("/belief.v1.Belief/" + method, request_serializer=type(request).SerializeToString,
                                        response_deserializer=reply.FromString)
        return stub(request, timeout=5, metadata=[("x-session-id", self.name)])

    def open(self):
        # A session that moved has a larger epoch by one.
        self.epoch = self.call("Open", belief.Open(session=self.name, epoch=self.epoch and self.epoch + 1),
                               belief.Opened).epoch

    def follow(self, error):
        """To the address that an Error tells, if it tells one."""
        for key, value in error.trailing_metadata() or ():
            if key == "grpc-status-details-bin":
                for detail in status.Status.FromString(value).details:
                    address = belief.Error.FromString(detail.value).address
                    if address:
                        self.connect(grpc.insecure_channel(address.removeprefix("tcp:")))

    def step(self):
        request = belief.Step(session=self.name, seq=self.seq + 1, observation=self.numbers(OBSERVATION),
                              reward=self.random.gauss(0, 1), action=self.numbers(ACTION))
        until, troubles = time.monotonic() + PATIENCE, 0
        while True:
            try:
                if troubles:
                    self.open()
                request.epoch = self.epoch
                reply = self.call("Step", request, belief.Action)
                break
            except grpc.RpcError as error:
                troubles += 1
                assert error.code() != grpc.StatusCode.INVALID_ARGUMENT, error
                assert time.monotonic() < until, f"{self.name}: {error}"
                self.follow(error)
                time.sleep(0.02)
        assert reply.seq == self.seq + 1
        assert reply.status == belief.STATUS_ABSORBED or (troubles and reply.status == belief.STATUS_DUPLICATE), reply
        self.seq += 1
        self.digest = reply.digest.hex()
        return troubles


def main(directory):
    daemons = [Daemon(directory, "a"), Daemon(directory, "b")]
    alone = Daemon(directory, "alone")
    port, frames_port = free_port(), free_port()
    config = pathlib.Path(directory) / "haproxy.cfg"
    config.write_text(configuration(daemons, port, frames_port, f"{directory}/admin"))
    proxy_log = open(f"{directory}/haproxy.log", "w")
    proxy = subprocess.Popen([haproxy, "-db", "-f", str(config)], stdout=proxy_log, stderr=proxy_log)
    try:
        run(daemons, alone, port, f"{directory}/admin")
    except BaseException:
        for daemon in [*daemons, alone]:
            print(f"---- {daemon.name} said\n{daemon.said()[-3000:]}")
        print(pathlib.Path(directory, "haproxy.log").read_text()[-2000:])
        raise
    finally:
        for process in [proxy, *(daemon.process for daemon in [*daemons, alone])]:
            process.kill()
            process.wait()


def through(port):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    grpc.channel_ready_future(channel).result(PATIENCE)
    return channel


def run(daemons, alone, port, admin):
    a, b = daemons
    channel = through(port)
    robots = [Robot(f"arm-{i}", channel) for i in range(ROBOTS)]
    direct = through(alone.port)
    shadows = [Robot(f"arm-{i}", direct) for i in range(ROBOTS)]

    def step_all():
        troubles = 0
        for robot, shadow in zip(robots, shadows):
            troubles += robot.step()
            shadow.step()
            assert robot.digest == shadow.digest, f"{robot.name} believes something else"
        return troubles

    for _ in range(10):
        assert step_all() == 0
    at_a, at_b = a.sessions(), b.sessions()
    assert at_a and at_b and not set(at_a) & set(at_b), (sorted(at_a), sorted(at_b))
    assert set(at_a) | set(at_b) == {robot.name for robot in robots}
    print(f"{len(at_a)} sessions at one daemon, {len(at_b)} at the other")

    # Another connection: the same sessions at the same daemons, which need not be opened again.
    again = through(port)
    for robot in robots:
        robot.connect(again)
    for _ in range(5):
        assert step_all() == 0
    assert set(a.sessions()) == set(at_a) and set(b.sessions()) == set(at_b)

    # A daemon restarts while all robots go on; its sessions stay its own.
    a.process.terminate()
    assert a.process.wait(PATIENCE) == 0
    restarted = threading.Timer(0.5, a.start)
    restarted.start()
    troubles = 0
    for _ in range(5):
        troubles += step_all()
    restarted.join()
    assert set(a.sessions()) == set(at_a) and set(b.sessions()) == set(at_b)
    print(f"a daemon restarted; {troubles} calls asked again")

    # One machine leaves while all robots go on.
    drain = a.ctl("drain", "--to", b.address, "--linger", "1")
    troubles = step_all()
    while drain.poll() is None:
        troubles += step_all()
    said = json.loads(drain.communicate()[0].splitlines()[-1])
    assert drain.returncode == 0 and said["moved"] == len(at_a), said
    assert a.process.wait(PATIENCE) == 0
    followed = sum(robot.channel is not again for robot in robots)
    assert followed == len(at_a), f"{followed} robots were told where their sessions are"

    # HAProxy is told, and sends all names to the machine that is left.
    operator = socket.socket(socket.AF_UNIX)
    operator.connect(admin)
    operator.sendall(b"disable server beliefd/a\n")
    operator.recv(1000)
    for robot in robots:
        robot.connect(again)
    for _ in range(5):
        troubles += step_all()
    at_b = b.sessions()
    assert set(at_b) == {robot.name for robot in robots}
    for robot, shadow in zip(robots, shadows):
        assert at_b[robot.name]["digest"] == robot.digest == shadow.digest
        assert at_b[robot.name]["count"] == robot.seq - 1
    print(f"{said['moved']} sessions moved in the middle of an episode; digests are equal; {troubles} calls asked again")


with tempfile.TemporaryDirectory(prefix="beliefd-test.") as where:
    subprocess.run([protoc, f"-I{root}/proto", f"--python_out={where}", "belief/v1/belief.proto"], check=True)
    subprocess.run([protoc, f"-I{root}/proto", f"--python_out={where}", "google/rpc/status.proto"], check=True)
    sys.path.insert(0, where)
    from belief.v1 import belief_pb2 as belief
    # Not by its name: there is a package `google` elsewhere.
    spec = importlib.util.spec_from_file_location("status_pb2", f"{where}/google/rpc/status_pb2.py")
    status = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(status)
    main(where)
