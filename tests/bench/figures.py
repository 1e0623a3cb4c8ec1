"""bel-bench serve, peers, memory and worlds say what they measured, in the words that others rely on.

    figures.py BEL-BENCH
"""
import json
import subprocess
import sys


def run(*arguments):
    said = subprocess.run([sys.argv[1], *arguments, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(said.strip().splitlines()[-1])


logged = run("serve", "--log", "on", "--seconds", "0.5")
assert 0 < logged["off_p50_us"] and 0 < logged["on_p50_us"], logged
assert logged["logged"] > 0 and logged["logged_per_s"] > 0, logged
assert logged["loop_us"] > 0 and logged["log_us"] > 0, logged

loops = run("serve", "--loops", "2", "--seconds", "0.5")
assert loops["loops"] == 2 and loops["one_cpu_us"] > 0 and loops["loops_cpu_us"] > 0, loops
assert subprocess.run([sys.argv[1], "serve", "--loops", "2", "--log", "on"], stderr=subprocess.DEVNULL).returncode == 2

memory = run("memory", "--sessions", "200", "--connections", "20")
assert memory["packed_bytes"] == 16 * (71 * 72 // 2 + 33 * 34 // 2), memory
# Pages are the unit, and what an allocator kept back before may serve now: some slack below, none above.
assert 0.5 < memory["ratio"] < 3 and abs(memory["ratio"] - memory["session_bytes"] / memory["packed_bytes"]) < 0.001, memory

peers = run("peers", "--seconds", "0.25")["peers"]
assert len({peer["name"] for peer in peers}) == len(peers), peers
for peer in peers:
    assert peer["cpu_us"] > 0 and peer["ours_cpu_us"] > 0, peer
    assert abs(peer["ratio"] - peer["cpu_us"] / peer["ours_cpu_us"]) < 0.001 + 0.01 * peer["ratio"], peer
print("peers:", ", ".join(f"{peer['name']} {peer['ratio']:.1f} x" for peer in peers) or "none could run here")

worlds = run("worlds", "--seconds", "0.02")["worlds"]
assert len({world["world"] for world in worlds}) == len(worlds) > 10, worlds
assert all(world["steps_per_second"] > 0 and world.get("of_engine", 1) > 0.3 for world in worlds), worlds
assert "of_engine" not in next(world for world in worlds if world["world"] == "point"), worlds
assert [world["world"] for world in run("worlds", "--world", "ant-goal", "--seconds", "0.02")["worlds"]] == ["ant-goal"]
for wrong in (["--world", "x"], ["--seconds", "0"], ["more"]):
    assert subprocess.run([sys.argv[1], "worlds", *wrong], stderr=subprocess.DEVNULL).returncode == 2, wrong
