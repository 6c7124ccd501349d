#include "executor/value_shapes.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <unordered_map>
#include <vector>

#include "executor/onnx_messages.hpp"
#include "executor/onnx_nodes.hpp"

namespace dynbatch {
namespace {

/// The inputs of an operator whose values settle shapes of its outputs.
struct ShapingInputs {
  std::string_view op;
  std::vector<std::size_t> inputs;
};

const std::vector<ShapingInputs>& shaping_inputs() {
  static const std::vector<ShapingInputs> all{
      {"AffineGrid", {1}},
      {"BlackmanWindow", {0}},
      {"CenterCropPad", {1}},
      {"Col2Im", {1, 2}},
      {"Compress", {1}},
      {"ConstantOfShape", {0}},
      {"DFT", {1}},
      {"Expand", {1}},
      {"HammingWindow", {0}},
      {"HannWindow", {0}},
      {"ImageDecoder", {0}},
      {"MaxUnpool", {2}},
      {"MelWeightMatrix", {0, 1}},
      {"NonMaxSuppression", {0, 1, 2, 3, 4}},
      {"NonZero", {0}},
      {"OneHot", {1}},
      {"Pad", {1, 3}},
      {"Range", {0, 1, 2}},
      {"Reshape", {1}},
      {"Resize", {2, 3}},
      {"STFT", {1, 3}},
      {"Slice", {1, 2, 3, 4}},
      {"Split", {1}},
      {"SplitToSequence", {1}},
      {"Squeeze", {1}},
      {"StringNormalizer", {0}},
      {"StringSplit", {0}},
      {"Tile", {1}},
      {"TopK", {1}},
      {"Unique", {0}},
      {"Unsqueeze", {1}},
      {"Upsample", {1}},
  };
  return all;
}

/// Operators whose outputs follow from shapes, whatever the values.
constexpr std::string_view kOfShapes[] = {"EyeLike", "OptionalHasElement", "SequenceLength",
                                          "Shape", "Size"};

// Bounds what functions that call each other, and loops in loops, cost: beyond, nothing is told.
constexpr std::size_t kMostVisits = 10'000'000;  // of names
constexpr int kDeepest = 100;                    // of graphs in each other

bool is_standard(const OnnxNode& node) { return node.domain.empty() || node.domain == "ai.onnx"; }

std::vector<std::size_t> shaping_inputs_of(const OnnxNode& node) {
  if (node.op.starts_with("Reduce")) return {1};
  if (node.op == "Resize" && node.inputs.size() == 2) return {1};  // scales, in opset 10
  const auto found = std::ranges::find(shaping_inputs(), node.op, &ShapingInputs::op);
  return found == shaping_inputs().end() ? std::vector<std::size_t>() : found->inputs;
}

/// Which names of a graph have values that follow from those of the model's inputs. Names of the graphs around it
/// are known in it.
class Scope {
 public:
  explicit Scope(const Scope* outer) : outer_(outer) {}

  void set(std::string_view name, bool from_values) {
    if (!name.empty()) names_[name] = from_values;  // "": left out
  }
  bool from_values(std::string_view name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->outer_) {
      const auto found = scope->names_.find(name);
      if (found != scope->names_.end()) return found->second;
    }
    return false;
  }
  bool from_values(const OnnxNode& node, std::size_t input) const {
    return input < node.inputs.size() && from_values(node.inputs[input]);
  }
  std::vector<bool> of(const std::vector<std::string_view>& names) const {
    std::vector<bool> all;
    for (const std::string_view name : names) all.push_back(from_values(name));
    return all;
  }

 private:
  const Scope* outer_;
  std::unordered_map<std::string_view, bool> names_;
};

class Search {
 public:
  explicit Search(const OnnxModelNodes& model) : model_(model) {}

  std::optional<ShapeFromValues> run() {
    Scope scope(nullptr);
    for (const std::string_view input : model_.graph.inputs) scope.set(input, true);
    visit_all(model_.graph, scope, 0, true);
    return found_;
  }

 private:
  /// `is_run`: whether the nodes are run for some values at least, so that what they do may be refused.
  void visit_all(const OnnxNodes& graph, Scope& scope, int depth, bool is_run) {
    for (const OnnxNode& node : graph.nodes) {
      visits_ += 1 + node.inputs.size() + node.outputs.size();
      if (found_ || depth >= kDeepest || visits_ > kMostVisits) return;
      visit(node, scope, depth, is_run);
    }
  }

  void visit(const OnnxNode& node, Scope& scope, int depth, bool is_run) {
    if (const OnnxFunction* const function = function_of(node)) {
      return visit_inner(function->nodes, nullptr, node, scope, depth, is_run);
    }
    if (node.domain == "ai.onnx.ml") return set_outputs(node, scope, any_from_values(node, scope));
    if (!is_standard(node)) return;
    if (node.op == "If") return visit_if(node, scope, depth, is_run);
    if (node.op == "Loop") return visit_loop(node, scope, depth, is_run);
    if (const OnnxNodes* const body = node.graph("body"))  // Scan, SequenceMap
      return visit_inner(*body, &scope, node, scope, depth, is_run);
    if (is_run) check(node, scope);
    const bool of_shapes = std::ranges::find(kOfShapes, node.op) != std::end(kOfShapes);
    set_outputs(node, scope, !of_shapes && any_from_values(node, scope));
  }

  /// A body whose last inputs and whose outputs are those of the node.
  void visit_inner(const OnnxNodes& body, const Scope* outer, const OnnxNode& node, Scope& scope,
                   int depth, bool is_run) {
    Scope inner(outer);
    // A Scan of opset 8 has an input before those of its body; a call may leave the last ones out.
    const bool has_more = outer != nullptr && node.inputs.size() > body.inputs.size();
    const std::size_t skipped = has_more ? node.inputs.size() - body.inputs.size() : 0;
    for (std::size_t i = 0; i < body.inputs.size(); ++i)
      inner.set(body.inputs[i], scope.from_values(node, skipped + i));
    visit_all(body, inner, depth + 1, is_run);
    set_outputs(node, scope, inner.of(body.outputs));
  }

  void visit_if(const OnnxNode& node, Scope& scope, int depth, bool is_run) {
    const bool depends = scope.from_values(node, 0);
    std::vector<bool> outputs(node.outputs.size(), depends);
    for (const OnnxSubgraph& branch : node.graphs) {
      Scope inner(&scope);
      visit_all(branch.nodes, inner, depth + 1, is_run && depends);
      const std::vector<bool> own = inner.of(branch.nodes.outputs);
      for (std::size_t i = 0; i < std::min(outputs.size(), own.size()); ++i)
        outputs[i] = outputs[i] || own[i];
    }
    set_outputs(node, scope, outputs);
  }

  /// Inputs of the body: iteration, condition, carried; its outputs: condition, carried, collected.
  void visit_loop(const OnnxNode& node, Scope& scope, int depth, bool is_run) {
    const OnnxNodes* const body = node.graph("body");
    if (body == nullptr || body->outputs.empty()) return;
    std::vector<bool> carried = scope.of(node.inputs);  // from the condition on
    carried.resize(std::max<std::size_t>(body->inputs.size(), 2));
    carried.erase(carried.begin());
    std::vector<bool> outputs;
    for (bool changed = true; changed && !found_ && visits_ <= kMostVisits;) {
      changed = false;
      Scope inner(&scope);
      for (std::size_t i = 1; i < body->inputs.size(); ++i)
        inner.set(body->inputs[i], carried[i - 1]);
      visit_all(*body, inner, depth + 1, is_run);
      outputs = inner.of(body->outputs);
      for (std::size_t i = 0; i < std::min(carried.size(), outputs.size()); ++i) {
        changed = changed || (outputs[i] && !carried[i]);
        carried[i] = carried[i] || outputs[i];
      }
    }
    const bool trips = scope.from_values(node, 0);
    const bool ends = carried.front();
    if (is_run && (collects(node, carried.size() - 1) || grows(*body))) {
      if (trips) return report(node, node.inputs[0]);
      if (ends) return report(node, body->outputs.front());
    }
    if (outputs.empty()) return;
    outputs.erase(outputs.begin());
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const bool own = outputs[i] || (i + 1 < carried.size() && carried[i + 1]);
      outputs[i] = own || trips || ends;
    }
    set_outputs(node, scope, outputs);
  }

  /// Whether a Loop has outputs with an element for each iteration.
  static bool collects(const OnnxNode& node, std::size_t carried) {
    for (std::size_t i = carried; i < node.outputs.size(); ++i) {
      if (!node.outputs[i].empty()) return true;
    }
    return false;
  }

  /// Whether the body of a Loop makes what it carries larger in each iteration.
  static bool grows(const OnnxNodes& body) {
    return std::ranges::any_of(body.nodes, [&](const OnnxNode& node) {
      if (!is_standard(node) || (node.op != "Concat" && node.op != "SequenceInsert")) return false;
      for (std::size_t i = 1; i < body.outputs.size() && i + 1 < body.inputs.size(); ++i) {
        if (body.outputs[i] == node.outputs.front() &&
            std::ranges::find(node.inputs, body.inputs[i + 1]) != node.inputs.end())
          return true;
      }
      return false;
    });
  }

  void check(const OnnxNode& node, const Scope& scope) {
    std::vector<std::size_t> inputs = shaping_inputs_of(node);
    const bool is_window = (node.op == "Slice" || node.op == "Range") && inputs.size() > 2;
    if (is_window && scope.from_values(node, inputs[0]) && scope.from_values(node, inputs[1]))
      inputs.erase(inputs.begin(), inputs.begin() + 2);
    for (const std::size_t input : inputs) {
      if (scope.from_values(node, input)) return report(node, node.inputs[input]);
    }
  }

  void report(const OnnxNode& node, std::string_view input) {
    if (found_) return;
    const std::string op(node.op);
    const std::string output(node.outputs.empty() ? "" : node.outputs.front());
    found_ = {.node = node.name.empty() ? op + " of " + onnx::quoted(output)
                                        : onnx::quoted(std::string(node.name)) + " (" + op + ")",
              .input = std::string(input)};
  }

  const OnnxFunction* function_of(const OnnxNode& node) const {
    const auto is_called = [&](const OnnxFunction& function) {
      return function.name == node.op && function.domain == node.domain &&
             function.overload == node.overload;
    };
    const auto found = std::ranges::find_if(model_.functions, is_called);
    return found == model_.functions.end() ? nullptr : &*found;
  }

  static bool any_from_values(const OnnxNode& node, const Scope& scope) {
    return std::ranges::any_of(node.inputs,
                               [&](std::string_view input) { return scope.from_values(input); });
  }
  static void set_outputs(const OnnxNode& node, Scope& scope, bool from_values) {
    set_outputs(node, scope, std::vector<bool>(node.outputs.size(), from_values));
  }
  static void set_outputs(const OnnxNode& node, Scope& scope, const std::vector<bool>& from) {
    for (std::size_t i = 0; i < std::min(node.outputs.size(), from.size()); ++i)
      scope.set(node.outputs[i], from[i]);
  }

  const OnnxModelNodes& model_;
  std::size_t visits_ = 0;
  std::optional<ShapeFromValues> found_;
};

}  // namespace

std::optional<ShapeFromValues> shape_from_values(std::string_view model) {
  const OnnxModelNodes nodes = nodes_of_model(model);
  return Search(nodes).run();
}

}  // namespace dynbatch
