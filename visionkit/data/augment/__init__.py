"""Random changes of training images: their table, and what applies them to single images, batches, boxes and masks."""
