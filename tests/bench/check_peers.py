"""The peers of bel-bench do the work that they are compared by: their posteriors are exact."""
import pathlib
import subprocess
import sys

model = pathlib.Path(__file__).with_name("peer_model.py")
for python in ("/usr/bin/python3", sys.executable):
    if pathlib.Path(python).exists() and not subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode:
        sys.exit(subprocess.run([python, model]).returncode)
print("skipped: no Python with numpy (python3-numpy)")
sys.exit(77)
