"""What the Python tests share: the interpreter that has gRPC, the package as pip installs it, and a daemon.

A test imports this before anything else. It goes on under $BELIEFD_TEST_PYTHON, or Debian's own Python, if only they have
what is needed, and skips (exit 77) where nobody has.
"""
import importlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ["setuptools", "wheel", "pip", "grpc", "grpc_tools.protoc", "google.rpc.status_pb2", "numpy"]


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def require(*modules):
    """Goes on in an interpreter that has these modules, or skips."""
    try:
        for module in modules:
            if importlib.util.find_spec(module) is None:
                raise ImportError(f"no module {module}")
        return
    except ImportError as missing:
        tried = os.environ.get("PYTHONS_TRIED", "").split(":")
        for path in (os.environ.get("BELIEFD_TEST_PYTHON"), "/usr/bin/python3"):
            if path and os.path.exists(path) and path not in tried:
                os.environ["PYTHONS_TRIED"] = ":".join(tried + [path])
                os.execv(path, [path, *sys.argv])
        skip(f"no Python here has what this needs ({missing}; tests/requirements.txt)")


def scratch():
    """A directory that goes when the test ends."""
    directory = tempfile.TemporaryDirectory(prefix="beliefd-python-")
    SCRATCH.append(directory)
    return Path(directory.name)


SCRATCH = []


def install_package():
    """Installs client/python with pip from a copy, laid out as in a source distribution, and makes it importable."""
    place = scratch()
    shutil.copytree(ROOT / "client" / "python", place / "source",
                    ignore=shutil.ignore_patterns("build", "dist", "wire", "*.egg-info", "__pycache__"))
    (place / "source" / "proto").mkdir()
    shutil.copy(ROOT / "proto" / "belief" / "v1" / "belief.proto", place / "source" / "proto")
    made = subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
                           "--no-deps", "--no-build-isolation", "--no-index", "--target", str(place / "site"),
                           str(place / "source")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if made.returncode:
        raise SystemExit(f"pip cannot install client/python:\n{made.stdout}")
    sys.path.insert(0, str(place / "site"))
    return importlib.import_module("beliefd")


class Daemon:
    """A beliefd of this test's own, at a Unix socket."""

    def __init__(self, program, model, *arguments, data=None):
        self.program, self.model, self.arguments, self.data = program, str(model), arguments, data
        self.directory = scratch()
        self.path = self.directory / "socket"
        self.address = f"unix:{self.path}"
        self.process = None
        self.start()

    def start(self):
        command = [self.program, "--listen", self.address, "--model", self.model, *self.arguments]
        if self.data:
            command += ["--data", str(self.data)]
        ready, tell = os.pipe()
        with open(self.directory / "log", "ab") as log:
            # Without restore_signals a file that may not grow is an error to it, as a full disk is, and no signal.
            self.process = subprocess.Popen([*command, "--ready-fd", str(tell)], pass_fds=[tell], stdout=log, stderr=log,
                                            restore_signals=False)
        os.close(tell)
        told = os.read(ready, 100)
        os.close(ready)
        assert told == b"READY\n", f"{' '.join(command)} does not start:\n{self.log()}"

    def port(self, scheme):
        """Of the listener that was given port 0, from the daemon's log."""
        return int(re.search(rf"event=listen address={scheme}:\S+ port=(\d+)", self.log()).group(1))

    def log(self):
        return (self.directory / "log").read_text(errors="replace")

    def kill(self):
        """As a crash or the kernel would."""
        self.process.kill()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """0: it left in order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
