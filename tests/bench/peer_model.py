"""What the peers compute for one step, one session at a time: the same as beliefd for a model of that shape.

Two feature networks, the exact update of a Matrix-Normal-Inverse-Wishart posterior for the state change and of a
Normal-Inverse-Gamma one for the reward (by Sherman and Morrison, the cheapest exact form), and the policy. Networks in
float32, posteriors in float64. Weights are random: what it computes is nonsense, what it costs is not.

    python3 peer_model.py     checks both forms against the batch solution
"""
import numpy

ACTION = 6
#        observation, features, width of the basis, width of the policy
SHAPES = {"s": (20, 16, 64, 64), "m": (39, 32, 64, 128), "l": (39, 64, 128, 256)}


class Numpy:
    def __init__(self, shape):
        self.o, self.d, basis, policy = SHAPES[shape]
        rng = numpy.random.default_rng(1)

        def network(*widths):
            return [(rng.standard_normal((i, o), dtype=numpy.float32) / numpy.float32(i) ** 0.5,
                     numpy.zeros(o, numpy.float32)) for i, o in zip(widths, widths[1:])]

        self.transition = network(self.o + ACTION, basis, basis, self.d)
        self.reward = network(2 * self.o + ACTION, basis, basis, self.d)
        self.policy = network(self.o + 3 * self.d + 1, policy, policy, ACTION)
        self.sessions = {}

    @staticmethod
    def forward(network, x):
        for weight, bias in network:
            x = numpy.tanh(x @ weight + bias)
        return x

    @staticmethod
    def absorb(head, phi, y):
        covariance, mean, scale = head                 # Xi^-1 (D, D), M (D, d), Omega (d, d)
        gain = covariance @ phi
        weight = 1.0 / (1.0 + phi @ gain)
        error = y - phi @ mean
        covariance -= weight * numpy.outer(gain, gain)
        mean += weight * numpy.outer(gain, error)
        scale += weight * numpy.outer(error, error)

    def begin(self):
        def head(d):
            return numpy.eye(self.d), numpy.zeros((self.d, d)), numpy.eye(d)
        return [numpy.zeros(self.o, numpy.float32), head(self.o), head(1), 0]

    def step(self, name, observation, action, reward):
        session = self.sessions.get(name)
        if session is None:
            session = self.sessions[name] = self.begin()
        before, of_state, of_reward, count = session
        now = numpy.concatenate([before, action])
        phi = self.forward(self.transition, now).astype(numpy.float64)
        psi = self.forward(self.reward, numpy.concatenate([now, observation])).astype(numpy.float64)
        self.absorb(of_state, phi, (observation - before).astype(numpy.float64))
        self.absorb(of_reward, psi, numpy.array([reward], numpy.float64))
        session[0], session[3] = observation, count + 1
        noise = of_reward[2][0] / (count + 4)
        seen = numpy.concatenate([observation, of_state[0].diagonal(), of_reward[1][:, 0], of_reward[0].diagonal(), noise])
        return self.forward(self.policy, seen.astype(numpy.float32))


class Torch:
    def __init__(self, shape):
        import torch
        self.torch = torch
        torch.set_num_threads(1)
        torch.manual_seed(1)
        self.o, self.d, basis, policy = SHAPES[shape]
        nn = torch.nn

        def network(*widths):
            layers = []
            for i, o in zip(widths, widths[1:]):
                layers += [nn.Linear(i, o), nn.Tanh()]
            return nn.Sequential(*layers).eval()

        self.transition = network(self.o + ACTION, basis, basis, self.d)
        self.reward = network(2 * self.o + ACTION, basis, basis, self.d)
        self.policy = network(self.o + 3 * self.d + 1, policy, policy, ACTION)
        self.sessions = {}

    @staticmethod
    def absorb(head, phi, y):
        covariance, mean, scale = head
        gain = covariance @ phi
        weight = 1.0 / (1.0 + phi @ gain)
        error = y - phi @ mean
        covariance.addr_(gain, gain * -weight)
        mean.addr_(gain, error * weight)
        scale.addr_(error, error * weight)

    def begin(self):
        torch = self.torch

        def head(d):
            return (torch.eye(self.d, dtype=torch.float64), torch.zeros(self.d, d, dtype=torch.float64),
                    torch.eye(d, dtype=torch.float64))
        return [torch.zeros(self.o), head(self.o), head(1), 0]

    def step(self, name, observation, action, reward):
        torch = self.torch
        with torch.no_grad():
            session = self.sessions.get(name)
            if session is None:
                session = self.sessions[name] = self.begin()
            before, of_state, of_reward, count = session
            observation = torch.as_tensor(observation)
            now = torch.cat([before, torch.as_tensor(action)])
            phi = self.transition(now).double()
            psi = self.reward(torch.cat([now, observation])).double()
            self.absorb(of_state, phi, (observation - before).double())
            self.absorb(of_reward, psi, torch.tensor([reward], dtype=torch.float64))
            session[0], session[3] = observation, count + 1
            noise = of_reward[2][0] / (count + 4)
            seen = torch.cat([observation, of_state[0].diagonal().float(), of_reward[1][:, 0].float(),
                              of_reward[0].diagonal().float(), noise.float()])
            return self.policy(seen).numpy()


def check(model, name):
    """The posterior after 200 steps is that of ridge regression on the same features, to rounding."""
    rng = numpy.random.default_rng(2)
    phis, ys, absorb = [], [], model.absorb

    def record(head, phi, y):
        if len(y) > 1:
            phis.append(numpy.array(phi))
            ys.append(numpy.array(y))
        absorb(head, phi, y)

    model.absorb = record
    for _ in range(200):
        model.step(1, rng.standard_normal(model.o, dtype=numpy.float32),
                   rng.standard_normal(ACTION, dtype=numpy.float32), float(rng.standard_normal()))
    phi, y = numpy.array(phis), numpy.array(ys)
    precision = numpy.eye(model.d) + phi.T @ phi
    mean = numpy.linalg.solve(precision, phi.T @ y)
    rest = y - phi @ mean
    scale = numpy.eye(model.o) + rest.T @ rest + mean.T @ mean
    head = model.sessions[1][1]
    worst = max(numpy.abs(numpy.array(head[1]) - mean).max(),
                numpy.abs(numpy.array(head[0]) - numpy.linalg.inv(precision)).max(),
                numpy.abs(numpy.array(head[2]) / scale - 1).max())
    print(f"{name}: {worst:.1e} from the batch solution")
    assert worst < 1e-6


if __name__ == "__main__":
    check(Numpy("m"), "numpy")
    try:
        import torch  # noqa: F401
    except ImportError:
        print("torch is not installed")
    else:
        check(Torch("m"), "torch")
