"""Bodies in JSON, checked by Django's forms."""

import json
from typing import Any, NoReturn

from django import forms
from django.core.exceptions import BadRequest, ValidationError
from django.http import HttpRequest, UnreadablePostError


class JSONTextField(forms.CharField):
    """Takes a string as it is: not stripped, and nothing else made into one."""

    def __init__(self, *, max_length: int) -> None:
        super().__init__(max_length=max_length, strip=False)

    def to_python(self, value: object) -> str:
        if value is not None and not isinstance(value, str):
            raise ValidationError("must be a string")
        text = super().to_python(value) or ""
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValidationError("must be of whole characters") from None
        return text


def read_json(request: HttpRequest) -> dict[str, Any]:
    """Give the members of the body; what is no object has none."""
    try:
        body = json.loads(request.body.decode(), parse_constant=_refuse)
    except (RecursionError, UnreadablePostError, ValueError):
        raise BadRequest("the body is not JSON") from None
    return body if isinstance(body, dict) else {}


def _refuse(_: str) -> NoReturn:
    """NaN and the infinities are Python's, not JSON's."""
    raise ValueError
