#!/bin/sh
# kubectl-clientorg out of an archive: its Python packages are installed once, by hash, into a folder of this version's own.
set -eu

here=$(cd -P -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd)
version=@VERSION@
home=${KUBECTL_CLIENTORG_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-clientorg}/$version-@DIGEST@

if [ ! -x "$home/bin/python" ]; then
  python=${KUBECTL_CLIENTORG_PYTHON:-python3}
  if ! "$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "error: kubectl clientorg needs Python 3.11 or newer with venv; set KUBECTL_CLIENTORG_PYTHON to one" >&2
    exit 1
  fi
  echo "kubectl clientorg $version: installing its Python packages, once ..." >&2
  mkdir -p -- "$(dirname -- "$home")"
  new=$(mktemp -d "$home.XXXXXX")
  trap 'rm -rf -- "$new"' EXIT INT TERM
  "$python" -m venv "$new"
  "$new/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary=:all: \
    --requirement "$here/requirements.txt" >&2
  "$new/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index "$here"/clientorg-*.whl >&2
  [ -e "$home" ] || mv -- "$new" "$home" # somebody else may have been faster; either is as good
  trap - EXIT INT TERM
  rm -rf -- "$new"
fi
exec "$home/bin/python" -c 'import sys; sys.argv[0] = "kubectl-clientorg"; from clientorg.cli.main import run; run()' "$@"
