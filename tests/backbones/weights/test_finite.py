import torch

from visionkit.backbones.weights.finite import first_non_finite, non_finite


def test_the_first_tensor_that_is_not_finite_is_named():
    assert first_non_finite({"a": torch.ones(3), "b": torch.tensor([2**40])}) is None
    assert first_non_finite({"a": torch.ones(3), "b": torch.tensor([1, float("nan")]), "c": torch.tensor(1e39)}) == "b"
    assert first_non_finite({}) is None


def test_all_that_are_not_finite_are_named_in_order():
    state = {"a": torch.tensor([-torch.inf]), "b": torch.zeros(0), "c": torch.tensor(1), "d": torch.tensor(torch.nan)}
    assert non_finite(state) == ["a", "d"]
