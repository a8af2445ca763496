"""The paths of the files of a run."""

from pathlib import Path

__all__ = ["RunPaths"]


class RunPaths:
    """The files of a run.

    Args:
        path: Its folder.

    Attributes:
        weights_name: The name of the file of weights.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.weights_name = "model.safetensors"

    @property
    def config_file(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def data_file(self) -> Path:
        """The properties of the training data: class names, channels, image size, mean, std."""
        return self.path / "data.json"

    @property
    def splits_file(self) -> Path:
        """The samples of each split, if the source splits at random."""
        return self.path / "splits.json"

    @property
    def metrics_file(self) -> Path:
        """The final metrics, one flat JSON object."""
        return self.path / "metrics.json"

    @property
    def history_file(self) -> Path:
        """The metrics of each epoch, a row per epoch."""
        return self.path / "metrics.csv"

    @property
    def environment_file(self) -> Path:
        """Versions and hardware, see `visionkit.runs.environment`."""
        return self.path / "environment.json"

    @property
    def log_file(self) -> Path:
        """The console output as plain text."""
        return self.path / "log.txt"

    @property
    def notes_file(self) -> Path:
        """What the run said of its data, batch and length; there is none if that was nothing."""
        return self.path / "notes.json"

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint of the epoch with the best validation metric."""
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def best_whole_checkpoint(self) -> Path:
        """That of the best whole epoch, where ``recipe.max_time`` has cut a better one; for a run that goes on."""
        return self.path / "checkpoints" / "best_whole.ckpt"

    @property
    def last_checkpoint(self) -> Path:
        """The latest checkpoint, from which the run is resumed."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def weights_file(self) -> Path:
        """The weights of the best epoch, as safetensors."""
        return self.path / self.weights_name

    @property
    def plots(self) -> Path:
        """The folder of figures."""
        return self.path / "plots"

    @property
    def nan_batch_file(self) -> Path:
        """The newest batch whose loss or gradients were not finite; there is none if all were."""
        return self.path / "nan_batch.pt"

    @property
    def loggers_file(self) -> Path:
        """The names under which services know the run, with which a resumed run goes on; none without such a logger."""
        return self.path / "loggers.json"
