// What a fuzz target is: LLVMFuzzerTestOneInput over production code, which expects of every input
// what the documentation promises.
//
// A target is built twice: with replay.cpp it is a test of `make test`, over its corpus and seeded
// random inputs, with any compiler; `make fuzz` links it to libFuzzer. Expectations abort, since
// that is what libFuzzer takes for a fault.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

#include <dynbatch/error.hpp>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace dynbatch::testing {

inline void expect(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "expected: %s\n", what.c_str());
  std::abort();
}

/// What `make` makes, or nothing if it throws an Error that says why with one of two codes.
template <class Make>
auto made_or_refused(Make make, ErrorCode code, ErrorCode other)
    -> std::optional<decltype(make())> {
  try {
    return make();
  } catch (const Error& error) {
    expect(error.code() == code || error.code() == other,
           std::string("a refusal, not ") + name_of(error.code()) + ": " + error.what());
    expect(error.what()[0] != '\0', "a message");
    return std::nullopt;
  }
}

}  // namespace dynbatch::testing
