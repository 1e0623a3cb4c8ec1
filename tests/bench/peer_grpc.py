"""A peer of bel-bench peers: gRPC and torch, with the daemon's own messages.

    python3 peer_grpc.py SHAPE SOCKET

One worker thread: a model is used by one thread at a time, and Python runs one anyway.
"""
import pathlib
import subprocess
import sys
import tempfile
from concurrent import futures

import grpc
import numpy

from peer_model import Torch

PROTO = pathlib.Path(__file__).resolve().parents[2] / "proto"


def messages():
    """belief.proto as Python, made afresh."""
    with tempfile.TemporaryDirectory() as directory:
        arguments = [f"-I{PROTO}", f"--python_out={directory}", "belief/v1/belief.proto"]
        try:
            subprocess.run(["protoc", *arguments], check=True)
        except FileNotFoundError:
            subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)
        sys.path.insert(0, directory)
        from belief.v1 import belief_pb2
        return belief_pb2


belief = messages()
model = Torch(sys.argv[1])


def step(request, context):
    action = model.step(request.session, numpy.array(request.observation, numpy.float32),
                        numpy.array(request.action, numpy.float32), request.reward)
    return belief.Action(seq=request.seq, action=action.tolist(), status=belief.STATUS_ABSORBED)


method = grpc.unary_unary_rpc_method_handler(step, belief.Step.FromString, belief.Action.SerializeToString)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("belief.v1.Belief", {"Step": method}),))
server.add_insecure_port("unix:" + sys.argv[2])
server.start()
server.wait_for_termination()
