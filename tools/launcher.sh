#!/bin/sh
# Ormen @VERSION@ (@COMMIT@), one file: this launcher, and behind it, packed, the program and the runtime it needs.
# The first start unpacks both into a cache directory named after their content; then, and at every later start, this
# process becomes the program, so that its process id and signals are the program's. Made by tools/build.ts.
#
# The cache is the first of these where that works: ORMEN_CACHE_DIR, ${XDG_CACHE_HOME:-$HOME/.cache}/ormen, $TMPDIR, /tmp or
# /var/tmp with ormen-UID. A directory that somebody else could write to is not used: what lies there is executed.

id=@ID@         # the packed part's hash: another build unpacks beside this one
size=@SIZE@     # of this whole file, in bytes
offset=@OFFSET@ # of the packed part
files="@FILES@" # what a whole copy consists of, besides the runtime

main() {
  # First whether it is unpacked already, anywhere: a place that refuses programs is not tried again at each start.
  eachPlace isWhole "$@"
  if [ "$(wc -c <"$0" 2>/dev/null)" -ne "$size" ] 2>/dev/null; then
    fail "this file is damaged: it has $(($(wc -c <"$0"))) bytes instead of $size; copy it here again ($0)"
  fi
  eachPlace unpackInto "$@"
  fail "cannot unpack into any of these directories:$reasons
  set ORMEN_CACHE_DIR to one that you own and that programs may be started from"
}

# eachPlace CHECK ARGS...: starts the program with ARGS from the first place where CHECK succeeds; returns if none does.
eachPlace() {
  check=$1
  shift
  if [ -n "${ORMEN_CACHE_DIR-}" ]; then
    $check "$ORMEN_CACHE_DIR" given && start "$ORMEN_CACHE_DIR/$id" "$@"
    return
  fi
  if [ -n "${XDG_CACHE_HOME-}" ] && [ -O "$XDG_CACHE_HOME" ]; then
    $check "$XDG_CACHE_HOME/ormen" home && start "$XDG_CACHE_HOME/ormen/$id" "$@"
  # Under sudo HOME may be another user's, who could change what would run here as root.
  elif [ -n "${HOME-}" ] && [ -O "$HOME" ]; then
    $check "$HOME/.cache/ormen" home && start "$HOME/.cache/ormen/$id" "$@"
  fi
  uid=$(id -u)
  before=
  for place in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
    [ "$place" != "$before" ] || continue
    before=$place
    $check "$place/ormen-$uid" shared && start "$place/ormen-$uid/$id" "$@"
  done
}

isWhole() {
  [ -x "$1/$id/deno" ] && isOurs "$1" "$2" || return 1
  # Those who clean /tmp may have taken a part.
  for file in $files; do
    [ -f "$1/$id/$file" ] || return 1
  done
  # Cleaners go by age: what is in use is kept young.
  [ "$2" != shared ] || touch -c "$1/$id"/* 2>/dev/null
  return 0
}

isOurs() {
  [ -d "$1" ] && [ -O "$1" ] || return 1
  [ "$2" = shared ] || return 0
  [ ! -L "$1" ] || return 1
  case "$(ls -ld "$1")" in
    drwx------*) return 0 ;;
    *) return 1 ;;
  esac
}

# unpackInto DIR KIND: makes DIR/$id whole. Nothing stands under that name that is not.
unpackInto() {
  mkdir -p -m 700 "$1" 2>/dev/null
  if [ ! -d "$1" ]; then refuse "$1" "cannot be created"; return 1; fi
  if ! isOurs "$1" "$2"; then refuse "$1" "is not yours alone"; return 1; fi
  if ! (: >"$1/lock") 2>/dev/null; then refuse "$1" "cannot be written to"; return 1; fi

  # Several first starts at once: one unpacks, the others wait for it. Without flock each does, and the first one counts.
  if command -v flock >/dev/null; then
    exec 9>"$1/lock"
    if flock -w 120 9; then
      if isWhole "$1" "$2"; then
        exec 9>&-
        return 0
      fi
      # Whoever left these was killed: we hold the lock.
      rm -rf "$1"/.unpack.*
    fi
  fi
  unpack "$1" "$2"
  result=$?
  rm -rf "$work"
  trap - EXIT HUP INT TERM
  exec 9>&-
  return $result
}

unpack() {
  work=$(mktemp -d "$1/.unpack.XXXXXX" 2>/dev/null)
  if [ -z "$work" ]; then refuse "$1" "cannot be written to"; return 1; fi
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM

  # Before the long part: a file system may refuse programs (noexec).
  printf '#!/bin/sh\n' >"$work/try" && chmod 700 "$work/try"
  if ! "$work/try" 2>/dev/null; then refuse "$1" "does not allow programs (noexec)"; return 1; fi
  rm -f "$work/try"

  # -m: now, not the archive's times, or cleaners of old files would take them.
  {
    tail -c "+$((offset + 1))" "$0" | gzip -dc || : >"$work/.broken"
  } 2>"$work/.words" | tar -xmof - -C "$work" 2>>"$work/.words"
  if [ $? -ne 0 ] || [ -f "$work/.broken" ]; then
    words=$(tail -n 1 "$work/.words" 2>/dev/null)
    refuse "$1" "unpacking failed: ${words:-is the disk full?}"
    return 1
  fi
  rm -f "$work/.words"
  if ! words=$("$work/deno" --version 2>&1 </dev/null); then
    refuse "$1" "the runtime does not start: $(echo "$words" | head -n 1)"
    return 1
  fi

  mv -T "$work" "$1/$id" 2>/dev/null && return 0
  # Somebody was faster, or what stands there is no longer whole.
  isWhole "$1" "$2" && return 0
  mv -T "$1/$id" "$1/.unpack.broken.$$" 2>/dev/null
  mv -T "$work" "$1/$id" 2>/dev/null || isWhole "$1" "$2" || { refuse "$1" "cannot be written to"; return 1; }
  rm -rf "$1/.unpack.broken.$$"
}

refuse() {
  reasons="$reasons
  $1: $2"
}

fail() {
  echo "ormen: $1" >&2
  exit 1
}

# start DIR ARGS...: becomes the program.
start() {
  dir=$1
  shift
  # V8's code cache lies in DENO_DIR: a third of the start-up time.
  export DENO_DIR="$dir/deno_dir" DENO_NO_UPDATE_CHECK=1
  # The deck runs no programs, loads no libraries and opens no Engine; what it cannot do, nobody can make it do.
  limits=
  [ "${1-}" != deck ] ||
    limits="--deny-run --deny-ffi --deny-net=unix:/var/run/docker.sock,unix:/run/docker.sock"
  exec "$dir/deno" run --no-config --no-lock --no-remote --no-npm --no-prompt --unstable-kv -A $limits "$dir/main.js" "$@"
}

reasons=
work=
main "$@"
