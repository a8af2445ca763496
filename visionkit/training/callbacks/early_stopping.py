"""Early stopping that a resumed run remembers."""

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import EarlyStopping

__all__ = ["ResumableEarlyStopping"]


class ResumableEarlyStopping(EarlyStopping):
    """Lightning's, but a run that had stopped when it was killed does not train another epoch.

    The patience is that of the recipe, also where a resumed run has another one than before.
    """

    @property
    def state_key(self) -> str:
        """That of Lightning's class, under which it is stored."""
        return super().state_key.replace(type(self).__qualname__, EarlyStopping.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best score, and how long ago it was."""
        patience = self.patience
        super().load_state_dict(state_dict)
        self.patience = patience

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop at once if the patience is over."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True
