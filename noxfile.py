"""Sessions on the oldest and the newest JAX that the kernels support: ``nox``. Environments are made by uv."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["kernels"]

# neural-tangents declares TensorFlow, which nothing here imports: leave it out of the environments.
OVERRIDES = ("tensorflow; sys_platform == 'never'", "tf2jax; sys_platform == 'never'")

KERNEL_TESTS = ("tests/ntkinfo/test_kernels.py", "tests/ntkinfo/test_ensemble.py")


@nox.session
@nox.parametrize(
    ("python", "jax"),
    [
        nox.param("3.11", "jax==0.5.3", id="jax-0.5.3"),
        nox.param("3.13", "jax", id="newest-jax"),
    ],
)
def kernels(session: nox.Session, jax: str) -> None:
    """The kernel tests: neural-tangents loaded on that JAX, its kernels, and its predictions against ours."""
    overrides = Path(session.create_tmp()) / "overrides.txt"
    overrides.write_text("\n".join(OVERRIDES) + "\n")
    session.install("--override", str(overrides), jax, ".[networks]", "pytest", "hypothesis", "mpmath", "beartype")
    session.run("pytest", *KERNEL_TESTS, *session.posargs, env={"OMP_NUM_THREADS": "1"})
