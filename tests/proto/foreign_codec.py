#!/usr/bin/env python3
"""Every field of every message, as Google's protobuf for Python writes and reads it.

    foreign_codec.py RECODE PROTO_DIRECTORY

RECODE decodes and encodes frames with our code. A field that we forget, mix up or cut short comes back another one.
The messages are made from the descriptor, so a new field is tested from the day that it is in belief.proto. Skipped
(77) where protobuf for Python or protoc is missing; BELIEFD_TEST_PYTHON may name an interpreter that has the former.
"""
import importlib
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


try:
    from google.protobuf.descriptor import FieldDescriptor as F
except ImportError:
    untried = [path for path in (os.environ.get("BELIEFD_TEST_PYTHON"), "/usr/bin/python3")
               if path and os.path.exists(path) and path not in os.environ.get("FOREIGN_TRIED", "").split(":")]
    if untried:
        os.environ["FOREIGN_TRIED"] = os.environ.get("FOREIGN_TRIED", "") + ":" + untried[0]
        os.execv(untried[0], untried[:1] + sys.argv)
    skip("no protobuf for Python (python3-protobuf)")
if not shutil.which("protoc"):
    skip("no protoc (protobuf-compiler)")

recode, protos = sys.argv[1:]
directory = tempfile.TemporaryDirectory(prefix="beliefd-codec-")
subprocess.run(["protoc", f"--proto_path={protos}", f"--python_out={directory.name}", "belief/v1/belief.proto"],
               check=True)
sys.path.insert(0, directory.name)
try:
    pb = importlib.import_module("belief.v1.belief_pb2")
except Exception as error:  # a protoc and a runtime that do not fit together
    skip(f"protoc and protobuf for Python do not fit together: {error}")

ENDS = {
    F.TYPE_UINT32: [0, 1, 127, 128, 2**32 - 1],
    F.TYPE_UINT64: [0, 1, 2**32, 2**63, 2**64 - 1],
    F.TYPE_BOOL: [False, True],
    F.TYPE_FLOAT: [0.0, -1.5, float("inf"), 2.0**-149],
    F.TYPE_DOUBLE: [0.0, -1e300, float("-inf"), 5e-324],
    F.TYPE_STRING: ["", "r", "Zweig-\u00fc\u4e2d\U0001f916", "x" * 300],
    F.TYPE_BYTES: [b"", b"\0", bytes(range(256)), b"\xff" * 16],
}


def value(field, rng, pick):
    if field.type == F.TYPE_MESSAGE:
        return fill(field.message_type._concrete_class(), rng, pick)
    if field.type == F.TYPE_ENUM:
        return pick(rng, [v.number for v in field.enum_type.values] + [99])
    return pick(rng, ENDS[field.type])


def is_repeated(field):  # newer versions have dropped labels
    told = getattr(field, "is_repeated", None)
    return field.label == F.LABEL_REPEATED if told is None else told


def fill(message, rng, pick):
    for field in message.DESCRIPTOR.fields:
        if is_repeated(field):
            values = [value(field, rng, pick) for _ in range(pick(rng, [0, 1, 3]))]
            if field.type == F.TYPE_MESSAGE:
                for v in values:
                    getattr(message, field.name).add().CopyFrom(v)
            else:
                getattr(message, field.name).extend(values)
        elif field.type == F.TYPE_MESSAGE:
            getattr(message, field.name).CopyFrom(value(field, rng, pick))
        else:
            setattr(message, field.name, value(field, rng, pick))
    return message


largest = lambda rng, values: values[-1]  # noqa: E731
smallest = lambda rng, values: values[0]  # noqa: E731
anything = lambda rng, values: rng.choice(values)  # noqa: E731

rng = random.Random(20)
sent = []
kinds = [field for field in pb.Envelope.DESCRIPTOR.fields if field.containing_oneof]
for field in kinds:
    for pick in [smallest, largest] + [anything] * 20:
        envelope = pb.Envelope(request_id=pick(rng, ENDS[F.TYPE_UINT64]))
        getattr(envelope, field.name).SetInParent()
        fill(getattr(envelope, field.name), rng, pick)
        sent.append(envelope)

bodies = [envelope.SerializeToString() for envelope in sent]
out = subprocess.run([recode], input=b"".join(struct.pack(">I", len(b)) + b for b in bodies), stdout=subprocess.PIPE,
                     check=True).stdout
at = 0
for envelope in sent:
    size, = struct.unpack_from(">I", out, at)
    back = pb.Envelope.FromString(out[at + 4:at + 4 + size])
    assert back == envelope, f"sent\n{envelope}\ncame back\n{back}"
    at += 4 + size
assert at == len(out)
print(f"{len(kinds)} kinds, {len(sent)} messages came back as they were")
