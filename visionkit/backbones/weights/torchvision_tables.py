"""Torchvision's names for the tensors of visionkit's networks: one ordered table of patterns per family.

A replacement may contain ``#1``, ``#2``, ...: torchvision numbers the layers of ``features`` consecutively, across
stages. What is numbered is described by the family's ``units``: ``#1`` is the index of the match of the first
pattern among all such matches, ``#2`` the index of the match of the second pattern, which follows the first, within
the first.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FAMILIES", "Family"]


@dataclass(frozen=True)
class Family:
    """The renaming table of a family of networks.

    Attributes:
        table: Patterns of the beginning of visionkit's names, and replacements; the first match applies.
        units: Patterns of the numbered parts of a path, outermost first, beginning with the stage's name.
        version: Version of the layout in the metadata of a state dict, where torchvision's model checks it.
    """

    table: tuple[tuple[str, str], ...]
    units: tuple[str, ...] = ()
    version: int | None = None


def _rows(layer: str, conv: str, norm: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """The rows of a convolution and the norm after it."""
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
            *_rows(r"backbone\.\w+\.conv", r"features.#1.0.", r"features.#1.1."),
            *_rows(r"backbone\.\w+\.down", r"features.#1.1.", r"features.#1.0."),
            *_rows(rf"{_BLOCK}\.residual\.body\.depthwise", r"features.#1.\1.block.0.", r"features.#1.\1.block.2."),
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
            *_rows(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            (rf"{_BLOCK}\.{_BODY}\.se\.body\.(fc\d)\.conv\.", r"features.#1.#2.block.#3.\2."),
            *_rows(rf"{_BLOCK}\.{_BODY}\.\w+", r"features.#1.#2.block.#3.0.", r"features.#1.#2.block.#3.1."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "googlenet": Family(
        table=(
            *_rows(r"backbone\.\w+\.(conv\d)", r"\1.conv.", r"\1.bn."),
            *_rows(r"backbone\.(inception\d)\.(\w)\.branch1\.conv", r"\1\2.branch1.conv.", r"\1\2.branch1.bn."),
            *_rows(r"backbone\.(inception\d)\.(\w)\.(branch[23])\.conv1", r"\1\2.\3.0.conv.", r"\1\2.\3.0.bn."),
            *_rows(r"backbone\.(inception\d)\.(\w)\.(branch[23])\.conv2", r"\1\2.\3.1.conv.", r"\1\2.\3.1.bn."),
            *_rows(r"backbone\.(inception\d)\.(\w)\.branch4\.conv", r"\1\2.branch4.1.conv.", r"\1\2.branch4.1.bn."),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "inception": Family(
        table=(
            *_rows(r"backbone\.\w+\.conv3b", r"Conv2d_3b_1x1.conv.", r"Conv2d_3b_1x1.bn."),
            *_rows(r"backbone\.\w+\.conv(\d\w)", r"Conv2d_\1_3x3.conv.", r"Conv2d_\1_3x3.bn."),
            *_rows(r"backbone\.mixed(\d)\.(\w)\.(\w+)\.conv", r"Mixed_\1\2.\3.conv.", r"Mixed_\1\2.\3.bn."),
            *_rows(r"backbone\.mixed(\d)\.(\w)\.(\w+)\.conv(\d)", r"Mixed_\1\2.\3_\4.conv.", r"Mixed_\1\2.\3_\4.bn."),
            *_rows(
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
            *_rows(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            *_rows(rf"{_BLOCK}\.{_BODY}\.(?:expand|depthwise)", r"features.#1.conv.#2.0.", r"features.#1.conv.#2.1."),
            (r"backbone\.stage1\.blocks\.0\.body\.project\.conv\.", r"features.#1.conv.1."),
            (r"backbone\.stage1\.blocks\.0\.body\.project\.norm\.", r"features.#1.conv.2."),
            *_rows(rf"{_BLOCK}\.{_BODY}\.project", r"features.#1.conv.2.", r"features.#1.conv.3."),
            (r"head\.layers\.output\.", r"classifier.1."),
        ),
    ),
    "mobilenet_v3": Family(
        units=_MOBILE_UNITS,
        table=(
            *_rows(r"backbone\.(?:stem|last)\.conv", r"features.#1.0.", r"features.#1.1."),
            (rf"backbone\.\w+\.\w+\.{_BODY}\.se\.body\.(fc\d)\.conv\.", r"features.#1.block.#2.\1."),
            *_rows(rf"backbone\.\w+\.\w+\.{_BODY}\.\w+", r"features.#1.block.#2.0.", r"features.#1.block.#2.1."),
            (r"head\.layers\.hidden1\.", r"classifier.0."),
            (r"head\.layers\.output\.", r"classifier.3."),
        ),
    ),
    "regnet": Family(
        table=(
            *_rows(r"backbone\.stem\.conv", r"stem.0.", r"stem.1."),
            *(
                row
                for part, target in (
                    (r"body\.conv1", "f.a"),
                    (r"body\.conv2", "f.b"),
                    (r"body\.conv3", "f.c"),
                    ("shortcut", "proj"),
                )
                for row in _rows(
                    rf"backbone\.(block\d)\.blocks\.(\d+)\.residual\.{part}",
                    rf"trunk_output.\1.\1-\2.{target}.0.",
                    rf"trunk_output.\1.\1-\2.{target}.1.",
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
            *_rows(r"backbone\.stem\.conv", r"conv1.", r"bn1."),
            *_rows(r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.body\.conv(\d)", r"\1.\2.conv\3.", r"\1.\2.bn\3."),
            *_rows(
                r"backbone\.(layer\d)\.blocks\.(\d+)\.residual\.shortcut",
                r"\1.\2.downsample.0.",
                r"\1.\2.downsample.1.",
            ),
            (r"head\.layers\.output\.", r"fc."),
        ),
    ),
    "shufflenet_v2": Family(
        table=(
            *_rows(r"backbone\.stem\.conv", r"conv1.0.", r"conv1.1."),
            *_rows(r"backbone\.last\.conv", r"conv5.0.", r"conv5.1."),
            *(
                row
                for part, target, index in (
                    (r"passed\.conv1", "branch1", 0),
                    (r"passed\.conv2", "branch1", 2),
                    (r"convolved\.conv1", "branch2", 0),
                    (r"convolved\.conv2", "branch2", 3),
                    (r"convolved\.conv3", "branch2", 5),
                )
                for row in _rows(
                    rf"backbone\.(stage\d)\.units\.(\d+)\.branches\.{part}",
                    rf"\1.\2.{target}.{index}.",
                    rf"\1.\2.{target}.{index + 1}.",
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
