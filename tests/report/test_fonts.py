"""Fonts for names in any script."""

from visionkit.report.fonts import drawable, font_files, load_font


def test_scripts_that_the_bundled_font_has_stay_as_they_are():
    for name in ("cat", "кошка", "γάτα", "кот ✓", "café"):
        assert drawable(name) == name
        assert [file.name for file in font_files(name)] == ["DejaVuSans.ttf"]


def test_a_letter_that_no_font_has_is_escaped_instead_of_drawn_as_a_box():
    assert drawable("a\U0010fffd") == "a\\U0010fffd"  # for private use


def test_a_letter_of_an_installed_font_is_drawn_with_it(monkeypatch):
    """The fonts of mathematics that come with matplotlib stand for one of another script."""
    from visionkit.report import fonts

    stix = fonts._default_font().parent / "STIXNonUni.ttf"
    monkeypatch.setattr(fonts, "_font_of", lambda _: stix)
    assert drawable("\ue001") == "\ue001"
    assert [file.name for file in font_files("\ue001")] == ["DejaVuSans.ttf", "STIXNonUni.ttf"]
    assert load_font(12, "\ue001").path == stix
