import pytest
import torch

from visionkit.backbones.weights.finite import first_non_finite, non_finite, non_finite_tensors


def test_the_first_tensor_that_is_not_finite_is_named():
    assert first_non_finite({"a": torch.ones(3), "b": torch.tensor([2**40])}) is None
    assert first_non_finite({"a": torch.ones(3), "b": torch.tensor([1, float("nan")]), "c": torch.tensor(1e39)}) == "b"
    assert first_non_finite({}) is None


def test_all_that_are_not_finite_are_named_in_order():
    state = {"a": torch.tensor([-torch.inf]), "b": torch.zeros(0), "c": torch.tensor(1), "d": torch.tensor(torch.nan)}
    assert non_finite(state) == ["a", "d"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([torch.inf, 1.0, torch.nan], []),
        ([0.0, 1.0, 2.0], []),
        ([torch.inf, torch.nan, torch.nan], ["a"]),
        ([-torch.inf, 1.0, torch.nan], ["a"]),
        ([torch.nan, 1.0, torch.nan], ["a"]),
        ([torch.inf], ["a"]),
    ],
)
def test_what_a_network_begins_with_at_the_same_place_counts_as_finite(value, expected):
    initial = {"a": torch.tensor([torch.inf, 3.0, torch.nan]), "b": torch.ones(1)}
    kept = non_finite_tensors(initial)
    assert list(kept) == ["a"]
    for known in (initial, kept):
        assert non_finite({"a": torch.tensor(value)}, known) == expected
