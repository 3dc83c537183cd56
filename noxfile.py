"""The checks of this project. Run them all with ``nox``.

``build`` makes the wheel that every session but ``lint`` installs, so what is tested
is what would be released.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from pathlib import Path

import nox


nox.needs_version = ">=2025.10.16"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.error_on_missing_interpreters = False
nox.options.sessions = [
    *("lint", "typing", "tests", "postgresql", "coverage", "speed"),
    *("browser", "bots", "docs"),
]

PYPROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PYPROJECT)  # from the classifiers

ENGINE_PYTHONS = ("3.12", "3.13")  # that Dify's graph engine, graphon, is there for

PACKAGE = Path("dify_workflow_async")
DIST = Path("dist")
# All but speed, which is measured, and engine, which not every Python can have.
EXTRAS = "cli,batch,postgresql,tables,distributed,otel,starlette,timeline"

# Core and client, and what is new, are covered to the last branch; these need not be.
PARTLY_COVERED = ("cli", "local")
# Not 100, for the other side of a race is not met in each run; what is missing is told.
COVERED = 99.9


def preferred_python() -> str | None:
    """Name the Python that speed is measured with, if it is here; else nox's own."""
    return "3.12" if is_here("3.12") else None


def is_here(python: str) -> bool:
    """Tell whether there is a Python of this version."""
    found = shutil.which(f"python{python}")
    if found is None:
        return False
    # It may be one of pyenv's that is not chosen, and only says so.
    done = subprocess.run([found, "-V"], check=False, capture_output=True)
    return not done.returncode


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel, from the source archive, and forget old coverage."""
    session.install("build")
    shutil.rmtree(DIST, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(DIST))
    for stale in (Path(".coverage"), *Path().glob(".coverage.*")):
        stale.unlink(missing_ok=True)


def install(session: nox.Session, *args: str) -> None:
    """Install with pip, first making sure that it knows ``--group``."""
    session.install("pip>=25.1")
    session.install(*args)


def extras(session: nox.Session) -> str:
    """Name the extras to install; Dify's engine is not there for every Python."""
    command = ("python", "-c", "import sys; print(*sys.version_info[:2], sep='.')")
    version = session.run(*command, silent=True) or ""
    return f"{EXTRAS},engine" if version.strip() in ENGINE_PYTHONS else EXTRAS


def install_wheel(session: nox.Session, *args: str) -> None:
    """Install the wheel that ``build`` made, also over one of the same version."""
    (wheel,) = DIST.glob("*.whl")
    install(session, f"{wheel}[{extras(session)}]", *args)
    session.install("--force-reinstall", "--no-deps", str(wheel))


def need(session: nox.Session, package: str) -> None:
    """Install a package of Debian's; skip where that cannot be, but not in CI."""
    if os.geteuid() == 0 and shutil.which("apt-get"):
        session.run("apt-get", "update", "-q", external=True)
        session.run("apt-get", "install", "-qy", package, external=True)
    elif os.environ.get("CI") == "true":
        session.error(f"{package} is missing")
    else:
        session.skip(f"{package} is missing: apt-get install {package}")


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint, spell, and check who imports whom."""
    install(session, "--group", "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("lint-imports")
    session.run("interrogate", "tests")
    session.run(
        "validate-pyproject",
        "pyproject.toml",
        env={"VALIDATE_PYPROJECT_NO_NETWORK": "1"},
    )


@nox.session(python=preferred_python(), requires=["build"])
def typing(session: nox.Session) -> None:
    """Check the types of the package and of its public API."""
    install_wheel(session, "--group", "typing")
    session.run("mypy")
    # It would take a .venv in the checkout for its environment.
    session.run("basedpyright", "--pythonpath", str(Path(session.bin, "python")))


def tested(session: nox.Session) -> dict[str, str]:
    """Tell the tests to run, and to insist, on the installed package."""
    return {
        "PYTHONSAFEPATH": "1",  # else the checkout comes first on sys.path
        "DIFY_WORKFLOW_TESTED_IN": session.virtualenv.location,
    }


@nox.session(python=PYTHONS, requires=["build"])
def tests(session: nox.Session) -> None:
    """Run the tests against the built package: on all processors, the slow ones alone.

    With coverage, and those that need to run once only, on the Python that speed is
    measured with, or the only one; on the newest asyncio looks for mistakes instead:
    each of these takes as long as the tests themselves.
    """
    install_wheel(session, "--group", "cov")
    measure, env, also = ["python", "-m"], tested(session), ""
    here = filter(is_here, PYTHONS)
    if session.python == (preferred_python() or next(here, session.python)):
        measure = ["coverage", "run", "-m"]
    else:
        also = " and not once"
        if session.python == PYTHONS[-1]:
            env["PYTHONASYNCIODEBUG"] = "1"
    for marks, how in {
        "not slow and not postgresql": ("-n", "logical", "--dist", "loadfile"),
        "slow and not postgresql": (),
    }.items():
        session.run(
            *(*measure, "pytest", "-m", marks + also, *how),
            *(session.posargs or ["tests"]),
            env=env,
            success_codes=[0, 5] if session.posargs else [0],  # 5: none was selected
        )


@nox.session(python=preferred_python(), requires=["build"])
def postgresql(session: nox.Session) -> None:
    """Run the tests that need PostgreSQL, whose programs are installed if missing."""
    if not any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        need(session, "postgresql")
    install_wheel(session, "--group", "cov")
    env = tested(session) | {"DIFY_WORKFLOW_NEEDS_POSTGRESQL": "1"}
    session.run(
        *("coverage", "run", "-m", "pytest", "-m", "postgresql"),
        *(session.posargs or ["tests"]),
        env=env,
    )


@nox.session
def coverage(session: nox.Session) -> None:
    """Combine and judge what the tests reached, on all Pythons together."""
    if not any(Path().glob(".coverage.*")):
        session.error(f"no tests ran: found none of Python {', '.join(PYTHONS)}")
    install(session, "coverage[toml]>=7.10")
    session.run("coverage", "combine")
    session.run("coverage", "report")
    omit = [
        f"{PACKAGE / name}{end}" for name in PARTLY_COVERED for end in (".py", "/*")
    ]
    how = (f"--omit={','.join(omit)}", "--precision=2", f"--fail-under={COVERED}")
    session.run("coverage", "report", *how)


@nox.session(python=preferred_python(), requires=["build"])
def speed(session: nox.Session) -> None:
    """Count the instructions of the hot paths (tests/speed); --record sets bounds."""
    if not shutil.which("valgrind"):
        need(session, "valgrind")
    install_wheel(session)
    session.run("python", "tests/speed/guard.py", *session.posargs)


@nox.session(python=preferred_python(), requires=["build"])
def browser(session: nox.Session) -> None:
    """Drive the page of examples/web in Chromium (tests/browser)."""
    if not shutil.which("chromium"):
        need(session, "chromium")
    install_wheel(session, "--group", "browser")
    session.run("pytest", "tests/browser", *session.posargs, env=tested(session))


@nox.session(python=preferred_python(), requires=["build"])
def bots(session: nox.Session) -> None:
    """Run the bots of examples/bots against fakes of their platforms (tests/bots)."""
    install_wheel(session, "--group", "bots")
    session.run("pytest", "tests/bots", *session.posargs, env=tested(session))


@nox.session(python=preferred_python(), requires=["build"])
def bench(session: nox.Session) -> None:
    """Measure this client beside others (docs/explanation); --batch: only batches."""
    install_wheel(session, "--group", "bench")
    program, args = "bench.py", list(session.posargs)
    if "--batch" in args:
        args.remove("--batch")
        program = "batch.py"
    session.run("python", f"benchmarks/{program}", *args)


def fuzzing_python() -> str | None:
    """Name a Python for which there is a wheel of atheris, if one is here."""
    found = (name for name in ("3.12", "3.11", "3.13") if is_here(name))
    return next(found, None)


@nox.session(python=fuzzing_python(), requires=["build"])
def fuzz(session: nox.Session) -> None:
    """Look for bytes that break the decoders, a minute each; -- --seconds N [TARGET]."""
    session.log(f"atheris runs on Python {session.python or 'of nox itself'}")
    install_wheel(session, "--group", "fuzz")
    session.run("python", "-P", "tests/fuzz/fuzz.py", *session.posargs)


@nox.session(python=preferred_python(), requires=["build"])
def soak(session: nox.Session) -> None:
    """Run for ten minutes, and see that memory does not grow; -- --minutes N."""
    install_wheel(session)
    session.run("python", "-P", "tests/soak/soak.py", *session.posargs)


@nox.session(python=preferred_python(), requires=["build"])
def docs(session: nox.Session) -> None:
    """Build the documentation and run its examples."""
    install_wheel(session, "--group", "docs")
    out = Path("docs", "_build")
    shutil.rmtree(out, ignore_errors=True)
    session.run(
        "python", "-Im", "sphinx", "-n", "-T", "-W", "--keep-going",
        "-b", "html", "-d", str(out / "doctrees"), "docs", str(out / "html"),
    )  # fmt: skip
    pages = ("README.md", "README.zh.md", "docs")
    session.run("pytest", *pages, env=tested(session))


@nox.session(python=PYTHONS[0], requires=["build"])
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that we claim to work with."""
    project = PYPROJECT["project"]
    claims = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        claims += extra
    constraints = Path(session.create_tmp(), "lowest.txt")
    lines = [re.sub(r"(\[.*\])?>=", "==", claim) for claim in claims]
    constraints.write_text("\n".join(lines) + "\n")
    install_wheel(session, "--group", "tests", "--constraint", str(constraints))
    session.run("python", "-m", "pytest", *session.posargs, env=tested(session))
