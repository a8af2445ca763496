"""timm's models through the command line."""

import json

import pytest

pytest.importorskip("timm")


def test_a_timm_model_trains_and_its_run_is_evaluated_and_used(cli, in_empty_folder):
    from PIL import Image

    code, out, err = cli("task=classify", "backbone=timm", "backbone.model=resnet18", "debug=fast", "run_dir=run")
    assert code == 0, err
    # timm's 11,689,512 for 3 channels and 1000 classes, here 1 and 10
    assert f"model    timm-resnet18, {11_689_512 - 2 * 64 * 49 - 990 * 513:,} parameters" in out
    trained = json.loads((in_empty_folder / "run" / "metrics.json").read_text())
    code, out, err = cli("evaluate", "run=run", "format=json")
    assert code == 0, err
    assert json.loads(out)["metrics"]["test/accuracy"] == pytest.approx(trained["test/accuracy"], abs=1e-6)
    Image.new("L", (40, 40), 90).save(in_empty_folder / "grey.png")
    code, _, err = cli("predict", "run=run", "source=grey.png")
    assert code == 0, err


def test_the_folder_of_its_runs_bears_the_models_name(cli, in_empty_folder):
    code, _, err = cli("backbone=timm", "backbone.model=test_convnext", "debug=fast", "hardware=cpu")
    assert code == 0, err
    assert [folder.name for folder in (in_empty_folder / "runs").iterdir()] == ["classify-timm-test_convnext-digits"]


def test_inspect_shows_a_row_per_stage(cli):
    code, out, err = cli("inspect", "backbone=timm", "backbone.model=resnet18", "num_classes=1000", "format=json")
    assert code == 0, err
    document = json.loads(out)
    assert document["totals"]["parameters"] == 11_689_512
    stages = [layer for layer in document["layers"] if layer["type"] == "timm_stage"]
    assert [stage["output"] for stage in stages] == [
        [64, 112, 112], [64, 56, 56], [128, 28, 28], [256, 14, 14], [512, 7, 7],
    ]  # fmt: skip
    _, out, _ = cli("inspect", "backbone=timm", "backbone.model=resnet18", "columns=all")
    assert out.count("?") == 5 * 4  # what a cell sees (field, jump, offset), and what training keeps of it
    assert "peak activation memory" not in out


def test_a_wrong_model_is_the_users_to_mend(cli):
    code, _, err = cli("backbone=timm", "backbone.model=resnet188")
    assert (code, "Did you mean 'resnet18'?" in err) == (2, True)
    code, _, err = cli("inspect", "backbone=timm")
    assert (code, "Try backbone.model=convnext_tiny" in err) == (2, True)


def test_list_says_how_to_list_timms_models_and_does_it(cli):
    _, out, _ = cli("list", "backbones")
    assert out.rstrip().endswith("To list them: python -m visionkit list timm pattern='convnext*'")
    code, out, _ = cli("list", "timm", "pattern=convnext*", "format=json")
    names = json.loads(out)["timm"]
    assert code == 0
    assert "convnext_tiny" in names
    assert all(name.startswith("convnext") for name in names)


def test_list_takes_a_pattern_for_every_group(cli):
    _, out, _ = cli("list", "backbones", "pattern=resnet[25]0", "format=json")
    assert list(json.loads(out)["backbone"]) == ["resnet20", "resnet50"]
