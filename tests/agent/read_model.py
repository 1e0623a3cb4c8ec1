#!/usr/bin/env python3
"""The shipped models in the reader that everybody uses: Python's safetensors.

    read_model.py MODEL...

Skipped (77) unless BELIEFD_TEST_PYTHON names an interpreter that has the package.
"""
import json
import os
import sys

try:
    import numpy
    from safetensors import safe_open
except ImportError:
    other = os.environ.get("BELIEFD_TEST_PYTHON")
    if other and "READ_MODEL_AGAIN" not in os.environ:
        os.environ["READ_MODEL_AGAIN"] = "1"
        os.execv(other, [other] + sys.argv)
    print("skipped: no safetensors for Python (BELIEFD_TEST_PYTHON)")
    sys.exit(77)

for path in sys.argv[1:]:
    with safe_open(path, framework="numpy") as model:
        metadata = model.metadata()
        tensors = {name: model.get_tensor(name) for name in model.keys()}
    assert metadata["format"] == "beliefd model", metadata["format"]
    assert all(numpy.isfinite(tensor).all() for tensor in tensors.values())
    provenance = json.loads(metadata["provenance"])
    assert provenance["command"].startswith("bel-learn train " + provenance["world"])
    assert len(provenance["evaluation"]["belief"]) >= 1
    print(f"{os.path.basename(path)}: {len(tensors)} tensors, {provenance['command']}")
