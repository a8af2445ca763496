"""Totals against published numbers and real files."""

import pytest

from visionkit.backbones import read_backbone
from visionkit.heads import read_head
from visionkit.inspection.network import trace_network
from visionkit.inspection.totals import totals
from visionkit.settings import Adam, AdamW, Sgd

SGD = Sgd(weight_decay=0.0, momentum=0.9, nesterov=True)
ADAMW = AdamW(weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8)


def network_of(name, num_classes=None, in_channels=None):
    spec = read_backbone(name, in_channels=in_channels)
    head = read_head("auto", task="classify")
    return trace_network(spec, image_size=(spec.image_size, spec.image_size), head=head, num_classes=num_classes)


@pytest.mark.parametrize(
    ("name", "parameters", "macs"),
    [
        ("alexnet_2012", 60_965_224, 724_406_816),  # Krizhevsky et al. 2012: 60 million
        ("resnet50", 25_557_032, 4_089_184_256),  # torchvision: 25,557,032 and 4.09e9
        ("vgg16", 138_357_544, 15_470_264_320),  # torchvision: 138,357,544 and 15.47e9
    ],
)
def test_totals_with_the_papers_classifier_are_the_published_ones(name, parameters, macs):
    found = totals(network_of(name, 1000), batch_size=1, optimizer=SGD)
    assert (found.parameters, found.trainable_parameters, found.macs) == (parameters, parameters, macs)


def test_memory_grows_with_the_batch_and_nothing_else_does():
    net = network_of("lenet", 10)
    one, many = (totals(net, batch_size=size, optimizer=SGD).to_json() for size in (1, 64))
    assert many.pop("batch_size") == 64
    assert one.pop("batch_size") == 1
    for key in ("peak_inference_memory", "peak_training_memory"):
        assert many.pop(key) == 64 * one.pop(key)
    assert many == one


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [(SGD, 2), (Sgd(weight_decay=0.0, momentum=0.0, nesterov=False), 1), (ADAMW, 3),
     (Adam(weight_decay=0.0, betas=(0.9, 0.999), eps=1e-8), 3)],
)  # fmt: skip
def test_a_checkpoint_holds_the_weights_and_what_the_optimizer_remembers(optimizer, copies):
    found = totals(network_of("lenet", 10), batch_size=1, optimizer=optimizer)
    assert found.weights_size == 4 * 61_706
    assert found.checkpoint_size == copies * 4 * 61_706


@pytest.mark.slow
@pytest.mark.parametrize(("recipe", "optimizer"), [("sgd", SGD), ("adamw", ADAMW)])
def test_the_files_of_a_run_are_as_large_as_said(cli, in_empty_folder, recipe, optimizer):
    """Beside numbers a file has names and alignment: less than 1 KiB for each tensor, and 8 KiB of the run's own."""
    from visionkit.models import create_model

    code, _, err = cli("backbone=resnet20", f"recipe={recipe}", "debug=fast", "hardware=cpu", "run_dir=run")
    assert code == 0, err
    found = totals(network_of("resnet20", 10, in_channels=1), batch_size=1, optimizer=optimizer)
    tensors = len(create_model("classify", "resnet20", num_classes=10, in_channels=1).state_dict())
    sizes = {"model.safetensors": found.weights_size, "checkpoints/last.ckpt": found.checkpoint_size}
    for name, size in sizes.items():
        file = (in_empty_folder / "run" / name).stat().st_size
        assert size < file < size + 1024 * tensors + 8192, name
