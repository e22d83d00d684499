"""What Django leaves out: bodies without a length, and the rest of one that is too large."""

from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import InputStream, StartResponse, WSGIApplication, WSGIEnvironment

from django.conf import settings

CHUNK = 64 * 1024
DISCARD_LIMIT = 16 * 1024 * 1024


def measure_body(application: WSGIApplication) -> WSGIApplication:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0

    def measured(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"]
        if "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            read = body.read(limit + 1)
            environ["wsgi.input"] = BytesIO(read)
            environ["CONTENT_LENGTH"] = str(len(read))
        response = application(environ, start_response)
        if int(environ.get("CONTENT_LENGTH") or 0) > limit:
            _discard(body)
        return response

    return measured


def _discard(body: InputStream) -> None:
    # A client that is still sending when the connection closes may not see the answer.
    for _ in range(DISCARD_LIMIT // CHUNK):
        if not body.read(CHUNK):
            break
