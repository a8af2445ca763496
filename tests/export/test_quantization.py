"""Which nodes of a file get 8 bits, and what the quantised file gives."""

import numpy
import pytest
import torch

onnx = pytest.importorskip("onnx", reason="onnx is not installed: pip install 'visionkit[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'visionkit[onnx]'")

from visionkit.errors import UserError  # noqa: E402
from visionkit.export.quantization import check_int8_supported, find_quantizable, quantize, simplify  # noqa: E402

SIDE, CHANNELS, CLASSES = 16, 8, 3


def node(kind, name, inputs, outputs, **attributes):
    return onnx.helper.make_node(kind, inputs, outputs, name=name, **attributes)


def make_detector(path):
    """Images are normalised, a residual block follows, logits of each place, and a decoding with a product."""
    generator = numpy.random.RandomState(0)
    weights = {
        "mean": numpy.float32([120]),
        "w1": generator.randn(CHANNELS, 1, 3, 3).astype(numpy.float32) / 100,
        "w2": generator.randn(CHANNELS, CHANNELS, 3, 3).astype(numpy.float32) / 8,
        "w3": generator.randn(CLASSES, CHANNELS, 1, 1).astype(numpy.float32),
        "flat": numpy.int64([-1, CLASSES, SIDE * SIDE]),
        "anchor": numpy.float32([0.5]),
    }
    weights["w2"][0] *= 30  # one channel that a scale for all would follow
    nodes = [
        node("Cast", "cast", ["images"], ["floats"], to=onnx.TensorProto.FLOAT),
        node("Sub", "normalise", ["floats", "mean"], ["normal"]),
        node("Conv", "first", ["normal", "w1"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", "relu", ["a"], ["b"]),
        node("Conv", "second", ["b", "w2"], ["c"], pads=[1, 1, 1, 1]),
        node("Add", "residual", ["b", "c"], ["d"]),
        node("Relu", "relu2", ["d"], ["e"]),
        node("Conv", "last", ["e", "w3"], ["places"]),
        node("Reshape", "flatten", ["places", "flat"], ["logits"]),
        node("Sigmoid", "sigmoid", ["logits"], ["scores"]),
        node("Add", "decode", ["scores", "anchor"], ["moved"]),
        node("Transpose", "turn", ["moved"], ["turned"], perm=[0, 2, 1]),
        node("MatMul", "suppress", ["moved", "turned"], ["overlaps"]),
    ]
    values = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes,
        "net",
        [tensor("images", onnx.TensorProto.UINT8, ["batch", 1, SIDE, SIDE])],
        [tensor(name, onnx.TensorProto.FLOAT, None) for name in ("logits", "scores", "overlaps")],
        values,
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, path)
    return graph


def images(count, seed=0):
    generator = numpy.random.RandomState(seed)
    return [{"images": generator.randint(0, 256, (1, 1, SIDE, SIDE)).astype(numpy.uint8)} for _ in range(count)]


def test_feature_maps_are_quantised_but_neither_the_last_layer_nor_what_is_before_or_behind(tmp_path):
    graph = make_detector(tmp_path / "a.onnx")
    assert find_quantizable(graph) == ["first", "relu", "second", "residual", "relu2"]


def test_a_network_whose_only_layer_is_the_last_has_none(tmp_path):
    graph = make_detector(tmp_path / "a.onnx")
    del graph.node[2:7]
    graph.node[2].input[0] = "normal"
    assert find_quantizable(graph) == []


@pytest.fixture(scope="module")
def quantised(tmp_path_factory):
    folder = tmp_path_factory.mktemp("quantised")
    make_detector(folder / "a.onnx")
    simplify(folder / "a.onnx", folder / "simple.onnx")
    for scheme in ("per_channel", "per_tensor"):
        layers = quantize(
            folder / "simple.onnx", folder / f"{scheme}.onnx", images(20), scheme=scheme, metadata={"key": "value"}
        )
        assert layers == 2
    return folder


@pytest.mark.parametrize(("scheme", "scales"), [("per_channel", CHANNELS), ("per_tensor", 1)])
def test_a_quantised_file_is_static_with_weights_of_8_bits(quantised, scheme, scales):
    model = onnx.load(quantised / f"{scheme}.onnx")
    kinds = [one.op_type for one in model.graph.node]
    assert kinds.count("QuantizeLinear") >= 4
    assert not {"DynamicQuantizeLinear", "ConvInteger", "MatMulInteger"} & {*kinds}
    weights = {value.name: onnx.numpy_helper.to_array(value) for value in model.graph.initializer}
    makers = {name: one for one in model.graph.node for name in one.output}
    convs = [one for one in model.graph.node if one.op_type == "Conv"]
    stored = [makers[conv.input[1]] for conv in convs if conv.input[1] in makers]
    assert len(convs) == 3
    assert [(weights[one.input[0]].dtype.name, weights[one.input[1]].size) for one in stored] == [("int8", scales)] * 2
    assert {one.key: one.value for one in model.metadata_props} == {"key": "value"}


def test_a_quantised_file_gives_nearly_the_same_and_a_scale_per_channel_is_nearer(quantised):
    errors = {}
    batch = {"images": numpy.concatenate([image["images"] for image in images(5, seed=1)])}
    expected = onnxruntime.InferenceSession(quantised / "a.onnx").run(["logits"], batch)[0]
    for scheme in ("per_channel", "per_tensor"):
        found = onnxruntime.InferenceSession(quantised / f"{scheme}.onnx").run(["logits"], batch)[0]
        errors[scheme] = numpy.abs(found - expected).mean() / numpy.abs(expected).mean()
    assert errors["per_channel"] < min(0.03, errors["per_tensor"])


def test_what_onnxruntime_cannot_quantise_is_told_in_words(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"int8=true: onnxruntime cannot quantise this network: \w+: "):
        simplify(tmp_path / "a.onnx", tmp_path / "b.onnx")


@pytest.mark.parametrize("name", ["avx512_f", "avx512_vnni", "avx_vnni"])
def test_a_cpu_with_avx_512_or_vnni_is_taken(monkeypatch, name):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, name: True})
    assert check_int8_supported() is None


def test_a_cpu_without_both_is_refused_with_a_word(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "avx512_f": False})
    with pytest.raises(UserError, match=r"has neither AVX-512 nor VNNI.* Leave int8=true away"):
        check_int8_supported()
