"""Relaxing trained runs: exact continuation, cost, constraints at what is stored, resuming, errors, the comparison."""

from dataclasses import replace

import numpy as np
import pytest

import deepnets
from deepnets.__main__ import main
from deepnets.commands.relax import method_of
from deepnets.gradients import GradientPhases
from deepnets.relaxation import (
    BottleneckTargets,
    ContinueTraining,
    KickAndProject,
    Langevin,
    Metropolis,
    Relaxation,
    autocorrelation_time,
    compare_relaxations,
    largest_curvature,
    relax,
    sgd_temperature,
)
from deepnets.relaxation import loop as loop_module
from deepnets.relaxation import targets as targets_module
from deepnets.relaxation.energy import losses_at, packed, training_patterns
from deepnets.relaxation.methods import METHODS, method_from_settings, method_settings
from deepnets.relaxation.metropolis import MetropolisWalk
from deepnets.relaxation.starts import start_of_diffusion
from deepnets.relaxation.targets import bottleneck_encoder, layer_targets
from deepnets.training import losses as losses_module
from dualib import IB, Joint
from dualib.solvers import alternating
from dualib.solvers.iterate import evaluate

SETTINGS = {"replicas": 3, "batch_size": 64, "learning_rate": 0.01, "seed": 4, "progress": False}
NET = deepnets.Network((3, 5, 4, 2))


@pytest.fixture(scope="module")
def task():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(240, 3))
    y = (x[:, 0] * x[:, 1] + 0.3 * rng.normal(size=240) > 0).astype(int)
    return deepnets.Task("product", x, y, np.full((240, 2), 0.1) + 0.8 * np.eye(2)[y])


@pytest.fixture(scope="module")
def run(task):
    return deepnets.train(NET, task, epochs=30, snapshots=[0, 20, 30], **SETTINGS)


def test_continued_training_is_the_training_itself(run, task):
    longer = deepnets.train(NET, task, epochs=40, snapshots=[0, 30, 33, 40], **SETTINGS)
    found = relax(run, ContinueTraining(), snapshot=-1, budget=30, record=(0.3,), progress=False)
    np.testing.assert_array_equal(found.epochs, [30, 33, 40])
    np.testing.assert_array_equal(found.cost, [0, 9, 30])
    for mine, theirs in zip(found.params, longer.params, strict=True):
        for kind in ("w", "b"):
            np.testing.assert_array_equal(mine[kind], theirs[kind][[1, 2, 3]])


METHODS_HERE = [
    Metropolis(),
    Metropolis("gibbs", kappa=2.0, prior_factor=3.0),
    Metropolis("greedy"),
    Langevin(),
    Langevin(noise="minibatch"),
    Langevin(friction=0.5),
    Langevin(corrected=True, temperature=1e-4),
    KickAndProject(scale=0.01, steps=4),
    ContinueTraining("sgd", 0.05, 0),
    BottleneckTargets(refresh=3),
    BottleneckTargets(beta="own", rows="law", targets="shuffled"),
]


@pytest.mark.slow
@pytest.mark.parametrize("method", [METHODS_HERE[i] for i in (0, 4, 5, 7, 8, 10)], ids=lambda m: m.name)
def test_same_seed_same_bits_also_after_an_interruption(run, method, tmp_path, monkeypatch):
    options = {"snapshot": 1, "budget": 60, "seed": 7, "progress": False}
    whole = relax(run, method, **options)
    calls = 0
    honest = loop_module._Relaxing._scores

    def interrupted(self, state):
        nonlocal calls
        calls += 1
        if calls == 9:
            raise KeyboardInterrupt
        return honest(self, state)

    with monkeypatch.context() as patch:
        patch.setattr(loop_module._Relaxing, "_scores", interrupted)
        patch.setattr(loop_module, "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            relax(run, method, out=tmp_path / "out", **options)
    resumed = relax(run, method, out=tmp_path / "out", **options)
    read = Relaxation.load(tmp_path / "out", run.task)
    assert read.method == method
    assert read.seed == 7
    for other in (resumed, read):
        np.testing.assert_array_equal(other.observed["trace"], whole.observed["trace"])
        for a, b in zip(other.params, whole.params, strict=True):
            np.testing.assert_array_equal(a["w"], b["w"])
    start = [layer["w"][1] for layer in run.params]
    for layer, first in zip(whole.params, start, strict=True):
        np.testing.assert_array_equal(layer["w"][0], first)
        assert np.isfinite(layer["w"]).all()


@pytest.mark.slow
def test_what_is_stored_keeps_the_loss_of_the_start(run):
    patterns = training_patterns(run)
    start = np.asarray(losses_at(NET, run.loss, packed(run, -1), patterns))
    for method in (Metropolis(), Metropolis("greedy"), KickAndProject(scale=0.05, steps=10)):
        found = relax(run, method, snapshot=-1, budget=600, record=np.linspace(0, 1, 6), progress=False)
        for s in range(len(found.epochs)):
            stored = np.asarray(losses_at(NET, run.loss, packed(found, s), patterns))
            assert (stored <= start * (1 + 1e-6)).all()  # sums in single precision, taken in another order
    assert (found.observed["kicks"][-1] > 3).all()


def test_cost_is_the_number_of_evaluations_of_the_loss(run, monkeypatch):
    """Counted while they are computed, of a network that nothing was compiled for before."""
    import jax

    counted = []
    honest = losses_module.LOSSES[run.loss]

    def counting(outputs, y):
        jax.debug.callback(lambda: counted.append(1))
        return honest(outputs, y)

    monkeypatch.setitem(losses_module.LOSSES, run.loss, counting)
    net = deepnets.Network((3, 5, 4, 2), w_std=1.0001)
    walk = MetropolisWalk(net, run.loss, packed(run, -1)[:1], _first(training_patterns(run)), Metropolis(), 100.0, 0)
    state = walk.start()
    jax.block_until_ready(state)
    jax.effects_barrier()
    counted.clear()
    jax.block_until_ready(walk.advance(state, 0, 37))
    jax.effects_barrier()
    assert len(counted) == walk.cost(37) == 37


def _first(patterns):
    return type(patterns)(*(a[:1] for a in patterns))


@pytest.mark.slow
def test_a_replica_does_not_depend_on_how_many_there_are(run):
    params = [{kind: layer[kind][:, :2] for kind in ("w", "b")} for layer in run.params]
    scores = {name: value[:, :2] for name, value in run.scores.items()}
    gradients = {name: value[:, :2] for name, value in run.epoch_gradients.items()}
    few = replace(
        run,
        params=params,
        scores=scores,
        epoch_gradients=gradients,
        train_patterns=run.train_patterns[:2],
        failed=run.failed[:2],
    )
    a, b = (relax(r, Metropolis(), snapshot=-1, budget=60, progress=False) for r in (few, run))
    for mine, theirs in zip(a.params, b.params, strict=True):
        np.testing.assert_allclose(mine["w"], theirs["w"][:, :2], rtol=1e-4, atol=1e-6)


def test_curvature_and_temperature_are_those_of_dense_algebra(run):
    import jax
    import jax.numpy as jnp

    from deepnets.relaxation.energy import loss_on

    patterns, vectors = training_patterns(run), packed(run, -1)
    curvature, temperature = largest_curvature(run, -1), sgd_temperature(run, -1, 0.2)
    for r in range(1, 2):
        at = loss_on(NET, run.loss, patterns.x[r], patterns.y[r])
        dense = np.asarray(jax.jit(jax.hessian(at))(jnp.asarray(vectors[r])), np.float64)
        assert curvature[r] == pytest.approx(np.linalg.eigvalsh(dense).max(), rel=2e-3)
        one = jax.vmap(lambda x, y, v: jax.grad(loss_on(NET, run.loss, x[None], y[None]))(v), (0, 0, None))
        gradients = np.asarray(jax.jit(one)(patterns.x[r], patterns.y[r], vectors[r]), np.float64)
        trace = np.trace(np.cov(gradients.T))
        assert temperature[r] == pytest.approx(0.2 * trace / 64 / (2 * NET.n_parameters), rel=1e-4)


def test_one_exact_target_step_is_one_of_blahut_and_arimoto():
    rng = np.random.default_rng(2)
    joint = Joint(rng.dirichlet(np.ones(12)).reshape(4, 3))
    atoms, weights, beta = rng.dirichlet(np.ones(3), 5), rng.dirichlet(np.ones(5)), 3.0
    p_x, rows = joint.p_x, joint.p_y_given_x
    encoder = bottleneck_encoder(weights, atoms, rows, beta)
    p_t = p_x @ encoder
    decoder = (encoder * p_x[:, None]).T @ rows / p_t[:, None]
    it = evaluate(IB(joint), beta, weights, atoms)
    new_weights, new_atoms = alternating.step(it)
    np.testing.assert_allclose(p_t, new_weights, rtol=1e-12)
    np.testing.assert_allclose(decoder, new_atoms, rtol=1e-12)


def test_with_hard_labels_and_beta_one_the_targets_are_class_means(monkeypatch):
    """D(p_x ‖ p(·|t)) = −log p(y_x|t), so that p_1(t|x) ∝ p(t) p(y_x|t) and the target is E[μ_t | y_x].

    That is the class mean of the activations where those of a cell are equal, or of one class.
    """
    monkeypatch.setattr(targets_module, "COUNT", 0.0)
    rng = np.random.default_rng(3)
    t, y = np.round(np.tanh(rng.normal(size=(90, 2))), 1), rng.integers(0, 3, 90)
    rows = np.eye(3)[y]
    ib = layer_targets(t, rows, y, BottleneckTargets(beta=1.0), True, 0)
    means = layer_targets(t, rows, y, BottleneckTargets(targets="class_means"), True, 0)
    np.testing.assert_allclose(ib, means, atol=1e-12)
    shuffled = layer_targets(t, rows, y, BottleneckTargets(beta=5.0, targets="shuffled"), True, 0)
    assert np.abs(shuffled - layer_targets(t, rows, y, BottleneckTargets(beta=5.0), True, 0)).max() > 0.01


def test_an_epoch_of_targets_is_a_step_on_the_loss_and_the_mean_square_distance(task):
    import jax
    import jax.numpy as jnp

    from deepnets.relaxation.descent import TargetsWalk
    from deepnets.relaxation.energy import loss_on, packing
    from deepnets.relaxation.targets import targets_of

    settings = {**SETTINGS, "replicas": 1, "optimiser": "sgd", "batch_size": None, "learning_rate": 0.3}
    plain = deepnets.train(NET, task, epochs=2, snapshots=[0, 2], **settings)
    method = BottleneckTargets(layers=(0, 1), weight=0.7)
    walk = TargetsWalk(plain, 1, method, 0, progress=False)
    moved = walk.vectors(walk.advance(walk.start(), 0, 1))[0]
    start, own = packed(plain, 1), training_patterns(plain)
    wanted = [t[0][plain.train_patterns[0]] for t in targets_of(plain, start, (0, 1), method, 0)]

    def objective(v):
        layers = NET.columns(packing(NET).unravel(v), own.x[0].T)
        apart = sum(jnp.mean((layer.T - t) ** 2) for layer, t in zip(layers, wanted, strict=False))
        return loss_on(NET, plain.loss, own.x[0], own.y[0])(v) + 0.7 * apart

    expected = start[0] - 0.3 * np.asarray(jax.jit(jax.grad(objective))(jnp.asarray(start[0])))
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    with pytest.raises(ValueError, match="no noise of SGD"):
        relax(plain, Langevin(), snapshot=1, budget=60, progress=False)
    with pytest.raises(ValueError, match="no minibatches"):
        relax(plain, Langevin(temperature=1e-4, noise="minibatch"), snapshot=1, budget=60, progress=False)


def test_diffusion_starts_where_the_median_layer_stays_below_one():
    epochs = np.arange(8)
    snr = np.array([[5, 0.5, 3, 0.9, 0.5, 0.4, 0.3, 0.2], [5, 4, 3, 2, 2, 2, 0.3, 0.2]])
    mean = np.repeat(snr[:, :, None], 3, axis=2)
    mean[:, :, 0] = 100.0  # one layer of three
    phases = GradientPhases(epochs, mean, np.ones_like(mean), np.ones_like(mean), 8, ("a", "b", "c"))
    np.testing.assert_array_equal(start_of_diffusion(phases, 3), [3, np.inf])
    np.testing.assert_array_equal(start_of_diffusion(phases, 2), [3, 6])


def test_autocorrelation_time_of_an_autoregression():
    rho, n = 0.8, 20000
    rng = np.random.default_rng(0)
    x = np.zeros((8, n))
    for i in range(1, n):
        x[:, i] = rho * x[:, i - 1] + rng.normal(size=8)
    found = autocorrelation_time(x)
    assert abs(found.mean() - (1 + rho) / (1 - rho)) < 4 * found.std(ddof=1) / np.sqrt(8) + 0.1
    assert np.isnan(autocorrelation_time(np.ones(50))[0])
    assert np.isinf(autocorrelation_time(np.arange(50.0))[0])


@pytest.mark.parametrize("method", METHODS_HERE, ids=lambda m: m.name)
def test_settings_make_the_method_again(method):
    assert method_from_settings(method_settings(method)) == method
    assert METHODS[method.name] is type(method)


@pytest.mark.parametrize(
    ("method", "options", "text"),
    [
        (Langevin(step=100.0), {}, r"step = 100 is not stable: the largest curvature of replica \d is"),
        (Metropolis(), {"budget": 4}, "too small for records at 0, 0.1, 0.3, 1"),
        (Metropolis(), {"budget": -1}, "budget"),
        (Metropolis(), {"record": [2.0]}, "between 0 and 1"),
        (Metropolis(), {"snapshot": 9}, "index into the 3 snapshots"),
        (Metropolis(), {"snapshot": None}, "ends at epoch 30; relaxation begins by default at epoch 500"),
        (BottleneckTargets(layers=(2,)), {}, r"layers must lie in -2\.\.1"),
        ("metropolis", {}, "method must be one of"),
    ],
)
def test_bad_input_is_refused_before_any_step(run, method, options, text):
    with pytest.raises(ValueError, match=text):
        relax(run, method, **{"snapshot": -1, "budget": 60, "progress": False, **options})


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="only overdamped steps"):
        Langevin(corrected=True, friction=1.0)
    with pytest.raises(ValueError, match="unknown kind"):
        Metropolis("hot")
    with pytest.raises(ValueError, match="unknown setting of kick"):
        method_from_settings({"method": "kick", "size": 1})


def test_noisy_networks_are_not_relaxed(run):
    noisy = replace(run, network=replace(NET, noise_std=0.1))
    with pytest.raises(ValueError, match="a noisy network, or one with dropout, is random"):
        relax(noisy, Metropolis(), snapshot=-1, budget=60, progress=False)


def test_a_relaxation_is_a_run_and_compares_with_others(run, tmp_path):
    found = [
        relax(run, method, snapshot=-1, budget=90, progress=False)
        for method in (ContinueTraining(), Metropolis(), BottleneckTargets())
    ]
    plane = deepnets.information_plane(found[1], progress=False)
    assert plane.rate.value.shape == (3, 4, 3)
    comparison = compare_relaxations(found, progress=False)
    assert comparison.methods == ("continue", "metropolis", "targets")
    mine = comparison.of("train loss", "metropolis")[-1]
    change = found[1].scores["train_loss"][-1] - found[1].scores["train_loss"][0]
    assert mine.to_start.value == pytest.approx(change.mean())
    beside = found[1].scores["train_loss"][-1] - found[0].scores["train_loss"][-1]
    assert mine.to_continued.value == pytest.approx(beside.mean())
    assert mine.to_continued.std_error == pytest.approx(beside.std(ddof=1) / np.sqrt(3))
    assert comparison.of("train loss", "continue")[-1].to_continued.value == 0
    assert comparison.reaches[0].share.value == 1
    path = tmp_path / "comparison.npz"
    comparison.save(path)
    assert type(comparison).load(path).to_frame().equals(comparison.to_frame())
    assert {"cost_forward_passes", "epoch"} <= set(found[1].to_frame().columns)
    assert (found[1].cost_with_cache <= found[1].cost).all()
    assert (found[1].observed["adapted_on"] == 45).all()  # half of the budget, as 200 proposals a layer are more
    share = found[1].acceptance
    assert ((share >= 0) & (share <= 1) | np.isnan(share)).all()
    other = relax(run, Metropolis(), snapshot=1, budget=90, progress=False)
    with pytest.raises(ValueError, match="does not begin at the parameters of the others"):
        compare_relaxations([found[0], other])


@pytest.mark.slow
def test_the_command_writes_what_it_prints(tmp_path, capsys):
    where = tmp_path / "run"
    task = deepnets.icosahedral_task()
    deepnets.train(
        deepnets.Network((12, 4, 3, 2)), task, epochs=6, replicas=2, snapshots=[0, 6], out=where, progress=False
    )
    out = tmp_path / "relaxed"
    command = ["relax", str(where), "--out", str(out), "--budget", "60", "--from-epoch", "6"]
    assert main([*command, "--method", "metropolis:kind=gibbs,kappa=2", "--noise", "0.2"]) == 0
    said = capsys.readouterr().out
    assert "metropolis (kind=gibbs, kappa=2)" in said
    assert "test loss" in said
    for name in ("relaxations.npz", "relaxations.csv", "relaxations.json", "relaxations.png"):
        assert (out / name).stat().st_size > 0
    assert main(["relax", str(where), "--out", str(out), "--from-epoch", "5"]) == 2
    assert "the nearest is of epoch 6" in capsys.readouterr().err
    assert main(["relax", str(where), "--out", str(out), "--method", "walk"]) == 2
    assert "unknown method 'walk'" in capsys.readouterr().err
    assert method_of("targets:layers=-1+-2,beta=own") == BottleneckTargets(layers=(-1, -2), beta="own")
