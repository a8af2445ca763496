"""The data sets: a folder per family, each a frozen dataclass whose fields are its schema.

A custom data set is a class decorated with ``@SOURCES.register("name")`` in a module listed in ``plugins=[...]``.
"""

from visionkit.data.sources.base import SOURCES, DataInfo, Source, Splits
from visionkit.data.sources.parse import check_target, parse_source, read_source

__all__ = ["SOURCES", "DataInfo", "Source", "Splits", "check_target", "parse_source", "read_source"]
