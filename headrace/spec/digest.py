"""The digest of a section of a spec, for fingerprints: equal declarations have equal digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from headrace.spec.document import Json


def digest_of(section: object) -> str:
    """64 hex digits of SHA-256 over the canonical JSON of a model, or of models in dicts and lists.

    Neither the order of keys nor writing a default out changes it; an option that a later version
    adds with a default that changes nothing leaves it as it is.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    text = json.dumps(
        _plain(section), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> Json:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return to_jsonable_python(value)
