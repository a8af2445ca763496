"""Images with a mask file each."""
