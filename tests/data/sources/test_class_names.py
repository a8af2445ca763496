import pytest

from visionkit.data.sources.class_names import doubtful_classes


@pytest.mark.parametrize(
    ("names", "places"),
    [
        (["Cat", "cat", "dog"], ("Cat and cat",)),
        (["1", "1.0", "2"], ("1 and 1.0",)),
        (["hot dog", "hot-dog", "Hot_Dog"], ("hot dog and hot-dog", "hot dog and Hot_Dog")),
        (["caf\u00e9", "cafe\u0301"], ("caf\u00e9 and cafe\u0301",)),
    ],
)
def test_names_that_are_nearly_one_are_named(names, places):
    (finding,) = doubtful_classes(names)
    assert (finding.code, finding.places) == ("classes-alike", places)


@pytest.mark.parametrize("name", ["None", "-", "?"])
def test_a_name_that_may_mean_no_label_is_named(name):
    (finding,) = doubtful_classes(["cat", name])
    assert (finding.code, finding.places) == ("class-means-missing", (name,))


def test_other_names_are_not_doubted():
    assert doubtful_classes(["1", "10", "1.5", "1.50", "cat", "cats", "nothing", "--a"]) == []
