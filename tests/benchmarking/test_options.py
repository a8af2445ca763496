"""The options of ``benchmark``."""

import pytest

from visionkit.benchmarking.options import read_options
from visionkit.errors import UserError


def test_lists_are_read_with_and_without_brackets():
    read = read_options({"engines": "eager, onnx-int8", "batch": "[1,16]", "image_size": [32, 64]})
    assert (read.engines, read.batch, read.image_size) == (("eager", "onnx-int8"), (1, 16), (32, 64))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"engines": "egaer"}, "engines: found 'egaer'. Did you mean 'eager'? Expected some of: eager, compile, onnx"),
        ({"engines": "onnx,onnx"}, "engines: 'onnx' is named twice. Try: engines=onnx"),
        ({"engines": "eager,"}, "engines: found 'eager,', expected words with commas between"),
        ({"batch": "0"}, 'batch: found "0", expected whole numbers of images from 1 to 4,096. Try: batch=1,8'),
        ({"batch": "1,x"}, 'batch: found "x"'),
        ({"batch": "8,8"}, "batch: '8' is named twice. Try: batch=8"),
        ({"batch": "99999"}, 'batch: found "99999"'),
        ({"threads": 0}, "threads: expected a number greater than 0"),
        ({"seconds": 0}, "seconds: expected a number greater than 0"),
        ({"split": "vla"}, "split: expected 'train', 'val' or 'test'"),
        ({"accuracy": "maybe"}, "accuracy: expected true or false"),
    ],
)
def test_a_wrong_option_is_told_with_what_to_type(values, message):
    with pytest.raises(UserError) as error:
        read_options(values)
    assert message in str(error.value)
