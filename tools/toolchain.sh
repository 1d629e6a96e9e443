#!/bin/sh
# Prints the directory of a fit deno (2.9.6 or a later 2.9): that of the one in PATH, else of .toolchain/, where it is
# installed from npm first. Safe to run twice and at the same time: the binary is moved into place whole.
set -eu
cd "$(dirname "$0")/.."

VERSION=2.9.6
export DENO_NO_UPDATE_CHECK=1

# fits DENO: whether this one runs and is 2.9.N with N >= 6.
fits() {
  found=$("$1" --version 2>/dev/null | sed -n '1s/^deno \([0-9.]*\).*/\1/p') || return 1
  case "$found" in
    2.9.*) [ "${found#2.9.}" -ge "${VERSION#2.9.}" ] 2>/dev/null ;;
    *) return 1 ;;
  esac
}

if in_path=$(command -v deno) && fits "$in_path"; then
  dirname "$in_path"
  exit
fi

home="$PWD/.toolchain/deno-$VERSION"
if [ ! -x "$home/deno" ]; then
  echo "installing deno $VERSION from npm into .toolchain/" >&2
  mkdir -p "$home"
  work=$(mktemp -d "$home/.install.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  # No scripts: the package's own only links the binary of the platform package, which is taken as it lies.
  if ! npm install --prefix "$work" --ignore-scripts --no-save --no-audit --no-fund --loglevel=error \
    "deno@$VERSION" >"$work/log" 2>&1; then
    cat "$work/log" >&2
    echo "cannot install deno $VERSION with npm" >&2
    exit 1
  fi
  binary=$(ls -d "$work"/node_modules/@deno/*/deno 2>/dev/null | head -n 1)
  if [ -z "$binary" ] || ! fits "$binary"; then
    echo "cannot use npm's deno $VERSION here: no binary that runs on $(uname -sm)" >&2
    exit 1
  fi
  chmod +x "$binary"
  mv -f "$binary" "$home/deno"
fi
echo "$home"
