"""Networks of other libraries: what is recorded is what the same network computes by hand."""

import os

import numpy as np
import pytest

import deepnets
from deepnets.gradients import gradient_phases
from deepnets.recordings import frameworks

N = 24
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def softmax(outputs):
    e = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.fixture
def recorder(tmp_path):
    return deepnets.Recorder(tmp_path / "run", Y)


def check(recorded, names, layers):
    """The last snapshot's layers, by hand."""
    assert recorded.layers == names
    for found, expected in zip(recorded.activations(-1, 0), layers, strict=True):
        np.testing.assert_allclose(found, np.asarray(expected).reshape(N, -1), atol=1e-6)


def torch_model():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    return torch, nn.Sequential(
        nn.Linear(3, 4), nn.Tanh(), nn.Dropout(0.5), nn.Linear(4, 2), nn.ReLU(), nn.Linear(2, 2)
    )


def test_torch_modules_are_recorded_without_dropout_and_its_gradients_batch_by_batch(recorder):
    torch, model = torch_model()
    x, y = torch.tensor(X), torch.tensor(Y)
    follow = frameworks.follow_torch(recorder, model, x)
    follow(0, test_accuracy=0.25)
    squares = []
    for start in (0, 12):
        model.zero_grad()
        torch.nn.functional.cross_entropy(model(x[start : start + 12]), y[start : start + 12]).backward()
        follow.batch(1, 12)
        squares.append(model[0].weight.grad.numpy().copy())
    assert model.training
    follow(1)
    assert model.training
    recorded = recorder.recorded()
    w = [p.detach().numpy() for p in model.parameters()]
    first = np.tanh(X @ w[0].T + w[1])
    second = np.maximum(first @ w[2].T + w[3], 0)
    check(recorded, ("1", "4", "output"), (first, second, softmax(second @ w[4].T + w[5])))
    assert recorded.ranges == ((-1.0, 1.0), (0.0, np.inf), (0.0, 1.0))
    np.testing.assert_array_equal(recorded.weights(1, 0)["3.weight"], w[2])
    phases = gradient_phases(recorded)
    assert phases.layers == ("0.weight", "3.weight", "5.weight")
    expected = np.linalg.norm(np.mean(squares, axis=0)) / np.linalg.norm(w[0])
    assert phases.mean[0, 0, 0] == pytest.approx(expected, rel=1e-6)
    assert recorded.scores["test_accuracy"][0, 0] == 0.25


def test_torch_layers_are_named_where_no_module_is_an_activation_function(recorder):
    torch, model = torch_model()

    class Twice(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.last = torch.nn.Linear(3, 3), torch.nn.Linear(3, 2)

        def forward(self, x):
            return self.last(torch.tanh(self.inner(torch.tanh(self.inner(x)))))

    model = Twice()
    with pytest.raises(
        ValueError, match=r"no module of the model is an activation function: give layers=.*inner, last"
    ):
        frameworks.follow_torch(recorder, model, torch.tensor(X))
    with pytest.raises(ValueError, match="no module 'none'"):
        frameworks.follow_torch(recorder, model, torch.tensor(X), ["none"])
    frameworks.follow_torch(recorder, model, torch.tensor(X), ["inner"], softmax=False)(3)
    w, b, v, c = (p.detach().numpy() for p in model.parameters())
    first = X @ w.T + b
    second = np.tanh(first) @ w.T + b
    check(recorder.recorded(), ("inner", "inner#1", "output"), (first, second, np.tanh(second) @ v.T + c))


def test_flax_linen_layers_are_what_is_sown(recorder):
    pytest.importorskip("flax")
    import flax.linen as nn
    import jax

    class Network(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.tanh(nn.Dense(4)(x))
            self.sow("intermediates", "hidden", h)
            return nn.Dense(2)(h)

    model = Network()
    params = model.init(jax.random.key(0), X)
    recorder.ranges["hidden"] = (-1, 1)
    frameworks.follow_flax(recorder, model, X)(0, params)
    p = params["params"]
    hidden = np.tanh(X @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"])
    outputs = hidden @ p["Dense_1"]["kernel"] + p["Dense_1"]["bias"]
    check(recorder.recorded(), ("hidden", "output"), (hidden, softmax(outputs)))


def test_flax_modules_that_sow_nothing_are_recorded_by_their_outputs(recorder):
    pytest.importorskip("flax")
    import flax.linen as nn
    import jax

    model = nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(2)])
    params = model.init(jax.random.key(0), X)
    frameworks.follow_flax(recorder, model, X, softmax=False)(0, params["params"])
    p = params["params"]
    first = X @ p["layers_0"]["kernel"] + p["layers_0"]["bias"]
    last = np.maximum(first, 0) @ p["layers_2"]["kernel"] + p["layers_2"]["bias"]
    check(recorder.recorded(), ("layers_0", "output"), (first, last))


def test_flax_nnx_layers_are_what_is_sown(recorder):
    nnx = pytest.importorskip("flax.nnx")
    import jax.numpy as jnp

    class Network(nnx.Module):
        def __init__(self, rngs):
            self.a, self.b = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)

        def __call__(self, x):
            h = nnx.tanh(self.a(x))
            self.sow(nnx.Intermediate, "hidden", h)
            return self.b(h)

    model = Network(nnx.Rngs(0))
    follow = frameworks.follow_flax(recorder, model, jnp.asarray(X))
    follow(0)
    follow(1, train_loss=0.5)
    hidden = np.tanh(X @ np.asarray(model.a.kernel[...]) + np.asarray(model.a.bias[...]))
    outputs = hidden @ np.asarray(model.b.kernel[...]) + np.asarray(model.b.bias[...])
    check(recorder.recorded(), ("hidden", "output"), (hidden, softmax(outputs)))


def test_equinox_networks_and_any_function_are_recorded(tmp_path):
    eqx = pytest.importorskip("equinox")
    import jax

    mlp = eqx.nn.MLP(3, 2, 4, 2, activation=jax.nn.gelu, key=jax.random.key(0))
    first, second = (jax.vmap(layer) for layer in mlp.layers[:2])
    hidden = jax.nn.gelu(first(X))
    expected = (hidden, jax.nn.gelu(second(hidden)), jax.vmap(mlp)(X))
    recorder = deepnets.Recorder(tmp_path / "mlp", Y)
    frameworks.follow_equinox(recorder, X, softmax=False)(0, mlp)
    check(recorder.recorded(), ("1", "2", "output"), expected)

    parts = [mlp.layers[0], eqx.nn.Lambda(jax.nn.gelu), mlp.layers[1], eqx.nn.Lambda(jax.nn.gelu), mlp.layers[2]]
    recorder = deepnets.Recorder(tmp_path / "sequential", Y)
    frameworks.follow_equinox(recorder, X, softmax=False)(0, eqx.nn.Sequential(parts))
    check(recorder.recorded(), ("1", "3", "output"), expected)

    recorder = deepnets.Recorder(tmp_path / "function", Y)
    follow = frameworks.follow_equinox(recorder, X, lambda w, x: {"hidden": np.tanh(x @ w), "output": x @ w})
    follow(0, np.eye(3, 2))
    check(recorder.recorded(), ("hidden", "output"), (np.tanh(X[:, :2]), softmax(X[:, :2])))
    with pytest.raises(ValueError, match="give forward="):
        frameworks.follow_equinox(recorder, X)(1, mlp.layers[0])


def test_a_keras_callback_records_before_training_and_after_each_epoch(recorder, monkeypatch):
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((3,)),
            layers.Dense(4, "tanh", name="hidden"),
            layers.Dropout(0.5),
            layers.Dense(2, "softmax", name="out"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    callback = frameworks.keras_callback(recorder, X, epochs=(0, 2))
    model.fit(X, Y, epochs=3, callbacks=[callback], verbose=0, validation_data=(X, Y))
    recorded = recorder.recorded()
    assert recorded.epochs.tolist() == [0, 2]
    assert recorded.ranges == ((-1.0, 1.0), (0.0, 1.0))
    loss = recorded.scores["train_loss"][:, 0]
    assert np.isnan(loss[0])
    assert loss[1] > 0
    again = frameworks.keras_callback(recorder, X)
    again.set_model(model)
    again.on_train_begin()
    w = [keras.ops.convert_to_numpy(v.value) for v in model.weights]
    hidden = np.tanh(X @ w[0] + w[1])
    now = recorder.recorded()
    np.testing.assert_allclose(now.activations(0, 0)[0], hidden, atol=1e-5)
    np.testing.assert_allclose(now.activations(0, 0)[1], softmax(hidden @ w[2] + w[3]), atol=1e-5)
