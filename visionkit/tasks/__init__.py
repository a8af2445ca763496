"""The LightningModule of each task, and facts about each task that need no torch (`visionkit.tasks.info`)."""
