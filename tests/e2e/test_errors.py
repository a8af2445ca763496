"""What a person may type wrong: one clear message, exit code 2, no traceback, nothing written, no torch imported."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from tests.helpers import commands
from tests.helpers.paths import REPOSITORY

NET = "name: net\nstages: {a: {conv: {type: conv, out_channels: 4, kernel_size: 3}}}\n"

MISTAKES = [
    (["backbone=lenett"], "no backbone is called 'lenett'. Did you mean 'lenet'?"),
    (["task=clasify"], "no task is called 'clasify'. Did you mean 'classify'?"),
    (["head=liner"], "no head is called 'liner'. Did you mean 'linear'?"),
    (["dataset=digit"], "no dataset is called 'digit'. Did you mean 'digits'?"),
    (["recipe=sdg"], "no recipe is called 'sdg'. Did you mean 'sgd'?"),
    (["hardware=gpus"], "no hardware is called 'gpus'. Did you mean 'gpu'?"),
    (["experiment=mnist"], "no experiment is called 'mnist'. Did you mean 'mnist_lenet'?"),
    (["output_stride=8"], "unknown key 'output_stride'. Did you mean 'backbone.output_stride'?"),
    (["epochs=8"], "unknown key 'epochs'. Did you mean 'recipe.epochs'?"),
    (["weights=."], "weights: '.' is a folder. Expected a file; for a run's weights: weights=run:."),
    (["backbone.stem=small"], "no stem is called 'small'. Known: paper. This network has no other"),
    (["backbon=lenet"], "unknown key 'backbon'. Did you mean 'backbone'?"),
    (["recipe.epoch=3"], "unknown key 'recipe.epoch'. Did you mean 'recipe.epochs'? Type recipe.epochs=3"),
    (["recpie.epochs=3"], "unknown key 'recpie.epochs'. Did you mean 'recipe.epochs'? Type recipe.epochs=3"),
    (["dataset.image_sise=32"], "unknown key 'image_sise'. Did you mean 'image_size'?"),
    (["hardware.device=2"], "unknown key 'device'. Did you mean 'devices'?"),
    (["backbone.stages.c1.conv.kernel=3"], "unknown key 'kernel'. Did you mean 'kernel_size'?"),
    (["backbone.stages.c1.conv.type=cnv"], "no block is called 'cnv'. Did you mean 'conv'?"),
    (["~backbone.stages.c1.pol"], "there is nothing to take away. Did you mean 'pool'?"),
    (["recipe.epochs=three"], 'recipe.epochs: expected a whole number, found "three"'),
    (["recipe.epochs=0"], "recipe.epochs: expected a number greater than 0 and at most 1000000, found 0"),
    (["recipe.lr=-1"], "recipe.lr: expected a number greater than 0 and at most 1e+30, found -1"),
    (["recipe.optimizer.type=sdg"], "no optimizer is called 'sdg'. Did you mean 'sgd'?"),
    (["seed=x"], 'seed: expected a whole number, found "x"'),
    (["strict=maybe"], "strict: expected true or false"),
    (
        ["backbone.stages.c3.conv.kernel_size=25"],
        "stages.c3.conv: its 25x25 kernel does not fit into its 14x14x6 input",
    ),
    (
        ["backbone=alexnet", "dataset.image_size=16"],
        "The smallest image that works is 63x63. Try dataset.image_size=63",
    ),
    (["dataset=folder"], "dataset.root is not given"),
    (["dataset=folder", "dataset.root=nowhere"], "there is no folder 'nowhere'"),
    (["dataset=mnist", "dataset.root=nowhere"], "dataset.download=true"),
    (["hardware.devices=3", "hardware=cpu"], "recipe.batch_size"),
    (["evaluate", "run=nowhere"], "'nowhere' is no run folder"),
    (["evaluate", "run=latest"], "there is no run below 'runs' yet"),
    (["evaluate"], "evaluate needs a run"),
    (["predict", "run=nowhere", "source=x"], "'nowhere' is no run folder"),
    (["train", "run=nowhere"], "'nowhere' is no run folder"),
    (["train", "resume=true"], "resume=true continues a run: say which"),
    (
        ["inspect", "image_size=0"],
        "inspect.image_size: expected a number of pixels",
    ),
    (["inspect", "image_size=[32]"], "[height, width], found [32]. Try 32 or [32,32]."),
    (["dataset.image_size=[32]"], "dataset.image_size: expected a number of pixels"),
    (["image_size=[32]"], "Type dataset.image_size=32"),
    (["backbone.image_size=[32]"], "image_size: expected a number of pixels"),
    (["inspect", "batchsize=3"], "unknown key 'batchsize'. Did you mean 'batch_size'?"),
    (["inspect", "depth=deep"], 'inspect.depth: expected a whole number, found "deep"'),
    (["inspect", "backbone=alexnet", "image_size=16"], "The smallest image that works is 63x63"),
    (["inspect", "batch_size=0"], "inspect.batch_size: expected a number greater than 0 and at most 65536, found 0"),
    (["inspect", "by=layers"], "inspect.by: expected 'layer' or 'stage', found \"layers\""),
    (["inspect", "explain=maybe"], 'inspect.explain: expected true or false, found "maybe"'),
    (["inspect", "format=xml"], "inspect.format: expected 'text', 'json', 'csv' or 'markdown', found \"xml\""),
    (["inspect", "backbone=lenet,lenett"], "no backbone is called 'lenett'. Did you mean 'lenet'?"),
    (["inspect", "backbone=lenet,"], "no backbone is called ''"),
    (["inspect", "-m", "backbone=lenet,resnet18"], "sweeps are of training runs: inspect takes neither -m nor sweep="),
    (["list", "backbonez"], "there is no 'backbonez' to list. Did you mean 'backbone'?"),
    (["trian"], "no verb is called 'trian'. Did you mean 'train'?"),
    (["seed=1", "inspect"], "the verb comes first: python -m visionkit inspect ..."),
    (["list", "plugins=[no_such_module]"], "plugin 'no_such_module' cannot be imported"),
    (["--hlep"], "no flag is called '--hlep'"),
    (["model=resnet18"], "unknown key 'model'. Did you mean 'backbone'? Type backbone=resnet18"),
    (["data=photos"], "Did you mean 'dataset.root'? Type dataset.root=photos"),
    (["batch=8"], "Type recipe.batch_size=8"),
    (["imgsz=64"], "Type dataset.image_size=64"),
    (["lr0=0.1"], "Type recipe.lr=0.1"),
    (["device=0"], "'device=0': no key is called 'device' here. Type hardware=cpu or hardware=gpu"),
    (["pretrained=true"], "Type weights=imagenet for a model"),
    (["task=classification"], "no task is called 'classification'. Did you mean 'classify'? Type task=classify"),
    (["task=Detect"], "no task is called 'Detect'. Did you mean 'detect'?"),
    (["task=null"], "no task is called 'null'. Known: classify, detect"),
    (["recipe..lr=3"], "a dot of the key has no word beside it. Type recipe.lr=3"),
    (["backbone=ResNet18"], "no backbone is called 'ResNet18'. Did you mean 'resnet18'?"),
    (["source=x"], "'source' is a key of predict alone. Try: python -m visionkit predict ... source=x"),
    (["run_dir='a b"], "the quote is not closed. Try: run_dir=a b"),
    (["backbone@encoder=lenet"], "each group has its own place here, and '@' moves none. Type backbone=lenet"),
    (["hydra.run.dir=${now:%H}"], "interpolations such as ${...} are not allowed"),
    (["fit"], "no verb is called 'fit'. Type: python -m visionkit train"),
    (["help"], "no verb is called 'help'. Type: python -m visionkit --help"),
    (["Train"], "no verb is called 'Train'. Did you mean 'train'?"),
    (["--backbone", "lenet"], "no flag is called '--backbone'."),
    (["--backbone", "lenet"], "Settings have no dashes: backbone=lenet"),
    (["--batch-size=8"], "Settings have no dashes: recipe.batch_size=8"),
    (["--config-path", "x"], "Files of your own lie beside it: --config-dir FOLDER"),
    (["-cn", "x"], "chosen by --config-dir FOLDER experiment=NAME"),
    (["--cfg", "jobs"], "--cfg: found 'jobs'. Did you mean 'job'?"),
    (["--cfg", "job", "--package", "recipe.lrr"], "--package: there is no 'recipe.lrr'. Did you mean 'lr'?"),
    (["--package", "recipe"], "Try: --cfg job --package recipe"),
    (["--shell-completion", "install=bahs"], "Did you mean 'bash'?"),
    (["--config-dir", "nowhere"], "--config-dir: there is no folder 'nowhere'"),
    (["weights=nowhere.pth"], "weights: file 'nowhere.pth' does not exist"),
    (["backbone.weights=nowhere.pth"], "backbone.weights: file 'nowhere.pth' does not exist"),
    (["head.class_weights=[1,2]"], "expected one number for each of the 10 classes, found 2"),
    (["head={type: '${x}'}"], "interpolations such as ${...} are not allowed"),
    (
        ["backbone.stages.c1.conv.kernel_size=100000"],
        "expected a number of cells up to 1,000 or [height, width]",
    ),
    (["seed=0,1"], "stands for several values"),
    (["backbone=lenet,resnet18"], "names several choices"),
    (["plugins=[no_such_module]"], "plugin 'no_such_module' cannot be imported"),
    (["backbone=missing.yaml"], "backbone file 'missing.yaml' does not exist"),
    (["backbone=empty.yaml"], "the file is empty"),
    (["backbone=twice.yaml"], "the key 'name' is given twice"),
    (["backbone=list.yaml"], "expected a mapping"),
    (["backbone=huge.yaml"], "at most 256 KiB"),
    (["backbone=zero.yaml"], "expected a number greater than 0 and at most 1000000, found 0"),
    (["backbone=negative.yaml"], "expected a number of cells up to 1,000 or [height, width], found -3. Try 3 or [3,3]"),
]


@pytest.fixture
def broken_files(in_empty_folder):
    files = {
        "empty.yaml": "",
        "twice.yaml": NET + "name: again\n",
        "list.yaml": "- a\n",
        "huge.yaml": NET + "#" * 300_000,
        "zero.yaml": NET.replace("out_channels: 4", "out_channels: 0"),
        "negative.yaml": NET.replace("kernel_size: 3", "kernel_size: -3"),
    }
    for name, text in files.items():
        (in_empty_folder / name).write_text(text)
    return in_empty_folder


@pytest.mark.parametrize(("arguments", "message"), MISTAKES, ids=lambda x: " ".join(x) if isinstance(x, list) else "")
def test_a_mistake_ends_with_2_and_says_what_to_type(cli, broken_files, arguments, message):
    before = sorted(broken_files.rglob("*"))
    code, out, err = cli(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("visionkit: ")
    assert "Traceback" not in err
    assert out == ""
    assert sorted(broken_files.rglob("*")) == before


REFUSED_BY_TRAIN = [
    arguments
    for arguments, _ in MISTAKES
    if "=" in arguments[0]
    and arguments
    not in (
        ["backbone=lenet,resnet18"],
        ["seed=1", "inspect"],
        ["hardware.devices=3", "hardware=cpu"],
        ["batch=8"],
        ["imgsz=64"],
        ["image_size=[32]"],
    )
]
"""``inspect`` compares several backbones, and has an image and batch size of
its own; how many processes share a batch is no matter of the network."""


@pytest.mark.parametrize("arguments", REFUSED_BY_TRAIN, ids=" ".join)
def test_inspect_refuses_what_train_refuses_in_the_same_words(cli, broken_files, arguments):
    refused = [cli(verb, *arguments) for verb in ("train", "inspect")]
    assert [code for code, _, _ in refused] == [2, 2]
    words = [err.replace("dataset.image_size=", "image_size=") for _, _, err in refused]
    assert words[0] == words[1]


def test_configuration_errors_listings_and_inspect_import_no_torch(in_empty_folder):
    script = (
        "import sys\nfrom visionkit.cli.main import main\n"
        "codes = [main(a.split()) for a in ('list', '--help', 'inspect backbone=resnet50 num_classes=10', "
        "'inspect backbone=plain56,resnet56 explain=true by=stage', "
        "'recipe.epochs=x', 'backbone=alexnet dataset.image_size=16', 'dataset=mnist', 'evaluate run=x', "
        "'weights=nowhere.pth', 'head.class_weights=[1,2]')]\n"
        "heavy = [m for m in ('torch', 'torchvision', 'lightning', 'torchmetrics', 'matplotlib') if m in sys.modules]\n"
        "print('RESULT', codes, heavy)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "RESULT [0, 0, 0, 0, 2, 2, 2, 2, 2, 2] []" in result.stdout


def test_importing_backbones_loads_no_trainer_and_no_hydra():
    script = (
        "import sys, visionkit\nassert 'torch' not in sys.modules\nimport visionkit.backbones\n"
        "visionkit.backbones.create_backbone('lenet')\n"
        "print([m for m in ('hydra', 'omegaconf', 'lightning', 'torchmetrics', 'matplotlib') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_no_gpu_where_one_was_asked_for(cli, in_empty_folder):
    import torch

    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("this machine has a GPU")
    code, _, err = cli("hardware=gpu")
    assert code == 2
    assert "a GPU was asked for, but torch finds none" in err
    assert "Try: hardware=cpu" in err
    assert list(in_empty_folder.iterdir()) == []


def test_a_fault_of_ours_ends_with_1_and_asks_for_a_report(cli, monkeypatch):
    import visionkit.cli.main as module

    monkeypatch.setattr(module, "_run", lambda request: 1 / 0)
    code, _, err = cli("list")
    assert code == 1
    assert "please report it" in err


def test_ctrl_c_outside_training_ends_with_130(cli, monkeypatch):
    import visionkit.cli.main as module

    def interrupt(request):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_run", interrupt)
    assert cli("list")[0] == 130


def test_ctrl_c_in_code_given_as_text_ends_with_130_too(tmp_path):
    """Of such an interrupt Python itself, started with ``-m``, would remember to end by SIGINT."""
    (tmp_path / "interrupting.py").write_text("exec('raise KeyboardInterrupt')")
    words = ("inspect", "backbone=lenet", "plugins=[interrupting]")
    assert commands.run(tmp_path, *words) == (130, "", "visionkit: interrupted\n")


EXITING = """import atexit, os, time

def wait(touch=lambda name: os.close(os.open(name, os.O_CREAT)), sleep=time.sleep):
    touch("exiting")
    sleep({seconds})

class Last:
    def __del__(self, wait=wait):
        wait()

{last}
"""


@pytest.mark.parametrize(
    ("last", "seconds", "expected"),
    [("atexit.register(wait)", 60, (143, "visionkit: terminated\n")), ("last = Last()", 2, (0, ""))],
)
def test_a_signal_to_a_command_that_is_done_is_a_line_or_nothing(tmp_path, last, seconds, expected):
    """While functions of `atexit` run, and while Python clears its modules away."""
    (tmp_path / "exiting_late.py").write_text(EXITING.format(last=last, seconds=seconds))
    process = commands.start(tmp_path, "inspect", "backbone=lenet", "plugins=[exiting_late]")
    deadline = time.monotonic() + 60
    while not (tmp_path / "exiting").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == expected
    assert "lenet" in out


@pytest.mark.parametrize(("number", "word"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "terminated")])
def test_a_signal_is_one_line_and_its_exit_code_even_where_a_library_makes_another_error_of_it(
    cli, monkeypatch, number, word
):
    import visionkit.cli.main as module
    from visionkit.cli.signals import begin_work

    def strike(request):
        begin_work()
        try:
            signal.raise_signal(number)
        except BaseException as error:
            raise ImportError("half imported") from error

    monkeypatch.setattr(module, "_run", strike)
    before = signal.getsignal(number)
    code, out, err = cli("list")
    assert (code, out, err) == (128 + number, "", f"visionkit: {word}\n")
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(
    ("closed", "words", "code"),
    [(">&- 2>&- <&-", "inspect backbone=lenet format=json", 0), ("2>&-", "recipe.lrr=1", 2)],
)
def test_closed_streams_are_no_fault(tmp_path, closed, words, code):
    command = f"exec {sys.executable} -m visionkit {words} {closed}"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    assert subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment).returncode == code
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("delay", [0.0, 0.4])
def test_sigterm_while_the_command_starts_is_one_line_and_143(tmp_path, delay):
    code = "import time, visionkit.__main__ as m, sys; print('up', flush=True); sys.exit(m.main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "debug=fast", "hardware=cpu"], cwd=tmp_path, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    time.sleep(0.05 + delay)
    process.terminate()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (143, "", "visionkit: terminated\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "x"), "no space left on device. Make room, or write elsewhere: run_dir=FOLDER"),
        (PermissionError(errno.EACCES, "x", "a/b"), "'a/b': permission denied. Expected a place that this user may"),
        (OSError(errno.ENAMETOOLONG, "x", "a" * 9), "'aaaaaaaaa': file name too long. Expected a shorter name"),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), "memory could not be had: "),
        (OSError(errno.ENAMETOOLONG, "x", "a/" * 900), f"'{'a/' * 50}...{'a/' * 50}': file name too long."),
        (MemoryError(), "memory could not be had"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory could not be had"),
        (
            FileNotFoundError(errno.ENOENT, "x", "runs/moved/checkpoints/.last.ckpt.31.tmp"),
            "'runs': no such file or directory. It is not there, or is there no more.",
        ),
        (FileNotFoundError(errno.ENOENT, "x", "gone.png"), "'gone.png': no such file or directory. It is not there"),
    ],
)
def test_what_the_system_refuses_is_told_with_its_path_and_no_traceback(cli, monkeypatch, error, message):
    import visionkit.cli.main as module

    def fail(request):
        raise error

    monkeypatch.setattr(module, "_run", fail)
    code, _, err = cli("list")
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"visionkit: {message}")


def test_an_error_of_the_system_without_a_path_that_a_user_cannot_mend_is_a_fault_of_ours(cli, monkeypatch):
    import visionkit.cli.main as module

    def fail(request):
        raise FileNotFoundError(errno.ENOENT, "x")

    monkeypatch.setattr(module, "_run", fail)
    code, _, err = cli("list")
    assert (code, "please report it" in err) == (1, True)


def test_a_folder_that_cannot_be_written_is_found_before_torch_is_loaded(in_empty_folder):
    """By all verbs that write, in a process to which torch is not there."""
    (in_empty_folder / "file").write_text("")
    program = (
        "import sys\nsys.modules['torch'] = None\nfrom visionkit.cli.main import main\n"
        "for words in (['train'], ['-m', 'seed=0,1'], ['-m', 'seed=0,1', 'resume=true']):\n"
        "    for folder in ('file', 'file/b', '/proc/x', 'x' * 300):\n"
        "        print(main([*words, 'hardware=cpu', f'run_dir={folder}']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2"] * 12
    errors = done.stderr.splitlines()
    assert len(errors) == 12
    assert all("cannot be written" in line for line in errors[:8])
    assert sorted(path.name for path in in_empty_folder.iterdir()) == ["file"]


def test_an_error_in_the_data_ends_a_run_before_its_first_epoch_and_leaves_no_folder(cli, photos, tmp_path):
    root = shutil.copytree(photos, tmp_path / "photos")
    shutil.copy(root / "train/cat/0.png", root / "test/cat/copy.png")
    words = ("dataset=folder", f"dataset.root={root}", "dataset.image_size=32", "backbone=lenet", "hardware=cpu")
    code, out, err = cli(*words, f"run_dir={tmp_path / 'run'}")
    assert code == 2
    assert "1 file(s) of test that are in train too: test/cat/copy.png and train/cat/0.png. Remove" in err
    assert "epoch" not in out
    assert not (tmp_path / "run").exists()
