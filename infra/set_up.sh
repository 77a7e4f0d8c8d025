#!/bin/sh
# Makes the environment of the project: uv where it is missing, the locked packages with compiled
# bytecode, the Delta jars, and the JVM's class-data archive. Running again mends what is missing.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'set-up: %s\n' "$*" >&2; }

suits() { # Python 3.11 to 3.13; a name on PATH may be a stand-in that does not run
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

new_enough() { # the required-version of pyproject.toml
    "$1" --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 0 || v[2] >= 8) }'
}

python=
for name in python3 python3.13 python3.12 python3.11; do
    if suits "$name"; then
        python=$("$name" -c 'import sys; print(sys.executable)')
        break
    fi
done
if [ -z "$python" ]; then
    say 'no Python 3.11, 3.12 or 3.13 on PATH (looked for python3, python3.13, python3.12, python3.11)'
    exit 1
fi

if command -v uv >/dev/null && new_enough uv; then
    uv=uv
else
    uv=.tools/uv/bin/uv
    if ! { [ -x "$uv" ] && new_enough "$uv"; }; then
        say "getting uv into .tools/uv"
        rm -rf .tools/uv
        # Where venv lacks pip, as on a bare Debian, pip itself may be there.
        { "$python" -m venv .tools/uv && .tools/uv/bin/python -m pip install -q 'uv>=0.8'; } ||
            "$python" -m pip install -q --target .tools/uv 'uv>=0.8' || {
            say 'uv could not be installed: see above, or install uv or the venv module of Python'
            exit 1
        }
    fi
fi

say "installing the locked packages for $python (4 GB, once)"
UV_COMPILE_BYTECODE=1 UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300} \
    "$uv" sync --quiet --locked --extra examples --python "$python"

say 'fetching the Delta jars, building the class-data archive (a minute, once)'
.venv/bin/python -P -m spark_jobs.prepare
