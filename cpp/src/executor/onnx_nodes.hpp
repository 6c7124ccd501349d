// The nodes of an ONNX model, as its bytes name them. Views are into these bytes. Pure; throw Error(model) for what
// is not of the format.
#pragma once

#include <string_view>
#include <vector>

namespace dynbatch {

struct OnnxNodes;

/// A graph that a node holds, such as the body of a Loop.
struct OnnxSubgraph;

struct OnnxNode {
  std::string_view name;
  std::string_view op;
  std::string_view domain;
  std::string_view overload;
  std::vector<std::string_view> inputs;  // "": left out
  std::vector<std::string_view> outputs;
  std::vector<OnnxSubgraph> graphs;

  /// The graph of that attribute; null if there is none.
  const OnnxNodes* graph(std::string_view attribute) const noexcept;
};

/// The nodes of a graph or function on which its outputs rest, each after those that it needs.
struct OnnxNodes {
  std::vector<std::string_view> inputs;  // without those that have a value of their own
  std::vector<std::string_view> outputs;
  std::vector<OnnxNode> nodes;
};

struct OnnxSubgraph {
  std::string_view attribute;
  OnnxNodes nodes;
};

struct OnnxFunction {
  std::string_view name;
  std::string_view domain;
  std::string_view overload;
  OnnxNodes nodes;
};

struct OnnxModelNodes {
  OnnxNodes graph;
  std::vector<OnnxFunction> functions;
};

OnnxModelNodes nodes_of_model(std::string_view model);

}  // namespace dynbatch
