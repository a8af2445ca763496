"""The verbs ``serve`` and ``demo``: what they refuse, and both as a person starts and ends them."""

import json
import os
import re
import shutil
import signal
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from tests.helpers import commands
from tests.helpers.paths import REPOSITORY
from tools.page_commands import visionkit_commands
from visionkit.cli.verbs import VERBS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("serve", "port=many"), 'port: expected a whole number from 0 to 65,535, found "many". Try: port=8000'),
        (("demo", "port=-1"), "Try: port=7860, or port=0 for any that is free"),
        (("serve", "max_bytes=0"), "max_bytes: expected a whole number of bytes above 0, found 0"),
        (("demo", "max_pixels=all"), 'max_pixels: expected a whole number of pixels above 0, found "all"'),
        (("demo", "share=maybe"), 'share: expected true or false, found "maybe". Try: share=true'),
        (("serve", "recipe.lr=1"), "serve takes a run as it is"),
    ],
)
def test_what_is_typed_wrong_is_told_before_anything_is_loaded(cli, shared_runs, words, message):
    code, _, err = cli(*words, f"run={shared_runs.of('classify')}")
    assert (code, message in err) == (2, True), err


@pytest.mark.parametrize("verb", ["serve", "demo"])
@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("format=json", "answers of serve are JSON as they are, and the page of demo is none. Leave it out."),
        ("run_dir=out", "run_dir=out has no effect on {verb}: a server writes no results. Leave it out."),
        ("recipe.batch_size=4", "has no effect on {verb}. Leave it out."),
        ("debug=fast", "What may be typed beside the options of {verb}: hardware, plugins."),
    ],
)
def test_what_has_no_effect_on_a_server_is_refused(cli, shared_runs, verb, word, message):
    code, _, err = cli(verb, f"run={shared_runs.of('classify')}", word)
    assert (code, message.format(verb=verb) in err) == (2, True), err


@pytest.fixture
def empty_run(shared_runs, tmp_path):
    """A run whose training was ended before it had any weights."""
    run = tmp_path / "run"
    ignored = shutil.ignore_patterns("checkpoints", "*.safetensors", "*.png", "exports")
    shutil.copytree(shared_runs.of("classify"), run, ignore=ignored)
    return run


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_run_without_a_checkpoint_is_refused_in_words(cli, empty_run, monkeypatch, verb):
    monkeypatch.setattr("visionkit.commands.demo.check_installed", lambda *packages, **words: None)
    code, out, err = cli(verb, f"run={empty_run}", "port=0")
    assert (code, f"'{empty_run}' has neither model.safetensors nor checkpoints/best.ckpt" in err, "ready" in out) == (
        2,
        True,
        False,
    ), err


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("model.onnx", ("hardware=cpu",), "{verb} takes an exported file as it is, and 'hardware' would change it."),
        ("model.onnx", (), "model.onnx' is no ONNX file"),
        ("model.onnx.rejected", (), "was refused when it was exported"),
        ("model.pt2", (), "is a file of torch.export"),
        ("gone/model.onnx", (), "is not there. Expected a file that export has written"),
    ],
)
@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_file_that_is_no_export_of_a_run_is_refused(cli, tmp_path, monkeypatch, verb, name, words, message):
    monkeypatch.setattr("visionkit.commands.demo.check_installed", lambda *packages, **words: None)
    if "/" not in name:
        (tmp_path / name).write_bytes(b"text")
    code, _, err = cli(verb, f"run={tmp_path / name}", "port=0", *words)
    assert (code, message.format(verb=verb) in err) == (2, True), err


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_a_server_without_a_run_says_which_is_meant(cli, in_empty_folder, verb):
    code, _, err = cli(verb)
    assert (code, f"{verb} needs a run: run=FOLDER, or run=latest for the newest one." in err) == (2, True)


@pytest.mark.parametrize("verb", ["serve", "demo"])
def test_without_its_packages_the_line_that_installs_them_is_told(cli, shared_runs, monkeypatch, verb):
    import importlib.util

    found = importlib.util.find_spec
    missing = ("fastapi", "gradio")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in missing else found(name, *rest)
    )
    code, _, err = cli(verb, f"run={shared_runs.of('classify')}", "port=0")
    assert (code, 'Try: pip install "visionkit[demo]"' in err) == (2, True), err


def test_the_commands_of_the_page_have_options_that_there_are():
    commands_of_page = visionkit_commands(REPOSITORY / "docs" / "serving.md")
    for command in commands_of_page:
        verb, *words = command.split()[3:]
        assert {word.partition("=")[0] for word in words} <= set(VERBS[verb].options), command
    assert len(commands_of_page) == 4


@contextmanager
def served(folder, run, verb):
    """The address of a server, which a Ctrl-C ends in one line, with nothing left behind."""
    (folder / "tmp").mkdir()
    hardware = () if run.suffix else ("hardware=cpu",)
    words = (verb, f"run={run}", "port=0", "max_pixels=1000000", *hardware)
    process = commands.start(folder, *words, TMPDIR=str(folder / "tmp"), GRADIO_ALLOWED_PATHS="/", GRADIO_SHARE="True")
    try:
        for line in process.stdout:
            found = re.match(r"ready +(http://127\.0\.0\.1:\d+) ", line)
            if found:
                break
        yield found[1]
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (130, "visionkit: interrupted\n")
        assert os.listdir(folder / "tmp") == []
    finally:
        process.kill()


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_serve_answers_until_ctrl_c(tmp_path, shared_runs, photos):
    pytest.importorskip("fastapi")
    photo = photos / "test" / "cat" / "0.png"
    with served(tmp_path, shared_runs.of("classify"), "serve") as url:
        request = urllib.request.Request(f"{url}/predict", photo.read_bytes(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            document = json.load(answer)
        assert json.load(urllib.request.urlopen(f"{url}/health", timeout=30))["status"] == "ok"
        assert status_of(f"{url}/etc/passwd") == 404
        assert status_for(f"{url}/health", "evil.example") == 421
    import visionkit as vk

    expected = vk.load(shared_runs.of("classify"), device="cpu").predict(photo)
    assert document["class"] == expected.label
    assert document["probabilities"] == pytest.approx(expected.to_dict()["probabilities"], abs=1e-6)


@pytest.mark.slow
def test_serve_answers_with_an_exported_file_alone(tmp_path, shared_runs, photos):
    pytest.importorskip("fastapi")
    import visionkit as vk

    photo, file = photos / "test" / "cat" / "0.png", tmp_path / "shipped" / "model.onnx"
    file.parent.mkdir()
    shutil.copy(shared_runs.exported("classify") / "exports" / "onnx" / "model.onnx", file)
    with served(tmp_path, file, "serve") as url:
        request = urllib.request.Request(f"{url}/predict", photo.read_bytes(), {"Content-Type": "image/png"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            document = json.load(answer)
        assert json.load(urllib.request.urlopen(f"{url}/health", timeout=30))["run"] == "shipped/model.onnx"
    assert document == {"task": "classify", **vk.load(file).predict(photo).to_dict(), "file": None, "notes": []}


def status_for(url, host):
    request = urllib.request.Request(url, headers={"Host": host})
    return status_of(request)


@pytest.mark.slow
def test_demo_shows_a_page_of_its_own_until_ctrl_c(tmp_path, shared_runs):
    pytest.importorskip("gradio")
    with served(tmp_path, shared_runs.of("detect"), "demo") as url:
        with urllib.request.urlopen(url, timeout=30) as answer:
            policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
        assert "default-src 'self'" in policy
        assert "fonts.googleapis.com" not in page
        assert json.load(urllib.request.urlopen(f"{url}/config", timeout=30))["analytics_enabled"] is False
        for file in ("/etc/passwd", str(shared_runs.of("detect") / "config.yaml")):
            assert status_of(f"{url}/gradio_api/file={file}") == 403
        assert status_of(f"{url}/docs") == 404
        assert [status_for(url, host) for host in ("localhost", "evil.example")] == [200, 421]
        info = json.load(urllib.request.urlopen(f"{url}/gradio_api/info", timeout=30))
        assert info == {"named_endpoints": {}, "unnamed_endpoints": {}}
