#!/usr/bin/env python3
"""Our robots against the real Gymnasium's, step by step from the same state with the same actions.

    compare_gymnasium.py TRACE        (the program of trace.c)

Runs under $BELIEFD_TEST_PYTHON, if that is given, for it needs gymnasium[mujoco]. With one version of the engine the two
agree to the last bits. Versions differ in the last bit (2.2.2 to 4.0.0 were tried), some differ in what a margin of a
contact means, and the robots are chaotic. So an episode is compared in pieces of 10 steps, each from the state that
Gymnasium reached. What our worlds observe and pay is written here a second time, from Gymnasium's data.
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

EPISODES, PIECES, STEPS = 3, 12, 10
TOLERANCE = 1e-7     # of the state; 5e-9 is the most that was seen
ROUND = 1e-9         # what the published descriptions' rounding makes of hopper and walker
FLOAT = 2.0**-23     # observations and rewards are handed out in single precision


class Ours:
    def __init__(self, trace, world):
        self.process = subprocess.Popen([trace, world], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.obs, self.act, self.task, self.nq, self.nv = (int(x) for x in self.read())

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.process.args} ended with {self.process.wait()}")
        return [float(x) for x in line.split()]

    def ask(self, word, *numbers):
        print(word, *(repr(float(x)) for x in numbers), file=self.process.stdin, flush=True)
        return np.array(self.read())

    def close(self):
        self.process.stdin.close()
        assert self.process.wait() == 0


def apart(ours, theirs):
    """The largest difference, relative above 1."""
    return float(np.max(np.abs(ours - theirs) / np.maximum(1, np.abs(theirs)), initial=0))


class Robot:
    """A world, as Gymnasium's environment and what is different from it."""

    scale = 1.0  # of an action before Gymnasium gets it

    def __init__(self, environment, timestep=None, **arguments):
        self.env = gymnasium.make(environment, **arguments).unwrapped
        if timestep:
            self.env.model.opt.timestep = timestep
        self.d, self.m = self.env.data, self.env.model

    def draw(self, random):
        return np.zeros(0)

    def apply(self, task):
        pass

    def before(self):
        pass

    def fell(self):
        return False

    def contacts(self):
        return np.clip(self.d.cfrc_ext, -1, 1)


class HalfCheetah(Robot):
    def __init__(self, kind):
        super().__init__("HalfCheetah-v5")
        self.kind = kind
        assert self.env.dt == 0.05 and self.env.frame_skip == 5, (self.env.dt, self.env.frame_skip)

    def draw(self, random):
        return {"plain": np.zeros(0), "dir": random.choice([-1.0, 1.0], 1), "vel": random.uniform(0, 3, 1)}[self.kind]

    def observe(self):
        place = [] if self.kind == "plain" else [self.d.body("torso").xpos]
        return np.concatenate([self.d.qpos[1:], self.d.qvel, *place])

    def pay(self, task, action, info):
        speed, square = info["x_velocity"], np.sum(np.square(action))
        if self.kind == "plain":
            return speed - 0.1 * square
        return (task[0] * speed if self.kind == "dir" else -abs(speed - task[0])) - 0.05 * square


class RandParams(Robot):
    def __init__(self, environment, **arguments):
        super().__init__(environment, timestep=0.004, **arguments)
        self.mean = [(getattr(self.m, name), getattr(self.m, name).copy(), base) for name, base in
                     [("body_mass", 1.5), ("body_inertia", 1.5), ("dof_damping", 1.3), ("geom_friction", 1.5)]]
        assert abs(self.env.dt - 0.016) < 1e-12

    def draw(self, random):
        return random.uniform(-3, 3, sum(mean.size for _, mean, _ in self.mean))

    def apply(self, task):
        for numbers, mean, base in self.mean:
            numbers[:] = mean * base ** task[:mean.size].reshape(mean.shape)
            task = task[mean.size:]

    def observe(self):
        return np.concatenate([self.d.qpos[1:], np.clip(self.d.qvel, -10, 10)])

    def pay(self, task, action, info):
        return info["x_velocity"] + 1 - 1e-3 * np.sum(np.square(action))

    def fell(self):
        return not self.env.is_healthy


class Ant(Robot):
    def __init__(self, kind):
        super().__init__("Ant-v5")
        self.kind = kind
        assert self.env.dt == 0.05

    def draw(self, random):
        angle, radius = random.uniform(0, 2 * np.pi), 3 * np.sqrt(random.uniform())
        circle = np.array([np.cos(angle), np.sin(angle)])
        return {"2d": circle, "goal": radius * circle}.get(self.kind, random.choice([-1.0, 1.0], 1))

    def observe(self):
        if self.kind == "goal":
            return np.concatenate([self.d.qpos, self.d.qvel, self.contacts().ravel()])
        return np.concatenate([self.d.qpos[2:], self.d.qvel])

    def pay(self, task, action, info):
        square, contact = np.sum(np.square(action)), 5e-4 * np.sum(np.square(self.contacts()))
        if self.kind == "goal":
            return -np.sum(np.abs(self.d.body("torso").xpos[:2] - task)) - 0.1 * square - contact
        velocity = np.array([info["x_velocity"], info["y_velocity"]])
        way = {"dir": [task[0], 0], "2d": task, "radians": [np.cos(task[0]), np.sin(task[0])]}[self.kind]
        return velocity @ way + 1 - 0.5 * square - contact

    def fell(self):
        return self.kind != "goal" and not self.env.is_healthy


class Humanoid(Robot):
    scale = 0.4

    def __init__(self):
        super().__init__("Humanoid-v5")
        assert abs(self.env.dt - 0.015) < 1e-12

    def draw(self, random):
        angle = random.uniform(0, 2 * np.pi)
        return np.array([np.cos(angle), np.sin(angle)])

    def observe(self):
        d = self.d
        return np.concatenate([d.qpos[2:], d.qvel, d.cinert.ravel(), d.cvel.ravel(), d.qfrc_actuator,
                               d.cfrc_ext.ravel()])

    def pay(self, task, action, info):
        contact = min(5e-7 * np.sum(np.square(self.d.cfrc_ext)), 10)
        velocity = np.array([info["x_velocity"], info["y_velocity"]])
        return 1.25 * velocity @ task + 5 - 0.1 * np.sum(np.square(action)) - contact

    def fell(self):
        return not self.env.is_healthy


class Reacher(Robot):
    def __init__(self):
        super().__init__("Reacher-v5")

    def draw(self, random):
        return random.uniform(-0.14, 0.14, 2)

    def apply(self, task):
        self.d.qpos[2:], self.d.qvel[2:] = task, 0

    def observe(self):
        return np.concatenate([np.cos(self.d.qpos[:2]), np.sin(self.d.qpos[:2]), self.d.qvel[:2]])

    def pay(self, task, action, info):
        return info["reward_dist"] + info["reward_ctrl"]


class Pusher(Robot):
    scale = 2.0

    def __init__(self):
        super().__init__("Pusher-v5")

    def draw(self, random):
        return np.array([0.45, -0.05]) + random.uniform(-0.1, 0.1, 2)

    def apply(self, task):
        self.d.qpos[-1], self.d.qpos[-2] = task - np.array([0.45, -0.05])

    def observe(self):
        return np.concatenate([self.d.qpos[:7], self.d.qvel[:7], self.d.body("tips_arm").xpos,
                               self.d.body("object").xpos])

    def pay(self, task, action, info):
        return info["reward_dist"] + info["reward_ctrl"] + info["reward_near"]


def walker_file():
    """The walker of the fourth version, whose right foot has less friction."""
    return os.path.join(os.path.dirname(gymnasium.envs.mujoco.__file__), "assets", "walker2d.xml")


ROBOTS = {
    "half-cheetah": lambda: HalfCheetah("plain"),
    "half-cheetah-dir": lambda: HalfCheetah("dir"),
    "half-cheetah-vel": lambda: HalfCheetah("vel"),
    "hopper-params": lambda: RandParams("Hopper-v5"),
    "walker-params": lambda: RandParams("Walker2d-v5", xml_file=walker_file()),
    "ant-dir": lambda: Ant("dir"),
    "ant-dir-2d": lambda: Ant("2d"),
    "ant-dir-radians": lambda: Ant("radians"),
    "ant-goal": lambda: Ant("goal"),
    "humanoid-dir": Humanoid,
    "reacher-goal": Reacher,
    "pusher-goal": Pusher,
}
ALWAYS = ("half-cheetah", "walker", "reacher")  # whose contacts have no margins, or who have none


def compare_piece(robot, ours, task, random, worst):
    env, data = robot.env, robot.d

    def note(name, difference):
        worst[name] = max(worst[name], difference)

    answer = ours.ask("place", *task, *data.qpos, *data.qvel)
    mujoco.mj_rnePostConstraint(env.model, data)
    note("observation", apart(answer[:ours.obs], robot.observe()))
    for _ in range(STEPS):
        action = random.uniform(-1.2, 1.2, ours.act).astype(np.float32).astype(np.float64)
        _, _, _, _, info = env.step(robot.scale * action)
        answer = ours.ask("step", *action)
        ended, reward, observation, state = np.split(answer, [1, 2, 2 + ours.obs])
        note("observation", apart(observation, robot.observe()))
        note("reward", apart(reward, robot.pay(task, robot.scale * action, info)))
        note("state", apart(state, np.concatenate([data.qpos, data.qvel])))
        assert bool(ended[0]) == robot.fell(), (ended, data.qpos)
        if ended[0]:
            return False
    return True


def compare(world, trace, random):
    robot, ours = ROBOTS[world](), Ours(trace, world)
    env, worst, pieces = robot.env, {"state": 0.0, "observation": 0.0, "reward": 0.0}, 0
    for episode in range(EPISODES):
        task = robot.draw(random)
        assert len(task) == ours.task, (world, len(task), ours.task)
        env.reset(seed=100 * episode + len(world))
        robot.apply(task)
        for _ in range(PIECES):
            qpos, qvel = env.data.qpos.copy(), env.data.qvel.copy()
            mujoco.mj_resetData(env.model, env.data)
            env.set_state(qpos, qvel)
            pieces += 1
            if not compare_piece(robot, ours, task, random, worst):
                break
    ours.close()
    print(f"{world}: {pieces} pieces of {STEPS} steps, " +
          ", ".join(f"{name} within {value:.2g}" for name, value in worst.items()))
    return worst


def main():
    engine = subprocess.run([sys.argv[1], "--engine"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    same = engine == mujoco.__version__
    print(f"MuJoCo {engine} beside Gymnasium {gymnasium.__version__} on MuJoCo {mujoco.__version__}")
    random, failed = np.random.default_rng(1), False
    for world in ROBOTS:
        if not same and not world.startswith(ALWAYS):
            print(f"{world}: not compared, its contacts have margins, which mean something else in other versions")
            continue
        worst = compare(world, sys.argv[1], random)
        failed |= worst["state"] > TOLERANCE or max(worst["observation"], worst["reward"]) > FLOAT + TOLERANCE
    if failed:
        print("They differ.")
    return failed


sys.exit(main())
