"""What is not there is told in a sentence before any library that takes seconds is loaded."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

COMMANDS = {
    "replay nothing": "nothing",
    "replay broken.mp4": "broken.mp4",
    "run --headless --camera /dev/video987": "/dev/video987",
    "run --headless": "/dev/video987",
    "run --headless --config nothing": "nothing",
    "predict nothing": "nothing",
    "predict . nothing --crops": "nothing",
    "predict nothing --submission s.csv": "nothing",
    "evaluate --data nothing": "nothing",
    "evaluate --data . --split nothing": "nothing",
    "evaluate-detector --data nothing": "nothing",
    "evaluate-detector --data . --known nothing": "nothing",
    "evaluate-detector --data . --empty . --empty nothing": "nothing",
    "evaluate-detector --data . --landmarks nothing": "nothing",
    "evaluate-events nothing --truth .": "nothing",
    "evaluate-events . --truth nothing": "nothing",
    "train --data nothing": "nothing",
    "train --data . --init nothing": "nothing",
    "train-detector --data nothing": "nothing",
    "train-detector --data . --no-faces nothing": "nothing",
    "data label nothing --out out": "nothing",
    "data stats nothing": "nothing",
    "data check nothing": "nothing",
    "data check . --split nothing": "nothing",
    "data synthesize nothing --out out": "nothing",
    "data split nothing --out split.csv": "nothing",
    "bench --video nothing": "nothing",
    "bench compare nothing nothing": "nothing",
}
ALL = """
import contextlib, io, json, sys
from gatecam.cli import main
told = {}
for command in json.load(sys.stdin):
    sys.argv, said, code = ["gatecam", *command.split()], io.StringIO(), None
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        try:
            main.main()
        except SystemExit as end:
            code = end.code
    told[command] = [code, said.getvalue(), "torch" in sys.modules or "openvino" in sys.modules]
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The exit code and the words of each command, and whether torch was loaded, all of one process."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "config.yaml").write_text("camera: {source: /dev/video987}\n")
    (folder / "broken.mp4").write_text("no video")
    env = {"PYTHONPATH": ":".join(sys.path), "XDG_RUNTIME_DIR": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", ALL],
        input=json.dumps(list(COMMANDS)),
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(("command", "missing"), COMMANDS.items())
def test_a_missing_input_is_told_before_torch_is_loaded(told, command, missing):
    code, said, is_torch_loaded = told[command]
    assert code == 2
    assert said.startswith(f"gatecam: {missing}: ")
    assert not is_torch_loaded


def test_of_several_missing_paths_each_is_told(gatecam):
    ended = gatecam("predict", "one.jpg", ".", "two.jpg")
    assert [line.split(":")[1] for line in ended.err.splitlines()] == [" one.jpg", " two.jpg"]
