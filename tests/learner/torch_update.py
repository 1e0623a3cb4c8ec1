#!/usr/bin/env python3
"""What an iteration's updates cost here and in PyTorch, the same mathematics in the same run.

    torch_update.py PHASES

One iteration of half-cheetah-vel: 6,400 frames, PPO with 8 epochs of minibatches of 200 (actor and critic of 2 x 128
tanh), then 16 updates of the reward basis (2 x 64 tanh, 8 features) on the exact evidence of 8 tasks with 100
transitions each; Adam, gradients clipped by their norm. One thread each; microseconds of CPU for each frame. The last
line is JSON: {"ours_us", "torch_us", "ratio"}.
"""
import json
import math
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    print("skipped: no torch")
    sys.exit(77)

FRAMES, EPOCHS, MINIBATCH = 6400, 8, 200
OBSERVATION, ACTION, SHOWN, PROBED = 20, 6, 13, 8
UPDATES, TASKS, STEPS = 16, 8, 100
torch.set_num_threads(1)
torch.manual_seed(1)


def net(*sizes):
    layers = []
    for i in range(len(sizes) - 1):
        layers += [torch.nn.Linear(sizes[i], sizes[i + 1])] + ([torch.nn.Tanh()] if i + 2 < len(sizes) else [])
    return torch.nn.Sequential(*layers)


actor, critic = net(OBSERVATION + SHOWN, 128, 128, ACTION), net(OBSERVATION + SHOWN + 1, 128, 128, 1)
log_sd = torch.nn.Parameter(torch.full((ACTION,), -1.0))
actor_adam = torch.optim.Adam([*actor.parameters(), log_sd], 3e-4, eps=1e-5)
critic_adam = torch.optim.Adam(critic.parameters(), 3e-4, eps=1e-5)


def density(mean, action):
    return (-0.5 * ((action - mean) / log_sd.exp()) ** 2 - log_sd - 0.5 * math.log(2 * math.pi)).sum(-1)


def policy_update(data):
    inputs, actions, before, advantages, values, targets = data
    for _ in range(EPOCHS):
        order = torch.randperm(FRAMES)
        for start in range(0, FRAMES, MINIBATCH):
            rows = order[start:start + MINIBATCH]
            ratio = (density(actor(inputs[rows, :OBSERVATION + SHOWN]), actions[rows]) - before[rows]).exp()
            gain = advantages[rows]
            loss = -torch.min(ratio * gain, ratio.clamp(0.8, 1.2) * gain).mean()
            actor_adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_([*actor.parameters(), log_sd], 0.5)
            actor_adam.step()
            value = critic(inputs[rows])[:, 0]
            clipped = values[rows] + (value - values[rows]).clamp(-0.2, 0.2)
            loss = torch.max((value - targets[rows]) ** 2, (clipped - targets[rows]) ** 2).mean()
            critic_adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(critic.parameters(), 0.5)
            critic_adam.step()


basis = net(2 * OBSERVATION + ACTION, 64, 64, PROBED - 1)
prior_mean = torch.nn.Parameter(torch.zeros(PROBED, dtype=torch.float64))
log_precision = torch.nn.Parameter(torch.zeros(PROBED, dtype=torch.float64))
basis_adam = torch.optim.Adam([*basis.parameters(), prior_mean, log_precision], 1e-2)


def evidence(inputs, y, scale=0.02, degrees=2.0):
    """ln p(y) of all tasks (TASKS, STEPS) in one batch: what favours torch."""
    features = torch.tanh(basis(inputs)).double()
    features = torch.cat([features, torch.ones(*features.shape[:-1], 1, dtype=torch.float64)], -1)
    precision = torch.diag(log_precision.exp())
    after = precision + features.transpose(1, 2) @ features
    factor = torch.linalg.cholesky(after)
    right = (precision @ prior_mean)[:, None] + features.transpose(1, 2) @ y[:, :, None]
    mean = torch.cholesky_solve(right, factor)
    rest = y[:, :, None] - features @ mean
    away = mean - prior_mean[:, None]
    omega = scale + (rest ** 2).sum((1, 2)) + (away.transpose(1, 2) @ precision @ away)[:, 0, 0]
    degrees_after = degrees + y.shape[1]
    return (0.5 * (log_precision.sum() - 2 * factor.diagonal(dim1=1, dim2=2).log().sum(1))
            + 0.5 * degrees * math.log(scale) - 0.5 * degrees_after * omega.log()
            + math.lgamma(degrees_after / 2) - math.lgamma(degrees / 2) - 0.5 * y.shape[1] * math.log(math.pi))


def basis_update(inputs, y):
    for _ in range(UPDATES):
        loss = -evidence(inputs, y).mean() / STEPS
        basis_adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*basis.parameters(), prior_mean, log_precision], 1)
        basis_adam.step()


inputs = torch.randn(FRAMES, OBSERVATION + SHOWN + 1)
with torch.no_grad():
    means = actor(inputs[:, :OBSERVATION + SHOWN])
    actions = means + log_sd.exp() * torch.randn(FRAMES, ACTION)
    data = (inputs, actions, density(means, actions), torch.randn(FRAMES), torch.randn(FRAMES), torch.randn(FRAMES))
tasks = torch.randn(TASKS, STEPS, 2 * OBSERVATION + ACTION), torch.randn(TASKS, STEPS, dtype=torch.float64)

best, ours = math.inf, None
for repeat in range(3):
    started = time.process_time()
    policy_update(data)
    basis_update(*tasks)
    best = min(best, (time.process_time() - started) / FRAMES * 1e6)
    phases = json.loads(subprocess.run([sys.argv[1], "half-cheetah-vel", "4"], check=True, stdout=subprocess.PIPE,
                                       stderr=subprocess.DEVNULL).stdout)
    mine = phases["policy_us"] + phases["inference_us"]
    ours = mine if ours is None else min(ours, mine)
print(f"torch {torch.__version__}, OpenBLAS {phases['blas']}; best of three")
print(json.dumps({"ours_us": round(ours, 2), "torch_us": round(best, 2), "ratio": round(best / ours, 2)}))
