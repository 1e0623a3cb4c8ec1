#!/usr/bin/env python3
"""One update of SAC by torch, written as CleanRL writes it, from our parameters, batch and noise: ours must end in the same
place. Then both are timed in turn, on one thread each.

    torch_sac.py SAC_STEPS [ROUNDS]
"""
import json
import os
import pathlib
import subprocess
import sys
import time

try:
    import torch
except ImportError:
    debian = pathlib.Path("/usr/bin/python3")  # python3-torch, where another Python comes first
    if debian.exists() and sys.executable != str(debian) and os.environ.get("BELIEFD_ASKED") != "1":
        os.environ["BELIEFD_ASKED"] = "1"
        os.execv(debian, [str(debian), *sys.argv])
    print("torch is not installed (python3-torch)")
    sys.exit(77)

import torch.nn.functional as F

torch.set_num_threads(1)
LOW, HIGH = -5.0, 2.0


def split(flat, sizes):
    """Our arena: weight (inputs, outputs) and bias of each layer, one after the other."""
    parameters, at = [], 0
    for n, m in zip(sizes, sizes[1:]):
        parameters.append(flat[at:at + n * m].reshape(n, m).clone().requires_grad_())
        at += n * m
        parameters.append(flat[at:at + m].clone().requires_grad_())
        at += m
    assert at == len(flat)
    return parameters


def join(parameters):
    return torch.cat([p.detach().reshape(-1) for p in parameters])


def net(parameters, x):
    for i in range(0, len(parameters), 2):
        x = x @ parameters[i] + parameters[i + 1]
        if i + 2 < len(parameters):
            x = torch.relu(x)
    return x


def draw(parameters, x, noise):
    mean, raw = net(parameters, x).chunk(2, dim=-1)
    log_sd = LOW + 0.5 * (HIGH - LOW) * (torch.tanh(raw) + 1)
    u = mean + log_sd.exp() * noise
    density = torch.distributions.Normal(mean, log_sd.exp()).log_prob(u)
    # ln(1 - tanh^2 u) in the stable form, as torch's own TanhTransform has it.
    density = density - 2 * (0.6931471805599453 - u - F.softplus(-2 * u))
    return torch.tanh(u), density.sum(1, keepdim=True)


class Sac:
    def __init__(self, actor, critics, targets, log_alpha, actions):
        self.actor, self.critics, self.targets, self.log_alpha = actor, critics, targets, log_alpha
        self.q_steps = torch.optim.Adam([p for critic in critics for p in critic], lr=1e-3)
        self.actor_steps = torch.optim.Adam(actor, lr=3e-4)
        self.alpha_steps = torch.optim.Adam([log_alpha], lr=1e-3)
        self.wanted = -actions

    def update_critics(self, seen, action, reward, goes_on, after, noise):
        alpha = self.log_alpha.exp().item()
        with torch.no_grad():
            next_action, density = draw(self.actor, after, noise)
            both = torch.cat([after, next_action], 1)
            value = torch.min(net(self.targets[0], both), net(self.targets[1], both)) - alpha * density
            y = reward + 0.99 * goes_on * value
        both = torch.cat([seen, action], 1)
        loss = sum(F.mse_loss(net(critic, both), y) for critic in self.critics)
        self.q_steps.zero_grad()
        loss.backward()
        self.q_steps.step()
        with torch.no_grad():
            for critic, target in zip(self.critics, self.targets):
                for p, t in zip(critic, target):
                    t.copy_(0.005 * p + 0.995 * t)

    def update_actor(self, seen, noise):
        alpha = self.log_alpha.exp().item()
        action, density = draw(self.actor, seen, noise)
        both = torch.cat([seen, action], 1)
        loss = (alpha * density - torch.min(net(self.critics[0], both), net(self.critics[1], both))).mean()
        self.actor_steps.zero_grad()
        loss.backward()
        self.actor_steps.step()
        loss = (-self.log_alpha.exp() * (density.detach() + self.wanted)).mean()
        self.alpha_steps.zero_grad()
        loss.backward()
        self.alpha_steps.step()


def check(program):
    ours = json.loads(subprocess.run([program, "check"], check=True, capture_output=True, text=True).stdout)
    B, I, A, H = ours["sizes"]

    def tensor(name, *shape):
        values = torch.tensor(ours[name], dtype=torch.float32)
        return values.reshape(*shape) if shape else values

    actor, critic = [I, H, H, 2 * A], [I + A, H, H, 1]
    sac = Sac(split(tensor("actor_before"), actor), [split(tensor(f"critic{k}_before"), critic) for k in range(2)],
              [split(tensor(f"target{k}_before"), critic) for k in range(2)],
              tensor("temperature_before").clone().requires_grad_(), A)
    judged, after = tensor("judged", B, I + A), tensor("next_input", B, I)
    seen, action = judged[:, :I], judged[:, I:]
    sac.update_critics(seen, action, tensor("reward", B, 1), tensor("goes_on", B, 1), after, tensor("critic_noise", B, A))
    sac.update_actor(seen, tensor("actor_noise", B, A))
    theirs = {"actor": join(sac.actor), "temperature": sac.log_alpha.detach()}
    for k in range(2):
        theirs[f"critic{k}"], theirs[f"target{k}"] = join(sac.critics[k]), join(sac.targets[k])
    for name, values in theirs.items():
        mine, before = tensor(f"{name}_after"), tensor(f"{name}_before")
        moved = float((values - before).abs().max())
        apart = (mine - values).abs()
        # Adam's first step is rate * sign: where a gradient is nearly zero its sign is rounding's.
        off = float(apart.sort().values[int(0.98 * (len(apart) - 1))])
        print(f"{name}: moved {moved:.2g}, apart {off:.2g}, at most {float(apart.max()):.2g}")
        assert moved > 0 and off < max(1e-3 * moved, 6e-8), name  # or what a float rounds to


def measure(program, rounds):
    B, I, A, H = 256, 17, 6, 256
    torch.manual_seed(1)

    def made(sizes):
        return split(torch.cat([torch.randn(n * m + m) / n**0.5 for n, m in zip(sizes, sizes[1:])]), sizes)

    critics = [made([I + A, H, H, 1]) for _ in range(2)]
    targets = [[p.detach().clone() for p in critic] for critic in critics]
    sac = Sac(made([I, H, H, 2 * A]), critics, targets, torch.zeros(1, requires_grad=True), A)
    seen, after, reward = torch.randn(B, I), torch.randn(B, I), torch.randn(B, 1)
    action, goes_on = torch.tanh(torch.randn(B, A)), torch.ones(B, 1)
    best, mine, core = float("inf"), float("inf"), ""
    for _ in range(rounds):
        start = time.process_time()
        for u in range(1, 21):
            sac.update_critics(seen, action, reward, goes_on, after, torch.randn(B, A))
            for _ in range(2 if u % 2 == 0 else 0):
                sac.update_actor(seen, torch.randn(B, A))
        best = min(best, (time.process_time() - start) * 1e3 / 20)
        told = json.loads(subprocess.run([program, "time", "1", "1"], check=True, capture_output=True, text=True).stdout)
        mine, core = min(mine, told["cpu"]), told["core"]
    print(json.dumps({"torch": torch.__version__, "torch_ms": round(best, 3), "ours_ms": round(mine, 3), "core": core,
                      "ratio": round(best / mine, 2)}))


check(sys.argv[1])
measure(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1)
