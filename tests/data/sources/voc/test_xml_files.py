import time

import pytest

from visionkit.data.sources.voc.xml_files import XmlError, parse_xml

BODY = "<annotation><filename>caf\u00e9 \u732b.jpg</filename></annotation>"
LATIN = BODY.replace(" \u732b", "")
BOMB = (
    '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(9))
    + "]><annotation>&a9;</annotation>"
)


def declared(encoding, body=BODY):
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{body}'


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (BODY.encode(), "caf\u00e9 \u732b.jpg"),
        (BODY.encode("utf-8-sig"), "caf\u00e9 \u732b.jpg"),
        (declared("UTF-8").encode(), "caf\u00e9 \u732b.jpg"),
        (declared("utf-16").encode("utf-16"), "caf\u00e9 \u732b.jpg"),
        (declared("utf-16").encode("utf-16-le"), "caf\u00e9 \u732b.jpg"),
        (declared("utf-16").encode("utf-16-be"), "caf\u00e9 \u732b.jpg"),
        (declared("utf-16").encode("utf-8"), "caf\u00e9 \u732b.jpg"),
        (declared("ISO-8859-1", LATIN).encode("latin-1"), "caf\u00e9.jpg"),
        (declared("windows-1252", LATIN).encode("cp1252"), "caf\u00e9.jpg"),
        (declared("gb18030").encode("gb18030"), "caf\u00e9 \u732b.jpg"),
        (declared("gbk", "<a><filename>\u732b.jpg</filename></a>").encode("gbk"), "\u732b.jpg"),
        (declared("shift_jis", "<a><filename>\u732b.jpg</filename></a>").encode("shift_jis"), "\u732b.jpg"),
        (b"\n" + BODY.encode(), "caf\u00e9 \u732b.jpg"),
        (b'<!DOCTYPE annotation SYSTEM "voc.dtd">' + BODY.encode(), "caf\u00e9 \u732b.jpg"),
    ],
)
def test_a_file_is_read_in_the_encoding_that_it_declares(tmp_path, content, name):
    (tmp_path / "a.xml").write_bytes(content)
    assert parse_xml(tmp_path / "a.xml").findtext("filename") == name


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (declared("klingon").encode(), "the encoding 'klingon' is unknown"),
        (declared("rot13").encode(), "the encoding 'rot13' is unknown"),
        (declared("ascii").encode(), "the text is not in the encoding 'ascii'"),
        (LATIN.encode("latin-1"), "the text is not in the encoding 'utf-8'"),
        (b"<annotation>", "no element found"),
        (b"", "no element found"),
        (BOMB.encode(), "defines entities"),
        (BOMB.encode("utf-16"), "defines entities"),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "defines entities"),
    ],
)
def test_a_file_that_cannot_be_read_so_says_why(tmp_path, content, reason):
    (tmp_path / "a.xml").write_bytes(content)
    before = time.perf_counter()
    with pytest.raises(XmlError, match=reason):
        parse_xml(tmp_path / "a.xml")
    assert time.perf_counter() - before < 1


def test_a_file_larger_than_any_annotation_is_not_read(tmp_path):
    with open(tmp_path / "a.xml", "wb") as stream:
        stream.truncate(65 << 20)
    with pytest.raises(XmlError, match="larger than 64 MiB"):
        parse_xml(tmp_path / "a.xml")
