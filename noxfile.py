"""Sessions on the oldest and the newest JAX that the kernels support, and recordings of torch and keras: ``nox``. Environments are made by uv."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.sessions = ["kernels", "recordings"]

# neural-tangents declares TensorFlow, which nothing here imports: leave it out of the environments.
OVERRIDES = ("tensorflow; sys_platform == 'never'", "tf2jax; sys_platform == 'never'")

RECORDING_TESTS = ("tests/deepnets/recordings",)
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
    session.install("--override", overrides(session), jax, ".[networks]", "pytest", "hypothesis", "mpmath", "beartype")
    session.run("pytest", *KERNEL_TESTS, *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session(python="3.11")
@nox.parametrize("library", ["torch", "keras"])
def recordings(session: nox.Session, library: str) -> None:
    """Recordings of networks of a library whose wheels are large, and the documentation's examples with it."""
    extras = f".[networks,flax,equinox,{library}]"
    session.install("--override", overrides(session), extras, "pytest", "hypothesis", "beartype")
    env = {"OMP_NUM_THREADS": "1", "KERAS_BACKEND": "jax", "MPLBACKEND": "Agg"}
    session.run("pytest", *RECORDING_TESTS, *session.posargs, env=env)


@nox.session(python=["3.11", "3.12", "3.13"])
@nox.parametrize("kind", ["whl", "tar.gz"])
def release(session: nox.Session, kind: str) -> None:
    """Wheel and sdist, checked, each in an environment of its own: without extras, a curve, and one line for what is missing."""
    session.install("build", "twine")
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--outdir", str(folder), ".")
    session.run("twine", "check", "--strict", *map(str, folder.glob("ntk_dualib-*")))
    session.run("uv", "venv", "--clear", "--python", str(session.python), str(folder / "empty"), external=True)
    (archive,) = folder.glob(f"ntk_dualib-*.{kind}")
    python = folder / "empty" / "bin" / "python"
    session.run("uv", "pip", "install", "--python", str(python), str(archive), external=True)
    session.chdir(folder)  # away from the sources
    session.run(str(python.with_name("dualib")), "curve", "--example", "toy", "--betas", "2", "20", "4", external=True)
    session.run(
        str(python.with_name("deepnets")), "train", "szt2017", "--out", "none", external=True, success_codes=[2]
    )


def overrides(session: nox.Session) -> str:
    """A file of requirements that take the place of declared ones."""
    path = Path(session.create_tmp()) / "overrides.txt"
    path.write_text("\n".join(OVERRIDES) + "\n")
    return str(path)
