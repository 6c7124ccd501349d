#!/bin/sh
# Say what this machine lacks for building dynbatch, as the one line that installs it.
# Usage: check_machine.sh PYTHON CXX
set -u
python=$1
cxx=$2
packages=""
reasons=""

missing() { # package, reason
  case " $packages " in
    *" $1 "*) ;;
    *) packages="$packages $1" ;;
  esac
  reasons="$reasons
  - $2"
}

if ! command -v "$python" >/dev/null 2>&1; then
  missing python3 "$python: not found; Python 3.10 or newer runs the build and the tests"
  missing python3-venv "the venv module of Python, for an environment of the build's own"
  missing python3-dev "the C headers of Python, for the extension module"
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
  echo "dynbatch needs Python 3.10 or newer; $python is $("$python" -V 2>&1)." >&2
  echo "Name another one: make PYTHON=python3.11" >&2
  exit 1
else
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    missing python3-venv "the venv module of Python, for an environment of the build's own"
  "$python" -c 'import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").is_file())' ||
    missing python3-dev "the C headers of Python, for the extension module"
fi

if ! command -v "$cxx" >/dev/null 2>&1; then
  missing g++ "$cxx: not found; GCC 12 or newer compiles the library"
elif echo __GNUC__ | "$cxx" -x c++ -E -P - >/dev/null 2>&1; then
  if [ "$(echo __clang__ | "$cxx" -x c++ -E -P -)" = __clang__ ]; then
    major=$(echo __GNUC__ | "$cxx" -x c++ -E -P -)
    if [ "$major" -lt 12 ]; then
      missing g++-12 "$cxx is GCC $major; GCC 12 or newer is needed: then run make CXX=g++-12"
    fi
  fi
else
  missing g++ "$cxx does not run; GCC 12 or newer compiles the library"
fi


[ -z "$packages" ] && exit 0
echo "This machine lacks:$reasons" >&2
if command -v apt-get >/dev/null 2>&1; then
  prefix=""
  [ "$(id -u)" = 0 ] || prefix="sudo "
  echo "Install it with this line, then run make again:" >&2
  echo "  ${prefix}apt-get update && ${prefix}apt-get install -y --no-install-recommends$packages" >&2
else
  echo "Install it with this machine's package manager (the names are Debian's):$packages" >&2
fi
exit 1
