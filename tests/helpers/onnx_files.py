"""Tiny ONNX files, written by hand, that say of themselves what an exported file says."""

import json
import re

_HEAD = '<ir_version: 8, opset_import: ["" : 17]>\n'
SIDE = 4
GRAPHS = {
    "classify": """
        net (uint8[batch,1,4,4] images) => (float[batch,2] probabilities, int64[batch] labels)
        <float[16,2] weights = {WEIGHTS}> {
            floats = Cast<to: int = 1>(images)
            rows = Flatten(floats)
            logits = MatMul(rows, weights)
            probabilities = Softmax(logits)
            labels = ArgMax<axis: int = 1, keepdims: int = 0>(logits)
        }""".replace("WEIGHTS", ", ".join(["0.001, 0.0"] * 16)),
    "segment": """
        net (uint8[batch,1,4,4] images, int64[batch,2] image_sizes)
            => (float[batch,2,4,4] logits, uint8[batch,4,4] mask)
        <float half = {127.5}> {
            floats = Cast<to: int = 1>(images)
            bright = Sub(floats, half)
            dark = Neg(bright)
            logits = Concat<axis: int = 1>(dark, bright)
            classes = ArgMax<axis: int = 1, keepdims: int = 0>(logits)
            mask = Cast<to: int = 2>(classes)
        }""",
    "detect": """
        net (uint8[batch,1,4,4] images, int64[batch,2] image_sizes)
            => (float[batch,3,4] boxes, float[batch,3] scores, int64[batch,3] labels)
        <float[1,3,4] box = {1, 0, 3, 2, 0, 0, 1, 1, 0, 0, 0, 0}, float[1,3] score = {0.9, 0.4, 0},
         int64[1,3] label = {1, 0, -1}, int64[1] zero = {0}, int64[1] one = {1}> {
            shape = Shape(images)
            number = Slice(shape, zero, one)
            of_labels = Concat<axis: int = 0>(number, one)
            of_boxes = Concat<axis: int = 0>(number, one, one)
            boxes = Expand(box, of_boxes)
            scores = Expand(score, of_labels)
            labels = Expand(label, of_labels)
        }""",
}
GRAPHS["instance"] = (
    GRAPHS["detect"]
    .replace("[batch,3] labels)", "[batch,3] labels, float[batch,3,2,2] mask_logits)")
    .replace("int64[1] zero", "float[1,3,1,1] logit = {9, 9, 9}, int64[2] two = {2, 2}, int64[1] zero")
    .replace("boxes = Expand", "of_masks = Concat<axis: int = 0>(number, one, two)\nboxes = Expand")
    .replace("labels = Expand", "mask_logits = Expand(logit, of_masks)\nlabels = Expand")
)
"""By task: two classes, of images of 4 x 4 grey pixels; a pixel over 127 is of class 1 in segmentation."""


def metadata(task, **changes):
    """What a file of a task says of itself; a key whose value is ``...`` is left out."""
    resize = {"image_size": [SIDE, SIDE], "mode": "resize", "native": None, "crop_ratio": 0.875, "max_size": None}
    if task not in ("classify", "multilabel"):
        resize["mode"] = "letterbox"
    values = {
        "format": 1, "task": task, "class_names": ["cat", "dog"], "category_ids": [3, 7], "in_channels": 1,
        "value_range": None, "max_pixels": 10_000, "resize": resize, "dynamic_size": False, "size_multiple": 1,
        "batch_size": 2, "max_detections": 3 if task in ("detect", "instance") else None, "decode": True,
        "weights": None,
    }  # fmt: skip
    resize |= changes.pop("resize", {})
    return {key: value for key, value in (values | changes).items() if value is not ...}


def write_onnx(path, graph="classify", *, text=None, replace=(), **changes):
    """Write a file.

    Args:
        path: Where.
        graph: The task of its graph.
        text: Its metadata as they are; None makes them of ``changes``, and "" leaves them out.
        replace: Pairs of a pattern and what stands in its place in the graph.
        changes: Of `metadata`.
    """
    import onnx
    from onnx import parser

    body = GRAPHS[graph]
    for pattern, instead in replace:
        assert re.search(pattern, body), pattern
        body = re.sub(pattern, instead, body)
    model = parser.parse_model(_HEAD + body)
    text = json.dumps(metadata(**{"task": graph, **changes})) if text is None else text
    if text:
        onnx.helper.set_model_props(model, {"visionkit": text})
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path
