#!/bin/sh
# Run Python with AddressSanitizer loaded and an instrumented dynbatch in front of the installed one.
# Usage: with_asan.sh SITE [python arguments]; PY and CXX name the interpreter and the compiler.
set -u
PYTHONPATH=$(cd "$1" && pwd)
shift
# libstdc++ comes with it: AddressSanitizer looks for what it intercepts, such as throwing, at its start.
LD_PRELOAD="$($CXX -print-file-name=libasan.so) $($CXX -print-file-name=libstdc++.so)"
# Every object of Python's comes from malloc, so that each is watched by itself.
PYTHONMALLOC=malloc
# Leaks are looked for by leak_check.py: at exit the interpreter has dropped what it keeps for ever.
ASAN_OPTIONS=leak_check_at_exit=0:strict_string_checks=1
UBSAN_OPTIONS=print_stacktrace=1
export ASAN_OPTIONS LD_PRELOAD PYTHONMALLOC PYTHONPATH UBSAN_OPTIONS
exec "$PY" "$@"
