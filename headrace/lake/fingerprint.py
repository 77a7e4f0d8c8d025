"""Digests by which equal content is known: of files, of sections of a spec, of sets of inputs."""

from __future__ import annotations

import hashlib
import json

DIGEST_LENGTH = (
    32  # hex digits; Delta's file statistics keep 32 characters of a text, so none is cut
)


def digest(*parts: object) -> str:
    """32 hex digits of SHA-256 over the parts as canonical JSON (sorted keys, no spaces).

    Example:
        >>> digest("a", 1) == digest("a", 1) != digest("a", 2)
        True
    """
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
