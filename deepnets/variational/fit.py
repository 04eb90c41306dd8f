"""fit_variational: seeds × β at once, annealed, resumable to the same bits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from deepnets.backend import jax, jnp
from deepnets.tasks import Task
from deepnets.training.orders import SPLIT, permutation
from deepnets.variational.evaluation import Evaluation, evaluation_of
from deepnets.variational.families import DTYPE
from deepnets.variational.fitted import Fitted, flatten, inputs_of
from deepnets.variational.gap import Gap, gap_of
from deepnets.variational.objectives import Distortion, Objective
from deepnets.variational.patterns import Patterns
from deepnets.variational.settings import VariationalSettings
from deepnets.variational.steps import Data, State, steps_of
from dualib.core.arrays import positive
from dualib.core.progress import progress_bar
from dualib.core.store import Store
from dualib.core.typing import ArrayLike, FloatArray, IntArray
from dualib.joint import Joint
from dualib.solvers.options import Certify

CHUNK = 50  # steps between which a fit can be left and gone on with
CHECKPOINT_SECONDS = 30.0
CHECKPOINT, LABELS = "checkpoint", "labels"


@dataclass(frozen=True, eq=False)
class VariationalFit(Fitted):
    """Fits of one objective at S seeds and B values of β; the attributes are those of :class:`~.fitted.Fitted`.

    Examples
    --------
    >>> found = fit_variational(deepnets.variational.VIB(), task, betas=[1.0, 10.0])  # doctest: +SKIP
    """

    def evaluate(
        self, x: ArrayLike | None = None, y: ArrayLike | None = None, *, progress: bool | None = None
    ) -> Evaluation:
        """Rates, label information, accuracy and calibration on fresh patterns; see :func:`~.evaluation.evaluation_of`.

        Parameters
        ----------
        x, y : arrays, shapes (n, d) and (n,), or None
            Patterns and labels; None for those that each seed was not trained on.
        progress : bool or None
            Whether to show a bar; None shows it on a terminal.
        """
        return evaluation_of(self, x, y, progress=progress)

    def gap(self, joint: Joint | None = None, *, certify: bool | Certify = True, progress: bool | None = None) -> Gap:
        """How far the objective lies above the proven optimum, in three parts; see :func:`~.gap.gap_of`.

        Parameters
        ----------
        joint : Joint or None
            The law to judge under, of the fit's patterns or rows; None for their own.
        certify : bool or Certify
            As in :func:`dualib.solve`.
        progress : bool or None
            Whether to show a bar; None shows it on a terminal.
        """
        return gap_of(self, joint, certify=certify, progress=progress)


def fit_variational(
    objective: Objective,
    data: Task | Joint,
    settings: VariationalSettings | None = None,
    *,
    betas: ArrayLike,
    out: str | Path | None = None,
    progress: bool | None = None,
    **changes: Any,
) -> VariationalFit:
    """Fit encoders, marginals and decoders to an objective, at every seed and β at once.

    Parameters
    ----------
    objective : Objective
        VIB(labels), VariationalDualIB(labels), CEB(labels) or NonlinearIB(labels).
    data : Task or Joint
        A task's patterns, of which each seed is trained on a share of its own; or the rows of a joint, by tables.
    settings : VariationalSettings or None
        None for the default ones.
    betas : array, shape (B,)
        Positive.
    out : path or None
        A directory. An interrupted fit is taken up where it was left, to the same bits, by the same call; a finished one is
        loaded.
    progress : bool or None
        Whether to show a bar; None shows it on a terminal.
    **changes
        Fields of :class:`VariationalSettings`; those given here take the place of the settings'.

    Returns
    -------
    VariationalFit

    Raises
    ------
    ValueError
        If a setting or β is out of range, the encoder does not fit the data, the dual meets a p̃(y|x) of 0 or a joint observed
        labels, or the directory holds something else; before any training.
    ArithmeticError
        If a loss is no longer finite.

    Examples
    --------
    >>> from deepnets.variational import VIB, Exact
    >>> found = fit_variational(VIB(Exact()), joint, betas=[4.0], encoder="categorical")  # doctest: +SKIP
    >>> found.gap().total  # doctest: +SKIP
    """
    chosen, patterns = VariationalSettings.of(settings, changes), Patterns.of(data)
    if not isinstance(objective, Objective):
        raise TypeError(
            f"objective must be VIB(...), VariationalDualIB(...), CEB(...) or NonlinearIB(...), got {objective!r}"
        )
    beta = np.array(sorted({positive(b, "a β") for b in np.atleast_1d(betas).tolist()}))
    if not beta.size:
        raise ValueError("betas is empty: give at least one β")
    if chosen.tabular == isinstance(data, Task):
        raise ValueError(
            f"an encoder of kind {chosen.encoder} is for {'a joint: give task.joint' if chosen.tabular else 'a task'}; "
            f"for {'a task take mlp' if chosen.tabular else 'a joint, whose rows have no x, take gaussian or categorical'}"
        )
    trained = _splits(chosen, patterns)
    store = None if out is None else Store.open(out, _about(objective, chosen, patterns, beta), "variational fit")
    if store is not None and (kept := store.get("fit", VariationalFit)) is not None:
        return kept
    log_rows, log_confusion = _labels(objective, patterns, trained, chosen, store)
    data_of = Data(
        jnp.asarray(inputs_of(patterns, chosen), None if chosen.tabular else DTYPE),
        jnp.asarray(trained),
        jnp.asarray(log_rows, DTYPE),
        jnp.asarray(_weights(patterns, trained), DTYPE),
    )
    state = _trained(objective, chosen, data_of, jnp.asarray(beta, DTYPE), store, progress)
    params = {name: np.asarray(value) for name, value in flatten(state.params).items()}
    if not all(np.isfinite(value).all() for value in params.values()):
        raise ArithmeticError(f"a loss is no longer finite: lower learning_rate below {chosen.learning_rate:g}")
    fit = VariationalFit(objective, chosen, patterns, beta, params, trained, log_confusion)
    if store is not None:
        store.put("fit", fit)
        (store.path / f"{CHECKPOINT}.npz").unlink(missing_ok=True)
    return fit


def _splits(settings: VariationalSettings, patterns: Patterns) -> IntArray:
    if settings.tabular:
        return np.tile(np.arange(patterns.n), (settings.seeds, 1))
    n_train = settings.n_train(patterns.n)
    return np.stack(
        [np.sort(permutation(settings.seed, s, SPLIT, 0, patterns.n)[:n_train]) for s in range(settings.seeds)]
    )


def _weights(patterns: Patterns, trained: IntArray) -> FloatArray:
    weights = patterns.p_x[trained]
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _about(
    objective: Objective, settings: VariationalSettings, patterns: Patterns, betas: FloatArray
) -> dict[str, object]:
    return {"objective": repr(objective), "data": patterns.digest(), "betas": betas, **asdict(settings)}


def _labels(
    objective: Objective, patterns: Patterns, trained: IntArray, settings: VariationalSettings, store: Store | None
) -> tuple[FloatArray, FloatArray | None]:
    """Log p̃ of every seed's patterns, (S, n_train, k), and log C, (S, k, k), where the labels are a model of noise."""
    if store is not None and store.has(LABELS):
        kept = store.arrays(LABELS)
        return kept["log_rows"], kept.get("log_confusion")
    seeds = range(settings.seed, settings.seed + settings.seeds)
    found = [objective.labels.rows(patterns, row, s) for row, s in zip(trained, seeds, strict=True)]
    log_rows = np.stack([rows.log_rows for rows in found])
    zeros = np.argwhere(np.isneginf(log_rows))
    if objective.distortion is Distortion.REVERSE and len(zeros):
        s, i, y = (int(a) for a in zeros[0])
        raise ValueError(
            f"p̃(y = {y} | x) is 0 at pattern {trained[s, i]} ({len(zeros)} zeros in all): D(d ‖ p̃) is infinite. Give the "
            "dual labels without zeros: Smoothed(alpha), Confusion(), Teacher(), or Exact() of a law without zeros"
        )
    confusions = [rows.log_confusion for rows in found if rows.log_confusion is not None]
    arrays = {"log_rows": log_rows} | ({"log_confusion": np.stack(confusions)} if confusions else {})
    if store is not None:
        store.put_arrays(LABELS, arrays)
    return log_rows, arrays.get("log_confusion")


def _trained(
    objective: Objective,
    settings: VariationalSettings,
    data: Data,
    betas: jax.Array,
    store: Store | None,
    progress: bool | None,
) -> State:
    """The state after all steps, from the last one that was kept."""
    steps = steps_of(objective.rate, objective.distortion, settings)
    state, done = steps.start(data, len(betas)), 0
    leaves, structure = jax.tree.flatten(state)
    if store is not None and store.has(CHECKPOINT):
        kept = store.arrays(CHECKPOINT)
        done = int(kept["step"])
        state = jax.tree.unflatten(structure, [jnp.asarray(kept[f"leaf_{i:03d}"]) for i in range(len(leaves))])

    def keep() -> None:
        if store is not None:
            arrays = {f"leaf_{i:03d}": np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
            store.put_arrays(CHECKPOINT, {"step": np.array(done), **arrays})

    last = monotonic()
    with progress_bar(settings.steps, objective.name, progress, initial=done) as bar:
        try:
            while done < settings.steps:
                count = min(CHUNK, settings.steps - done)
                state = steps.advance(state, data, betas, done, count)
                jax.tree.leaves(state)[0].block_until_ready()
                done += count
                bar(count)
                if monotonic() - last > CHECKPOINT_SECONDS:
                    keep()
                    last = monotonic()
        except KeyboardInterrupt:
            keep()
            raise
    return state
