"""The walk that follows the life of every map, forward and backward, without one being made.

A map lives from the layer that makes it until nobody holds it any more. Held are, as in torch:

- the input of a layer, block or branch, by its caller, until the part returns;
- the maps of the stages that are given out, until neck or else head has returned, and those that the neck gives out
  until the head has; what others read within stages, neck or head, until its last reader has returned; what comes out;
- while maps are joined, those that were brought to the same size;
- in training, what backward needs, from forward until that layer's turn in backward: the input of a layer with
  weights, the output of a ReLU, the places of the maxima of a pool, both factors of a gate;
- in backward, the gradients of a layer's output and input while it computes the one from the other.

A view lives in its input's memory, and so does the output of an activation that overwrites its input.
Weights, their gradients, the optimizer's state, the loss, a library's workspace, and what is made of a detector's last
maps (one list of all places, proposals, boxes) are not counted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.trace import LayerRecord
from visionkit.inspection.liveness import Backward, LiveMap, Liveness, Share

__all__ = ["MemoryEstimate", "estimate_memory"]

Path = tuple[str, ...]


@dataclass(frozen=True)
class MemoryEstimate:
    """What the maps of one image take, in bytes.

    Attributes:
        inference: The most at any time, without gradients.
        training: The most at any time of one forward and one backward pass.
        kept: What each primitive or join, by its path, makes of the maps that wait for backward, and what comes out.
    """

    inference: int
    training: int
    kept: Mapping[Path, int]


def estimate_memory(parts: Iterable[LayerRecord], *, given: Collection[str] | None = None) -> MemoryEstimate:
    """Follow the maps through stages, neck and head.

    Args:
        parts: Their records. Each reads the maps that it joins, else the one that was traced into it, or the
            latest of that size.
        given: The stages whose maps the backbone gives out; all of them unless given.
    """
    parts = _in_order(parts)
    inference = _Pass([part for part in parts if part.runs], given, training=False)
    training = _Pass(parts, given, training=True)
    return MemoryEstimate(inference.life.peak, training.life.peak, training.kept)


def _in_order(parts: Iterable[LayerRecord]) -> list[LayerRecord]:
    """Each part behind those whose maps it joins; else as given."""
    parts = list(parts)
    makers = {id(part.before): part for part in parts if part.join} | {id(part.after): part for part in parts}
    ordered: dict[int, LayerRecord] = {}

    def visit(part: LayerRecord) -> None:
        for shape in part.join.sources if part.join else ():
            if id(shape) in makers and id(makers[id(shape)]) not in ordered:
                visit(makers[id(shape)])
        ordered[id(part)] = part

    for part in parts:
        if id(part) not in ordered:
            visit(part)
    return list(ordered.values())


class _Pass:
    """One forward pass, in training with a backward pass behind it.

    Maps have numbers: 0 is the image, then of each part the map that it joins, if it does, and its output.
    """

    def __init__(self, parts: list[LayerRecord], given: Collection[str] | None, *, training: bool) -> None:
        self.parts, self.training = parts, training
        self.life = Liveness(training=training)
        self.signals: list[FeatureShape] = [parts[0].before]
        self.makers = [-1]
        self.read: list[list[int]] = []
        self.outputs: list[int] = []
        for number, part in enumerate(parts):
            self.read.append([self._find(shape) for shape in (part.join.sources if part.join else [part.before])])
            made = [part.before, part.after] if part.join else [part.after]
            self.signals += made
            self.makers += [number] * len(made)
            self.outputs.append(len(self.signals) - 1)
        self.ends = [self._end(number, given) for number in range(len(self.signals))]
        self.kept = self._run()

    def _find(self, wanted: FeatureShape) -> int:
        numbers = range(len(self.signals) - 1, -1, -1)
        same = [i for i in numbers if self.signals[i] is wanted]
        equal = [i for i in numbers if self.signals[i] == wanted]
        alike = [i for i in numbers if self.signals[i].chw == wanted.chw]
        return [*same, *equal, *alike, numbers[0]][0]

    def _end(self, number: int, given: Collection[str] | None) -> int:
        """The part with which the map's last holder lets go of it; one behind the last for what comes out."""
        last, maker = len(self.parts), self.makers[number]
        readers = [i for i, read in enumerate(self.read) if number in read]
        if maker < 0:
            return last
        if number != self.outputs[maker]:  # joined for one part, and perhaps others
            return max([maker, *readers])
        room = _room(self.parts[maker])
        if room == "stage" and (given is None or self.parts[maker].path[0] in given):
            return max((i for i, part in enumerate(self.parts) if _room(part) == "neck"), default=last)
        leaves = any(_room(self.parts[i]) != room for i in readers)
        return last if leaves or not readers else max(readers)

    def _run(self) -> Mapping[Path, int]:
        """Run all parts; what waits for backward at the end of forward, by maker."""
        life = self.life
        maps = [life.make(self.signals[0].nbytes, (), needs_gradient=False)]
        steps: list[tuple[int, Share | None, Backward]] = []
        for number, part in enumerate(self.parts):
            life.times = self._times(part)
            share = None
            if part.join:
                joined, share = life.meet(part, part.join, [maps[i] for i in self.read[number]])
                maps.append(joined)
            output, backward = life.forward(part, maps[-1] if part.join else maps[self.read[number][0]])
            maps.append(output)
            steps.append((number, share, backward))
            for i, end in enumerate(self.ends[: len(maps)]):
                if end == number:
                    life.release(maps[i])
        last = len(self.parts)
        results = [i for i in self.outputs if self.ends[i] == last and not any(i in read for read in self.read)]
        left = {*life.waiting, *(maps[i] for i in results)} - {maps[0]}
        kept = {map.maker: 0 for map in left}
        for map in left:
            kept[map.maker] += map.size
        for i, end in enumerate(self.ends):
            if end == last and i not in results:
                life.release(maps[i])
        if self.training:
            self._backward(maps, steps, results)
        return kept

    def _backward(
        self, maps: list[LiveMap], steps: list[tuple[int, Share | None, Backward]], results: list[int]
    ) -> None:
        life = self.life
        gradients = {maps[i]: life.make(maps[i].size, (), needs_gradient=False) for i in results}

        def pass_on(map: LiveMap, gradient: LiveMap | None) -> None:
            if gradient is not None:
                known = gradients.get(map)
                gradients[map] = gradient if known is None else life.add(known, gradient, size=map.size)

        for number, share, backward in reversed(steps):
            output = self.outputs[number]
            if maps[output] not in gradients:
                continue
            life.times = self._times(self.parts[number])
            sources = [maps[i] for i in self.read[number]]
            joined = maps[output - 1] if share else sources[0]
            pass_on(joined, backward(gradients.pop(maps[output])))
            if share and joined in gradients:
                for source, gradient in zip(sources, share(gradients.pop(joined)), strict=True):
                    pass_on(source, gradient)

    def _times(self, part: LayerRecord) -> int:
        return part.runs if not self.training or part.training_runs is None else part.training_runs


def _room(part: LayerRecord) -> str:
    return part.path[0] if part.path[1:] else "stage"
