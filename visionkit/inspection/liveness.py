"""Liveness of feature maps and gradients by reference counting, by the rules of `visionkit.inspection.memory`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from visionkit.blocks.shapes import BYTES
from visionkit.blocks.trace import Join, LayerRecord
from visionkit.blocks.tree import Concat, Gate, Primitive, Residual, Sequential

__all__ = ["Backward", "LiveMap", "Liveness", "JoinBackward"]

Path = tuple[str, ...]


class LiveMap:
    """A block of memory with its size in bytes, the path of the part that made it, and a reference count."""

    def __init__(self, size: int, producer: Path, *, needs_gradient: bool) -> None:
        self.size, self.producer, self.needs_gradient = size, producer, needs_gradient
        self.references = 1


Backward = Callable[[LiveMap], "LiveMap | None"]
"""From the gradient of a part's output, which it releases, to that of its input, or None if that needs none."""

JoinBackward = Callable[[LiveMap], "list[LiveMap | None]"]
"""From the gradient of a joined map, which it releases, to that of each source, or None if that needs none."""


class Liveness:
    """Tracks the live memory of one pass.

    Attributes:
        training: Whether maps are saved for backward.
        live: Bytes that are alive now.
        peak: The maximum of ``live`` so far.
        runs: How often the current part runs for one image.
        saved: The maps saved for backward, with how many layers save each.
    """

    def __init__(self, *, training: bool) -> None:
        self.training = training
        self.live = self.peak = 0
        self.runs = 1
        self.saved: dict[LiveMap, int] = {}

    def forward(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        """Run a part forward.

        The caller holds a reference to ``x`` and receives one to the output.
        """
        node = record.node
        if isinstance(node, Sequential):
            return self._sequence(record, x)
        if isinstance(node, Residual | Concat):
            return self._merge(record, x)
        if isinstance(node, Gate):
            return self._gate(record, x)
        assert isinstance(node, Primitive)
        return self._primitive(record, node, x)

    def join_maps(self, record: LayerRecord, join: Join, sources: Sequence[LiveMap]) -> tuple[LiveMap, JoinBackward]:
        """Combine several maps into the input of a part.

        The caller holds references to the sources and receives one to the result.
        """
        size = record.before.chw[1:]
        unchanged = [join.mode == "pool" or shape.chw[1:] == size for shape in join.sources]
        inputs = [
            self.retain(source) if is_unchanged else self.allocate(
                BYTES * shape.channels * size[0] * size[1], record.path, needs_gradient=source.needs_gradient)
            for shape, source, is_unchanged in zip(join.sources, sources, unchanged, strict=True)
        ]  # fmt: skip
        needs_gradient = any(source.needs_gradient for source in sources)
        joined_map = inputs[0]
        if len(inputs) > 1 or join.mode == "pool":
            for _ in inputs[1:] if join.mode == "sum" else [None]:
                result = self.allocate(self.runs * record.before.nbytes, record.path, needs_gradient=needs_gradient)
                if joined_map is not inputs[0]:
                    self.release(joined_map)
                joined_map = result
            for source in inputs:
                self.release(source)

        def backward(gradient: LiveMap) -> list[LiveMap | None]:
            input_gradients: list[LiveMap | None] = []
            for source, is_unchanged in zip(sources, unchanged, strict=True):
                if not source.needs_gradient:
                    input_gradients.append(None)
                elif is_unchanged and join.mode != "pool":  # of a concatenation, a slice of its gradient
                    input_gradients.append(self.retain(gradient))
                else:
                    input_gradients.append(self.allocate(source.size, (), needs_gradient=False))
            self.release(gradient)
            return input_gradients

        return joined_map, backward

    def _primitive(self, record: LayerRecord, layer: Primitive, x: LiveMap) -> tuple[LiveMap, Backward]:
        memory = layer.memory(record.before)
        is_view = memory.output == "view"
        needs_gradient = record.parameters > 0 or x.needs_gradient
        saved: list[LiveMap] = []
        if self.training and needs_gradient:
            saved.append(self.allocate(self.runs * memory.saved_bytes, record.path, needs_gradient=False))
            if record.in_place and memory.saved == "input":
                # torch copies an input that is overwritten but needed for backward
                saved.append(self.allocate(x.size, record.path, needs_gradient=False))
            elif memory.saved == "input":
                saved.append(self.retain(x))
        scratch_size = 0 if saved and saved[0].size else self.runs * memory.scratch_bytes
        scratch = self.allocate(scratch_size, (), needs_gradient=False)
        if record.in_place or is_view:
            y = self.retain(x)
        else:
            y = self.allocate(self.runs * record.after.nbytes, record.path, needs_gradient=needs_gradient)
        self.release(scratch)
        if self.training and needs_gradient and memory.saved == "output":
            saved.append(self.retain(y))
        self._save(saved)
        passes_gradient = is_view and record.before.numel == record.after.numel

        def backward(gradient: LiveMap) -> LiveMap | None:
            input_gradient = None
            if x.needs_gradient and passes_gradient:
                input_gradient = self.retain(gradient)
            elif x.needs_gradient:
                input_gradient = self.allocate(self.runs * record.before.nbytes, (), needs_gradient=False)
            self.release(self.allocate(self.runs * memory.backward_scratch_bytes, (), needs_gradient=False))
            self._release_all(saved)
            self.release(gradient)
            return input_gradient

        return y, backward

    def _sequence(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        current, steps = self.retain(x), []
        for child in record.children:
            y, step = self.forward(child, current)
            steps.append(step)
            self.release(current)
            current = y

        def backward(gradient: LiveMap) -> LiveMap | None:
            current_gradient: LiveMap | None = gradient
            for step in reversed(steps):
                if current_gradient is None:
                    break
                current_gradient = step(current_gradient)
            return current_gradient

        return current, backward

    def _merge(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        outputs, steps = self._forward_branches(record, x)
        needs_gradient = any(live_map.needs_gradient for live_map in outputs)
        y = self.allocate(self.runs * record.after.nbytes, record.path, needs_gradient=needs_gradient)
        for output in outputs:
            self.release(output)
        return y, lambda gradient: self._backward_branches(gradient, steps)

    def _gate(self, record: LayerRecord, x: LiveMap) -> tuple[LiveMap, Backward]:
        (weights,), (step,) = self._forward_branches(record, x)
        y = self.allocate(self.runs * record.after.nbytes, record.path, needs_gradient=True)
        saved = [self.retain(x), self.retain(weights)] if self.training else []
        self._save(saved)
        self.release(weights)

        def backward(gradient: LiveMap) -> LiveMap | None:
            direct_gradient = self.allocate(x.size, (), needs_gradient=False) if x.needs_gradient else None
            product = self.allocate(x.size, (), needs_gradient=False)
            weights_gradient = self.allocate(weights.size, (), needs_gradient=False)
            self.release(product)
            self._release_all(saved)
            self.release(gradient)
            body_gradient = step(weights_gradient)
            if direct_gradient is None or body_gradient is None:
                return body_gradient
            return self.add(direct_gradient, body_gradient)

        return y, backward

    def _forward_branches(self, record: LayerRecord, x: LiveMap) -> tuple[list[LiveMap], list[Backward]]:
        outputs, steps = [], []
        for child in record.children:
            y, backward = self.forward(child, x)
            outputs.append(y)
            steps.append(backward)
        return outputs, steps

    def _backward_branches(self, gradient: LiveMap, steps: list[Backward]) -> LiveMap | None:
        """Run the branches backward, the last one first, and sum the gradients of their inputs."""
        input_gradient: LiveMap | None = None
        for _ in steps:
            self.retain(gradient)
        self.release(gradient)
        for step in reversed(steps):
            branch_gradient = step(gradient)
            if input_gradient is None or branch_gradient is None:
                input_gradient = branch_gradient
            else:
                input_gradient = self.add(input_gradient, branch_gradient)
        return input_gradient

    def add(self, first: LiveMap, second: LiveMap, *, size: int | None = None) -> LiveMap:
        """Sum two gradients, in the memory of the first unless it is shared or a slice of a larger map."""
        if first.references == 1 and size in (None, first.size):
            self.release(second)
            return first
        total = self.allocate(size or max(first.size, second.size), (), needs_gradient=False)
        self.release(first)
        self.release(second)
        return total

    def allocate(self, size: int, producer: Path, *, needs_gradient: bool) -> LiveMap:
        self.live += size
        self.peak = max(self.peak, self.live)
        return LiveMap(size, producer, needs_gradient=needs_gradient)

    def retain(self, live_map: LiveMap) -> LiveMap:
        live_map.references += 1
        return live_map

    def release(self, live_map: LiveMap) -> None:
        live_map.references -= 1
        if not live_map.references:
            self.live -= live_map.size

    def _save(self, saved: list[LiveMap]) -> None:
        for live_map in saved:
            self.saved[live_map] = self.saved.get(live_map, 0) + 1

    def _release_all(self, saved: list[LiveMap]) -> None:
        for live_map in saved:
            self.release(live_map)
