"""Recording of networks of torch, flax, equinox and keras in two lines: one before the training, one in its loop.

.. code-block:: python

    follow = deepnets.recordings.follow_torch(recorder, model, x)
    for epoch in range(1, 101):
        ...  # train
        follow(epoch, test_accuracy=accuracy)

Each library is imported where it is used, and is none that this package needs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

from deepnets.recordings.recorder import Recorder
from deepnets.recordings.records import Range
from dualib.core.typing import ArrayLike

if TYPE_CHECKING:
    import keras
    import torch

OUTPUT = "output"
RANGES: dict[str, Range] = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0), "softmax": (0.0, 1.0), "relu": (0.0, inf)}
"""Between which numbers an activation function lies, by its name in lower case."""

Forward = Callable[[Any, Any], Mapping[str, ArrayLike]]


def _softmax(outputs: ArrayLike) -> np.ndarray:
    from scipy.special import softmax

    return np.asarray(softmax(np.asarray(outputs, dtype=np.float64), axis=-1))


def _add(recorder: Recorder, epoch: int, layers: Mapping[str, ArrayLike], softmax: bool, **more: Any) -> None:
    """Add layers, the last of which are outputs."""
    found = dict(layers)
    last = list(found)[-1]
    if softmax:
        found[last] = _softmax(found[last])
        recorder.ranges.setdefault(last, RANGES["softmax"])
    recorder.add(epoch, found, **more)


@dataclass
class FollowTorch:
    """What :func:`follow_torch` returns: called with an epoch, it records the model there."""

    recorder: Recorder
    model: torch.nn.Module
    x: torch.Tensor
    layers: tuple[str, ...]
    replica: int
    softmax: bool

    def __call__(self, epoch: int, **scores: float) -> None:
        """Record the model as it is, without dropout and other noise of training."""
        import torch

        found: dict[str, torch.Tensor] = {}

        def keep(name: str) -> Callable[..., None]:
            def hook(module: object, inputs: object, output: torch.Tensor) -> None:
                count = sum(known == name or known.startswith(f"{name}#") for known in found)
                found[f"{name}#{count}" if count else name] = output

            return hook

        modules, training = dict(self.model.named_modules()), self.model.training
        hooks = [modules[name].register_forward_hook(keep(name)) for name in self.layers]
        try:
            with torch.no_grad():
                output = self.model.eval()(self.x)
        finally:
            self.model.train(training)
            for one in hooks:
                one.remove()
        weights = {name: p for name, p in self.model.named_parameters() if p.ndim > 1}
        layers = {**{name: t.detach().cpu() for name, t in found.items()}, OUTPUT: output.detach().cpu()}
        _add(self.recorder, epoch, layers, self.softmax, replica=self.replica, weights=weights, **scores)

    def batch(self, epoch: int, size: int) -> None:
        """Count the gradients of a batch of `size` patterns: called after ``backward()`` in the epoch that will be recorded."""
        gradients = {name: p.grad for name, p in self.model.named_parameters() if p.ndim > 1 and p.grad is not None}
        self.recorder.batch(epoch, gradients, size, replica=self.replica)


def follow_torch(
    recorder: Recorder,
    model: torch.nn.Module,
    x: torch.Tensor,
    layers: Sequence[str] | None = None,
    *,
    replica: int = 0,
    softmax: bool = True,
) -> FollowTorch:
    """Record a model of torch, with its weights and, by ``batch``, its gradients.

    Parameters
    ----------
    recorder : Recorder
    model : torch.nn.Module
    x : tensor, shape (n, …)
        The patterns, in the order of the recorder's labels, where the model is.
    layers : sequence of str or None
        Names of modules, as in ``model.named_modules()``, first layer first; by default those that are activation functions
        (``torch.nn.Tanh`` and the like). The model's output comes last.
    replica : int
    softmax : bool
        Whether the softmax of the output is recorded in place of the output.

    Raises
    ------
    ValueError
        If a module is not there, or none is an activation function (the modules are listed).

    Examples
    --------
    >>> follow = follow_torch(recorder, model, x)  # doctest: +SKIP
    >>> for epoch in range(1, 101):  # doctest: +SKIP
    ...     train(model)
    ...     follow(epoch, test_accuracy=accuracy(model))
    """
    modules = {name: module for name, module in model.named_modules() if name}
    kinds = {name: type(module) for name, module in modules.items()}
    own = [name for name, kind in kinds.items() if kind.__module__ == "torch.nn.modules.activation"]
    chosen = tuple(own if layers is None else layers)
    missing = [name for name in chosen if name not in modules]
    if missing or not chosen:
        said = f"there is no module {missing[0]!r}" if missing else "no module of the model is an activation function"
        raise ValueError(f"{said}: give layers=, names among {', '.join(modules)}")
    for name in chosen:
        known = RANGES.get(kinds[name].__name__.lower())
        if known is not None:
            recorder.ranges.setdefault(name, known)
    return FollowTorch(recorder, model, x, chosen, replica, softmax)


def follow_flax(
    recorder: Recorder, model: Any, x: ArrayLike, *, replica: int = 0, softmax: bool = True
) -> Callable[..., None]:
    """Record a network of flax: ``follow(epoch, params, **scores)`` of linen, ``follow(epoch, **scores)`` of nnx.

    Layers are what the network sows into "intermediates" (``self.sow("intermediates", "hidden", h)``; of nnx,
    ``self.sow(nnx.Intermediate, "hidden", h)``), by their names; of a linen network that sows nothing, the outputs of its modules,
    which bear no activation function. The output comes last. Of linen the weights are recorded too, and
    ``recorder.batch(epoch, kernels(gradients["params"]), size)`` counts the gradients of a batch.

    Parameters
    ----------
    recorder : Recorder
    model : flax.linen.Module or flax.nnx.Module
    x : array, shape (n, …)
        The patterns, in the order of the recorder's labels.
    replica : int
    softmax : bool
        Whether the softmax of the output is recorded in place of the output.

    Examples
    --------
    >>> follow = follow_flax(recorder, module, x)  # doctest: +SKIP
    >>> follow(epoch, params, test_accuracy=0.9)  # doctest: +SKIP
    """
    nnx = import_module("flax.nnx")  # untyped, installed or not

    def of_linen(epoch: int, params: Mapping[str, Any], **scores: float) -> None:
        variables = params if "params" in params else {"params": params}
        output, state = model.apply(variables, x, capture_intermediates=True, mutable=["intermediates"])
        found = _named(state.get("intermediates", {}))
        sown = {name: t for name, t in found.items() if not name.endswith("__call__")}
        modules = {name.removesuffix("/__call__"): t for name, t in found.items() if name.endswith("/__call__")}
        if not sown and modules and next(reversed(modules.values())) is output:
            modules.popitem()
        layers = {**(sown or modules), OUTPUT: output}
        _add(recorder, epoch, layers, softmax, replica=replica, weights=kernels(variables["params"]), **scores)

    def of_nnx(epoch: int, **scores: float) -> None:
        if hasattr(nnx, "capture"):  # as flax wants it from 0.12.4 on
            output, sown = nnx.capture(model, nnx.Intermediate)(x)
        else:
            output, sown = model(x), nnx.pop(model, nnx.Intermediate)
        layers = {**_named(nnx.to_pure_dict(sown)), OUTPUT: output}
        _add(recorder, epoch, layers, softmax, replica=replica, **scores)

    return of_nnx if isinstance(model, nnx.Module) else of_linen


def kernels(tree: Mapping[str, Any]) -> dict[str, ArrayLike]:
    """The weights of a tree of parameters, or their gradients: its arrays of more than one axis, by their path.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(kernels({"dense": {"kernel": np.ones((2, 3)), "bias": np.ones(3)}}))
    ['dense/kernel']
    """
    return {name: leaf for name, leaf in _named(tree).items() if np.ndim(leaf) > 1}


def _named(tree: Mapping[str, Any], prefix: str = "") -> dict[str, ArrayLike]:
    """Leaves of a tree of intermediates by their path; the last of what was sown several times."""
    found: dict[str, ArrayLike] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= _named(value, f"{prefix}{name}/")
        else:
            found[f"{prefix}{name}"] = value[-1] if isinstance(value, tuple) else value
    return found


def follow_equinox(
    recorder: Recorder, x: ArrayLike, forward: Forward | None = None, *, replica: int = 0, softmax: bool = True
) -> Callable[..., None]:
    """Record a network of equinox, or of any library as a function: ``follow(epoch, model, **scores)``.

    Parameters
    ----------
    recorder : Recorder
    x : array, shape (n, …)
        The patterns, in the order of the recorder's labels.
    forward : callable or None
        (model, x) → layer → activations, shapes (n, …), the output last. By default that of ``equinox.nn.MLP``, and of
        ``equinox.nn.Sequential`` after each of its ``Lambda`` layers.
    replica : int
    softmax : bool
        Whether the softmax of the output is recorded in place of the output.

    Raises
    ------
    ValueError
        When called with a model of another class, without `forward`.

    Examples
    --------
    >>> follow = follow_equinox(recorder, x)  # doctest: +SKIP
    >>> follow(epoch, model, test_accuracy=0.9)  # doctest: +SKIP
    """

    def follow(epoch: int, model: Any, **scores: float) -> None:
        layers = (_equinox_layers if forward is None else forward)(model, x)
        _add(recorder, epoch, layers, softmax, replica=replica, **scores)

    return follow


def _equinox_layers(model: Any, x: ArrayLike) -> dict[str, ArrayLike]:
    import jax

    nn = import_module("equinox.nn")
    found: dict[str, ArrayLike] = {}
    t = x
    if isinstance(model, nn.MLP) and all(isinstance(layer, nn.Linear) for layer in model.layers):
        for i, layer in enumerate(model.layers[:-1], 1):
            t = found[str(i)] = model.activation(jax.vmap(layer)(t))
        return {**found, OUTPUT: jax.vmap(model)(x)}
    if isinstance(model, nn.Sequential):
        for i, layer in enumerate(model.layers):
            t = jax.vmap(layer)(t)
            if isinstance(layer, nn.Lambda):
                found[str(i)] = t
        return {**found, OUTPUT: t}
    raise ValueError(
        f"a {type(model).__name__} does not show its layers: give forward=, (model, x) → layer → activations"
    )


def keras_callback(
    recorder: Recorder,
    x: ArrayLike,
    layers: Sequence[str] | None = None,
    *,
    epochs: Collection[int] | None = None,
    replica: int = 0,
) -> keras.callbacks.Callback:
    """A callback of ``model.fit`` that records a keras model before training and after each epoch.

    Loss and accuracy of the logs are kept as those of training, those on validation data as those of the test.

    Parameters
    ----------
    recorder : Recorder
    x : array, shape (n, …)
        The patterns, in the order of the recorder's labels.
    layers : sequence of str or None
        Names of layers; by default all but inputs and layers that flatten or add noise.
    epochs : collection of int or None
        Which epochs are recorded, 0 before training; by default all.
    replica : int

    Raises
    ------
    ValueError
        When training begins, if there is no such layer.

    Examples
    --------
    >>> model.fit(x, y, callbacks=[keras_callback(recorder, x)])  # doctest: +SKIP
    """
    import keras

    left_out = (
        "InputLayer",
        "Flatten",
        "Reshape",
        "Dropout",
        "GaussianNoise",
        "GaussianDropout",
        "ActivityRegularization",
    )
    scores = {
        "loss": "train_loss",
        "accuracy": "train_accuracy",
        "val_loss": "test_loss",
        "val_accuracy": "test_accuracy",
    }

    class Callback(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
            chosen = [one for one in self.model.layers if type(one).__name__ not in left_out]
            if layers is not None:
                chosen = [self.model.get_layer(name) for name in layers]
            self.chosen = chosen
            for one in chosen:
                known = RANGES.get(getattr(getattr(one, "activation", None), "__name__", ""))
                if known is not None:
                    recorder.ranges.setdefault(one.name, known)
            self.inner = keras.Model(self.model.inputs, [one.output for one in chosen])
            self.keep(0, {})

        def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
            self.keep(epoch + 1, logs or {})

        def keep(self, epoch: int, logs: Mapping[str, float]) -> None:
            if epochs is not None and epoch not in epochs:
                return
            found = self.inner.predict(x, verbose=0)
            found = found if isinstance(found, list) else [found]
            named = {one.name: t for one, t in zip(self.chosen, found, strict=True)}
            known = {scores[name]: float(value) for name, value in logs.items() if name in scores}
            _add(recorder, epoch, named, False, replica=replica, **known)

    return Callback()
