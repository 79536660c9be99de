#!/bin/sh
# Makes .venv with everything that the named dependency groups need; prints to stderr only.
#
#   devtools/bootstrap.sh [GROUP...]      no group: what running Bailiwick needs
#
# Needs Python 3.11 or newer and the package registry, nothing else: uv is
# installed with pip, into .venv where Python can make one with pip inside,
# into .tools where it cannot (Debian without python3-venv).
set -eu
exec 1>&2
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8

say() { printf 'bailiwick: %s\n' "$*"; }

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    for name in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11 python; do
        if is_new_enough "$name"; then
            printf '%s\n' "$name"
            return
        fi
    done
    say "Python 3.11 or newer is needed; found: $(python3 --version 2>&1 || true)"
    say "install it (Debian, Ubuntu: apt install python3 python3-venv), or name one: make PYTHON=/path/to/python3.12"
    return 1
}

has_uv() { "$1" --version 2>/dev/null | grep -q "^uv $UV_VERSION"; }

make_environment() {
    is_new_enough .venv/bin/python && return
    python=$(find_python) || exit 1
    say "making .venv with $("$python" --version)"
    "$python" -m venv --clear .venv >/dev/null 2>&1 && return
    "$python" -m venv --clear --without-pip .venv && return
    say "this Python cannot make virtual environments; Debian, Ubuntu: apt install python3-venv"
    exit 1
}

find_uv() {
    for uv in .venv/bin/uv .tools/bin/uv uv; do
        if has_uv "$uv"; then return; fi
    done
    say "installing uv $UV_VERSION"
    if .venv/bin/python -m pip --version >/dev/null 2>&1; then
        .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$UV_VERSION"
        uv=.venv/bin/uv
        return
    fi
    python=$(find_python) || exit 1
    if "$python" -m pip --version >/dev/null 2>&1; then
        "$python" -m pip install --quiet --disable-pip-version-check --upgrade --target .tools "uv==$UV_VERSION"
        uv=.tools/bin/uv
        return
    fi
    if command -v uv >/dev/null 2>&1; then
        uv=uv
        return
    fi
    say "this Python has no pip; Debian, Ubuntu: apt install python3-venv (or python3-pip)"
    exit 1
}

make_environment
find_uv
groups=
for group in "$@"; do groups="$groups --group $group"; done
say "installing dependencies${*:+ (also: $*)}"
unset VIRTUAL_ENV
# Behind a company's proxy only the system's certificates know its authority; uv would use its own list.
if [ -s /etc/ssl/certs/ca-certificates.crt ] || [ -s /etc/pki/tls/certs/ca-bundle.crt ]; then
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
fi
# Not exact: a set-up for less must not take away what an earlier one for more has brought.
# shellcheck disable=SC2086
UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON=.venv/bin/python UV_PYTHON_DOWNLOADS=never \
    "$uv" sync --frozen --inexact --no-default-groups $groups --quiet
