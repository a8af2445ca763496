"""The verbs of the command line with their options and examples, as ``--help`` prints them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["VERBS", "Verb"]


@dataclass(frozen=True)
class Verb:
    """A verb of the command line.

    Attributes:
        summary: What it does, in one line.
        options: Names and descriptions of its options.
        examples: Complete commands.
        subjects: Words of which one stands behind the verb; none for most.
    """

    summary: str
    options: Mapping[str, str]
    examples: tuple[str, ...]
    subjects: tuple[str, ...] = ()


VERBS: Mapping[str, Verb] = {
    "train": Verb(
        "train a model, test its best checkpoint, and write both to a run folder (the verb may be left out)",
        {
            "run": "repeat the run in this folder into a new one; `latest` is the newest",
            "resume": "true: continue run=FOLDER, or the sweep in run_dir=FOLDER; auto: begin or go on in run_dir",
        },
        (
            "python -m visionkit task=classify backbone=lenet",
            "python -m visionkit backbone=resnet20 dataset=cifar10 dataset.root=data dataset.download=true",
            "python -m visionkit train run=latest recipe.epochs=30",
            "python -m visionkit train run=latest resume=true",
            "python -m visionkit -m backbone=lenet,resnet20 seed=0,1,2 run_dir=sweeps/a",
        ),
    ),
    "evaluate": Verb(
        "measure a run's best checkpoint again",
        {
            "run": "the run folder, or `latest`",
            "split": "train, val or test; the run's own test split unless given",
            "engine": "eager unless given; onnx, onnx-int8: the run's exported file, in onnxruntime on the CPU",
        },
        (
            "python -m visionkit evaluate run=latest split=val",
            "python -m visionkit evaluate run=latest engine=onnx",
        ),
    ),
    "predict": Verb(
        "look at images of your own with a run's best checkpoint; writes classes, boxes or masks, and annotated images",
        {
            "run": "the run folder, `latest`, or the model.onnx of an export alone",
            "source": "an image, a folder, or a pattern such as 'photos/*.jpg'",
            "min_score": "objects with a lower score are not drawn (0.3 unless given); the JSON has all",
            "max_detections": "the most objects of one image; the run's head.max_detections unless given",
            "window": "segment, detect, instance: windows that slide over large images: 512, [512, 640] or auto",
            "overlap": "the share of a window that neighbours have in common (0.25 unless given)",
            "max_pixels": "the largest image that is read whole; windows have no limit but memory",
            "value_range": "which values of 16-bit and float images are black and white: [0,65535]",
            "out": "a folder for the results, or one file: a picture (.jpg, .png), a table (.csv), a document (.json)",
            "draw": "true, false: annotated images; unless given of up to 100 classified images, of others always",
            "format": "text, json or csv",
        },
        (
            "python -m visionkit predict run=latest source=photos/",
            "python -m visionkit predict run=latest source=photo.jpg out=labelled.jpg",
            "python -m visionkit predict run=latest source=photos/ format=csv",
            "python -m visionkit predict run=latest source=aerial.tif window=512 overlap=0.25",
        ),
    ),
    "export": Verb(
        "write a run's model as a file for other programs, compared image by image with the run",
        {
            "run": "the run folder, or `latest`",
            "to": "onnx, torch_export or safetensors",
            "size": "height and width of the images that the file takes: 480,640; or dynamic; the run's unless given",
            "decode": "false: the raw outputs of the head alone; probabilities, boxes or masks unless given",
            "int8": "true: 8-bit numbers, kept if it is faster here and loses at most 1 point of the metric",
            "out": "a folder for the files; exports/onnx or the like in the run folder unless given",
            "format": "text or json",
        },
        (
            "python -m visionkit export run=latest to=onnx",
            "python -m visionkit export run=latest to=onnx size=dynamic",
            "python -m visionkit export run=latest to=onnx int8=true",
            "python -m visionkit export run=latest to=torch_export out=shipped",
        ),
    ),
    "benchmark": Verb(
        "time runs, or networks with random weights, by several engines on the same images, beside their scores",
        {
            "run": "run folders: run=A,B; `latest` is the newest; or instead backbone=A,B",
            "engines": "eager, compile, onnx, onnx-int8, with commas between; eager,onnx unless given",
            "batch": "numbers of images that are predicted together: 1,8 unless given",
            "image_size": "pixels, one number or [height, width]; that of the training or the backbone unless given",
            "num_classes": "of networks without a run; 10 unless given",
            "split": "train, val or test: whose images are predicted and scored; val unless given",
            "accuracy": "false: without the scores",
            "memory": "false: without the memory, which takes a process for each engine",
            "seconds": "for which each engine is timed at each batch; 3 unless given",
            "threads": "of torch and onnxruntime; one for each core unless given",
            "out": "a PNG file for score against latency; all figures as JSON are written beside it",
            "format": "text or json",
        },
        (
            "python -m visionkit benchmark run=latest engines=eager,compile,onnx batch=1,8 out=speed.png",
            "python -m visionkit benchmark backbone=lenet,resnet18 image_size=64 batch=1",
        ),
    ),
    "demo": Verb(
        "open a page on this machine: drop a picture, see what a run makes of it; nothing leaves the machine",
        {
            "run": "the run folder, `latest`, or the model.onnx of an export alone",
            "port": "of the page, 7860 unless given; 0 for any that is free",
            "host": "127.0.0.1, this machine alone, unless given",
            "share": "true: a public address of gradio's, through their servers; false unless given",
            "max_pixels": "the largest picture, 50 million pixels unless given",
            "max_bytes": "the largest file, 32 MiB unless given",
            "value_range": "which values of 16-bit and float images are black and white: [0,65535]",
        },
        ("python -m visionkit demo run=latest", "python -m visionkit demo run=latest port=0"),
    ),
    "serve": Verb(
        "answer HTTP requests with predictions: an image in, JSON out",
        {
            "run": "the run folder, `latest`, or the model.onnx of an export alone",
            "port": "8000 unless given; 0 for any that is free",
            "host": "127.0.0.1, this machine alone, unless given",
            "max_pixels": "the largest image, 50 million pixels unless given",
            "max_bytes": "the largest file, 32 MiB unless given",
            "value_range": "which values of 16-bit and float images are black and white: [0,65535]",
        },
        ("python -m visionkit serve run=latest", "python -m visionkit serve run=latest host=0.0.0.0 port=9000"),
    ),
    "inspect": Verb(
        "show a network layer by layer without building it: sizes, weights, cost, and what each cell sees",
        {
            "image_size": "pixels, one number or [height, width]; the backbone's own size unless given",
            "in_channels": "channels of the image; the backbone's own unless given",
            "num_classes": "adds the head for so many classes",
            "batch_size": "images that are in memory together; 1 unless given",
            "depth": "how many levels of names to show: 1 stages, 2 layers, 3 blocks ...",
            "columns": "all: also jump, offset, padding, formulas, neurons, connections and memory of each layer",
            "by": "stage: the share of each stage, as bars",
            "explain": "true: each kind of layer in words and formulas, and what to mind",
            "format": "text, json, csv or markdown",
        },
        (
            "python -m visionkit inspect backbone=lenet num_classes=10",
            "python -m visionkit inspect backbone=alexnet_2012 num_classes=1000 explain=true",
            "python -m visionkit inspect backbone=plain56,resnet56 num_classes=10",
            "python -m visionkit inspect backbone=vgg16 num_classes=1000 by=stage",
            "python -m visionkit inspect backbone=resnet50 depth=2 format=json",
        ),
    ),
    "check": Verb(
        "say what is wrong with a data set, before anything is trained on it; exit code 2 with errors",
        {
            "run": "the run whose data set is checked; instead of words as of train",
            "deep": "true: all pixels too; headers and annotations alone unless given",
            "labels": "true: five short trainings, whose networks judge the labels they have not seen",
            "fix": "list: write the images that should be left out, for dataset.exclude=check/excluded.txt",
            "plot": "true: pictures of the data set, of a training batch, and of the worst findings",
            "out": "the folder for these, check unless given",
            "cache": "a folder that keeps what was seen of each file for the next check",
        },
        (
            "python -m visionkit check dataset=folder dataset.root=photos",
            "python -m visionkit check dataset=coco dataset.root=data/coco deep=true",
            "python -m visionkit check task=detect dataset=yolo dataset.root=data/yolo format=json",
        ),
    ),
    "find": Verb(
        "find lr: a learning rate by a range test; find batch: the size of a batch for this device's memory and speed",
        {
            "run": "the run whose network, data and recipe are measured; instead of words as of train",
            "low": "of lr: the first rate, 1e-6 unless given",
            "high": "of lr: the last rate, 10 unless given; it ends before if the loss diverges",
            "steps": "of lr: steps of the optimizer from the first rate to the last, 140 unless given",
            "out": "of lr: a PNG file for the curve; all figures as JSON are written beside it",
            "largest": "of batch: no larger size is tried; unless given, one that leaves ten steps in an epoch",
            "seconds": "of batch: for which each size is timed, 1 unless given",
        },
        (
            "python -m visionkit find lr task=classify backbone=lenet out=lr.png",
            "python -m visionkit find batch task=classify backbone=lenet",
            "python -m visionkit find lr run=latest format=json",
        ),
        ("lr", "batch"),
    ),
    "config": Verb(
        "show what a command would run as YAML, with the file, run or word that each value comes from",
        {"run": "the run whose configuration is shown; `latest` is the newest"},
        (
            "python -m visionkit config task=detect backbone=resnet18 recipe.lr=0.01",
            "python -m visionkit config run=latest",
        ),
    ),
    "runs": Verb(
        "list all runs below a folder: task, backbone, data, metric with its interval, date and state",
        {
            "root": "the folder; runs unless given",
            "task": "the runs of one task alone",
            "format": "text or json",
        },
        (
            "python -m visionkit runs",
            "python -m visionkit runs root=sweeps/a task=classify format=json",
        ),
    ),
    "compare": Verb(
        "set runs side by side: metrics, whether they differ by more than chance, settings, and curves in one picture",
        {
            "run": "two run folders or more: run=A,B; or one folder with runs in it, such as that of a sweep",
            "out": "a PNG file for the curves",
            "format": "text or json",
        },
        (
            "python -m visionkit compare run=runs/classify-lenet-digits out=curves.png",
            "python -m visionkit compare run=FOLDER,latest format=json",
        ),
    ),
    "list": Verb(
        "show every group of choices, or one: list backbones",
        {"pattern": "only names such as 'resnet*'"},
        (
            "python -m visionkit list",
            "python -m visionkit list backbones",
            "python -m visionkit list blocks",
            "python -m visionkit list timm pattern='convnext*'",
        ),
    ),
}
