"""The example of CONTRIBUTING.md: a block, a head and a data set of one's own, as a newcomer would copy them."""

import json
import re
import shlex

from tests.helpers.paths import REPOSITORY

PAGE = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_trains(cli, in_empty_folder, monkeypatch):
    (code,) = re.findall(r"```python\n# my_things.py\n(.*?)```", PAGE, flags=re.DOTALL)
    (command,) = re.findall(r"```bash\n(python -m visionkit .*?)\n```", PAGE)
    (in_empty_folder / "my_things.py").write_text(code)
    (in_empty_folder / "net.yaml").write_text(
        "name: net\nin_channels: 1\nstages: {a: {twice: {type: double, out_channels: 4, activation: relu}}}\n"
    )
    monkeypatch.syspath_prepend(str(in_empty_folder))
    status, out, err = cli(*shlex.split(command)[3:], "backbone=net.yaml", "format=json")
    assert status == 0, err
    assert json.loads(out)["split"] == "val"  # the example has no test split
    status, out, _ = cli("inspect", "backbone=net.yaml", "plugins=[my_things]", "format=json")
    assert json.loads(out)["layers"][0]["type"] == "double"
