#!/usr/bin/env python3
"""HTTP/2 and gRPC tools that others wrote, against a running daemon. One of them at a time:

    tools.py h2spec|h2load|nghttp|grpcio BELIEFD MODEL_WRITER PROTO_DIRECTORY

h2spec    every case of the HTTP/2 conformance suite passes (BELIEFD_TEST_H2SPEC, or h2spec on PATH)
h2load    20,000 Pings over 8 connections with 16 streams each: all succeed; the daemon's memory stays where it is
nghttp    health by a command-line client; what is not gRPC is told so
grpcio    a life, deadlines, cancellation, health with Watch, reflection, control; two loops, with an experience log

Skipped (77) where the tool is not there.
"""
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


tool, beliefd, model_writer, protos = sys.argv[1:]
directory = tempfile.mkdtemp(prefix="beliefd-grpc-")
daemon = None


def start_daemon(*options):
    """Over TCP and a Unix socket. The port."""
    global daemon
    model, log = os.path.join(directory, "model"), os.path.join(directory, "log")
    subprocess.run([model_writer, model], check=True)
    ready, tell = os.pipe()
    # A sanitizer keeps what was freed for a while; here memory is watched.
    environment = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1")
    with open(log, "w") as out:
        daemon = subprocess.Popen(
            [beliefd, "--listen", "tcp:127.0.0.1:0", "--listen", f"unix:{directory}/socket", "--model", model,
             "--ready-fd", str(tell), *options], pass_fds=[tell], stderr=out, env=environment)
    os.close(tell)
    assert os.read(ready, 100) == b"READY\n"
    with open(log) as lines:
        return re.search(r"port=([1-9]\d*)", lines.read())[1]


def resident_kb():
    with open(f"/proc/{daemon.pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])


def message(body):
    return b"\0" + struct.pack(">I", len(body)) + body


def run(*command, **options):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, text=True, **options)


def h2spec():
    program = os.environ.get("BELIEFD_TEST_H2SPEC") or shutil.which("h2spec")
    if not program:
        skip("no h2spec (BELIEFD_TEST_H2SPEC may name it)")
    port = start_daemon()
    done = run(program, "-h", "127.0.0.1", "-p", port, "-o", "5")
    print(done.stdout[-3000:])
    counts = re.search(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed", done.stdout)
    assert counts and done.returncode == 0
    total, passed, skipped, failed = map(int, counts.groups())
    assert total >= 145 and passed == total and skipped == failed == 0


def h2load():
    if not shutil.which("h2load"):
        skip("no h2load (nghttp2-client)")
    port = start_daemon()
    data = os.path.join(directory, "request")
    with open(data, "wb") as file:
        file.write(message(b""))  # a Ping
    common = ["h2load", "-c", "8", "-m", "16", "-d", data, "-H", "content-type: application/grpc", "-H", "te: trailers"]
    for round in range(3):
        done = run(*common, "-n", "20000", f"http://127.0.0.1:{port}/belief.v1.Belief/Ping")
        assert "20000 done, 20000 succeeded, 0 failed" in done.stdout, done.stdout
        if round == 0:
            before = resident_kb()
    print(re.search(r"finished in.*", done.stdout)[0])
    assert resident_kb() < before + 4096, (before, resident_kb())
    # Methods that are not there, and garbage: answered too, and nothing is left behind.
    with open(data, "wb") as file:
        file.write(os.urandom(300))
    for path in ("belief.v1.Belief/Step", "belief.v1.Belief/Nothing", "x"):
        done = run(*common, "-n", "2000", f"http://127.0.0.1:{port}/{path}")
        assert "2000 done, 2000 succeeded" in done.stdout, done.stdout
    assert resident_kb() < before + 4096, (before, resident_kb())


def nghttp():
    if not shutil.which("nghttp"):
        skip("no nghttp (nghttp2-client)")
    port = start_daemon()
    data = os.path.join(directory, "request")
    with open(data, "wb") as file:
        file.write(message(b""))
    done = run("nghttp", "-v", "-d", data, "-H", "content-type: application/grpc", "-H", ":method: POST",
               f"http://127.0.0.1:{port}/grpc.health.v1.Health/Check")
    assert "grpc-status: 0" in done.stdout and ":status: 200" in done.stdout, done.stdout
    done = run("nghttp", "-v", f"http://127.0.0.1:{port}/")
    assert ":status: 405" in done.stdout and "This is beliefd" in done.stdout, done.stdout
    done = run("nghttp", "-v", "-d", data, "-H", "content-type: text/plain", f"http://127.0.0.1:{port}/belief.v1.Belief/Ping")
    assert ":status: 415" in done.stdout, done.stdout


def with_grpcio(address, pb, stubs, grpc):
    channel = grpc.insecure_channel(address)
    belief = stubs.BeliefStub(channel)
    dim = belief.Hello(pb.Hello(client="grpcio"), timeout=10).models[0].observation_dim
    name = "grpcio-" + re.sub(r"\W", "-", address[-12:])
    opened = belief.Open(pb.Open(session=name), timeout=10)
    assert opened.handle == 0 and opened.epoch == 1

    def act(seq, **options):
        return belief.Act(pb.Act(session=name, epoch=1, seq=seq, observation=[0.5] * dim), timeout=10, **options)

    def step(seq):
        return pb.Step(session=name, epoch=1, seq=seq, observation=[0.1 * (seq % 7)] * dim, reward=0.25 * (seq % 3))

    act(1, metadata=(("x-session-id", name), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")))
    for seq in range(2, 20):
        assert belief.Step(step(seq), timeout=10).status == pb.STATUS_ABSORBED
    answers = list(belief.Steps((step(seq) for seq in range(20, 200)), timeout=20))
    assert [answer.seq for answer in answers] == list(range(20, 200))
    assert answers[-1].count == 198

    def refused(code, call):
        try:
            call()
        except grpc.RpcError as error:
            assert error.code() == code, error
            details = dict(error.trailing_metadata()).get("grpc-status-details-bin")
            return details
        raise AssertionError(f"not refused with {code}")

    assert b"belief.v1.Error" in refused(grpc.StatusCode.FAILED_PRECONDITION, lambda: belief.Step(step(900), timeout=10))
    refused(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(belief.Steps(iter_never(), timeout=0.3)))
    refused(grpc.StatusCode.UNIMPLEMENTED, lambda: belief.Ping(pb.Ping(), timeout=10, compression=grpc.Compression.Gzip))
    refused(grpc.StatusCode.UNIMPLEMENTED, lambda: channel.unary_unary("/belief.v1.Belief/Nothing")(b"", timeout=10))
    refused(grpc.StatusCode.PERMISSION_DENIED, lambda: stubs.ControlStub(channel).ListSessions(pb.ListSessions(), timeout=10))
    large = pb.Open(session="x", model="m" * (5 << 20))
    refused(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda: belief.Open(large, timeout=20))

    # Cancelled in the middle; the connection and the session go on.
    stream = belief.Steps(iter_never())
    time.sleep(0.1)
    stream.cancel()
    assert belief.Step(step(200), timeout=10).status == pb.STATUS_ABSORBED

    # Health without stubs: {status: SERVING}. Watch tells now, and NOT_SERVING when the daemon drains.
    assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10) == b"\x08\x01"
    watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
    assert next(watch) == b"\x08\x01"
    reflect = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    answer = next(reflect(iter([b"\x3a\x01*"]), timeout=10))
    assert b"belief.v1.Belief" in answer and b"grpc.health.v1.Health" in answer
    return channel, watch


def iter_never():
    time.sleep(1.0)
    return
    yield


def grpcio():
    try:
        import grpc
    except ImportError:
        if sys.executable != "/usr/bin/python3" and os.path.exists("/usr/bin/python3"):
            shutil.rmtree(directory)
            os.execv("/usr/bin/python3", ["/usr/bin/python3"] + sys.argv)
        skip("no grpc for Python (python3-grpcio)")
    made = subprocess.run([sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={directory}",
                           f"--grpc_python_out={directory}", "belief/v1/belief.proto"], stderr=subprocess.PIPE)
    if made.returncode:
        skip(f"no stubs (python3-grpc-tools): {made.stderr.decode()[-200:]}")
    sys.path.insert(0, directory)
    from belief.v1 import belief_pb2 as pb, belief_pb2_grpc as stubs
    config, control = os.path.join(directory, "config"), f"unix:{directory}/control"
    with open(config, "w") as file:
        file.write(f"loops = 2\ndata_directory = {directory}/data\n")
    port = start_daemon("--config", config, "--control", control)
    with_grpcio(f"127.0.0.1:{port}", pb, stubs, grpc)
    operator = stubs.ControlStub(grpc.insecure_channel(control))
    sessions = operator.ListSessions(pb.ListSessions(), timeout=10).sessions
    assert len(sessions) == 1 and sessions[0].count == 199 and sessions[0].epoch == 1, sessions
    assert "beliefd_" in operator.GetMetrics(pb.GetMetrics(), timeout=10).text
    channel, watch = with_grpcio(f"unix:{directory}/socket", pb, stubs, grpc)
    daemon.send_signal(signal.SIGTERM)
    assert next(watch) == b"\x08\x02"
    try:
        next(watch)
        raise AssertionError("Watch goes on")
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
    assert daemon.wait(timeout=30) == 0


try:
    {"h2spec": h2spec, "h2load": h2load, "nghttp": nghttp, "grpcio": grpcio}[tool]()
    if daemon.poll() is None:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(timeout=30) == 0
    daemon = None
finally:
    if daemon and daemon.poll() is None:
        daemon.kill()
    if daemon:
        with open(os.path.join(directory, "log")) as lines:
            print(lines.read()[-3000:])
    shutil.rmtree(directory, ignore_errors=True)
