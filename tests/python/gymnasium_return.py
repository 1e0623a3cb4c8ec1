#!/usr/bin/env python3
"""The real Gymnasium's HalfCheetah, driven through the daemon by the Python package, earns what our own world's does.

    gymnasium_return.py BELIEFD MODEL BEL_ROLLOUT

Tasks are target speeds between 0 and 3 m/s, the reward is that of docs/worlds.md, and the model is the one that we ship.
Here the speeds are the middles of 24 equal parts of 0..3, in bel-rollout 120 drawn ones, in ten batches.

Tolerance: the two means may be four standard errors of their difference apart. Each error is reckoned from its own
returns: ours from the batches of bel-rollout, Gymnasium's from the tasks (they spread by what the speed is, which even
spacing takes out of the mean; so its error is, if anything, too large). Robots fall now and then and such a return is
ten times the others', so the errors are what they are: 1 to 3, where a policy that does not adapt earns 220 less. Both
sides are seeded; what is left to chance are versions of the engine.
"""
import json
import re
import subprocess
import sys
from pathlib import Path

import support

support.require(*support.NEEDED, "gymnasium", "mujoco")
import gymnasium  # noqa: E402
import numpy as np  # noqa: E402

beliefd = support.install_package()
PROGRAM, MODEL, ROLLOUT = sys.argv[1:4]
TASKS, EPISODES, STEPS = 24, 2, 200
BATCHES, BATCH = 10, 12
ERRORS = 4.0
ADAPTED = -60.0  # what adapts earns more than this, what does not less than -200


def published(robot):
    return np.concatenate([robot.data.qpos[1:], robot.data.qvel, robot.data.body("torso").xpos])


def run_task(env, session, speed, seed):
    """Returns of the episodes of one task."""
    robot, returns = env.unwrapped, []
    for episode in range(EPISODES):
        env.reset(seed=seed + episode)
        action, returned = session.act(published(robot)), 0.0
        for step in range(STEPS):
            _, _, terminated, _, info = env.step(action)
            assert not terminated
            reward = -abs(info["x_velocity"] - speed) - 0.05 * float(np.sum(np.square(action, dtype=np.float64)))
            returned += reward
            if step + 1 < STEPS:
                action, report = session.step(reward, published(robot))
            else:
                report = session.step_last(reward, published(robot))
            assert report.status == beliefd.Status.ABSORBED, report
        returns.append(returned)
    assert report.count == EPISODES * STEPS
    return returns


def theirs(belief):
    env = gymnasium.make("HalfCheetah-v4", max_episode_steps=STEPS + 1)
    returns = []
    for i in range(TASKS):
        with belief.session(f"gymnasium-{i}") as session:
            returns.append(run_task(env, session, 3 * (i + 0.5) / TASKS, 1000 * i))
            session.close(forget=True)
    return np.array(returns)


def ours(address):
    returns = []
    for seed in range(1, BATCHES + 1):
        out = subprocess.run([ROLLOUT, "--world", "half-cheetah-vel", "--connect", address, "--count", str(BATCH),
                              "--seed", str(seed), "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
        told = json.loads(out.splitlines()[-1])
        returns.append([told["return_first_episode"], told["return_second_episode"]])
    return np.array(returns)


def run_readme(address):
    """The ten lines of the package's README, as they stand there but for the address."""
    text = (Path(support.ROOT) / "client" / "python" / "README.md").read_text()
    lines = re.search(r"```python\n(.*?)```", text, re.S).group(1)
    assert "unix:/run/beliefd/socket" in lines
    names = {}
    exec(compile(lines.replace("unix:/run/beliefd/socket", address), "README.md", "exec"), names)
    assert names["report"].count == 200 and abs(names["speed"] - 2) < 1, names["speed"]


daemon = support.Daemon(PROGRAM, MODEL)
try:
    with beliefd.connect(daemon.address, timeout=20) as belief:
        gym = theirs(belief)
    own = ours(daemon.address)
    run_readme(daemon.address)
finally:
    ended = daemon.stop()
assert ended == 0

failed = False
for episode in range(EPISODES):
    means = gym[:, episode].mean(), own[:, episode].mean()
    errors = [returns[:, episode].std(ddof=1) / np.sqrt(len(returns)) for returns in (gym, own)]
    allowed = ERRORS * float(np.hypot(*errors))
    apart = abs(means[0] - means[1])
    print(f"episode {episode + 1}: Gymnasium {gymnasium.__version__} {means[0]:.2f} +- {errors[0]:.2f} over {TASKS} "
          f"tasks, bel-rollout {means[1]:.2f} +- {errors[1]:.2f} over {BATCHES * BATCH}; apart {apart:.2f}, allowed "
          f"{allowed:.2f}")
    failed |= apart > allowed or min(means) < ADAPTED
if failed:
    print("They differ by more than chance, or did not adapt.")
sys.exit(1 if failed else 0)
