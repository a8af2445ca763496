"""Parsing XML files of annotation tools, in the encoding that they declare and without the expansion of entities."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from xml.etree import ElementTree

__all__ = ["XmlError", "parse_xml"]

_MAX_BYTES = 64 << 20
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0?\0", "utf-16-le"),  # no mark, as some tools write UTF-16
    (b"\0<\0?", "utf-16-be"),
)
_DECLARED = re.compile(rb"""\s*<\?xml[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z][\w.:-]{0,40})["']""")
_WIDE = re.compile(r"(?i)utf[-_]?(16|32)|ucs[-_]?[24]|iso-10646-ucs-[24]")


class XmlError(ValueError):
    """An XML file that cannot be parsed; the message says why."""


def parse_xml(file: Path) -> ElementTree.Element:
    """The root element of a file.

    A file that declares UTF-16 but is written in bytes, as tools on Windows do, is read as UTF-8.

    Raises:
        XmlError: If the file cannot be read or parsed, declares an encoding that is unknown or that it does not have,
            or defines entities, which can expand without end.
    """
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise XmlError(f"larger than {_MAX_BYTES >> 20} MiB")
        content = file.read_bytes()
    except OSError as error:
        raise XmlError(error.strerror or type(error).__name__) from None
    encoding = _encoding(content)
    try:
        text = content.decode(encoding)
    except LookupError:
        raise XmlError(f"the encoding '{encoding}' is unknown") from None
    except (UnicodeError, ValueError):
        raise XmlError(f"the text is not in the encoding '{encoding}'") from None
    if "<!ENTITY" in text:
        raise XmlError("it defines entities, which are not expanded")
    try:
        return ElementTree.fromstring(text.lstrip("\ufeff \t\r\n"))
    except (ElementTree.ParseError, ValueError) as error:
        raise XmlError(str(error)) from None


def _encoding(content: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return encoding
    match = _DECLARED.match(content[:400])
    declared = match[1].decode("ascii") if match else "utf-8"
    return "utf-8" if _WIDE.fullmatch(declared) else declared
