#!/bin/sh
# The two commands of the README as a new user has them: a fresh clone, an empty HOME, and on PATH nothing but Python,
# make, git and coreutils. Builds the control plane too (several minutes), unless CLIENTORG_CACHE names a cache folder.
#
#   tests/e2e/fresh_clone.sh              clones the last commit
#   tests/e2e/fresh_clone.sh --worktree   copies the working tree as it is, uncommitted files too
#   tests/e2e/fresh_clone.sh ARGS="-x"    whatever else is given goes to `make test`
set -eu

worktree=
if [ "${1:-}" = --worktree ]; then
  worktree=yes
  shift
fi
source=$(git -C "$(dirname "$0")" rev-parse --show-toplevel)
work=$(mktemp -d "${TMPDIR:-/tmp}/clientorg-fresh-XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
mkdir "$work/bin" "$work/home"

find_tool() { # a file, also for what is built into the shell
  (
    IFS=:
    for folder in $PATH; do
      if [ -x "$folder/$1" ]; then echo "$folder/$1" && exit; fi
    done
    echo "error: no $1 on PATH" >&2 && exit 1
  )
}
for tool in sh make git env basename cat chmod cp cut date dirname echo expr false head id ln ls mkdir mktemp mv nproc \
  pwd readlink realpath rm rmdir seq sleep sort stat tail tee test touch tr true uname wc whoami; do
  ln -s "$(find_tool "$tool")" "$work/bin/$tool"
done
# The program itself: a version manager's shim would need more than this PATH has.
python=$(python3.11 -c 'import os, sys; print(os.path.realpath(sys.executable))')
ln -s "$python" "$work/bin/python3.11"

if [ -n "$worktree" ]; then
  mkdir "$work/clone"
  (cd "$source" && git ls-files -z --cached --others --exclude-standard |
    tar --create --null --files-from=- --ignore-failed-read 2>/dev/null) | tar --extract --directory "$work/clone"
  git -C "$work/clone" init --quiet
else
  git clone --quiet "$source" "$work/clone"
fi

# What the machine says about its mirrors and certificates stays; everything else of the caller's environment goes.
kept=$(env | grep -E '^(PIP_|GOPROXY=|GONOSUMDB=|GOSUMDB=|GOFLAGS=|SSL_CERT_|REQUESTS_CA_BUNDLE=|CLIENTORG_CACHE=|[a-zA-Z]+_(proxy|PROXY)=)' || true)
run() {
  (
    IFS='
'
    cd "$work/clone"
    # shellcheck disable=SC2086  # one variable a line
    exec env -i $kept HOME="$work/home" PATH="$work/bin" LANG=C.UTF-8 "$@"
  )
}

try() {
  started=$(date +%s)
  echo "=== $*"
  run "$@" </dev/null || {
    echo "=== $*: failed after $(($(date +%s) - started)) s" >&2
    exit 1
  }
  echo "=== $*: passed in $(($(date +%s) - started)) s"
}
try make demo ONCE=1
try make test "$@"
