// Every gear of real models against plain ONNX Runtime.
#include <gmock/gmock.h>

#include <string>
#include <thread>
#include <vector>

#include <dynbatch/gear_model.hpp>

#include "cpp/executor/test_surroundings.hpp"
#include "cpp/runtime/gear_runs.hpp"
#include "cpp/runtime/plain_runs.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::Bytes;
using dynbatch::testing::GearRun;
using dynbatch::testing::gears_of;
using dynbatch::testing::PlainSession;
using dynbatch::testing::PlainTensor;
using dynbatch::testing::real_model;
using dynbatch::testing::Sizes;

struct RealGears {
  std::string name;
  std::string path;
  CompiledModel gears;
};

std::string ocr(const std::string& file) {
  return "rapidocr-onnxruntime/rapidocr_onnxruntime/models/" + file;
}

std::vector<RealGears> real_gears() {
  const std::vector<Sizes> batches{{4}, {1}, {8}, {2}};
  const std::string det = ocr("ch_PP-OCRv4_det_infer.onnx");
  return {
      {"ClsBatch", ocr("ch_ppocr_mobile_v2.0_cls_infer.onnx"),
       gears_of(GearKind::batch, batches, {{"x", {-1, 3, 48, 192}}})},
      {"RecBatch", ocr("ch_PP-OCRv4_rec_infer.onnx"),
       gears_of(GearKind::batch, {{2}, {1}, {3}}, {{"x", {-1, 3, 48, 160}}})},
      {"RecDims", ocr("ch_PP-OCRv4_rec_infer.onnx"),
       gears_of(GearKind::dims, {{1, 320}, {2, 160}}, {{"x", {-1, 3, 48, -1}}})},
      {"MagikaBatch", "magika/magika/models/standard_v3_3/model.onnx",
       gears_of(GearKind::batch, batches)},
      {"DetImageSize", det,
       gears_of(GearKind::image_size, {{96, 160}, {160, 96}, {64, 64}}, {{"x", {1, 3, -1, -1}}})},
      {"DetDims", det, gears_of(GearKind::dims, {{2, 64, 96}, {1, 96, 64}})},
  };
}

class GearModelReal : public ::testing::TestWithParam<RealGears> {
 protected:
  GearModelReal() : path_(real_model(GetParam().path)), model_(path_, GetParam().gears) {}

  /// What a plain session answers to the inputs of a run.
  std::vector<PlainTensor> plain_answers(const GearRun& run) const {
    const CompiledModel& compiled = model_.compiled();
    const auto shapes = compiled.input_shapes(run.gear);
    std::vector<PlainTensor> inputs;  // each of these models has one
    for (std::size_t i = 0; i < compiled.inputs.size(); ++i) {
      inputs.push_back(
          {compiled.inputs[i].name, compiled.inputs[i].dtype, shapes[i], run.inputs[i]});
    }
    std::vector<PlainTensor> outputs;
    for (const CompiledOutput& output : compiled.outputs)
      outputs.push_back({output.name, output.dtype, {}, {}});
    return plain_.run(inputs, outputs);
  }
  void expect_plain(const GearRun& run, std::size_t spare = 0) const {
    const std::vector<PlainTensor> plain = plain_answers(run);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      const CompiledGear& gear = model_.compiled().gears[run.gear];
      EXPECT_EQ(gear.output_shapes[i], plain[i].shape);
      ASSERT_EQ(run.outputs[i].size(), plain[i].bytes.size() + spare);
      const Bytes written(run.outputs[i].begin(),
                          run.outputs[i].end() - static_cast<std::ptrdiff_t>(spare));
      EXPECT_TRUE(written == plain[i].bytes) << "output " << i << " of gear " << run.gear;
      const Bytes behind(run.outputs[i].end() - static_cast<std::ptrdiff_t>(spare),
                         run.outputs[i].end());
      EXPECT_TRUE(behind == Bytes(spare, GearRun::kUntouched)) << "written behind the gear";
    }
  }

  std::string path_;
  GearModel model_;
  PlainSession plain_{{.path = path_, .data = nullptr, .size = 0}};
};

TEST_P(GearModelReal, RunsAnswerAsPlainOnnxRuntimeAndWriteNoMore) {
  for (std::size_t gear = 0; gear < model_.compiled().gears.size(); ++gear) {
    constexpr std::size_t kSpare = 4096;
    GearRun run(model_, gear, static_cast<unsigned>(gear) + 7, kSpare);
    const Failure failure = run.run(model_);
    ASSERT_FALSE(failure) << failure.message;
    expect_plain(run, kSpare);
  }
}

TEST_P(GearModelReal, EightThreadsRunDifferentGearsAtOnce) {
  constexpr std::size_t kThreads = 8;
  const std::size_t gears = model_.compiled().gears.size();
  std::vector<GearRun> runs;
  for (std::size_t thread = 0; thread < kThreads; ++thread)
    runs.emplace_back(model_, thread % gears, static_cast<unsigned>(thread) + 100);
  std::vector<Failure> failures(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::size_t thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        for (int turn = 0; turn < 3 && !failures[thread]; ++turn)
          failures[thread] = runs[thread].run(model_);
      });
    }
  }
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    ASSERT_FALSE(failures[thread]) << failures[thread].message;
    expect_plain(runs[thread]);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GearModelReal, ::testing::ValuesIn(real_gears()),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace dynbatch
