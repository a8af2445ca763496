"""Open the page of ``demo`` in a browser, a run of each task, drop pictures, and see that nothing leaves the machine.

python tools/demo_screens.py OUT                                    # small runs are trained first, some minutes
python tools/demo_screens.py OUT --run runs/a/b --picture photo.jpg  # a run of one's own, and a picture for it

It needs pip install "visionkit[demo]" playwright, and Chromium: apt install chromium. It runs without a network alone:
unshare -rn sh -c "ip link set lo up; python tools/demo_screens.py OUT".
"""

from __future__ import annotations

import argparse
import base64
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
REPOSITORY = Path(__file__).parents[1]
SECONDS = 120


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a folder for the screenshots")
    parser.add_argument(
        "--run",
        type=lambda word: Path(word).absolute(),
        action="append",
        default=[],
        help="a run folder or an exported file, any number of times",
    )
    parser.add_argument("--picture", type=Path, action="append", default=[], help="a picture for each of them")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="the browser's program")
    arguments = parser.parse_args()
    if len(arguments.run) != len(arguments.picture):
        parser.error("give a --picture for each --run")
    if has_route():
        parser.error(
            "this machine has a route to others, so that what leaves it would not be seen. Type: "
            f'unshare -rn sh -c "ip link set lo up; {sys.executable} tools/demo_screens.py {arguments.out} ..."'
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        runs = list(zip(arguments.run, arguments.picture, strict=True)) or list(train_runs(Path(scratch)))
        for run, picture in runs:
            with demo_of(run) as url:
                foreign = drive(url, picture, arguments.out, chromium=arguments.chromium, scratch=Path(scratch))
            if foreign:
                print(f"{run}: the page asked for {foreign}")
                return 1
            print(f"{run}: looked at, and nothing left the machine", flush=True)
    return 0


def has_route() -> bool:
    """Whether packets would leave this machine: a socket of datagrams finds its route as it connects."""
    for family, address in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.connect((address, 9))
            return True
    return False


def train_runs(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A small run of each task, and a picture of its validation split."""
    from torchvision.io import write_png

    from tests.helpers.shared_runs import TRAINED
    from visionkit.runs.config import RunConfig
    from visionkit.runs.folder import RunFolder

    for task, words in TRAINED.items():
        run, picture = folder / task, folder / f"{task}.png"
        subprocess.run([sys.executable, "-m", "visionkit", *words, f"run_dir={run}"], check=True, cwd=REPOSITORY)
        datamodule = RunConfig.from_plain(RunFolder(run).read_config()).datamodule(None)
        datamodule.prepare_data()
        write_png(datamodule.dataset("val").image(0), str(picture))
        yield run, picture


@contextmanager
def demo_of(run: Path) -> Iterator[str]:
    """The address of a demo of a run, which a Ctrl-C ends."""
    words = [
        sys.executable,
        "-m",
        "visionkit",
        "demo",
        f"run={run}",
        "port=0",
        *([] if run.suffix else ["hardware=cpu"]),
    ]
    process = subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        for line in process.stdout:
            found = re.match(r"ready +(http://\S+)", line)
            if found:
                yield found[1]
                break
        else:
            raise SystemExit(f"the demo of {run} did not start")
    finally:
        process.send_signal(signal.SIGINT)
        code = process.wait(30)
    assert code == 130, f"Ctrl-C ended the demo with {code}"


def drive(url: str, picture: Path, out: Path, *, chromium: str, scratch: Path) -> list[str]:
    """Drop a picture at each size of the screen, then what is none and what is too large.

    Returns:
        What the page asked for from elsewhere.
    """
    from playwright.sync_api import sync_playwright

    requests: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, height) in SCREENS.items():
            for scheme in ("light", "dark") if name == "desktop" else ("light",):
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
                page.on("request", lambda request: requests.append(request.url))
                page.on("websocket", lambda socket: requests.append(socket.url))
                shot = f"{picture.stem}-{name}{'-dark' if scheme == 'dark' else ''}"
                use_page(page, f"{url}/?__theme={scheme}", picture, out / shot)
                if name == "desktop" and scheme == "light":
                    refuse(page, out / shot, scratch)
                page.close()
        browser.close()
    own = urlsplit(url).netloc
    return [asked for asked in requests if urlsplit(asked).netloc not in ("", own)]


def use_page(page: Any, url: str, picture: Path, shot: Path) -> None:
    """Open the page, drop the picture, wait for what is said of it, and move the slider where there is one."""
    page.goto(url)
    page.wait_for_selector("#vk-status .hint", timeout=1000 * SECONDS)
    page.wait_for_selector("#vk-input input[type=file]", state="attached")
    page.screenshot(path=f"{shot}-0-empty.png")
    start = time.perf_counter()
    drop(page, picture)
    page.wait_for_selector("#vk-status .found", timeout=1000 * SECONDS)
    print(f"  {shot.name}: {page.inner_text('#vk-status')} after {time.perf_counter() - start:.1f} s")
    page.wait_for_timeout(800)
    page.screenshot(path=f"{shot}-1-found.png", full_page=True)
    slider = page.locator("#vk-score input[type=range]")
    if slider.count() and slider.is_visible():
        before = page.inner_text("#vk-table")
        value = "0.99" if before else "0.01"
        slider.evaluate("(e, v) => { e.value = v; e.dispatchEvent(new Event('input', {bubbles: true})); }", value)
        page.wait_for_function("before => document.querySelector('#vk-table').innerText !== before", arg=before)
        page.wait_for_timeout(500)
        page.screenshot(path=f"{shot}-2-slider.png", full_page=True)


def refuse(page: Any, shot: Path, scratch: Path) -> None:
    """What is no picture, and one of 400 million pixels, are refused in words."""
    text, huge = scratch / "text.png", scratch / "huge.png"
    text.write_text("no picture")
    if not huge.exists():
        Image.new("1", (20_000, 20_000)).save(huge)
    for file, words in ((text, "cannot be read"), (huge, "20,000 x 20,000 pixels")):
        page.reload()
        page.wait_for_selector("#vk-status .hint", timeout=1000 * SECONDS)
        drop(page, file)
        page.wait_for_selector("#vk-status .error", timeout=1000 * SECONDS)
        found = page.inner_text("#vk-status .error")
        assert words in found, found
        page.wait_for_timeout(500)
        page.screenshot(path=f"{shot}-{file.stem}.png")


def drop(page: Any, file: Path) -> None:
    """Drop a file on the page, as from a folder of the desktop: the events and their data are those of a drag."""
    content = base64.b64encode(file.read_bytes()).decode()
    transfer = page.evaluate_handle(
        """([content, name]) => {
            const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], name, {type: 'image/png'}));
            return transfer;
        }""",
        [content, file.name],
    )
    target = page.locator("#vk-input button").first
    for event in ("dragenter", "dragover", "drop"):
        target.dispatch_event(event, {"dataTransfer": transfer})


if __name__ == "__main__":
    sys.exit(main())
