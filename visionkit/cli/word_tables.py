"""Words of other tools, by what is typed here instead: the data of `visionkit.cli.foreign_words`."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = [
    "ADVICE",
    "CALLBACK_ADVICE",
    "FOREIGN_CHOICES",
    "FOREIGN_KEYS",
    "FOREIGN_VERBS",
    "PREDICT_ADVICE",
    "RUN_WORDS",
]

_AVERAGE = "Type 'recipe.ema={decay: 0.9998, warmup: true}'"
_FREEZING = "Stages are counted from the image. Type recipe.freeze=2; recipe.unfreeze_at=3 trains them after 3 epochs"

FOREIGN_KEYS: Mapping[str, str] = {
    "arch": "backbone", "architecture": "backbone", "model": "backbone", "encoder": "backbone", "network": "backbone",
    "net": "backbone", "cfg": "backbone", "data": "dataset.root", "data_dir": "dataset.root",
    "data_path": "dataset.root", "root": "dataset.root", "path": "dataset.root", "epochs": "recipe.epochs",
    "epoch": "recipe.epochs", "num_epochs": "recipe.epochs", "n_epochs": "recipe.epochs",
    "max_epochs": "recipe.epochs", "batch": "recipe.batch_size", "batch_size": "recipe.batch_size",
    "batchsize": "recipe.batch_size", "bs": "recipe.batch_size", "lr": "recipe.lr", "lr0": "recipe.lr",
    "learning_rate": "recipe.lr", "optimizer": "recipe.optimizer", "optim": "recipe.optimizer",
    "opt": "recipe.optimizer", "scheduler": "recipe.schedule", "lr_scheduler": "recipe.schedule",
    "schedule": "recipe.schedule", "weight_decay": "recipe.optimizer.weight_decay",
    "wd": "recipe.optimizer.weight_decay", "momentum": "recipe.optimizer.momentum",
    "warmup_epochs": "recipe.schedule.warmup_epochs", "patience": "recipe.early_stopping.patience",
    "gradient_clip_val": "recipe.clip_norm", "clip_grad": "recipe.clip_norm",
    "accumulate_grad_batches": "recipe.accumulate", "accumulate": "recipe.accumulate",
    "imgsz": "dataset.image_size", "img_size": "dataset.image_size", "image_size": "dataset.image_size",
    "img": "dataset.image_size", "input_size": "dataset.image_size", "resolution": "dataset.image_size",
    "workers": "dataset.num_workers", "num_workers": "dataset.num_workers", "val_split": "dataset.val_fraction",
    "download": "dataset.download", "loss": "head.loss", "metrics": "task.metrics",
    "dropout": "backbone.classifier.dropout", "devices": "hardware.devices", "gpus": "hardware.devices",
    "num_gpus": "hardware.devices", "accelerator": "hardware.accelerator", "precision": "hardware.precision",
    "strategy": "hardware.strategy", "num_nodes": "hardware.num_nodes", "compile": "hardware.compile",
    "limit_train_batches": "debug.limit_batches", "limit_batches": "debug.limit_batches", "output": "run_dir",
    "output_dir": "run_dir", "out_dir": "run_dir", "log_dir": "run_dir", "project": "run_dir", "name": "run_dir",
    "save_dir": "run_dir", "exp_name": "run_dir", "conf": "min_score", "checkpoint": "run", "ckpt": "run",
    "ckpt_path": "run", "random_state": "seed", "random_seed": "seed", "size": "dataset.image_size",
    "target_size": "dataset.image_size", "validation_split": "dataset.val_fraction", "sched": "recipe.schedule",
    "warmup": "recipe.schedule.warmup_epochs", "lr_gamma": "recipe.schedule.gamma",
    "es_patience": "recipe.early_stopping.patience", "early_stop": "recipe.early_stopping.patience",
    "early_stopping": "recipe.early_stopping.patience", "fliplr": "dataset.augment.horizontal_flip.p",
    "nesterov": "recipe.optimizer.nesterov", "label_smoothing": "head.label_smoothing",
    "smoothing": "head.label_smoothing", "mean": "dataset.mean", "std": "dataset.std", "work_dir": "run_dir",
    "samples_per_gpu": "recipe.batch_size", "exp": "run_dir", "sync_bn": "hardware.sync_batch_norm",
    "drop_path": "backbone.stochastic_depth", "drop_path_rate": "backbone.stochastic_depth",
    "stochastic_depth": "backbone.stochastic_depth", "world_size": "hardware.devices",
    "freeze": "recipe.freeze", "frozen_stages": "recipe.freeze", "freeze_at": "recipe.freeze",
    "layer_decay": "recipe.layer_decay", "max_time": "recipe.max_time",
    "gradient_checkpointing": "hardware.gradient_checkpointing",
    "grad_checkpointing": "hardware.gradient_checkpointing", "use_checkpoint": "hardware.gradient_checkpointing",
    "load_from": "weights", "weights_path": "weights", "pretrained_weights": "weights",
}  # fmt: skip
ADVICE: Mapping[str, str] = {
    "device": "Type hardware=cpu or hardware=gpu; several: hardware.devices=2",
    "pretrained": "Type weights=imagenet for a model, backbone.weights=imagenet for a backbone",
    "gpu": "Type hardware=gpu, or hardware=cpu; several: hardware.devices=2",
    "cuda": "Type hardware=gpu, or hardware=cpu",
    "amp": "Type hardware.precision=bf16",
    "fp16": "Type hardware.precision=16",
    "half": "Type hardware.precision=16",
    "help": "Type python -m visionkit --help",
    "verbose": "Leave it out: log.txt in the run folder has all that is said",
    "cos_lr": "Type recipe.schedule=cosine",
    "resume_from": "Type python -m visionkit train run=FOLDER resume=true, or run=latest resume=true",
    "tensorboard": "Type logger=tensorboard",
    "cache": "Images are kept in memory as far as there is room: dataset.cache_mb=4096",
    "train_dir": "Type dataset.root=FOLDER, the folder that holds train/ and val/",
    "val_dir": "Type dataset.root=FOLDER, the folder that holds train/ and val/",
    "test_dir": "Type dataset.root=FOLDER, the folder that holds train/, val/ and test/",
    "classes": "Leave it out: the data set says how many classes there are",
    "n_classes": "Leave it out: the data set says how many classes there are",
    "num_class": "Leave it out: the data set says how many classes there are",
    "max_steps": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "steps": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "total_iters": "A run is counted in epochs. Type recipe.epochs=NUMBER",
    "shuffle": "Leave it out: training images are shuffled in each epoch, from seed",
    "augment": "Type dataset.augment=auto, 'dataset.augment={horizontal_flip: {p: 0.5}}' or dataset.augment=null",
    "fast_dev_run": "Type debug=fast",
    "mode": "The verb says it, and stands first: python -m visionkit train",
    "num_classes": "Leave it out: the data set says how many classes there are",
    "nc": "Leave it out: the data set says how many classes there are",
    "mosaic": "Type dataset.augment.mosaic.p=1, for boxes and masks",
    "close_mosaic": "Type dataset.augment.mosaic.off_last=0.1, a share of the epochs",
    "mixup": "Type 'recipe.mix={mixup: 0.2, cutmix: 0, p: 0.5, off_last: 0.1}' for labels, or for boxes "
    "dataset.augment.mixup.p=0.5",
    "cutmix": "Type 'recipe.mix={mixup: 0, cutmix: 1.0, p: 0.5, off_last: 0.1}', for labels",
    "copy_paste": "Type dataset.augment.copy_paste.p=0.5, for masks",
    "hsv_h": "Type 'dataset.augment={color_jitter: {hue: 0.1}}'",
    "hsv_s": "Type 'dataset.augment={color_jitter: {saturation: 0.4}}'",
    "hsv_v": "Type 'dataset.augment={color_jitter: {brightness: 0.4}}'",
    "flipud": "Type 'dataset.augment={vertical_flip: {p: 0.5}}'",
    "degrees": "Type 'dataset.augment={rotation: {degrees: 10}}'",
    "auto_augment": "Type 'dataset.augment={rand_augment: {}}' or 'dataset.augment={trivial_augment: {}}'",
    "ema": _AVERAGE,
    "model_ema": _AVERAGE,
    "swa": _AVERAGE,
    "monitor": "Leave it out: the best epoch is that with the best validation score of the task",
    "save_top_k": "Leave it out: a run keeps its best and its last checkpoint",
    "save_period": "Type recipe.checkpoint_every=10m",
    "time": "Type recipe.max_time=1h",
    "trainable_backbone_layers": _FREEZING,
    "freeze_backbone": _FREEZING,
    "trainable_layers": _FREEZING,
    "log_interval": "Leave it out: metrics.csv in the run folder has a row for each epoch",
    "log_every_n_steps": "Leave it out: metrics.csv in the run folder has a row for each epoch",
    "print_freq": "Leave it out: metrics.csv in the run folder has a row for each epoch",
    "deterministic": "Leave it out: everything that is drawn depends on seed alone. Type seed=1 for another draw",
    "benchmark": "How fast a network is: python -m visionkit benchmark backbone=NAME, or run=FOLDER",
    "iou": "The threshold of non-maximum suppression belongs to the head: head.nms_threshold=0.5 in training",
    "config": "Type backbone=my_net.yaml for a network; for groups of your own: --config-dir FOLDER",
}
RUN_WORDS = ("model", "ckpt", "ckpt_path", "checkpoint", "weights_path", "load_from")
"""What other tools call the model that is evaluated, or that predicts."""

FOREIGN_CHOICES: Mapping[str, Mapping[str, str]] = {
    "task": {
        "classification": "classify", "cls": "classify", "classifier": "classify", "detection": "detect",
        "object_detection": "detect", "det": "detect", "segmentation": "segment", "semantic": "segment",
        "semantic_segmentation": "segment", "seg": "segment", "instance_segmentation": "instance",
    },
    "hardware": {"cuda": "gpu", "cuda:0": "gpu", "0": "gpu", "mps": "auto"},
    "logger": {"tb": "tensorboard", "false": "none", "null": "none"},
    "debug": {"true": "fast", "1": "fast", "false": "none", "null": "none"},
    "dataset": {
        "imagefolder": "folder", "image_folder": "folder", "pascal_voc": "voc", "pascal": "voc", "mscoco": "coco",
    },
    "recipe": {"Adam": "adam", "AdamW": "adamw", "SGD": "sgd", "Muon": "muon"},
}  # fmt: skip
FOREIGN_VERBS: Mapping[str, str] = {
    "fit": "train", "val": "evaluate", "validate": "evaluate", "test": "evaluate", "eval": "evaluate",
    "infer": "predict", "inference": "predict", "detect": "train task=detect", "segment": "train task=segment",
    "classify": "train task=classify", "summary": "inspect", "info": "inspect", "help": "--help",
    "version": "--version", "sweep": "-m backbone=lenet,resnet20 seed=0,1", "multirun": "-m seed=0,1",
    "tune": "sweep=optuna recipe.lr='tag(log,interval(0.001,0.1))'",
    "search": "sweep=optuna recipe.lr='tag(log,interval(0.001,0.1))'", "resume": "train run=latest resume=true",
    "finetune": "train weights=imagenet", "download": "dataset=cifar10 dataset.root=data dataset.download=true",
    "show": "config", "print": "config", "convert": "export run=latest to=onnx", "onnx": "export run=latest to=onnx",
    "gradio": "demo run=latest", "app": "demo run=latest", "ui": "demo run=latest", "web": "demo run=latest",
    "lr_find": "find lr backbone=lenet", "find_lr": "find lr backbone=lenet", "lr_finder": "find lr backbone=lenet",
    "find_batch": "find batch backbone=lenet", "scale_batch_size": "find batch backbone=lenet",
    "autobatch": "find batch backbone=lenet",
    "api": "serve run=latest", "server": "serve run=latest", "deploy": "serve run=latest",
}  # fmt: skip
CALLBACK_ADVICE: Mapping[str, str] = {
    "earlystopping": "stopping early is a key of the recipe. Type 'recipe.early_stopping={patience: 5}'",
    "modelcheckpoint": "a run always keeps its best and its last checkpoint. Leave it out",
    "learningratemonitor": "the learning rate is among the curves of every run. Leave it out",
    "progressbar": "a run always shows how far it is. Leave it out",
}
"""What callbacks of Lightning and Keras do, by their names in small letters without ``_``."""

PREDICT_ADVICE: Mapping[str, str] = {
    "iou": "The threshold of non-maximum suppression is the run's own. Objects by their score: min_score=0.3",
    "iou_thres": "The threshold of non-maximum suppression is the run's own. Objects by their score: min_score=0.3",
    "conf": "Type min_score=0.3", "conf_thres": "Type min_score=0.3", "threshold": "Type min_score=0.3",
    "score_thr": "Type min_score=0.3", "imgsz": "Images get the size of the run. Of large images: window=512",
    "image_size": "Images get the size of the run. Of large images: window=512",
    "save_txt": "Leave it out: predictions are always written as JSON",
    "save": "Leave it out: predictions are always written, to run_dir=FOLDER if it is typed",
    "show": "Leave it out: annotated images are written, to run_dir=FOLDER if it is typed",
}  # fmt: skip
"""What `predict` of other tools takes."""
