#!/usr/bin/env python3
"""Our half cheetahs against the real Gymnasium's, step by step from the same state with the same actions.

    compare_gymnasium.py TRACE        (the program of trace.c)

Runs under $BELIEFD_TEST_PYTHON, if that is given, for it needs gymnasium[mujoco]. With one version of the engine the two
agree bit for bit. Versions (2.2.2 to 4.0.0 were tried) differ in the last bit, and the robot is chaotic. So an episode
is compared in pieces of 10 steps, each from the state that Gymnasium reached.
"""
import os
import subprocess
import sys

try:
    import gymnasium
    import mujoco
    import numpy as np
except ImportError as error:
    other = os.environ.get("BELIEFD_TEST_PYTHON")
    if other and os.environ.get("BELIEFD_COMPARING") != "1":
        os.environ["BELIEFD_COMPARING"] = "1"
        os.execv(other, [other, *sys.argv])
    print(f"Gymnasium with MuJoCo is not installed ({error})")
    sys.exit(77)

EPISODES, PIECES, STEPS = 5, 20, 10
TOLERANCE = 1e-7     # of the state; 5e-9 is the most that was seen
FLOAT = 2.0**-23     # observations and rewards are handed out in single precision


class Ours:
    def __init__(self, trace, world):
        self.process = subprocess.Popen([trace, world], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, word, *numbers):
        print(word, *(repr(float(x)) for x in numbers), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait()}")
        return np.array([float(x) for x in line.split()])

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def apart(ours, theirs):
    """The largest difference, relative above 1."""
    return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs))))


def compare_piece(env, ours, world, task, random, worst):
    def published():
        return np.concatenate([env.data.qpos[1:], env.data.qvel, env.data.body("torso").xpos])

    def note(name, difference):
        worst[name] = max(worst[name], difference)

    answer = ours.ask("place", task, *env.data.qpos, *env.data.qvel)
    note("observation", apart(answer[:20], published()))
    for _ in range(STEPS):
        action = random.uniform(-1.2, 1.2, 6).astype(np.float32).astype(np.float64)
        _, _, terminated, _, info = env.step(action)
        assert not terminated
        answer = ours.ask("step", *action)
        speed, cost = info["x_velocity"], 0.05 * np.sum(np.square(action))
        reward = (task * speed if world == "half-cheetah-dir" else -abs(speed - task)) - cost
        note("reward", apart(answer[:1], reward))
        note("observation", apart(answer[1:21], published()))
        note("state", apart(answer[21:], np.concatenate([env.data.qpos, env.data.qvel])))


def main():
    env = gymnasium.make("HalfCheetah-v5").unwrapped
    random = np.random.default_rng(1)
    assert env.dt == 0.05 and env.frame_skip == 5, (env.dt, env.frame_skip)
    worst = {"state": 0.0, "observation": 0.0, "reward": 0.0}
    for world in ["half-cheetah-dir", "half-cheetah-vel"]:
        ours = Ours(sys.argv[1], world)
        for episode in range(EPISODES):
            task = random.choice([-1.0, 1.0]) if world == "half-cheetah-dir" else random.uniform(0, 3)
            env.reset(seed=100 * episode + len(world))
            for _ in range(PIECES):
                qpos, qvel = env.data.qpos.copy(), env.data.qvel.copy()
                mujoco.mj_resetData(env.model, env.data)
                env.set_state(qpos, qvel)
                compare_piece(env, ours, world, task, random, worst)
        ours.close()
    print(f"{2 * EPISODES * PIECES} pieces of {STEPS} steps beside Gymnasium {gymnasium.__version__} on MuJoCo "
          f"{mujoco.__version__}: " + ", ".join(f"{name} within {value:.2g}" for name, value in worst.items()))
    if worst["state"] > TOLERANCE or max(worst["observation"], worst["reward"]) > FLOAT + TOLERANCE:
        print("They differ.")
        return 1
    return 0


sys.exit(main())
