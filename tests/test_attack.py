"""The tool that reads crafted files notices each way in which one may end badly."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.helpers.paths import REPOSITORY
from visionkit.errors import UserError

TOOLS = str(REPOSITORY / "tools")


@pytest.fixture(scope="module")
def tool():
    sys.path.insert(0, TOOLS)
    try:
        import attack
        from attacks import case, runner

        yield attack, case, runner
    finally:
        sys.path.remove(TOOLS)


def _refuse(folder):
    raise UserError("a cell is missing")


def _fill(folder):
    data = bytearray(600 << 20)
    data[::4096] = b"x" * len(data[::4096])


PLANTED = {
    "ok": lambda folder: print("[bold] ü\n", end=""),
    "refused": _refuse,
    "traceback": lambda folder: {}["key"],
    "crash": lambda folder: os.kill(os.getpid(), signal.SIGSEGV),
    "hang": lambda folder: time.sleep(60),
    "memory": _fill,
    "canary": lambda folder: os.system("touch canary"),
    "terminal": lambda folder: print("\x1b[2J"),
}
OTHERS = {
    "sys.exit": (lambda folder: sys.exit(0), "traceback"),
    "more memory than can be had": (lambda folder: bytes(1 << 42), "memory"),
    "a secret shown": (lambda folder: print(Path("secret").read_text()), "canary"),
    "a secret in a message": (lambda folder: [].index(Path("secret").read_text()), "canary"),
    "a name that reads from right to left": (lambda folder: print("a\u202eb"), "terminal"),
    "os._exit": (lambda folder: os._exit(0), "crash"),
}


@pytest.mark.parametrize("name", [*PLANTED, *OTHERS])
def test_each_end_is_noticed(tool, name):
    _, case, runner = tool
    enter, expected = OTHERS[name] if name in OTHERS else (PLANTED[name], name)
    limits = runner.Limits(seconds=1.5 if expected == "hang" else 60, megabytes=400, jobs=1)
    (result,) = runner.attack([case.Case("planted", name, lambda folder: None, enter)], limits)
    assert result.verdict == expected
    assert result.is_bad == (expected not in ("ok", "refused"))


def test_the_same_seed_makes_the_same_cases_of_every_family(tool, tmp_path):
    attack, _, _ = tool
    for family in ("coco", "voc", "runs"):
        one, other = (attack.choose([family], quick=True, mutations=3, seed=3) for _ in range(2))
        assert [case.name for case in one] == [case.name for case in other]
        for number, cases in enumerate((one, other)):
            for index in (0, 11):
                (tmp_path / family / str(number) / str(index) / "data").mkdir(parents=True)
                cases[index].make(tmp_path / family / str(number) / str(index))
        files = [file for file in sorted((tmp_path / family / "0").rglob("*")) if file.is_file()]
        assert files
        for file in files:
            assert (
                file.read_bytes() == (tmp_path / family / "1" / file.relative_to(tmp_path / family / "0")).read_bytes()
            )


def test_a_quick_attack_has_cases_of_all_families_and_all_more_than_1500(tool):
    attack, _, _ = tool
    families = list(attack.FAMILIES)
    quick = attack.choose(families, quick=True, mutations=attack.QUICK_MUTATIONS, seed=0)
    whole = attack.choose(families, quick=False, mutations=attack.MUTATIONS, seed=0)
    assert {case.family for case in quick} == {case.family for case in whole} == set(families)
    assert 80 <= len(quick) <= 130
    assert 1500 <= len(whole) <= 2000


@pytest.mark.slow
def test_nothing_of_a_quick_attack_is_bad(tmp_path):
    command = [sys.executable, f"{TOOLS}/attack.py", "--quick", "--json", str(tmp_path / "verdicts.json")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=600, check=False)
    rows = json.loads((tmp_path / "verdicts.json").read_text())
    assert [row for row in rows if row["verdict"] not in ("ok", "refused")] == []
    assert len(rows) > 100
    assert ended.returncode == 0, ended.stdout
