// Requests of float rows, as tests of the batcher write and read them.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <vector>

#include <dynbatch/tensor.hpp>
#include <dynbatch/ticket.hpp>

namespace dynbatch::testing {

/// `values`, as rows of `elements` elements. Points into `values`.
inline InputView rows_of(const std::vector<float>& values, std::size_t elements = 1) {
  return {values.data(), DataType::float32,
          Shape{static_cast<std::int64_t>(values.size() / elements),
                static_cast<std::int64_t>(elements)}};
}

/// Output 0 of a request that has succeeded.
inline std::vector<float> answer_of(const Ticket& ticket, std::size_t index = 0) {
  ticket.wait();
  EXPECT_EQ(ticket.code(), ErrorCode::none) << ticket.failure().message;
  if (ticket.code() != ErrorCode::none) return {};
  const OutputView view = ticket.output(index);
  const auto* const data = static_cast<const float*>(view.data);
  return {data, data + view.size_bytes / sizeof(float)};
}

}  // namespace dynbatch::testing
