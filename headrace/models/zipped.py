"""Several files as one: a zip file without dates, in which nothing is packed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the least that a zip file can say


def zipped(members: Mapping[str, bytes]) -> bytes:
    """One file of the members, in their order; equal members give equal bytes."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name, _EPOCH), content)
    return target.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """The members that `zipped` wrote.

    Raises:
        ValueError: It is no such file: a member is packed, and could unpack to any size, or stands
            there twice.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = file.infolist()
            packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
            if packed or len({member.filename for member in members}) != len(members):
                message = "not a zip file of ours: members packed or doubled"
                raise ValueError(message)
            return {member.filename: file.read(member) for member in members}
    except zipfile.BadZipFile as error:
        message = f"not a zip file of ours: {error}"
        raise ValueError(message) from error
