"""What is done before the first session: the Delta jars fetched or mended, the archive built."""

from __future__ import annotations

import logging

from headrace.settings import Settings
from spark_jobs import class_data, jars
from spark_jobs.java import find_java


def prepare(settings: Settings) -> None:
    """Fetches the Delta jars unless they are whole, and builds the class-data archive.

    Running again does nothing where both are there.

    Raises:
        SetupError: There is no Java, or the jars cannot be reached.
    """
    java = find_java()
    jars.resolved(settings.cache, java, repair=True)
    class_data.build(settings, java)


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s", level=logging.INFO)
    prepare(Settings())
