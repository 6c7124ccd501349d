#!/bin/sh
# Say whether a compiler links libFuzzer and its sanitizers, or what installs one that does.
# Usage: check_fuzzer.sh CXX
set -u
cxx=$1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

echo 'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }' \
  >"$scratch/target.cpp"
if command -v "$cxx" >/dev/null 2>&1 &&
  "$cxx" -std=c++20 -fsanitize=fuzzer,address,undefined "$scratch/target.cpp" -o "$scratch/target" \
    >/dev/null 2>&1; then
  exit 0
fi

echo "make fuzz needs clang 16 or newer with libFuzzer; ${cxx:-clang++} is none." >&2
version=16
for newer in 17 18 19 20 21; do
  apt-cache show "clang-$newer" >/dev/null 2>&1 && version=$newer
done
if command -v apt-get >/dev/null 2>&1; then
  prefix=""
  [ "$(id -u)" = 0 ] || prefix="sudo "
  echo "Install it with this line, then run make fuzz again:" >&2
  echo "  ${prefix}apt-get update && ${prefix}apt-get install -y --no-install-recommends clang-$version libclang-rt-$version-dev" >&2
else
  echo "Install it with this machine's package manager (the names are Debian's): clang-$version libclang-rt-$version-dev" >&2
fi
echo "Another place: make fuzz FUZZ_CXX=<clang++>" >&2
exit 1
