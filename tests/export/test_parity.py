"""The comparison of a file with its model: what is planted is found, and what is equal passes."""

import copy

import numpy
import pytest
import torch
from torch import nn

from visionkit.errors import UserError
from visionkit.export.comparison import check_parity
from visionkit.export.graph import ExportGraph
from visionkit.export.parity import Parity
from visionkit.models import create_model

CLASSES, SIDE = 4, 64
INSTANCES = {
    "type": "mask_rcnn", "neck": {"out_channels": 16, "num_levels": 3}, "hidden": [24], "mask_convs": 1,
    "mask_channels": 8, "proposals": 100,
}  # fmt: skip


@pytest.fixture(scope="module")
def models():
    """Networks whose outputs depend on every channel, place and class."""
    torch.manual_seed(0)
    options = {"num_classes": CLASSES, "in_channels": 3, "image_size": SIDE}
    found = {
        "classify": create_model("classify", "lenet", **options),
        "multilabel": create_model("multilabel", "lenet", **options),
        "segment": create_model("segment", "lenet", head="unet_small", **options),
        "detect": create_model("detect", "lenet", head="fcos_small", **options),
        "instance": create_model("instance", "lenet", head=INSTANCES, **options),
    }
    for model in found.values():
        model.eval()
        model.normalize = type(model.normalize)([0.5, 0.3, 0.4], [0.2, 0.3, 0.25])
    with torch.no_grad():
        found["detect"].head.logits.bias.fill_(-1.0)
        found["detect"].head.logits.weight.mul_(20)
        for layer in (
            found["instance"].head.rpn.head.objectness,
            found["instance"].head.roi_heads.box_predictor.classes,
        ):
            layer.weight.mul_(40)
        found["instance"].head.masks.logits.weight.mul_(20)
    found["detect"].head.candidates = 60  # of a level, as many as a trained one has in all
    return found


def batches(*, sizes, number=2):
    generator = torch.Generator().manual_seed(3)
    for size in (1, 3):
        for _ in range(number):
            images = torch.randint(0, 256, (size, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
            images[..., SIDE - 16 :, :] = 0
            yield (
                f"batch of {size}",
                {"images": images} | ({"image_sizes": torch.tensor([[SIDE - 16, SIDE]] * size)} if sizes else {}),
            )


def compare(models, task, change=lambda graph: None, before=lambda inputs: inputs, after=lambda outputs: outputs):
    """The parity of a graph that was changed, or whose inputs or outputs are."""
    graph = ExportGraph(models[task], task=task, decode=True)
    change(graph)

    def run(inputs):
        with torch.no_grad():
            return {key: value.numpy() for key, value in after(graph(**before(dict(inputs)))).items()}

    parity = Parity(images=8)
    check_parity(run, models[task], batches(sizes=task not in ("classify", "multilabel")), parity=parity, noise=False)
    return parity


@pytest.mark.parametrize("task", ["classify", "segment", "detect", "instance"])
def test_a_graph_is_equal_to_its_model(models, task):
    parity = compare(models, task)
    assert (parity.passed, parity.problems, parity.borderline) == (True, [], 0)
    assert max(parity.largest_difference.values()) < 1e-6
    if task in ("detect", "instance"):
        assert parity.not_converged == 0
        assert parity.detections > 100


def test_a_detection_head_that_is_not_known_exports_raw_outputs_alone(models):
    model = copy.copy(models["detect"])
    model._modules = {**model._modules, "head": nn.Identity()}
    with pytest.raises(UserError, match=r"the head Identity has no attribute 'suppress'.*Try: decode=false"):
        ExportGraph(model, task="detect", decode=True)
    assert ExportGraph(model, task="detect", decode=False).suppressions == []


def test_raw_outputs_of_two_stages_are_those_of_the_first_without_maps(models):
    graph = ExportGraph(models["instance"], task="instance", decode=False)
    (_, inputs), *_ = batches(sizes=True)
    assert set(graph(**inputs)) == {"logits", "deltas"}


def test_images_of_more_than_eight_bits_are_floats_in_file_and_model(models):
    """As data with a ``value_range`` give them: float32 in 0..255, between the whole numbers too."""

    def as_floats(inputs):
        return inputs | {"images": inputs["images"].float() + 0.25}

    model = models["classify"]
    graph = ExportGraph(model, task="classify", decode=True)
    floats = [(name, as_floats(inputs)) for name, inputs in batches(sizes=False)]
    parity = Parity(images=8)
    check_parity(graph.run, model, floats, parity=parity, noise=False)
    assert parity.passed
    rounded = Parity(images=8)
    check_parity(
        lambda inputs: graph.run({"images": inputs["images"].round()}), model, floats, parity=rounded, noise=False
    )
    assert not rounded.passed


def swap_normalisation(graph):
    graph.model.normalize = type(graph.model.normalize)([0.2, 0.3, 0.25], [0.5, 0.3, 0.4])


def round_weights(graph):
    for parameter in graph.parameters():
        parameter.data = (parameter.data * 64).round() / 64


def bake_batch(graph):
    forward = graph.forward
    graph.forward = lambda images, image_sizes=None: {
        key: value[:1] for key, value in forward(images, image_sizes).items()
    }


def shift_padding(graph):
    for module in graph.model.backbone.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_pre_hook(lambda module, inputs: (torch.roll(inputs[0], 1, dims=3),))
            return


def low_threshold(graph):
    graph.model.head.nms_threshold = 0.3


def as_bgr(inputs):
    return inputs | {"images": inputs["images"].flip(1)}


def blurred(inputs):
    """As an image is that was resized without antialiasing, by another filter."""
    half = nn.functional.interpolate(inputs["images"].float(), scale_factor=0.5, mode="nearest")
    return inputs | {"images": nn.functional.interpolate(half, scale_factor=2, mode="nearest").to(torch.uint8)}


def without_sizes(inputs):
    return inputs | ({"image_sizes": torch.full_like(inputs["image_sizes"], SIDE)} if "image_sizes" in inputs else {})


def scaled(inputs):
    return inputs | {"images": inputs["images"] // 255}


def turned_classes(outputs):
    order = torch.arange(CLASSES).roll(1)
    changed = {key: outputs[key][:, order] for key in ("probabilities",) if key in outputs}
    if "probabilities" not in outputs:
        changed = {"labels": torch.where(outputs["labels"] >= 0, (outputs["labels"] + 1) % CLASSES, -1)}
    return outputs | changed


def without_logits(outputs):
    return {key: value for key, value in outputs.items() if key != "logits"}


def without_scores(outputs):
    return {key: value for key, value in outputs.items() if key != "scores"}


def with_another(outputs):
    return outputs | {"more": outputs["logits"]}


def nan_probabilities(outputs):
    return outputs | {"probabilities": outputs["probabilities"] * numpy.nan}


def labels_in_columns(outputs):
    return outputs | {"labels": outputs["labels"][:, None]}


def doubled_object(outputs):
    """The first object stands in the place of the padding too."""
    return outputs | {
        key: torch.where((outputs["labels"] < 0).view(*outputs["labels"].shape, *[1] * (outputs[key].ndim - 2)),
                         outputs[key][:, :1], outputs[key])
        for key in ("boxes", "scores", "labels")
    }  # fmt: skip


def without_objects(outputs):
    return outputs | {"labels": torch.full_like(outputs["labels"], -1)}


def swapped_corners(outputs):
    return outputs | {"boxes": outputs["boxes"][..., [1, 0, 3, 2]]}


def shifted_masks(outputs):
    return outputs | {"mask_logits": torch.roll(outputs["mask_logits"], 1, dims=3)}


def not_a_number(outputs):
    return outputs | {"logits": outputs["logits"] * numpy.nan}


@pytest.mark.parametrize(
    ("task", "fault"),
    [
        ("classify", {"change": swap_normalisation}),
        ("classify", {"change": round_weights}),
        ("detect", {"change": bake_batch}),
        ("segment", {"change": shift_padding}),
        ("detect", {"change": low_threshold}),
        ("classify", {"before": as_bgr}),
        ("segment", {"before": blurred}),
        ("segment", {"before": without_sizes}),
        ("detect", {"before": scaled}),
        ("classify", {"after": turned_classes}),
        ("multilabel", {"after": turned_classes}),
        ("detect", {"after": turned_classes}),
        ("detect", {"after": swapped_corners}),
        ("instance", {"change": low_threshold}),
        ("instance", {"before": without_sizes}),
        ("instance", {"after": shifted_masks}),
        ("classify", {"after": not_a_number}),
        ("classify", {"after": nan_probabilities}),
        ("multilabel", {"after": nan_probabilities}),
        ("classify", {"after": labels_in_columns}),
        ("detect", {"after": doubled_object}),
        ("detect", {"after": without_objects}),
        ("instance", {"after": without_objects}),
        ("classify", {"after": without_logits}),
        ("segment", {"after": without_logits}),
        ("classify", {"after": without_scores}),
        ("classify", {"after": with_another}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value.values())).__name__,
)
def test_a_planted_fault_is_found(models, task, fault):
    parity = compare(models, task, **fault)
    assert not parity.passed
    assert parity.problems


def test_a_class_without_a_clear_margin_is_borderline_and_a_clear_one_is_a_difference():
    class Model:
        def __init__(self, logits):
            self.logits = logits

        def __call__(self, images, sizes):
            return {"logits": self.logits}

        def exported_outputs(self, outputs):
            return outputs

        def predict(self, outputs, sizes):
            probabilities = outputs["logits"].softmax(dim=1)
            return {"probabilities": probabilities, "labels": probabilities.argmax(dim=1)}

    near, clear = torch.tensor([[1.00001, 1.0]]), torch.tensor([[1.1, 1.0]])
    inputs = [("one", {"images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)})]
    for logits, passed, borderline in ((near, True, 1), (clear, False, 0)):
        probabilities = logits.softmax(dim=1)
        outputs = {"logits": logits, "probabilities": probabilities, "labels": torch.tensor([1])}
        parity = Parity(images=1)
        check_parity(lambda _, outputs=outputs: outputs, Model(logits), inputs, parity=parity, noise=False)
        assert (parity.passed, parity.borderline) == (passed, borderline)


@pytest.mark.parametrize(("logit", "passed", "borderline"), [(1e-8, True, 1), (0.1, False, 0)])
@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "added"])
def test_an_object_at_the_edge_of_a_threshold_is_borderline_and_a_clear_one_is_a_difference(
    logit, passed, borderline, is_missing
):
    """The model keeps objects of positive logits; the file has one less, or one more."""

    class Model:
        def __call__(self, images, sizes):
            return {"logits": torch.tensor([[1.0, logit if is_missing else -logit]])}

        def exported_outputs(self, outputs):
            return outputs

        def predict(self, outputs, sizes):
            logits = outputs["logits"]
            boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30]]])
            return {"boxes": boxes, "scores": logits.sigmoid(), "labels": torch.where(logits > 0, 0, -1)}

    model = Model()
    inputs = {"images": torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "image_sizes": torch.tensor([[8, 8]])}
    raw = model(**{"images": None, "sizes": None})
    file = {**raw, **model.predict(raw, None), "labels": torch.tensor([[0, -1 if is_missing else 0]])}
    parity = Parity(images=1)
    check_parity(lambda _: file, model, [("one", inputs)], parity=parity, noise=False)
    assert (parity.passed, parity.borderline, parity.detections) == (passed, borderline, 1)
