"""Torchvision's names for the tensors of our networks: one ordered table of patterns per family.

A replacement may hold ``#1``, ``#2``, ...: torchvision numbers the layers of ``features`` in one row, whichever
stage they belong to, and so do the family's ``units``. A unit is the part of a path that its pattern matches;
``#1`` is the place of the first pattern's match among all such, ``#2`` that of the second pattern's match,
which follows it, within the first.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """How our names become torchvision's.

    Attributes:
        table: Patterns of our names, from their beginning, and what replaces them; the first match counts.
        units: Patterns of what is counted, one behind the other, from a stage's name on.
        version: Of the layout, where torchvision's own model asks for it when it loads.
    """

    table: tuple[tuple[str, str], ...]
    units: tuple[str, ...] = ()
    version: int | None = None


def _both(layer: str, conv: str, norm: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The rows for a convolution and the norm behind it."""
    return (rf"{layer}\.conv\.", conv), (rf"{layer}\.norm\.", norm)


_BLOCK = r"backbone\.\w+\.blocks\.(\d+)"
_BODY = r"(?:residual\.)?body"
_MOBILE_UNITS = (r"\w+\.conv|\w+\.blocks\.\d+|\w+\.block\d+", rf"\.{_BODY}\.\w+")

FAMILIES = {
    "alexnet": Family(
        units=(r".+",),
        table=(
            (r"backbone\.c\d\.conv\.conv\.", r"features.#1."),
            (r"head\.layers\.hidden1\.", r"classifier.1."),
            (r"head\.layers\.hidden2\.", r"classifier.4."),
            (r"head\.layers\.output\.", r"classifier.6."),
        ),
    ),
    "convnext": Family(
        units=(r"\w+\.\w+",),
        table=(
            *_both(r"backbone\.\w+\.conv", r"features.#1.0.", r"features.#1.1."),
            *_both(r"backbone\.\w+\.down", r"features.#1.1.", r"features.#1.0."),
            *_both(rf"{_BLOCK}\.residual\.body\.depthwise", r"features.#1.\1.block.0.", r"features.#1.\1.block.2."),
            (rf"{_BLOCK}\.residual\.body\.expand\.", r"features.#1.\1.block.3."),
            (rf"{_BLOCK}\.residual\.body\.project\.", r"features.#1.\1.block.5."),
            (rf"{_BLOCK}\.residual\.body\.scale\.weight", r"features.#1.\1.layer_scale"),
            (r"head\.layers\.norm\.", r"classifier.0."),
            (r"head\.layers\.output\.", r"classifier.2."),
        ),
    ),
    "densenet": Family(
        table=(
            (r"backbone\.stem\.conv\.(conv|norm)\.", r"features.\g<1>0."),
            (
                r"backbone\.dense(\d)\.block\.layer(\d+)\.new\.conv(\d)\.(conv|norm)\.",
                r"features.denseblock\1.denselayer\2.\4\3.",
            ),
            (r"backbone\.dense2\.transition\.conv\.", r"features.transition1."),
            (r"backbone\.dense3\.transition\.conv\.", r"features.transition2."),
            (r"backbone\.dense4\.transition\.conv\.", r"features.transition3."),
            (r"backbone\.dense4\.final\.norm\.", r"features.norm5."),
            (r"head\.layers\.output\.", r"classifier."),
        ),
    ),
    "efficientnet": Family(
        units=(r"\w+", r"\.blocks\.\d+", rf"\.{_BODY}\.\w+"),
        table=(
            *_both(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            (rf"{_BLOCK}\.{_BODY}\.se\.body\.(fc\d)\.conv\.", r"features.#1.#2.block.#3.\2."),
            *_both(rf"{_BLOCK}\.{_BODY}\.\w+", r"features.#1.#2.block.#3.0.", r"features.#1.#2.block.#3.1."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "googlenet": Family(
        table=(
            *_both(r"backbone\.\w+\.(conv\d)", r"\1.conv.", r"\1.bn."),
            *_both(r"backbone\.(inception\d)\.(\w)\.branch1\.conv", r"\1\2.branch1.conv.", r"\1\2.branch1.bn."),
            *_both(r"backbone\.(inception\d)\.(\w)\.(branch[23])\.conv1", r"\1\2.\3.0.conv.", r"\1\2.\3.0.bn."),
            *_both(r"backbone\.(inception\d)\.(\w)\.(branch[23])\.conv2", r"\1\2.\3.1.conv.", r"\1\2.\3.1.bn."),
            *_both(r"backbone\.(inception\d)\.(\w)\.branch4\.conv", r"\1\2.branch4.1.conv.", r"\1\2.branch4.1.bn."),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "inception": Family(
        table=(
            *_both(r"backbone\.\w+\.conv3b", r"Conv2d_3b_1x1.conv.", r"Conv2d_3b_1x1.bn."),
            *_both(r"backbone\.\w+\.conv(\d\w)", r"Conv2d_\1_3x3.conv.", r"Conv2d_\1_3x3.bn."),
            *_both(r"backbone\.mixed(\d)\.(\w)\.(\w+)\.conv", r"Mixed_\1\2.\3.conv.", r"Mixed_\1\2.\3.bn."),
            *_both(r"backbone\.mixed(\d)\.(\w)\.(\w+)\.conv(\d)", r"Mixed_\1\2.\3_\4.conv.", r"Mixed_\1\2.\3_\4.bn."),
            *_both(
                r"backbone\.mixed(\d)\.(\w)\.(\w+)\.conv(\d)\.(\w)\.conv",
                r"Mixed_\1\2.\3_\4\5.conv.",
                r"Mixed_\1\2.\3_\4\5.bn.",
            ),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "mnasnet": Family(
        version=2,
        units=(r"\w+\.blocks|.+",),
        table=(
            (rf"{_BLOCK}\.{_BODY}\.expand\.conv\.", r"layers.#1.\1.layers.0."),
            (rf"{_BLOCK}\.{_BODY}\.expand\.norm\.", r"layers.#1.\1.layers.1."),
            (rf"{_BLOCK}\.{_BODY}\.depthwise\.conv\.", r"layers.#1.\1.layers.3."),
            (rf"{_BLOCK}\.{_BODY}\.depthwise\.norm\.", r"layers.#1.\1.layers.4."),
            (rf"{_BLOCK}\.{_BODY}\.project\.conv\.", r"layers.#1.\1.layers.6."),
            (rf"{_BLOCK}\.{_BODY}\.project\.norm\.", r"layers.#1.\1.layers.7."),
            (r"backbone\.\w+\.\w+\.(?:conv|norm)\.", r"layers.#1."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "mobilenet_v2": Family(
        units=_MOBILE_UNITS,
        table=(
            *_both(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            *_both(rf"{_BLOCK}\.{_BODY}\.(?:expand|depthwise)", r"features.#1.conv.#2.0.", r"features.#1.conv.#2.1."),
            (r"backbone\.stage1\.blocks\.0\.body\.project\.conv\.", r"features.#1.conv.1."),
            (r"backbone\.stage1\.blocks\.0\.body\.project\.norm\.", r"features.#1.conv.2."),
            *_both(rf"{_BLOCK}\.{_BODY}\.project", r"features.#1.conv.2.", r"features.#1.conv.3."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "mobilenet_v3": Family(
        units=_MOBILE_UNITS,
        table=(
            *_both(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            (rf"backbone\.\w+\.\w+\.{_BODY}\.se\.body\.(fc\d)\.conv\.", r"features.#1.block.#2.\1."),
            *_both(rf"backbone\.\w+\.\w+\.{_BODY}\.\w+", r"features.#1.block.#2.0.", r"features.#1.block.#2.1."),
            (r"head\.layers\.hidden1\.", r"classifier.0."),
            (r"head\.layers\.output\.", r"classifier.3."),
        ),
    ),
    "regnet": Family(
        table=(
            *_both(r"backbone\.stem\.conv", r"stem.0.", r"stem.1."),
            *(
                row
                for part, theirs in (
                    (r"body\.conv1", "f.a"),
                    (r"body\.conv2", "f.b"),
                    (r"body\.conv3", "f.c"),
                    ("shortcut", "proj"),
                )
                for row in _both(
                    rf"backbone\.(block\d)\.blocks\.(\d+)\.residual\.{part}",
                    rf"trunk_output.\1.\1-\2.{theirs}.0.",
                    rf"trunk_output.\1.\1-\2.{theirs}.1.",
                )
            ),
            (
                r"backbone\.(block\d)\.blocks\.(\d+)\.residual\.body\.se\.body\.(fc\d)\.conv\.",
                r"trunk_output.\1.\1-\2.f.se.\3.",
            ),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "resnet": Family(
        table=(
            *_both(r"backbone\.stem\.conv", r"conv1.", r"bn1."),
            *_both(r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)", r"\1.\2.conv\3.", r"\1.\2.bn\3."),
            *_both(
                r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut",
                r"\1.\2.downsample.0.",
                r"\1.\2.downsample.1.",
            ),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "shufflenet_v2": Family(
        table=(
            *_both(r"backbone\.stem\.conv", r"conv1.0.", r"conv1.1."),
            *_both(r"backbone\.last\.conv", r"conv5.0.", r"conv5.1."),
            *(
                row
                for part, theirs, place in (
                    (r"passed\.conv1", "branch1", 0),
                    (r"passed\.conv2", "branch1", 2),
                    (r"convolved\.conv1", "branch2", 0),
                    (r"convolved\.conv2", "branch2", 3),
                    (r"convolved\.conv3", "branch2", 5),
                )
                for row in _both(
                    rf"backbone\.(stage\d)\.units\.(\d+)\.branches\.{part}",
                    rf"\1.\2.{theirs}.{place}.",
                    rf"\1.\2.{theirs}.{place + 1}.",
                )
            ),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "squeezenet": Family(
        units=(r"\w+\.fire\d|.+",),
        table=(
            (r"backbone\.stem\.conv\.conv\.", r"features.#1."),
            (r"backbone\.\w+\.fire\d\.squeeze\.conv\.", r"features.#1.squeeze."),
            (r"backbone\.\w+\.fire\d\.expand\.(expand\dx\d)\.conv\.", r"features.#1.\1."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "vgg": Family(
        units=(r".+",),
        table=(
            (r"backbone\.block\d\.conv\d\.(?:conv|norm)\.", r"features.#1."),
            (r"head\.layers\.hidden1\.", r"classifier.0."),
            (r"head\.layers\.hidden2\.", r"classifier.3."),
            (r"head\.layers\.output\.", r"classifier.6."),
        ),
    ),
}
