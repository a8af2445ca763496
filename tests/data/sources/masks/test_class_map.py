import pytest

from visionkit.data.sources.masks.class_map import ClassMap
from visionkit.errors import UserError


def test_a_range_stands_for_all_ids_from_end_to_end():
    class_map = ClassMap.parse({"0-2": "ground", " 3 - 4 ": "thing", "9": None})
    assert class_map.names == {0: "ground", 1: "ground", 2: "ground", 3: "thing", 4: "thing", 9: None}
    assert not class_map.coloured


def test_an_id_in_two_ranges_is_an_error():
    with pytest.raises(UserError, match=r"class_map: the value 5 is there twice"):
        ClassMap.parse({"0-5": "a", "5-9": "b"})


@pytest.mark.parametrize("key", ["5-2", "-1", "70000", "1-70000", "1-2-3", ""])
def test_a_key_that_is_no_range_of_ids_is_an_error(key):
    with pytest.raises(UserError, match=r"expected ids or colours as keys, all of one kind, found "):
        ClassMap.parse({"0": "a", key: "b"})
