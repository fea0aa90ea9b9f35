"""The bootstrap script in a checkout without a virtual environment, on machines that lack something."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASH = shutil.which("bash") or "/bin/bash"
READS = ("sagsbro", "pyproject.toml", "requirements.lock", "requirements-test.lock")

# What a python3 does when the script calls it; the rest of the machine's programs are out of its reach.
OLD = """
[[ $1 == --version ]] && echo "Python 3.9.18"
exit 1
"""
WITHOUT_VENV = """
[[ $2 == *ensurepip* ]] && exit 1
exit 0
"""
WITHOUT_NETWORK = f"""
if [[ $1 == -m && $2 == venv ]]; then
  {shutil.which("mkdir")} -p "${{@: -1}}/bin"
  pip='[[ $* == *--version* ]] || echo "Connection refused" >&2; exit 1'
  printf '#!%s\\n%s\\n' {BASH} "$pip" >"${{@: -1}}/bin/python"
  {shutil.which("chmod")} +x "${{@: -1}}/bin/python"
fi
exit 0
"""

# A virtual environment whose programs do nothing but end, as they are told for what they are asked.
CHECKS = ("pytest", "ruff", "mypy", "lint-imports", "deptry")
NEEDED = ("cat", "grep", "mkdir", "mktemp", "rm")  # what every machine with bash has

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    fresh = tmp_path / "check out"  # a path may have a space in it
    fresh.mkdir()
    for name in READS:
        shutil.copy(ROOT / name, fresh / name)
    return fresh


@pytest.fixture
def run(checkout: Path, tmp_path: Path) -> Run:
    """Yield a function that runs the script on a machine with nothing but the programs given by name."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def start(*arguments: str, **scripts: str) -> subprocess.CompletedProcess[str]:
        for name, script in scripts.items():
            path = programs / name.replace("_", ".")
            path.write_text(f"#!{BASH}\n{script}")
            path.chmod(0o755)
        environment = {"PATH": str(programs), "HOME": str(tmp_path)}
        words = [BASH, str(checkout / "sagsbro"), *arguments]
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)

    return start


def test_the_script_is_well_formed_and_may_be_run() -> None:
    subprocess.run([BASH, "-n", str(ROOT / "sagsbro")], check=True)

    assert (ROOT / "sagsbro").stat().st_mode & 0o111


def test_a_python_that_is_too_old_is_named(run: Run) -> None:
    ended = run("demo", python3=OLD)

    assert ended.returncode == 1
    assert "needs Python 3.11 or newer; Python 3.9.18 is too old" in ended.stderr
    assert ended.stdout == ""


def test_where_python3_is_old_a_newer_one_beside_it_is_taken(run: Run) -> None:
    ended = run("demo", python3=OLD, python3_12=WITHOUT_VENV)

    assert "python3.12 has no venv module" in ended.stderr


def test_no_python_at_all_is_said_in_a_sentence(run: Run) -> None:
    ended = run("demo")

    assert ended.returncode == 1
    assert "no python3 was found" in ended.stderr


def test_a_missing_venv_module_comes_with_what_to_install(run: Run) -> None:
    ended = run("demo", python3=WITHOUT_VENV)

    assert ended.returncode == 1
    assert "no venv module" in ended.stderr
    assert "apt install python3-venv" in ended.stderr


def test_when_packages_cannot_be_fetched_the_network_is_spoken_of_and_the_next_start_begins_anew(
    run: Run, checkout: Path
) -> None:
    for _ in range(2):
        ended = run("demo", python3=WITHOUT_NETWORK)

        assert ended.returncode == 1
        assert "Connection refused" in ended.stderr
        assert "the network is away" in ended.stderr
        assert (checkout / ".venv" / "sagsbro.stamp").read_text() == "unfinished"


@pytest.fixture
def installed(checkout: Path, tmp_path: Path) -> Path:
    """Make a checkout whose every check passes at once; the directory of its programs."""
    programs = checkout / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in (*CHECKS, "python", "sagsbro"):
        _program(programs / name, "exit 0")
    texts = [(checkout / name).read_text().rstrip("\n") for name in READS[1:]]
    (checkout / ".venv" / "sagsbro.stamp").write_text("\n".join(["test", str(checkout.resolve()), *texts]))
    (tmp_path / "bin").mkdir()
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name) or name)
    return programs


def _program(path: Path, script: str) -> None:
    path.write_text(f"#!{BASH}\n{script}")
    path.chmod(0o755)


def _test(checkout: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path), "TMPDIR": str(temporary), "SAGSBRO_PURE": "1"}
    words = [BASH, str(checkout / "sagsbro"), "test"]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert list(temporary.iterdir()) == []
    return ended


@pytest.mark.parametrize("slow", ["", "[[ $* == *--ignore=* ]] && sleep 0.3", "[[ $* != *--ignore=* ]] && sleep 0.3"])
def test_a_run_without_a_failure_ends_with_0(checkout: Path, tmp_path: Path, installed: Path, slow: str) -> None:
    (tmp_path / "bin" / "sleep").symlink_to(shutil.which("sleep") or "sleep")
    _program(installed / "pytest", f"{slow}\nexit 0")

    ended = _test(checkout, tmp_path)

    assert ended.stderr == ""
    assert ended.returncode == 0


@pytest.mark.parametrize(
    ("program", "script", "told"),
    [
        ("pytest", "[[ $* != *--ignore=* ]]", "failed: pytest --ignore=tests/unit"),
        ("pytest", "[[ $* == *--ignore=* ]]", "failed: pytest tests/unit"),
        ("mypy", "exit 1", "failed: mypy"),
        ("deptry", "exit 1", "failed: deptry ."),
    ],
)
def test_a_run_with_a_failure_ends_with_1_and_tells_it_last(
    checkout: Path, tmp_path: Path, installed: Path, program: str, script: str, told: str
) -> None:
    _program(installed / program, script)

    ended = _test(checkout, tmp_path)

    assert ended.returncode == 1
    assert any(line.startswith(told) for line in (ended.stdout + ended.stderr).splitlines()[-3:])
