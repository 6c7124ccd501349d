#include "executor/onnx_nodes.hpp"

#include <algorithm>
#include <cstddef>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "executor/protobuf.hpp"

// Fields have the numbers of onnx.proto.

namespace dynbatch {
namespace {

using protobuf::Field;
using protobuf::Fields;
using Names = std::vector<std::string_view>;

/// Calls `take` with the fields of wire type bytes, which are all that names and messages have.
template <class Take>
void each_field(std::string_view message, Take take) {
  Fields fields(message);
  while (const auto field = fields.next()) {
    if (field->is_bytes()) take(*field);
  }
}

/// The last of this field, as a reader takes it.
std::string_view text_of(std::string_view message, std::uint64_t number) {
  std::string_view text;
  each_field(message, [&](const Field& field) {
    if (field.number == number) text = field.content;
  });
  return text;
}

OnnxNodes nodes_of_graph(std::string_view graph, int depth);

void read_attribute(std::string_view attribute, OnnxNode& node, int depth) {
  const std::string_view name = text_of(attribute, 1);
  each_field(attribute, [&](const Field& field) {
    if (field.number == 6 || field.number == 11)
      node.graphs.push_back({name, nodes_of_graph(field.content, depth + 1)});
  });
}

OnnxNode read_node(std::string_view bytes, int depth) {
  OnnxNode node;
  each_field(bytes, [&](const Field& field) {
    switch (field.number) {
      case 1: node.inputs.push_back(field.content); break;
      case 2: node.outputs.push_back(field.content); break;
      case 3: node.name = field.content; break;
      case 4: node.op = field.content; break;
      case 5: read_attribute(field.content, node, depth); break;
      case 7: node.domain = field.content; break;
      case 8: node.overload = field.content; break;
      default: break;
    }
  });
  return node;
}

/// What a node reads; its graphs read names from around them, too.
void add_inputs(const OnnxNode& node, Names& names) {
  names.insert(names.end(), node.inputs.begin(), node.inputs.end());
  for (const OnnxSubgraph& graph : node.graphs) {
    names.insert(names.end(), graph.nodes.outputs.begin(), graph.nodes.outputs.end());
    for (const OnnxNode& inner : graph.nodes.nodes) add_inputs(inner, names);
  }
}

/// Leaves the nodes on which the outputs rest, each after those that it needs, whatever the order in the file.
void keep_needed(OnnxNodes& all) {
  std::unordered_map<std::string_view, std::size_t> makers;
  for (std::size_t i = 0; i < all.nodes.size(); ++i) {
    for (const std::string_view output : all.nodes[i].outputs) {
      if (!output.empty()) makers.emplace(output, i);
    }
  }
  struct Visit {
    std::size_t node;
    Names inputs;  // that have not been followed
  };
  std::vector<bool> seen(all.nodes.size());
  std::vector<Visit> path;
  std::vector<OnnxNode> kept;
  const auto enter = [&](std::string_view name) {
    const auto maker = makers.find(name);
    if (maker == makers.end() || seen[maker->second]) return;
    seen[maker->second] = true;
    path.push_back({maker->second, {}});
    add_inputs(all.nodes[maker->second], path.back().inputs);
  };
  for (const std::string_view output : all.outputs) {
    enter(output);
    while (!path.empty()) {
      if (path.back().inputs.empty()) {
        kept.push_back(std::move(all.nodes[path.back().node]));
        path.pop_back();
      } else {
        const std::string_view name = path.back().inputs.back();
        path.back().inputs.pop_back();
        enter(name);
      }
    }
  }
  all.nodes = std::move(kept);
}

OnnxNodes nodes_of_graph(std::string_view graph, int depth) {
  if (depth > protobuf::kDeepest) protobuf::fail("its graphs are nested too deeply");
  OnnxNodes all;
  std::unordered_set<std::string_view> initialized;
  each_field(graph, [&](const Field& field) {
    switch (field.number) {
      case 1: all.nodes.push_back(read_node(field.content, depth)); break;
      case 5: initialized.insert(text_of(field.content, 8)); break;
      case 11: all.inputs.push_back(text_of(field.content, 1)); break;
      case 12: all.outputs.push_back(text_of(field.content, 1)); break;
      case 15: initialized.insert(text_of(text_of(field.content, 1), 8)); break;
      default: break;
    }
  });
  std::erase_if(all.inputs, [&](std::string_view input) { return initialized.contains(input); });
  keep_needed(all);
  return all;
}

OnnxFunction read_function(std::string_view bytes) {
  OnnxFunction function;
  each_field(bytes, [&](const Field& field) {
    switch (field.number) {
      case 1: function.name = field.content; break;
      case 4: function.nodes.inputs.push_back(field.content); break;
      case 5: function.nodes.outputs.push_back(field.content); break;
      case 7: function.nodes.nodes.push_back(read_node(field.content, 0)); break;
      case 10: function.domain = field.content; break;
      case 13: function.overload = field.content; break;
      default: break;
    }
  });
  keep_needed(function.nodes);
  return function;
}

}  // namespace

const OnnxNodes* OnnxNode::graph(std::string_view attribute) const noexcept {
  const auto found = std::ranges::find(graphs, attribute, &OnnxSubgraph::attribute);
  return found == graphs.end() ? nullptr : &found->nodes;
}

OnnxModelNodes nodes_of_model(std::string_view model) {
  OnnxModelNodes all;
  each_field(model, [&](const Field& field) {
    if (field.number == 7) all.graph = nodes_of_graph(field.content, 0);
    if (field.number == 25) all.functions.push_back(read_function(field.content));
  });
  return all;
}

}  // namespace dynbatch
