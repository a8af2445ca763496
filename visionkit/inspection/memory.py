"""Peak memory of feature maps, by simulating a forward and a backward pass with reference counts.

A map is alive from the layer that makes it until its last reference is dropped. References are, as in torch:

- the input of a layer, block or branch, until it returns;
- the maps that the backbone returns, until the neck (or else the head) returns, and those of the neck until the head
  does; other maps that are read within stages, neck or head, until their last reader returns; the final outputs;
- while maps are joined, their resized copies;
- in training, what is saved for backward, until that layer's backward: the input of a layer with weights, the output
  of a ReLU, the indices of max pooling, both factors of a gate;
- in backward, the gradients of a layer's output and input while the layer runs.

A view shares the memory of its input, and so does the output of an activation that runs in place.
Not counted are weights, their gradients, the optimizer's state, the loss, library workspaces, and what a detector
computes from its last maps (flattened predictions, proposals, boxes).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from visionkit.blocks.shapes import FeatureShape
from visionkit.blocks.trace import LayerRecord
from visionkit.inspection.liveness import Backward, JoinBackward, LiveMap, Liveness

__all__ = ["MemoryEstimate", "estimate_memory"]

Path = tuple[str, ...]


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of the maps of one image, in bytes of float32.

    Attributes:
        inference: Peak of a forward pass without gradients.
        training: Peak of a forward and a backward pass.
        saved: Bytes alive at the end of the forward pass in training (saved for backward, and the outputs), by the
            path of the primitive or join that made them.
    """

    inference: int
    training: int
    saved: Mapping[Path, int]


def estimate_memory(parts: Iterable[LayerRecord], *, out_features: Collection[str] | None = None) -> MemoryEstimate:
    """Simulate the passes through stages, neck and head.

    Args:
        parts: Their records. Each reads the maps that it joins, else the map that was its input in the trace, or
            the latest one of that shape.
        out_features: The stages whose maps the backbone returns; all by default.
    """
    parts = _execution_order(parts)
    inference = _Pass([part for part in parts if part.runs], out_features, training=False)
    training = _Pass(parts, out_features, training=True)
    return MemoryEstimate(inference.liveness.peak, training.liveness.peak, training.saved)


def _execution_order(parts: Iterable[LayerRecord]) -> list[LayerRecord]:
    """Sort parts so that each follows those whose maps it joins, otherwise in the given order."""
    parts = list(parts)
    producers = {id(part.before): part for part in parts if part.join} | {id(part.after): part for part in parts}
    ordered: dict[int, LayerRecord] = {}

    def visit(part: LayerRecord) -> None:
        for shape in part.join.sources if part.join else ():
            if id(shape) in producers and id(producers[id(shape)]) not in ordered:
                visit(producers[id(shape)])
        ordered[id(part)] = part

    for part in parts:
        if id(part) not in ordered:
            visit(part)
    return list(ordered.values())


class _Pass:
    """A simulated forward pass, followed by a backward pass in training.

    Maps are indexed: 0 is the image, then for each part its joined input, if it has one, and its output.
    """

    def __init__(self, parts: list[LayerRecord], out_features: Collection[str] | None, *, training: bool) -> None:
        self.parts, self.training = parts, training
        self.liveness = Liveness(training=training)
        self.shapes: list[FeatureShape] = [parts[0].before]
        self.producers = [-1]
        self.inputs: list[list[int]] = []
        self.outputs: list[int] = []
        for index, part in enumerate(parts):
            self.inputs.append([self._find_map(shape) for shape in (part.join.sources if part.join else [part.before])])
            produced = [part.before, part.after] if part.join else [part.after]
            self.shapes += produced
            self.producers += [index] * len(produced)
            self.outputs.append(len(self.shapes) - 1)
        self.last_uses = [self._last_use(index, out_features) for index in range(len(self.shapes))]
        self.saved = self._run()

    def _find_map(self, shape: FeatureShape) -> int:
        indices = range(len(self.shapes) - 1, -1, -1)
        identical = [i for i in indices if self.shapes[i] is shape]
        equal = [i for i in indices if self.shapes[i] == shape]
        same_size = [i for i in indices if self.shapes[i].chw == shape.chw]
        return [*identical, *equal, *same_size, indices[0]][0]

    def _last_use(self, index: int, out_features: Collection[str] | None) -> int:
        """Index of the part after which a map is released; ``len(self.parts)`` for the image and the outputs."""
        last, producer = len(self.parts), self.producers[index]
        readers = [i for i, inputs in enumerate(self.inputs) if index in inputs]
        if producer < 0:
            return last
        if index != self.outputs[producer]:  # the joined input of a part
            return max([producer, *readers])
        component = _component(self.parts[producer])
        if component == "stage" and (out_features is None or self.parts[producer].path[0] in out_features):
            return max((i for i, part in enumerate(self.parts) if _component(part) == "neck"), default=last)
        leaves_component = any(_component(self.parts[i]) != component for i in readers)
        return last if leaves_component or not readers else max(readers)

    def _run(self) -> Mapping[Path, int]:
        """Simulate the pass; bytes alive at the end of forward, by the path of their producer."""
        liveness = self.liveness
        maps = [liveness.allocate(self.shapes[0].nbytes, (), needs_gradient=False)]
        steps: list[tuple[int, JoinBackward | None, Backward]] = []
        for index, part in enumerate(self.parts):
            liveness.runs = self._num_runs(part)
            join_backward = None
            if part.join:
                joined_map, join_backward = liveness.join_maps(part, part.join, [maps[i] for i in self.inputs[index]])
                maps.append(joined_map)
            output, backward = liveness.forward(part, maps[-1] if part.join else maps[self.inputs[index][0]])
            maps.append(output)
            steps.append((index, join_backward, backward))
            for i, last_use in enumerate(self.last_uses[: len(maps)]):
                if last_use == index:
                    liveness.release(maps[i])
        last = len(self.parts)
        read = {i for inputs in self.inputs for i in inputs}
        final = [i for i in self.outputs if self.last_uses[i] == last and i not in read]
        remaining = {*liveness.saved, *(maps[i] for i in final)} - {maps[0]}
        saved = {live_map.producer: 0 for live_map in remaining}
        for live_map in remaining:
            saved[live_map.producer] += live_map.size
        for i, last_use in enumerate(self.last_uses):
            if last_use == last and i not in final:
                liveness.release(maps[i])
        if self.training:
            self._backward(maps, steps, final)
        return saved

    def _backward(
        self, maps: list[LiveMap], steps: list[tuple[int, JoinBackward | None, Backward]], final: list[int]
    ) -> None:
        liveness = self.liveness
        gradients = {maps[i]: liveness.allocate(maps[i].size, (), needs_gradient=False) for i in final}

        def accumulate(live_map: LiveMap, gradient: LiveMap | None) -> None:
            if gradient is not None and live_map in gradients:
                gradient = liveness.add(gradients[live_map], gradient, size=live_map.size)
            if gradient is not None:
                gradients[live_map] = gradient

        for index, join_backward, backward in reversed(steps):
            output = self.outputs[index]
            if maps[output] not in gradients:
                continue
            liveness.runs = self._num_runs(self.parts[index])
            sources = [maps[i] for i in self.inputs[index]]
            joined_map = maps[output - 1] if join_backward else sources[0]
            accumulate(joined_map, backward(gradients.pop(maps[output])))
            if join_backward and joined_map in gradients:
                for source, gradient in zip(sources, join_backward(gradients.pop(joined_map)), strict=True):
                    accumulate(source, gradient)

    def _num_runs(self, part: LayerRecord) -> int:
        return part.runs if not self.training or part.training_runs is None else part.training_runs


def _component(part: LayerRecord) -> str:
    return part.path[0] if part.path[1:] else "stage"
