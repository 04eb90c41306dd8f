"""Training of many replicas against a plain PyTorch loop, one replica after the other, in one run on one machine.

    python benchmarks/training_speed.py [--replicas 50] [--epochs 20] [--rounds 3]    (needs uv; torch goes to benchmarks/.envs)

The network 12-10-7-5-4-3-2 (tanh), 80% of the icosahedral task's 4096 patterns, Adam. Ours gets all cores; torch runs
with one thread and with all, and the faster counts. Rounds alternate, the fastest of each counts; compilation, printed
apart, does not. The floor is the time in which the same cores do the
multiplications and additions of the layers (6 a weight and pattern) as one large matrix product in single precision.
"""

import argparse
import itertools
import json
import os
import subprocess
import time
from pathlib import Path

import jax
import numpy as np

import deepnets
from deepnets.training.machine import Machine
from deepnets.training.orders import splits

TORCH = Path(__file__).with_name(".envs") / "torch"
WIDTHS = (12, 10, 7, 5, 4, 3, 2)

LOOP = """
import json, sys, time, numpy as np, torch
from torch import nn
widths, batch, epochs, data, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
file = np.load(data)
x, y = torch.tensor(file["x"], dtype=torch.float32), torch.tensor(file["y"])
layers = []
for a, b in zip(widths, widths[1:]):
    layers += [nn.Linear(a, b), nn.Tanh()]
net, loss = nn.Sequential(*layers[:-1]), nn.CrossEntropyLoss()
optimiser = torch.optim.Adam(net.parameters(), lr=4e-4)
def epoch():
    order = torch.randperm(len(x))
    for chosen in order.split(batch):
        optimiser.zero_grad()
        loss(net(x[chosen]), y[chosen]).backward()
        optimiser.step()
epoch()
begin = time.perf_counter()
for _ in range(epochs):
    epoch()
print(json.dumps([(time.perf_counter() - begin) / epochs * 1e3, torch.__version__]))
"""


def torch_python():
    """The interpreter of torch's own environment, made where it is missing."""
    python = TORCH / "bin" / "python"
    if not python.exists():
        subprocess.run(["uv", "venv", "-q", "--python", "3.11", TORCH], check=True)
        subprocess.run(["uv", "pip", "install", "-q", "--python", python, "torch==2.13.0", "numpy"], check=True)
    return python


def torch_loop(data, batch, epochs, threads):
    """(ms an epoch of one replica, torch's version)."""
    arguments = json.dumps([WIDTHS, batch, epochs, str(data), threads])
    done = subprocess.run([torch_python(), "-c", LOOP, arguments], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


class Ours:
    """One plan, compiled; :meth:`ms` times epochs of it as :func:`deepnets.train` runs them."""

    def __init__(self, task, replicas, batch):
        network = deepnets.Network(WIDTHS)
        training = deepnets.Training(epochs=1000, replicas=replicas, batch_size=batch)
        self.replicas, self.machine = replicas, Machine(network, task, training, splits(training, task.n))
        begin = time.perf_counter()
        self.state = jax.block_until_ready(self.machine.epoch(self.machine.start(), 0))
        self.compilation = time.perf_counter() - begin

    def ms(self, epochs):
        """Milliseconds a replica and epoch."""
        begin = time.perf_counter()
        for epoch in range(epochs):
            self.state = self.machine.epoch(self.state, epoch)
        jax.block_until_ready(self.state)
        return (time.perf_counter() - begin) / epochs / self.replicas * 1e3


def floor_ms(n_train):
    """(milliseconds, GFLOP/s) for the layers' multiplications and additions at the speed of one large matrix product."""
    m = np.ones((2048, 2048), np.float32)
    _ = m @ m
    begin = time.perf_counter()
    _ = m @ m
    rate = 2 * 2048**3 / (time.perf_counter() - begin)
    weights = sum(a * b for a, b in itertools.pairwise(WIDTHS))
    return 6 * weights * n_train / rate * 1e3, rate / 1e9


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicas", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    task = deepnets.icosahedral_task()
    n_train = round(0.8 * task.n)
    data = TORCH.with_name("torch-task.npz")
    torch_python()
    chosen = np.random.default_rng(0).permutation(task.n)[:n_train]
    np.savez(data, x=task.x[chosen], y=task.y[chosen])
    floor, rate = floor_ms(n_train)
    print(f"jax {jax.__version__}, {len(jax.devices())} device(s), {args.replicas} replicas, {n_train} patterns")
    print(f"floor {floor:.3f} ms a replica-epoch at {rate:.0f} GFLOP/s\n")
    print(
        "| batch | ours, ms a replica-epoch | torch loop, 1 thread / all, ms | ratio | × floor | compilation s | 10⁴ epochs, min |"
    )
    print("|---|---|---|---|---|---|---|")
    for batch in (256, 512, None):
        ours = Ours(task, args.replicas, batch)
        rounds = []
        for _ in range(args.rounds):
            peers = [torch_loop(data, batch or n_train, args.epochs, threads) for threads in (1, os.cpu_count())]
            rounds.append((ours.ms(args.epochs), *(ms for ms, _ in peers)))
        mine, *both = np.min(rounds, axis=0)
        peer = min(both)
        print(
            f"| {batch or 'full'} | {mine:.3f} | {both[0]:.2f} / {both[1]:.2f} | {peer / mine:.1f} | {mine / floor:.1f} | "
            f"{ours.compilation:.1f} | {mine * args.replicas * 1e4 / 6e4:.1f} |",
            flush=True,
        )
    print(f"\ntorch {peers[0][1]}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
