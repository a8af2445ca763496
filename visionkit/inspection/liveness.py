"""The maps that are alive while parts run forward and backward, in the order that `memory` says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from visionkit.blocks.shapes import BYTES
from visionkit.blocks.trace import Join, LayerRecord
from visionkit.blocks.tree import Concat, Gate, Primitive, Residual
from visionkit.blocks.tree import Sequential as InTurn

__all__ = ["Backward", "Liveness", "LiveMap", "Share"]

Path = tuple[str, ...]


class LiveMap:
    """Memory that is held by so many."""

    def __init__(self, size: int, maker: Path, *, needs_gradient: bool) -> None:
        self.size, self.maker, self.needs_gradient = size, maker, needs_gradient
        self.holders = 1


Backward = Callable[[LiveMap], "LiveMap | None"]
"""Takes over the gradient of a part's output and gives that of its input, or None where nobody wants it."""

Share = Callable[[LiveMap], "list[LiveMap | None]"]
"""Takes over the gradient of a joined map and gives that of each map that was joined, or None where nobody wants it."""


class Liveness:
    """Counts what is alive; ``times`` is how often the part that runs is done for one image."""

    def __init__(self, *, training: bool) -> None:
        self.training = training
        self.live = self.peak = 0
        self.times = 1
        self.waiting: dict[LiveMap, int] = {}

    def forward(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        """The output, held once for the caller, who holds ``x`` as well."""
        node = record.node
        if isinstance(node, InTurn):
            return self._sequence(record, x)
        if isinstance(node, Residual | Concat):
            return self._joined(record, x)
        if isinstance(node, Gate):
            return self._gate(record, x)
        assert isinstance(node, Primitive)
        return self._primitive(record, node, x)

    def meet(self, record: LayerRecord, join: Join, sources: Sequence[LiveMap]) -> tuple[LiveMap, Share]:
        """The map that a part joins of others, held once for the caller, who holds these as well."""
        size = record.before.chw[1:]
        kept_as_they_are = [join.how == "pool" or shape.chw[1:] == size for shape in join.sources]
        inputs = [
            self.hold(source) if as_it_is else self.make(
                BYTES * shape.channels * size[0] * size[1], record.path, needs_gradient=source.needs_gradient)
            for shape, source, as_it_is in zip(join.sources, sources, kept_as_they_are, strict=True)
        ]  # fmt: skip
        needs_gradient = any(source.needs_gradient for source in sources)
        joined = inputs[0]
        if len(inputs) > 1 or join.how == "pool":
            for _ in inputs[1:] if join.how == "sum" else [None]:
                new = self.make(self.times * record.before.nbytes, record.path, needs_gradient=needs_gradient)
                if joined is not inputs[0]:
                    self.release(joined)
                joined = new
            for one in inputs:
                self.release(one)

        def share(gradient: LiveMap) -> list[LiveMap | None]:
            passed: list[LiveMap | None] = []
            for source, as_it_is in zip(sources, kept_as_they_are, strict=True):
                if not source.needs_gradient:
                    passed.append(None)
                elif as_it_is and join.how != "pool":  # of a stack, a slice
                    passed.append(self.hold(gradient))
                else:
                    passed.append(self.make(source.size, (), needs_gradient=False))
            self.release(gradient)
            return passed

        return joined, share

    def _primitive(self, record: LayerRecord, layer: Primitive, x: LiveMap) -> tuple[LiveMap, Backward]:
        needs_gradient = record.parameters > 0 or x.needs_gradient
        kept: list[LiveMap] = []
        if self.training and needs_gradient:
            kept.append(self.make(self.times * layer.kept_bytes(record.before), record.path, needs_gradient=False))
            if (
                record.in_place and layer.saved_for_backward == "input"
            ):  # torch copies what is overwritten and still needed
                kept.append(self.make(x.size, record.path, needs_gradient=False))
            elif layer.saved_for_backward == "input":
                kept.append(self.hold(x))
        beside = 0 if kept and kept[0].size else self.times * layer.scratch_bytes(record.before)
        scratch = self.make(beside, (), needs_gradient=False)
        if record.in_place or layer.is_view:
            y = self.hold(x)
        else:
            y = self.make(self.times * record.after.nbytes, record.path, needs_gradient=needs_gradient)
        self.release(scratch)
        if self.training and needs_gradient and layer.saved_for_backward == "output":
            kept.append(self.hold(y))
        self._wait(kept)
        passes_on = layer.is_view and record.before.numel == record.after.numel

        def backward(gradient: LiveMap) -> LiveMap | None:
            passed = None
            if x.needs_gradient and passes_on:
                passed = self.hold(gradient)
            elif x.needs_gradient:
                passed = self.make(self.times * record.before.nbytes, (), needs_gradient=False)
            beside = self.times * layer.scratch_bytes(record.before, backward=True)
            self.release(self.make(beside, (), needs_gradient=False))
            self._done(kept)
            self.release(gradient)
            return passed

        return y, backward

    def _sequence(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        current, steps = self.hold(x), []
        for child in record.children:
            y, step = self.forward(child, current)
            steps.append(step)
            self.release(current)
            current = y

        def backward(gradient: LiveMap) -> LiveMap | None:
            passed: LiveMap | None = gradient
            for step in reversed(steps):
                if passed is None:
                    break
                passed = step(passed)
            return passed

        return current, backward

    def _joined(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        outputs, steps = self._branches(record, x)
        needs_gradient = any(map.needs_gradient for map in outputs)
        y = self.make(self.times * record.after.nbytes, record.path, needs_gradient=needs_gradient)
        for output in outputs:
            self.release(output)
        return y, lambda gradient: self._join(gradient, steps)

    def _gate(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        (weights,), (step,) = self._branches(record, x)
        y = self.make(self.times * record.after.nbytes, record.path, needs_gradient=True)
        kept = [self.hold(x), self.hold(weights)] if self.training else []
        self._wait(kept)
        self.release(weights)

        def backward(gradient: LiveMap) -> LiveMap | None:
            direct = self.make(x.size, (), needs_gradient=False) if x.needs_gradient else None
            product = self.make(x.size, (), needs_gradient=False)
            of_weights = self.make(weights.size, (), needs_gradient=False)
            self.release(product)
            self._done(kept)
            self.release(gradient)
            through = step(of_weights)
            return through if direct is None or through is None else self.add(direct, through)

        return y, backward

    def _branches(self, record: LayerRecord, x: LiveMap) -> tuple[list[LiveMap], list[Backward]]:
        outputs, steps = [], []
        for child in record.children:
            y, backward = self.forward(child, x)
            outputs.append(y)
            steps.append(backward)
        return outputs, steps

    def _join(self, gradient: LiveMap, steps: list[Backward]) -> LiveMap | None:
        """Give each branch the gradient, the last one first, and add up what comes back."""
        total: LiveMap | None = None
        for _ in steps:
            self.hold(gradient)
        self.release(gradient)
        for step in reversed(steps):
            passed = step(gradient)
            total = passed if total is None or passed is None else self.add(total, passed)
        return total

    def add(self, one: LiveMap, other: LiveMap, *, size: int | None = None) -> LiveMap:
        """The sum of two gradients, in the first's memory unless somebody else holds it or it is a slice of more."""
        if one.holders == 1 and size in (None, one.size):
            self.release(other)
            return one
        total = self.make(size or max(one.size, other.size), (), needs_gradient=False)
        self.release(one)
        self.release(other)
        return total

    def make(self, size: int, maker: Path, *, needs_gradient: bool) -> LiveMap:
        self.live += size
        self.peak = max(self.peak, self.live)
        return LiveMap(size, maker, needs_gradient=needs_gradient)

    def hold(self, map: LiveMap) -> LiveMap:
        map.holders += 1
        return map

    def release(self, map: LiveMap) -> None:
        map.holders -= 1
        if not map.holders:
            self.live -= map.size

    def _wait(self, kept: list[LiveMap]) -> None:
        for map in kept:
            self.waiting[map] = self.waiting.get(map, 0) + 1

    def _done(self, kept: list[LiveMap]) -> None:
        for map in kept:
            self.release(map)
