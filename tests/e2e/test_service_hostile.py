"""Clients that mean no good, or do not know better: the service goes on answering everybody else."""

import resource
import shutil
import socket
import subprocess
import threading

import pytest

from service import *
from world import *


@pytest.fixture
def service(world):
    world.live("1", "2")
    service = Service(world).start()
    yield service
    # Whatever came: it is there, tells so, and ends in order.
    assert service.get("/livez").status == 200
    service.stop()


def answer_time(service, path="/livez"):
    began = time.monotonic()
    service.get(path, timeout=5).expect(200)
    return time.monotonic() - began


def head(service, *lines, method="GET", path="/livez", host=True):
    fields = [f"Host: 127.0.0.1:{service.port}"] if host else []
    return "".join(line + "\r\n" for line in [f"{method} {path} HTTP/1.1", *fields, *lines, ""]).encode()


def statuses(received):
    """Of each answer in what came back."""
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


@pytest.fixture
def many_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_thousand_idle_and_half_open_connections_disturb_nobody(many_files, service):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2000:
        pytest.skip("this user may not open so many")
    connections = [service.connect() for _ in range(1000)]
    for connection in connections[::2]:
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHo")
    assert answer_time(service) < 2 and answer_time(service, "/metrics") < 2
    assert service.run("stats")["status"] == "success"
    for connection in connections:
        connection.close()


def test_requests_that_come_byte_by_byte_hold_up_nobody(service):
    request = head(service, "X-Slow: " + "x" * 200)
    stop = threading.Event()

    def drip():
        with service.connect() as connection:
            for byte in request:
                try:
                    connection.sendall(bytes([byte]))
                except OSError:
                    return
                if stop.wait(0.05):
                    return

    threads = [threading.Thread(target=drip) for _ in range(50)]
    for thread in threads:
        thread.start()
    try:
        assert max(answer_time(service) for _ in range(50)) < 2
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_clients_that_do_not_read_hold_up_nobody(service):
    silent = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(head(service, path="/metrics") * 100)
        silent.append(connection)
    assert max(answer_time(service) for _ in range(20)) < 2
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("lines", [["X-Long: " + "x" * 100_000], [f"X-{i}: {'y' * 100}" for i in range(2000)], ["X-Name" + "z" * 70_000 + ": 1"]],
                         ids=["value", "number", "name"])
def test_a_head_that_is_too_large_is_refused(service, lines):
    received = service.raw(head(service, "Connection: close", *lines))
    assert not received or statuses(received)[0] in (400, 413, 431), received[:200]


def test_a_path_that_is_too_long_is_refused(service):
    received = service.raw(head(service, "Connection: close", path="/" + "a" * 100_000))
    assert not received or statuses(received)[0] in (400, 414, 431), received[:200]


def test_a_body_that_is_too_large_is_refused_before_it_came(service):
    claimed = service.raw(head(service, f"Authorization: Bearer {service.token}", "Content-Type: application/json", "Content-Length: 10000000000",
                               method="POST", path="/api/v1/runs"), timeout=5)
    assert statuses(claimed) == [413], claimed[:200]


def test_a_chunked_body_without_end_is_refused(service):
    with service.connect() as connection:
        connection.sendall(head(service, f"Authorization: Bearer {service.token}", "Content-Type: application/json", "Transfer-Encoding: chunked",
                                method="POST", path="/api/v1/runs"))
        received = b""
        try:
            for _ in range(200):
                connection.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            received = connection.recv(65536)
        except OSError:
            pass
    assert not received or statuses(received)[0] in (400, 413), received[:200]


SMUGGLED = "GET /metrics/storage HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize("lines", [
    [f"Content-Length: {len(SMUGGLED)}", "Transfer-Encoding: chunked"],
    ["Content-Length: 0", f"Content-Length: {len(SMUGGLED)}"],
    ["Content-Length: 0, 5"],
    ["Content-Length: +0"],
    ["Content-Length: -1"],
    ["Content-Length: 0x0"],
    ["Transfer-Encoding: chunked, identity"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
    ["Transfer-Encoding : chunked"],
    ["Host: elsewhere"],
], ids=str)
def test_a_request_whose_length_is_ambiguous_is_refused_and_its_connection_closed(service, lines):
    received = service.raw(head(service, *lines, method="POST", path="/api/v1/runs") + b"0\r\n\r\n" + SMUGGLED.encode(), timeout=5)
    # libmicrohttpd 0.9.75 says 400 twice to some lengths, and closes.
    assert not statuses(received) or all(400 <= status < 502 for status in statuses(received)), received
    assert b"total_size_gb" not in received


def test_a_request_without_a_host_is_refused(service):
    assert statuses(service.raw(head(service, "Connection: close", host=False))) == [400]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8001", "127.0.0.1.evil.example", "localhost.evil.example", "169.254.169.254", ""])
def test_another_host_is_not_this_one(service, host):
    """A page in a browser whose name was pointed here must not read or change anything."""
    assert service.get("/api/v1/runs", headers={"Host": host}).status in (400, 403, 421)
    assert service.post("/api/v1/runs", {"task": "stats"}, headers={"Host": host}).status in (400, 403, 421)


def test_no_page_of_another_origin_is_let_in(service):
    answer = service.call("OPTIONS", "/api/v1/runs", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"})
    assert answer.status >= 400 and not any(name.startswith("access-control-") for name in answer.headers)
    answer = service.get("/api/v1/runs", headers={"Origin": "https://evil.example"})
    assert not any(name.startswith("access-control-") for name in answer.headers) and answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, b"\x00" * 2000, b"GET\r\n\r\n", b"\r\n" * 2000,
                                  b"GET /livez HTTP/9.9\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "GET /ö\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(),
                                  b"GET /%00%ff%0d%0aX:%20y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"], ids=lambda data: repr(data[:12]))
def test_what_is_no_request_is_dropped_or_refused(service, data):
    received = service.raw(data, timeout=2)
    assert not statuses(received) or statuses(received)[0] >= 400, received[:300]
    assert b"\r\nX: y" not in received


@pytest.mark.parametrize("path", ["/metrics/../api/v1/runs/../../../etc/passwd", "/api/v1/plans/..%2F..%2Fstate.db", "/api/v1/runs/%2e%2e", "/api/v1/runs/' OR 1=1 --",
                                  "/api/v1/buckets/%00", "//api//v1//runs"])
def test_a_path_names_nothing_outside_of_the_api(service, path):
    answer = service.get(path.replace(" ", "%20"))
    assert answer.status in (400, 404, 422), (answer.status, answer.body[:300])


def test_files_that_run_out_are_given_back(world):
    """Connections take what there is of file descriptors; then they go, and everything works as before."""
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    world.live("1", "2")
    service = Service(world).start(wrapper=["prlimit", "--nofile=96"])
    connections = []
    for _ in range(300):
        try:
            connections.append(service.connect(2))
        except OSError:
            break
    for connection in connections:
        connection.close()
    service.wait_for("/livez")
    wait_until(lambda: service.run("stats")["status"] == "success")
    service.stop()
