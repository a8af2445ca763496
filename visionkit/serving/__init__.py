"""A trained run that answers: images that are sent come back with predictions, over HTTP or on a page."""
