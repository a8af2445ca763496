"""The verb ``inspect``: a network layer by layer, by arithmetic alone; nothing is built and no torch imported.

`network` puts stages, neck and head together, `rows` says what is known of each layer, `totals` what of the whole;
`compare` lays totals side by side, `stages` shows who has how much, `explain` (of `words` and `geometry`) and `advice`
speak of it, and `tables` prints.
"""

from visionkit.inspection.report import InspectOptions, inspect

__all__ = ["InspectOptions", "inspect"]
