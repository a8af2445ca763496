"""A task's inference, drawing and writer put together as ``predict`` and ``train`` do it."""

from visionkit.data.image_rows import MemoryRows
from visionkit.inference.options import PredictOptions
from visionkit.registry import load
from visionkit.tasks.info import TASKS


class Results:
    """Predictions of a task on images in memory, and the files that they become."""

    def __init__(self, task, model, transform, data, *, target, paths, precision="32", options=None):
        options = options or PredictOptions()
        self.model = model
        self.inference = load(TASKS[task].inference)(model, transform, data, precision=precision, options=options)
        self.writer = load(TASKS[task].writer)(target, data, paths, min_score=options.min_score)

    @property
    def rows(self):
        return self.writer.rows

    def take(self, paths, images):
        """Predict one batch, or by windows image by image."""
        if self.inference.window is not None:
            predictions = [self.inference.predict_windows(MemoryRows(image)) for image in images]
        else:
            prepared = [self.inference.prepare(self.inference.fit(image)) for image in images]
            predictions = self.inference.predict(prepared)
        for path, image, prediction in zip(paths, images, predictions, strict=True):
            self.writer.add(path, image, prediction)

    def write(self):
        self.writer.write()

    def lines(self):
        return self.writer.summary()


def drawing(task):
    """What draws a task."""
    return load(TASKS[task].drawing)()


def draw_predictions(task, model, dataset, transform, class_names, path, **data):
    """Draw predictions on a split as after a training."""
    inference = load(TASKS[task].inference)(model, transform, {"class_names": class_names, **data})
    draw = drawing(task)
    draw.examples(list(inference.examples(dataset, draw.num_examples)), class_names, path, split="val")
