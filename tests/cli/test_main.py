"""The command line as a process: exit codes, one-sentence errors, a quick `--help`."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import pytest
import typer

import gatecam
from gatecam.cli import main as cli
from gatecam.errors import CameraError, GatecamError

HEAVY = ("torch", "torchvision", "facenet_pytorch", "cv2", "av", "numpy", "pydantic")


@pytest.fixture
def main_raising(monkeypatch, capsys):
    """Runs `main` on a command that raises an error; gives the exit code and standard error."""

    def run(error: BaseException) -> tuple[int | str | None, str]:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def command() -> None:
            raise error

        monkeypatch.setattr(cli, "app", app)
        monkeypatch.setattr(sys, "argv", ["gatecam"])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code, capsys.readouterr().err

    return run


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from gatecam.cli.main import main
sys.argv = ["gatecam", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
print([name for name in {HEAVY} if name in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
    assert "doctor" in run.stdout


def test_a_start_loads_no_other_command_and_no_library_that_only_some_starts_need():
    libraries = {"torch", "openvino", "sqlalchemy", "fastapi", "av", "PIL", "rich", "asyncio"}
    code = """
import sys
from gatecam.cli.main import main
sys.argv = ["gatecam", "token", "-h"]
try:
    main()
except SystemExit:
    print(*(name for name in sys.modules if name in ("gatecam.cli.train", "gatecam.cli.token")))
"""
    parts = f"import sys; import gatecam.app; print(sorted({libraries} & set(sys.modules)))"
    late = {"openvino.tools.ovc", "sqlalchemy.dialects.postgresql", "alembic", "torch"}
    store = "import sys; import gatecam.store.keeping, gatecam.store.outbox, gatecam.vision.openvino as one; "
    store += f"one.describe_openvino(); print(sorted({late} & set(sys.modules)))"
    for one, last in ((code, "gatecam.cli.token"), (parts, "[]"), (store, "[]")):
        run = subprocess.run([sys.executable, "-c", one], capture_output=True, text=True, timeout=60)
        assert run.stdout.splitlines()[-1] == last, run.stderr


def test_the_version_is_told():
    command = [sys.executable, "-m", "gatecam", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, f"gatecam {gatecam.__version__}\n")


@pytest.mark.parametrize(
    "words", [["nonsense"], ["config", "show", "--nonsense"], ["config", "check", "a", "b"]]
)
def test_wrong_words_exit_2_without_a_traceback(gatecam, words):
    ended = gatecam(*words)
    assert ended.code == 2
    assert "Usage" in ended.err
    assert "Traceback" not in ended.err


def test_a_user_error_is_one_sentence_and_exit_2(main_raising):
    code, said = main_raising(CameraError("camera [0] cannot be opened, plug it in"))
    assert (code, said) == (2, "gatecam: camera [0] cannot be opened, plug it in\n")


def test_bytes_that_are_no_text_are_read_without_a_traceback(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Stra\xdfe\n"), encoding="utf-8"))
    read = []
    monkeypatch.setattr(cli, "app", lambda: read.append(sys.stdin.readline()))
    cli.main()
    assert read == ["Stra\udcdfe\n"]


def test_several_problems_are_told_line_by_line(main_raising):
    assert main_raising(GatecamError("one\ntwo")) == (2, "gatecam: one\ngatecam: two\n")


def test_ctrl_c_exits_130_in_silence(main_raising):
    assert main_raising(KeyboardInterrupt()) == (130, "")


def test_a_defect_keeps_its_traceback(monkeypatch):
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", command)
    with pytest.raises(ZeroDivisionError):
        cli.main()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_is_one_sentence_and_exit_2():
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "gatecam", "--version"]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert run.returncode == 2
    assert run.stderr.startswith("gatecam: No space left on device, check")
    assert run.stderr.count("\n") == 1


def test_a_reader_that_leaves_ends_it_in_silence():
    read_end, write_end = os.pipe()
    os.close(read_end)
    command = [sys.executable, "-m", "gatecam", "config", "show"]
    run = subprocess.run(command, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write_end)
    assert (run.returncode, run.stderr) == (1, "")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (ImportError("libGL.so.1: cannot open shared object file"), "libgl1"),
        (ImportError("No module named 'cv2'"), "pip install"),
    ],
)
def test_a_library_that_does_not_load_is_one_sentence(main_raising, error, advice):
    code, told = main_raising(error)
    assert code == 2
    assert len(told.splitlines()) == 1
    assert str(error) in told
    assert advice in told


CLOSED_THEN_MAIN = """
import os, sys
for fd in map(int, sys.argv.pop(1).split(",")):
    os.close(fd)
    setattr(sys, ("stdin", "stdout", "stderr")[fd], None)  # as an interpreter that starts so has it
from gatecam.cli import main
main.app.command("opens")(lambda: (print("out"), print(open("store", "wb").fileno(), file=open("fd", "w"))))
main.main()
"""


@pytest.mark.parametrize("closed", ["0", "1", "2", "0,1,2"])
def test_a_closed_standard_stream_is_no_traceback_and_its_number_goes_to_no_file(tmp_path, closed):
    command = [sys.executable, "-W", "ignore", "-c", CLOSED_THEN_MAIN, closed, "opens"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    assert int((tmp_path / "fd").read_text()) > 2


@pytest.mark.parametrize("words", [["config", "show"], ["--help"], ["events"]])
def test_a_reader_that_is_gone_is_no_traceback(tmp_path, words):
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "gatecam", *words]
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path)}
    try:
        for streams in ({"stdout": writer, "stderr": subprocess.PIPE}, {"stdout": writer, "stderr": writer}):
            run = subprocess.run(command, text=True, timeout=60, cwd=tmp_path, env=env, **streams)
            assert run.returncode in (1, 2)
            assert "Traceback" not in (run.stderr or "")
            assert "Exception ignored" not in (run.stderr or "")
    finally:
        os.close(writer)
