"""A run as an HTTP endpoint: every way to send an image, and every way to get it wrong."""

import asyncio
import base64
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("python_multipart")

from fastapi.testclient import TestClient

from tests.serving.conftest import LIMITS
from visionkit.serving import app as app_module
from visionkit.serving.app import create_app


@pytest.fixture(scope="module")
def clients(services):
    made = {}

    def client(task):
        if task not in made:
            made[task] = TestClient(create_app(services(task), hosts=("testserver",)), raise_server_exceptions=False)
        return made[task]

    return client


@pytest.fixture
def client(clients):
    return clients("classify")


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


def refusal(answer):
    assert answer.headers["content-type"] == "application/json"
    assert "Traceback" not in answer.text
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("task", ["classify", "detect", "segment", "instance"])
def test_an_answer_is_what_predict_gives(clients, services, photo, task):
    expected = {"task": task, **services(task).predictor.predict(photo).to_dict(), "file": None}
    answer = clients(task).post("/predict", content=photo.read_bytes(), headers={"Content-Type": "image/png"})
    document = answer.json()
    assert document.pop("notes") == ["image in colour converted to the one grey channel of this run"]
    assert (answer.status_code, document) == (200, json.loads(json.dumps(expected)))


def test_bytes_forms_and_json_give_the_same_answer(client, photo):
    body, text = photo.read_bytes(), encoded(photo)
    answers = [
        client.post("/predict", content=body, headers={"Content-Type": "application/octet-stream"}),
        client.post("/predict", content=body, headers={"Content-Type": "image/jpeg"}),
        client.post("/predict", content=iter([body[:100], body[100:]]), headers={"Content-Type": "image/png"}),
        client.post("/predict", files={"image": ("../../photo.png", body)}),
        client.post("/predict", files={"anything": body}),
        client.post("/predict", json={"image": text}),
        client.post("/predict", json={"image": f"data:image/png;base64,{text}"}),
        client.post("/predict", json={"image": "\n".join(text[i : i + 76] for i in range(0, len(text), 76))}),
    ]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert len({answer.text for answer in answers}) == 1


def test_the_query_cuts_the_answer(client, photo):
    answer = client.post("/predict?top=3", files={"image": photo.read_bytes()})
    assert len(answer.json()["probabilities"]) == 3
    assert refusal(client.post("/predict?min_score=0.5", files={"image": photo.read_bytes()}))[0] == 422


def test_too_many_bytes_are_refused_in_every_form(client):
    large = bytes(LIMITS.max_bytes + 200_000)
    pieces = (large[i : i + 5000] for i in range(0, len(large), 5000))
    answers = [
        client.post("/predict", content=large, headers={"Content-Type": "image/png"}),
        client.post("/predict", content=pieces, headers={"Content-Type": "image/png"}),
        client.post("/predict", files={"image": large}),
        client.post("/predict", json={"image": base64.b64encode(large).decode()}),
    ]
    assert [refusal(answer) for answer in answers] == [
        (413, "the image has more bytes than the limit of 100,000 bytes. Send a smaller one.")
    ] * 4


@pytest.mark.parametrize("kind", ["image/png", "application/json", "multipart/form-data; boundary=x"])
def test_bytes_without_a_declared_length_are_not_read_to_their_end(services, kind):
    chunk, reads, sent = bytes(10_000), [], []
    if kind.startswith("multipart"):
        chunk = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + chunk

    async def receive():
        reads.append(1)
        return {"type": "http.request", "body": chunk if len(reads) == 1 else bytes(10_000), "more_body": True}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/predict", "raw_path": b"/predict", "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-type", kind.encode())], "root_path": "", "scheme": "http",
        "server": ("127.0.0.1", 80), "client": ("127.0.0.1", 9), "http_version": "1.1",
    }  # fmt: skip
    asyncio.run(create_app(services("classify"), hosts=())(scope, receive, send))
    assert sent[0]["status"] == 413
    limit = 4 * LIMITS.max_bytes // 3 + 2**16
    assert len(reads) <= limit // 10_000 + 1


def test_too_many_pixels_are_refused(client, huge):
    status, message = refusal(client.post("/predict", files={"image": huge.read_bytes()}))
    assert (status, "20,000 x 20,000 pixels, more than the limit of 1,000,000" in message) == (413, True)


@pytest.mark.parametrize(
    ("kind", "content", "status", "words"),
    [
        ("text/plain", b"/etc/passwd", 415, "Content-Type: 'text/plain' is not read"),
        ("application/x-www-form-urlencoded", b"image=photo.jpg", 415, "curl -F image=@photo.jpg"),
        ("image/png", b"no image", 422, "cannot identify image file"),
        ("image/png", b"", 422, "it is empty"),
        ("application/json", b"{", 400, "the body is no JSON"),
        ("application/json", b"[" * 50_000, 400, "the body is no JSON"),
        ("application/json", b"\xff", 400, "the body is no JSON"),
        ("application/json", b"[]", 422, "found no mapping"),
        ("application/json", b'{"image": 3}', 422, "image: found 3. Expected the bytes in base64"),
        ("application/json", b'{"image": "%%%"}', 422, "image: it is no base64"),
        ("application/json", b'{"image": "bm8gaW1hZ2U="}', 422, "cannot identify image file"),
        ("application/json", b'{"image": "/etc/passwd"}', 422, "A path or an address is not read"),
        ("application/json", b'{"image": "http://a/b.jpg"}', 422, "A path or an address is not read"),
        ("application/json", b'{"image": "/etc/shadow1"}', 422, "cannot identify image file"),
        ("application/json", b'{"path": "/etc/passwd"}', 422, "found the keys 'path'"),
        ("application/json", b'{"url": "http://a/b.jpg"}', 422, "A path or an address is not read"),
        ("multipart/form-data", b"", 400, "boundary"),
    ],
)
def test_what_is_no_image_is_refused_in_words(client, kind, content, status, words):
    found, message = refusal(client.post("/predict", content=content, headers={"Content-Type": kind}))
    assert (found, words in message) == (status, True), message


def test_a_path_in_a_form_is_not_opened(client, photo):
    status, message = refusal(client.post("/predict", files={"image": (None, str(photo))}))
    assert (status, "the form has no file. A path or an address is not read" in message) == (422, True)


def test_two_requests_at_once_are_both_answered(client, photo):
    body = photo.read_bytes()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: client.post("/predict", files={"image": body}), range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1


def test_more_requests_than_may_wait_are_told_to_come_again(client, photo, monkeypatch):
    monkeypatch.setattr(app_module, "_MAX_WAITING", 0)
    status, message = refusal(client.post("/predict", files={"image": photo.read_bytes()}))
    assert (status, "Try again in a while" in message) == (503, True)


def test_health_and_the_first_page_say_what_answers(client):
    assert client.get("/health").json() == {"status": "ok", "task": "classify", "run": "runs/classify"}
    info = client.get("/").json()
    assert (info["classes"], info["max_pixels"]) == ([str(k) for k in range(10)], 1_000_000)
    assert info["example"] == "curl -F image=@photo.jpg http://testserver/predict"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/predict/../../etc/passwd", "/file=/etc/passwd"])
def test_nothing_else_is_served(client, path):
    status, message = refusal(client.get(path))
    assert (status, "Expected POST /predict, GET /health or GET /" in message) == (404, True)


def test_the_wrong_method_is_told(client):
    assert refusal(client.get("/predict")) == (
        405,
        "'/predict' does not take GET. Expected POST /predict, GET /health or GET /",
    )


def test_a_fault_is_told_without_its_traceback(client, services, photo, monkeypatch):
    def fail(path):
        raise RuntimeError("secret of the server")

    monkeypatch.setattr(services("classify"), "predict", fail)
    status, message = refusal(client.post("/predict", files={"image": photo.read_bytes()}))
    assert (status, "secret" in message) == (500, False)


def test_each_image_is_reported_with_its_status(services, photo):
    lines = []
    client = TestClient(create_app(services("classify"), hosts=None, on_request=lines.append))
    client.post("/predict", files={"image": photo.read_bytes()})
    client.post("/predict", content=b"x", headers={"Content-Type": "text/plain"})
    assert [line.split()[1:4] for line in lines] == [["POST", "/predict", "200"], ["POST", "/predict", "415"]]


def test_nothing_of_an_image_stays_on_the_disk(client, photo, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    client.post("/predict", files={"image": photo.read_bytes()})
    client.post("/predict", files={"image": b"no image"})
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "0.0.0.0:8000", "[::2]:80", ""])
def test_a_request_for_another_host_is_refused_in_words(services, photo, host):
    client = TestClient(create_app(services("classify"), hosts=()))
    answers = [
        client.get("/health", headers={"Host": host}),
        client.post("/predict", content=photo.read_bytes(), headers={"Host": host, "Content-Type": "image/png"}),
    ]
    for answer in answers:
        status, message = refusal(answer)
        assert (status, f"the host '{host}' is not one of this server" in message) == (421, True)


@pytest.mark.parametrize(
    ("host", "hosts"),
    [
        ("127.0.0.1:8000", ()),
        ("localhost", ()),
        ("LOCALHOST.:8000", ()),
        ("[::1]:8000", ()),
        ("box.example", ("Box.example",)),
        ("abc.gradio.live", (".gradio.live",)),
        ("anything", None),
    ],
)
def test_a_request_for_this_machine_or_for_a_name_that_was_typed_is_answered(services, host, hosts):
    client = TestClient(create_app(services("classify"), hosts=hosts))
    assert client.get("/health", headers={"Host": host}).json()["status"] == "ok"


def test_no_page_of_another_origin_may_read_the_answers(client, photo):
    ask = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    answers = [
        client.post("/predict", files={"image": photo.read_bytes()}, headers={"Origin": "http://evil.example"}),
        client.options("/predict", headers=ask),
    ]
    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []
