"""bel-bench peers and memory say what they measured, in the words that others rely on.

    figures.py BEL-BENCH
"""
import json
import subprocess
import sys


def run(*arguments):
    said = subprocess.run([sys.argv[1], *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(said.strip().splitlines()[-1])


memory = run("memory", "--sessions", "200", "--connections", "20")
assert memory["packed_bytes"] == 16 * (71 * 72 // 2 + 33 * 34 // 2), memory
assert memory["session_bytes"] > memory["packed_bytes"], memory

peers = run("peers", "--seconds", "0.25")["peers"]
assert len({peer["name"] for peer in peers}) == len(peers), peers
for peer in peers:
    assert peer["cpu_us"] > 0 and peer["ours_cpu_us"] > 0, peer
    assert abs(peer["ratio"] * peer["ours_cpu_us"] / peer["cpu_us"] - 1) < 0.01, peer
print("peers:", ", ".join(f"{peer['name']} {peer['ratio']:.1f} x" for peer in peers) or "none could run here")
