// Writes small ONNX models, so that a test says in its own lines which graph it runs.
//
//   const std::string model = OnnxGraph()
//       .input("x", DataType::float32, {"batch", 3})
//       .constant("two", {2.0F})
//       .node("Mul", {"x", "two"}, {"y"})
//       .output("y", DataType::float32, {"batch", 3})
//       .bytes();
//
// The bytes are a ModelProto of onnx.proto: fields are numbered there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <dynbatch/tensor.hpp>

namespace dynbatch::testing {

/// A dimension of an input or output: a value, a name, or neither.
struct Dim {
  Dim() = default;
  Dim(int fixed) : value(fixed) {}
  Dim(const char* free) : name(free) {}
  std::int64_t value = -1;
  std::string name;
};

class OnnxGraph {
 public:
  OnnxGraph& input(const std::string& name, DataType type, const std::vector<Dim>& dims) {
    put(graph_, 11, value_info(name, type, dims));
    return *this;
  }
  OnnxGraph& output(const std::string& name, DataType type, const std::vector<Dim>& dims) {
    put(graph_, 12, value_info(name, type, dims));
    return *this;
  }
  /// An output whose shape is not declared.
  OnnxGraph& output(const std::string& name, DataType type) {
    std::string tensor;
    put(tensor, 1, static_cast<std::uint64_t>(type));
    put(graph_, 12, named_type(name, tensor));
    return *this;
  }
  /// An output that is a sequence of tensors.
  OnnxGraph& sequence_output(std::string_view name, DataType type) {
    std::string tensor;
    put(tensor, 1, static_cast<std::uint64_t>(type));
    std::string element;
    put(element, 1, tensor);
    std::string sequence;
    put(sequence, 1, element);
    std::string whole;
    put(whole, 4, sequence);
    std::string info;
    put(info, 1, name);
    put(info, 2, whole);
    put(graph_, 12, info);
    return *this;
  }
  /// "some.domain:Op" names an operator of another domain.
  OnnxGraph& node(std::string_view op, std::initializer_list<std::string_view> inputs,
                  std::initializer_list<std::string_view> outputs) {
    put(graph_, 1, node_bytes(op, inputs, outputs));
    return *this;
  }
  /// A node with whole numbers as attributes.
  OnnxGraph& node(std::string_view op, std::initializer_list<std::string_view> inputs,
                  std::initializer_list<std::string_view> outputs,
                  const std::vector<std::pair<std::string, int>>& numbers) {
    std::string node = node_bytes(op, inputs, outputs);
    for (const auto& [name, number] : numbers) {
      std::string attribute;
      put(attribute, 1, name);
      put(attribute, 3, static_cast<std::uint64_t>(number));
      put(attribute, 20, 2);  // the attribute is a number
      put(node, 5, attribute);
    }
    put(graph_, 1, node);
    return *this;
  }
  /// A node with graphs as attributes, such as the body of a Loop.
  OnnxGraph& node(std::string_view op, std::initializer_list<std::string_view> inputs,
                  std::initializer_list<std::string_view> outputs,
                  const std::vector<std::pair<std::string, OnnxGraph>>& graphs) {
    std::string node = node_bytes(op, inputs, outputs);
    for (const auto& [name, graph] : graphs) {
      std::string attribute;
      put(attribute, 1, name);
      put(attribute, 6, graph.graph_bytes());
      put(attribute, 20, 5);  // the attribute is a graph
      put(node, 5, attribute);
    }
    put(graph_, 1, node);
    return *this;
  }
  /// A float32 initialiser of one dimension.
  OnnxGraph& constant(std::string_view name, const std::vector<float>& values) {
    std::string tensor;
    put(tensor, 1, values.size());
    put(tensor, 2, static_cast<std::uint64_t>(DataType::float32));
    put(tensor, 8, name);
    put(tensor, 9,
        std::string_view(reinterpret_cast<const char*>(values.data()), 4 * values.size()));
    put(graph_, 5, tensor);
    return *this;
  }
  /// A float32 initialiser of one dimension, whose values stand in a file of their own.
  OnnxGraph& external(std::string_view name, std::size_t elements, std::string_view location) {
    std::string entry;
    put(entry, 1, "location");
    put(entry, 2, location);
    std::string tensor;
    put(tensor, 1, elements);
    put(tensor, 2, static_cast<std::uint64_t>(DataType::float32));
    put(tensor, 8, name);
    put(tensor, 13, entry);
    put(tensor, 14, 1);
    put(graph_, 5, tensor);
    return *this;
  }
  OnnxGraph& metadata(std::string_view key, std::string_view value) {
    std::string entry;
    put(entry, 1, key);
    put(entry, 2, value);
    put(model_, 14, entry);
    return *this;
  }
  OnnxGraph& description(std::string_view producer, std::string_view domain, std::uint64_t version,
                         std::string_view text) {
    put(model_, 2, producer);
    put(model_, 4, domain);
    put(model_, 5, version);
    put(model_, 6, text);
    return *this;
  }
  std::string bytes() const {
    std::string opset;
    put(opset, 2, 17);
    std::string model = model_;
    put(model, 1, 9);
    put(model, 8, opset);
    put(model, 7, graph_bytes());
    return model;
  }

 private:
  static void put_varint(std::string& to, std::uint64_t value) {
    for (; value > 0x7f; value >>= 7) to += static_cast<char>(0x80 | (value & 0x7f));
    to += static_cast<char>(value);
  }
  static void put(std::string& to, unsigned field, std::uint64_t value) {
    put_varint(to, field << 3);
    put_varint(to, value);
  }
  static void put(std::string& to, unsigned field, std::string_view bytes) {
    put_varint(to, field << 3 | 2);
    put_varint(to, bytes.size());
    to += bytes;
  }
  static std::string node_bytes(std::string_view op, std::initializer_list<std::string_view> inputs,
                                std::initializer_list<std::string_view> outputs) {
    std::string node;
    for (const std::string_view input : inputs) put(node, 1, input);
    for (const std::string_view output : outputs) put(node, 2, output);
    const std::size_t colon = op.find(':');
    put(node, 4, op.substr(colon + 1));
    if (colon != op.npos) put(node, 7, op.substr(0, colon));
    return node;
  }
  std::string graph_bytes() const {
    std::string graph = graph_;
    put(graph, 2, "graph");
    return graph;
  }
  static std::string named_type(std::string_view name, std::string_view tensor) {
    std::string type;
    put(type, 1, tensor);
    std::string info;
    put(info, 1, name);
    put(info, 2, type);
    return info;
  }
  static std::string value_info(std::string_view name, DataType type,
                                const std::vector<Dim>& dims) {
    std::string shape;
    for (const Dim& dim : dims) {
      std::string one;
      if (dim.value >= 0) put(one, 1, static_cast<std::uint64_t>(dim.value));
      if (!dim.name.empty()) put(one, 2, dim.name);
      put(shape, 1, one);
    }
    std::string tensor;
    put(tensor, 1, static_cast<std::uint64_t>(type));
    put(tensor, 2, shape);
    return named_type(name, tensor);
  }

  std::string graph_;
  std::string model_;
};

}  // namespace dynbatch::testing
