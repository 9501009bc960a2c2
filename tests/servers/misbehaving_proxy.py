"""A reverse proxy before an S3 server that breaks what it is told to break, and remembers every request.

    proxy = MisbehavingProxy("http://127.0.0.1:9000")
    proxy.rule("list", error(500, "InternalError"), times=2)       # the first two list requests
    proxy.rule("multi_delete", forget(), skip=1)                   # all but the first: done, but without an answer
    proxy.rule(lambda request: request.key == "a", lose())         # what a function says
    ... use proxy.endpoint ...
    assert proxy.count("list") == 3

The Host header goes through as it came, because signatures cover it. Rules are asked in the order in which they were made; the first that
fits and has not had its times acts, else the request goes through.
"""

import collections
import contextlib
import email.utils
import gzip
import http.client
import http.server
import re
import socket
import threading
import time
import urllib.parse
import xml.sax.saxutils


class Request:
    """What came from the client. `kind` is list, multi_delete, head_bucket, get, head, put, delete, or other."""

    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        path, _, query = target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        self.bucket, _, key = path.lstrip("/").partition("/")
        self.key = urllib.parse.unquote(key)
        self.kind = self._kind()

    def _kind(self):
        if self.key:
            return self.method.lower() if self.method in ("GET", "HEAD", "PUT", "DELETE") else "other"
        if self.method == "GET" and "list-type" in self.query:
            return "list"
        if self.method == "POST" and "delete" in self.query:
            return "multi_delete"
        return "head_bucket" if self.method == "HEAD" else "other"

    def keys(self):
        """The keys that a multi_delete names."""
        return [xml.sax.saxutils.unescape(key, {"&quot;": '"', "&apos;": "'"})
                for key in re.findall(r"<Key>(.*?)</Key>", self.body.decode(), re.DOTALL)]

    def __repr__(self):
        return f"{self.method} {self.target}"


Answer = collections.namedtuple("Answer", "status headers body")
CLOSE = None  # what an action gives back instead of an Answer: the connection ends


def answer(status, body=b"", content_type="application/xml"):
    return Answer(status, {"Content-Type": content_type, "Content-Length": str(len(body)), "Server": "MinIO",
                           "Date": email.utils.formatdate(usegmt=True)}, body)


# Actions: functions of the request and of what forwards it. They run in the connection's thread.

def error(status, code, message="said by a test", retry_after=None):
    """An error as S3 servers write it."""
    def act(request, forward):
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>'.encode()
        said = answer(status, b"" if request.method == "HEAD" else body)
        if retry_after is not None:
            said.headers["Retry-After"] = str(retry_after)
        return said
    return act


def slow_down(retry_after=None):
    return error(503, "SlowDown", "Please reduce your request rate.", retry_after)


def says(body, status=200, content_type="text/html"):
    """Something else altogether: a login page, nothing, half a document."""
    return lambda request, forward: answer(status, body, content_type)


def edit(change):
    """The answer's body, changed: `change` takes and gives bytes."""
    def act(request, forward):
        said = forward()
        body, headers = said.body, dict(said.headers)
        if headers.pop("Content-Encoding", "") == "gzip":
            body = gzip.decompress(body)
        body = change(body)
        headers["Content-Length"] = str(len(body))
        return Answer(said.status, headers, body)
    return act


def replace(old, new):
    """Replaces a regular expression in the answer's body."""
    return edit(lambda body: re.sub(old, new, body, flags=re.DOTALL))


def cut(keep=0.5):
    """A body that breaks off: fewer bytes than announced, then the end of the connection."""
    def act(request, forward):
        said = forward()
        return Answer(said.status, {**said.headers, "Connection": "close"}, said.body[:int(len(said.body) * keep)])
    return act


def cut_quietly(keep=0.5):
    """Half a document, announced as such."""
    return edit(lambda body: body[:int(len(body) * keep)])


def repeat():
    """The first page that passed is the answer from then on."""
    kept = []

    def act(request, forward):
        if not kept:
            kept.append(forward())
        return kept[0]
    return act


def forget(hang=0.0):
    """Done, but the answer is lost: the connection ends, after `hang` seconds."""
    def act(request, forward):
        forward()
        time.sleep(hang)
        return CLOSE
    return act


def lose(hang=0.0):
    """Never reaches the server."""
    def act(request, forward):
        time.sleep(hang)
        return CLOSE
    return act


def delay(seconds):
    def act(request, forward):
        time.sleep(seconds)
        return forward()
    return act


def refuse_keys(code="SlowDown", message="said by a test"):
    """A multi-delete of which every key fails, inside a success. Nothing is deleted."""
    def act(request, forward):
        errors = "".join(f"<Error><Key>{xml.sax.saxutils.escape(key)}</Key><Code>{code}</Code><Message>{message}</Message></Error>"
                         for key in request.keys())
        return answer(200, ('<?xml version="1.0" encoding="UTF-8"?>\n<DeleteResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                            f"{errors}</DeleteResult>").encode())
    return act


def then(do, call):
    """Calls a function of the request once the action is through: to change the world at a certain moment."""
    def act(request, forward):
        said = do(request, forward)
        call(request)
        return said
    return act


def first(call, do=None):
    """Calls a function of the request before anything else happens."""
    def act(request, forward):
        call(request)
        return do(request, forward) if do else forward()
    return act


class Rule:
    def __init__(self, match, action, times, skip):
        self.match = match if callable(match) else lambda request: request.kind == match
        self.action, self.left, self.skip = action, times, skip
        self.used = 0

    def takes(self, request):
        if self.left == 0 or not self.match(request):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        self.used += 1
        return True


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what this is about


class MisbehavingProxy:
    def __init__(self, upstream):
        self.upstream = urllib.parse.urlsplit(upstream).netloc
        self.lock = threading.Lock()
        self.requests = []
        self.rules = []
        self.date_offset = 0.0  # seconds that the server's clock seems to be ahead
        self.server = _Server(("127.0.0.1", 0), self._handler())
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def rule(self, match, action, times=None, skip=0):
        """`match`: a kind, or a function of the Request. None `times` means for good; the first `skip` that fit go through."""
        rule = Rule(match, action, times, skip)
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self):
        """Forgets rules and requests."""
        with self.lock:
            self.rules, self.requests, self.date_offset = [], [], 0.0

    def of(self, kind):
        with self.lock:
            return [request for request in self.requests if request.kind == kind]

    def count(self, kind):
        return len(self.of(kind))

    def _take(self, request):
        with self.lock:
            self.requests.append(request)
            return next((rule.action for rule in self.rules if rule.takes(request)), None)

    def _handler(proxy):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            connection_to_server = None

            def log_message(self, *arguments):
                pass

            def exchange(self):
                length = int(self.headers.get("Content-Length") or 0)
                request = Request(self.command, self.path, self.headers, self.rfile.read(length) if length else b"")
                action = proxy._take(request)
                said = action(request, lambda: self.forward(request)) if action else self.forward(request)
                if said is CLOSE:
                    self.close_connection = True
                    with contextlib.suppress(OSError):
                        self.connection.shutdown(socket.SHUT_RDWR)
                    return
                self.reply(said)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = exchange

            def forward(self, request):
                # A kept connection may have been closed meanwhile, which is not what is tested here.
                server = http.client.HTTPConnection(proxy.upstream, timeout=120)
                try:
                    server.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
                    for name, value in request.headers.items():
                        if name.lower() not in ("connection", "expect"):
                            server.putheader(name, value)
                    server.endheaders(request.body or None)
                    response = server.getresponse()
                    body = response.read()
                    headers = {name: value for name, value in response.getheaders()
                               if name.lower() not in ("connection", "transfer-encoding", "keep-alive")}
                    if request.method != "HEAD" and response.status not in (204, 304):
                        headers["Content-Length"] = str(len(body))
                    return Answer(response.status, headers, body)
                except OSError as trouble:
                    return answer(502, f"no server: {trouble}".encode(), "text/plain")
                finally:
                    server.close()

            def reply(self, said):
                self.send_response_only(said.status)
                for name, value in said.headers.items():
                    if name.lower() == "date" and proxy.date_offset:
                        seconds = email.utils.parsedate_to_datetime(value).timestamp() + proxy.date_offset
                        value = email.utils.formatdate(seconds, usegmt=True)
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(said.body)
                    self.wfile.flush()

        return Handler
