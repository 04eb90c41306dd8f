"""The network of a command: its options, what they choose, and its kernels, computed or read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dualib.core.arrays import whole
from dualib.core.command import say
from ntkinfo.datasets import Dataset
from ntkinfo.resources import LARGE, needs

if TYPE_CHECKING:
    from ntkinfo.kernels import Kernels
    from ntkinfo.networks import Network

_OWN: dict[str, str | int | float] = {
    "architecture": "mlp",
    "depth": 2,
    "activation": "erf",
    "w_std": 1.5,
    "b_std": 0.1,
}
"""The options of our own networks, and their defaults."""


def add_network(group: argparse._ArgumentGroup) -> None:
    """The options that say which network, and where its kernels are kept."""
    add = group.add_argument
    add("--architecture", choices=("mlp", "cnn"), default=_OWN["architecture"], help="fully connected, convolutional")
    add("--depth", "--layers", type=int, default=_OWN["depth"], help="hidden (or convolutional) layers")
    add("--activation", default=_OWN["activation"], help="a name of ntkinfo.activations.names()")
    add("--w-std", type=float, default=_OWN["w_std"], help="σ_w")
    add("--b-std", type=float, default=_OWN["b_std"], help="σ_b")
    text = (
        "Ω of fully connected networks, for the information in the parameters; auto: where the activation has no kink"
    )
    add("--third-kernel", choices=("auto", "yes", "no"), default="auto", help=text)
    text = "a network of your own in place of these: (init_fn, apply_fn, kernel_fn), a flax module, or what ntkinfo.adapters makes"
    add("--network", metavar="FILE.py:NAME", help=text)
    add(
        "--replicas",
        type=int,
        default=32,
        help="finite networks whose kernels are averaged where no analytic ones are known",
    )
    text = "keep the kernels there, and read them where the file exists; it is refused if it belongs to other points or another network"
    add("--kernels", type=Path, metavar="FILE.npz", help=text)


def chosen_network(a: argparse.Namespace) -> Network | None:
    """The network that the options say; None for the fully connected ones, whose kernels need no JAX.

    Raises
    ------
    ValueError
        If an option is out of range, or belongs to another network than the one chosen.
    """
    from ntkinfo.architectures import cnn
    from ntkinfo.networks import load_network

    if a.network is not None:
        extra = [name for name, default in _OWN.items() if getattr(a, name) != default]
        if extra:
            said = ", ".join(f"--{name.replace('_', '-')}" for name in extra)
            raise ValueError(f"the network of {a.network} is what its file says: leave {said} out")
    if a.third_kernel == "yes" and (a.network is not None or a.architecture != "mlp"):
        raise ValueError(
            "the third kernel is known for fully connected networks (--architecture mlp): leave --third-kernel out"
        )
    if a.network is not None:
        return load_network(a.network)
    return cnn(a.depth, a.activation, a.w_std, a.b_std) if a.architecture == "cnn" else None


def chosen_kernels(a: argparse.Namespace, network: Network | None, data: Dataset) -> Kernels:
    """The kernels on the data, with Ω where it is known and wanted."""
    from ntkinfo.activations import Activation
    from ntkinfo.kernels import dense
    from ntkinfo.networks import has_analytic_kernels, kernels_of

    points = data.x_train, data.x_test
    third = network is None and a.third_kernel != "no" and Activation.named(a.activation).has_third_kernel
    said = needs(len(points[0]), len(points[1]), third_kernel=third)
    said.check()
    if said.n_train >= LARGE:
        say(f"needs: {said.describe()}, and the time of the kernels")
    if network is None:
        scales = {"hidden_layers": a.depth, "activation": a.activation, "w_std": a.w_std, "b_std": a.b_std}
        wanted = {"auto": None, "yes": True, "no": False}[a.third_kernel]
        return dense(*points, **scales, third_kernel=wanted, cache=a.kernels)
    if not has_analytic_kernels(network):
        whole(a.replicas, "replicas", 2)
        say(f"kernels: no analytic ones are known; means over {a.replicas} finite networks", go_on=a.out is not None)
    return kernels_of(network, *points, replicas=a.replicas, seed=a.seed, cache=a.kernels)
