"""The scripts: they run from anywhere, say what is missing, and show what they promise."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOOKLINE = str(Path(sys.executable).parent / "hookline")
SHELL_SCRIPTS = (
    "scripts/run",
    "scripts/test",
    "scripts/lint",
    "scripts/format",
    "scripts/docs",
    "scripts/explain",
    "scripts/screenshots",
    "scripts/vendor",
    "scripts/_env",
    ".ci/run",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def bash(text: str, cwd: Path, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", text], cwd=cwd, env={**os.environ, **environ}, capture_output=True, text=True, timeout=100
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of what the bootstrap reads, in a directory with a space in its name."""
    project = tmp_path / "my project"
    (project / "scripts").mkdir(parents=True)
    (project / "app" / "client").mkdir(parents=True)
    for name in "pyproject.toml", "app/client/pyproject.toml":
        shutil.copy(ROOT / name, project / name)
    shutil.copy(ROOT / "scripts" / "_env", project / "scripts")
    return project


def fake_python(directory: Path, name: str, *, good: bool) -> Path:
    """Write a command that behaves as an interpreter of a good or an old version, and notes what it installs."""
    path = directory / name
    status = 0 if good else 1
    path.write_text(
        "#!/bin/sh\n"
        'case "$1 $2" in\n'
        f'"-c "*) exit {status} ;;\n'
        '"--version "*) echo Python 3.x ;;\n'
        f'"-m venv") mkdir -p "{directory}/venv-made"; for last; do :; done\n'
        '  mkdir -p "$last/bin" && cp "$0" "$last/bin/python" ;;\n'
        f'"-m pip") for last; do :; done; echo "$last" >>"{directory}/installed" ;;\n'
        "esac\n"
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("script", SHELL_SCRIPTS)
def test_every_shell_script_is_bash_that_parses(script: str) -> None:
    assert bash(f"bash -n '{ROOT / script}'", ROOT).returncode == 0


@pytest.mark.parametrize("script", [script for script in SHELL_SCRIPTS if script != "scripts/_env"])
def test_every_script_can_be_executed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_an_old_python_is_one_clear_line(project: Path, tmp_path: Path) -> None:
    old = fake_python(tmp_path, "oldpython", good=False)
    result = bash("source scripts/_env; bootstrap_once ''", project, PYTHON=str(old))
    assert result.returncode == 1
    assert result.stderr == f"bash: PYTHON={old} is Python 3.x; Python 3.11 or later is needed\n"


def test_a_python_that_is_not_there_is_one_clear_line(project: Path) -> None:
    result = bash("source scripts/_env; bootstrap_once ''", project, PYTHON="nopython")
    assert (result.returncode, result.stderr) == (1, "bash: PYTHON=nopython: there is no such command\n")


def test_the_bootstrap_installs_once_and_again_when_the_requirements_change(project: Path, tmp_path: Path) -> None:
    good = fake_python(tmp_path, "goodpython", good=True)
    script = f"source '{project}/scripts/_env'; bootstrap_once dev"
    for _ in range(2):
        result = bash(script, tmp_path, PYTHON=str(good))
        assert result.returncode == 0, result.stderr
    assert (tmp_path / "installed").read_text() == f"{project}[dev]\n"
    with (project / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert bash(script, tmp_path, PYTHON=str(good)).returncode == 0
    assert (tmp_path / "installed").read_text() == f"{project}[dev]\n" * 2


def test_what_is_installed_for_development_serves_to_run(project: Path, tmp_path: Path) -> None:
    good = fake_python(tmp_path, "goodpython", good=True)
    for extras in ("dev", ""):
        bash(f"source scripts/_env; bootstrap_once '{extras}'", project, PYTHON=str(good))
    assert (tmp_path / "installed").read_text().count("\n") == 1


@pytest.mark.slow
def test_the_demo_delivers_everything_and_runs_twice_in_one_directory(tmp_path: Path) -> None:
    for events in "200", "100":
        port = free_port()
        command = [HOOKLINE, "demo", "--once", "--events", events, "--port", str(port), "--data", str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert result.returncode == 0, result.stdout + result.stderr
        rows = dict(re.findall(r"│ (\S.*?) +│ (\S.*?) +│", result.stdout))
        assert rows["events published"] == events
        assert rows["matched (deliveries owed)"] == rows["delivered, and on record"] != "0"
        assert rows["failed"] == "0"
        assert "p99" in rows["latency in batches of 100"]
        assert result.stderr == ""


@pytest.mark.slow
def test_the_demo_on_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [HOOKLINE, "demo", "--once", "--port", str(port), "--data", str(tmp_path)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert result.returncode == 1
    assert result.stderr == f"Error: can't listen on 127.0.0.1:{port}: Address already in use\n"


@pytest.mark.slow
def test_every_line_that_the_demo_suggests_runs_while_it_stays_up(tmp_path: Path) -> None:
    port = free_port()
    command = [HOOKLINE, "demo", "--events", "50", "--port", str(port), "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        suggested: list[str] = []
        for line in process.stdout:
            if line.startswith("curl "):
                suggested.append(line.strip())
            if line.startswith("Deliveries appear below"):
                break
        refused = [line for line in suggested if '"code":0' not in bash(line, tmp_path).stdout.replace(" ", "")]
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
        assert process.wait(60) == 0
    assert len(suggested) == 11
    assert [line.rsplit("/", 1)[1] for line in refused] == ["nothing"]
    assert "verified WEBHOOK_TEST" in rest
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.slow
def test_the_tour_of_the_readme_runs_as_shown(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) >= 6
    # Nothing may outlive a failed run.
    text = "set -euo pipefail\nset -m\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks)
    for port in ("8080", "9000"):
        text = text.replace(port, str(free_port()))
    text = text.replace("$PWD/.venv/bin", str(Path(HOOKLINE).parent)).replace("kill %1 %2 && wait", "kill %1 %2; wait")
    result = bash(text, ROOT, TMPDIR=str(tmp_path))
    assert result.returncode == 0, result.stdout + result.stderr
    assert '"status":"FAIL"' not in result.stdout
    assert [line.split()[1:3] for line in result.stdout.splitlines() if " bytes" in line] == [
        ["verified", "WEBHOOK_TEST"],
        ["verified", "NODE_CREATED"],
        ["verified", "NODE_CREATED"],
    ]
    assert re.search(r"accepted [1-9]\d*, duplicates 0, matched \d+", result.stdout)
