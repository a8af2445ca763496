"""Tasks: what is trained, on which targets, and which number decides."""
