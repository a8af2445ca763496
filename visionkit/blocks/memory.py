"""The walk that follows the life of every map, forward and backward, without one being made.

A map lives from the layer that makes it until nobody holds it any more. Held are, as in torch:

- the input of a layer, block or branch, by its caller, until the part returns;
- the maps of all stages, until neck or else head has returned, since any of them may be asked for; of neck and
  head, each map until its last reader has returned;
- in training, what backward needs, from forward until that layer's turn in backward: the input of a layer with
  weights, the output of a ReLU, the places of the maxima of a pool, both factors of a gate;
- in backward, the gradients of a layer's output and input while it computes the one from the other.

A view lives in its input's memory, and so does the output of an activation that overwrites its input.
Weights, their gradients, the optimizer's state, the loss and a library's workspace are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from visionkit.blocks.tree import Concat, Gate, Primitive, Residual, Sequence
from visionkit.blocks.walks import Record

__all__ = ["Memory", "follow"]

Path = tuple[str, ...]


@dataclass(frozen=True)
class Memory:
    """What the maps of one image take, in bytes.

    Attributes:
        inference: The most at any time, without gradients.
        training: The most at any time of one forward and one backward pass.
        kept: What each primitive, by its path, makes of the maps that wait for backward, and the last output.
    """

    inference: int
    training: int
    kept: Mapping[Path, int]


def follow(parts: Iterable[Record]) -> Memory:
    """Follow the maps through stages, neck and head.

    Args:
        parts: Their records in the order of execution. Each reads the map that was traced into it, or the
            latest of that size. What joins maps between two parts, as the sums of a feature pyramid, is not seen.
    """
    parts = list(parts)
    inference, training = _Life(training=False), _Life(training=True)
    inference.run(parts)
    kept = training.run(parts)
    return Memory(inference.peak, training.peak, kept)


def _sources(parts: list[Record]) -> list[int]:
    """The number of the map that each part reads: 0 is the image, then the parts' outputs."""
    signals = [parts[0].before]
    sources = []
    for part in parts:
        same = [i for i, signal in enumerate(signals) if signal is part.before]
        alike = [i for i, signal in enumerate(signals) if signal.shape == part.before.shape]
        sources.append([len(signals) - 1, *alike, *same][-1])
        signals.append(part.after)
    return sources


class _Map:
    """Memory that is held by so many."""

    def __init__(self, size: int, maker: Path, *, needs_gradient: bool) -> None:
        self.size, self.maker, self.needs_gradient = size, maker, needs_gradient
        self.holders = 1


Backward = Callable[[_Map], "_Map | None"]
"""Takes over the gradient of a part's output and gives that of its input, or None where nobody wants it."""


class _Life:
    """One forward pass, in training with a backward pass behind it."""

    def __init__(self, *, training: bool) -> None:
        self.training = training
        self.live = self.peak = 0
        self._waiting: dict[_Map, int] = {}

    def run(self, parts: list[Record]) -> Mapping[Path, int]:
        """Follow all parts; what waits for backward at the end of forward, by maker."""
        maps, steps = [self._make(parts[0].before.bytes, (), needs_gradient=False)], []
        sources = _sources(parts)
        held = {0}
        neck_ends = max((i for i, part in enumerate(parts, start=1) if part.path[0] == "neck"), default=0)
        for number, (part, source) in enumerate(zip(parts, sources, strict=True), start=1):
            output, backward = self._forward(part, maps[source])
            steps.append((maps[source], output, backward))
            maps.append(output)
            held.add(number)
            if source and len(parts[source - 1].path) > 1 and source not in sources[number:]:
                self._release(maps[source])
                held.remove(source)
            if number == neck_ends:
                for stage in [i for i in held if i and len(parts[i - 1].path) == 1]:
                    self._release(maps[stage])
                    held.remove(stage)
        kept = {map.maker: 0 for map in (*self._waiting, maps[-1])}
        for map in {*self._waiting, maps[-1]} - {maps[0]}:
            kept[map.maker] += map.size
        for number in held - {len(parts)}:
            self._release(maps[number])
        if self.training:
            self._backward(steps)
        return kept

    def _backward(self, steps: list[tuple[_Map, _Map, Backward]]) -> None:
        gradients: dict[_Map, _Map] = {}
        for source, output, backward in reversed(steps):
            gradient = gradients.pop(output, None) or self._make(output.size, (), needs_gradient=False)
            passed = backward(gradient)
            if passed is not None:
                gradients[source] = self._add(gradients[source], passed) if source in gradients else passed

    def _forward(self, record: Record, x: _Map) -> tuple[_Map, Backward]:
        """The output, held once for the caller, who holds ``x`` as well."""
        node = record.node
        if isinstance(node, Sequence):
            return self._sequence(record, x)
        if isinstance(node, Residual | Concat):
            return self._joined(record, x)
        if isinstance(node, Gate):
            return self._gate(record, x)
        assert isinstance(node, Primitive)
        return self._primitive(record, node, x)

    def _primitive(self, record: Record, layer: Primitive, x: _Map) -> tuple[_Map, Backward]:
        needs_gradient = record.parameters > 0 or x.needs_gradient
        kept: list[_Map] = []
        if self.training and needs_gradient:
            kept.append(self._make(layer.kept_bytes(record.before), record.path, needs_gradient=False))
            if record.in_place and layer.keeps == "input":  # torch copies what is overwritten and still needed
                kept.append(self._make(x.size, record.path, needs_gradient=False))
            elif layer.keeps == "input":
                kept.append(self._hold(x))
        keeps_beside = bool(kept and kept[0].size)
        scratch = self._make(0 if keeps_beside else layer.scratch_bytes(record.before), (), needs_gradient=False)
        if record.in_place or layer.is_view:
            y = self._hold(x)
        else:
            y = self._make(record.after.bytes, record.path, needs_gradient=needs_gradient)
        self._release(scratch)
        if self.training and needs_gradient and layer.keeps == "output":
            kept.append(self._hold(y))
        self._wait(kept)
        passes_on = layer.is_view and record.before.numbers == record.after.numbers

        def backward(gradient: _Map) -> _Map | None:
            passed = None
            if x.needs_gradient and passes_on:
                passed = self._hold(gradient)
            elif x.needs_gradient:
                passed = self._make(record.before.bytes, (), needs_gradient=False)
            self._release(self._make(layer.scratch_bytes(record.before, backward=True), (), needs_gradient=False))
            self._done(kept)
            self._release(gradient)
            return passed

        return y, backward

    def _sequence(self, record: Record, x: _Map) -> tuple[_Map, Backward]:
        current, steps = self._hold(x), []
        for child in record.children:
            y, step = self._forward(child, current)
            steps.append(step)
            self._release(current)
            current = y

        def backward(gradient: _Map) -> _Map | None:
            passed: _Map | None = gradient
            for step in reversed(steps):
                if passed is None:
                    break
                passed = step(passed)
            return passed

        return current, backward

    def _joined(self, record: Record, x: _Map) -> tuple[_Map, Backward]:
        outputs, steps = self._branches(record, x)
        y = self._make(record.after.bytes, record.path, needs_gradient=any(map.needs_gradient for map in outputs))
        for output in outputs:
            self._release(output)
        return y, lambda gradient: self._join(gradient, steps)

    def _gate(self, record: Record, x: _Map) -> tuple[_Map, Backward]:
        (weights,), (step,) = self._branches(record, x)
        y = self._make(record.after.bytes, record.path, needs_gradient=True)
        kept = [self._hold(x), self._hold(weights)] if self.training else []
        self._wait(kept)
        self._release(weights)

        def backward(gradient: _Map) -> _Map | None:
            direct = self._make(x.size, (), needs_gradient=False) if x.needs_gradient else None
            product = self._make(x.size, (), needs_gradient=False)
            of_weights = self._make(weights.size, (), needs_gradient=False)
            self._release(product)
            self._done(kept)
            self._release(gradient)
            through = step(of_weights)
            return through if direct is None or through is None else self._add(direct, through)

        return y, backward

    def _branches(self, record: Record, x: _Map) -> tuple[list[_Map], list[Backward]]:
        outputs, steps = [], []
        for child in record.children:
            y, backward = self._forward(child, x)
            outputs.append(y)
            steps.append(backward)
        return outputs, steps

    def _join(self, gradient: _Map, steps: list[Backward]) -> _Map | None:
        """Give each branch the gradient, the last one first, and add up what comes back."""
        total: _Map | None = None
        for _ in steps:
            self._hold(gradient)
        self._release(gradient)
        for step in reversed(steps):
            passed = step(gradient)
            total = passed if total is None or passed is None else self._add(total, passed)
        return total

    def _add(self, one: _Map, other: _Map) -> _Map:
        """The sum of two gradients, in the first's memory unless somebody else holds it."""
        if one.holders == 1:
            self._release(other)
            return one
        total = self._make(max(one.size, other.size), (), needs_gradient=False)
        self._release(one)
        self._release(other)
        return total

    def _make(self, size: int, maker: Path, *, needs_gradient: bool) -> _Map:
        self.live += size
        self.peak = max(self.peak, self.live)
        return _Map(size, maker, needs_gradient=needs_gradient)

    def _hold(self, map: _Map) -> _Map:
        map.holders += 1
        return map

    def _release(self, map: _Map) -> None:
        map.holders -= 1
        if not map.holders:
            self.live -= map.size

    def _wait(self, kept: list[_Map]) -> None:
        for map in kept:
            self._waiting[map] = self._waiting.get(map, 0) + 1

    def _done(self, kept: list[_Map]) -> None:
        for map in kept:
            self._release(map)
