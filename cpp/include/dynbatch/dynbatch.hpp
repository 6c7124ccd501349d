// Everything that dynbatch offers to C++ programs.
#pragma once

#include <dynbatch/batcher.hpp>
#include <dynbatch/compile.hpp>
#include <dynbatch/compiled_model.hpp>
#include <dynbatch/completion_port.hpp>
#include <dynbatch/error.hpp>
#include <dynbatch/executor.hpp>
#include <dynbatch/gear.hpp>
#include <dynbatch/gear_model.hpp>
#include <dynbatch/onnxruntime_executor.hpp>
#include <dynbatch/options.hpp>
#include <dynbatch/stats.hpp>
#include <dynbatch/synthetic_executor.hpp>
#include <dynbatch/tensor.hpp>
#include <dynbatch/ticket.hpp>
#include <dynbatch/version.hpp>
