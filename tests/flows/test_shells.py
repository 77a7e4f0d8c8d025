"""A real bash and a real zsh complete commands and files, as they are typed."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[=>]|[\r\x07\x08]")
STARTED = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],  # without anyone's own files
}
PREPARED = {
    "bash": "bind 'set enable-bracketed-paste off'; ",
    "zsh": "unsetopt PROMPT_SP; autoload -Uz compinit && compinit -u -D; ",
}
SCRIPT = Path(sys.executable).with_name("headrace")


class Shell:
    """A shell on a terminal of its own."""

    def __init__(self, name, folder):
        self.name = name
        ours, theirs = pty.openpty()
        path = f"{SCRIPT.parent}{os.pathsep}{os.environ['PATH']}"
        self.process = subprocess.Popen(
            STARTED[name],
            cwd=folder,
            env={"PATH": path, "TERM": "dumb", "HOME": str(folder), "PS1": "$ ", "COLUMNS": "200"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self.terminal = ours

    def shows(self, words, *, within=30.0):
        """Reads what the shell writes until it shows these words; what it wrote."""
        told, end = "", time.monotonic() + within
        while words not in told and time.monotonic() < end:
            if select.select([self.terminal], [], [], 0.2)[0]:
                told += CONTROL.sub("", os.read(self.terminal, 4096).decode(errors="replace"))
        assert words in told, told
        return told

    def types(self, keys):
        os.write(self.terminal, keys.encode())

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)


@pytest.fixture(params=sorted(STARTED))
def shell(request, folder):
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param} here")
    if not SCRIPT.exists():
        pytest.skip("the command is not installed beside this Python")
    started = Shell(request.param, folder)
    taught = f'eval "$(_HEADRACE_COMPLETE=source_{request.param} headrace)"; echo it is $((6 * 7))'
    started.types(f"{PREPARED[request.param]}{taught}\n")
    started.shows("it is 42")
    yield started
    started.end()


def test_a_shell_completes_a_command_and_a_pipeline_file(shell):
    shell.types("headrace expl\t")
    shell.shows("headrace explain")
    shell.types("\x15headrace plan pip\t")
    shell.shows("headrace plan pipeline.yaml")
