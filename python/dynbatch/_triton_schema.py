"""Names and types of the fields of a Triton model configuration, for protobuf's text format.

The text format knows fields by name alone, so that their numbers are of no account here. All fields
are named, also those that are not read: a name that is not here is a mistake in the file, and is
told with its line. The package that has generated classes for them (tritonclient) needs gRPC, and
an older protobuf than ONNX does.
"""

from __future__ import annotations

import functools
from typing import Any

from dynbatch._errors import ModelError

_ENUMS = {
    "DataType": "TYPE_INVALID TYPE_BOOL TYPE_UINT8 TYPE_UINT16 TYPE_UINT32 TYPE_UINT64 TYPE_INT8 "
    "TYPE_INT16 TYPE_INT32 TYPE_INT64 TYPE_FP16 TYPE_FP32 TYPE_FP64 TYPE_STRING TYPE_BF16",
    "InputFormat": "FORMAT_NONE FORMAT_NHWC FORMAT_NCHW",
    "BatchInputKind": "BATCH_ELEMENT_COUNT BATCH_ACCUMULATED_ELEMENT_COUNT "
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO BATCH_MAX_ELEMENT_COUNT_AS_SHAPE BATCH_ITEM_SHAPE "
    "BATCH_ITEM_SHAPE_FLATTEN",
    "BatchOutputKind": "BATCH_SCATTER_WITH_INPUT_SHAPE",
    "TimeoutAction": "REJECT DELAY",
    "InstanceKind": "KIND_AUTO KIND_GPU KIND_CPU KIND_MODEL",
    "SecondaryDeviceKind": "KIND_NVDLA",
    "Priority": "PRIORITY_DEFAULT PRIORITY_MAX PRIORITY_MIN",
    "ControlKind": "CONTROL_SEQUENCE_START CONTROL_SEQUENCE_READY CONTROL_SEQUENCE_END "
    "CONTROL_SEQUENCE_CORRID",
}

# "type name, type* name": a star marks what may be repeated, as the entries of maps are.
_MESSAGES = {
    "ModelConfig": "string name, string platform, string backend, string runtime, "
    "VersionPolicy version_policy, int32 max_batch_size, Input* input, Output* output, "
    "BatchInput* batch_input, BatchOutput* batch_output, Optimization optimization, "
    "DynamicBatching dynamic_batching, SequenceBatching sequence_batching, "
    "Ensemble ensemble_scheduling, InstanceGroup* instance_group, string default_model_filename, "
    "StringEntry* cc_model_filenames, StringEntry* metric_tags, ParameterEntry* parameters, "
    "Warmup* model_warmup, Operations model_operations, "
    "TransactionPolicy model_transaction_policy, Agents model_repository_agents, "
    "Enabled response_cache, Metrics model_metrics",
    "Input": "string name, DataType data_type, InputFormat format, int64* dims, Reshape reshape, "
    "bool is_shape_tensor, bool allow_ragged_batch, bool optional, bool is_non_linear_format_io",
    "Output": "string name, DataType data_type, int64* dims, Reshape reshape, "
    "string label_filename, bool is_shape_tensor, bool is_non_linear_format_io",
    "Reshape": "int64* shape",
    "BatchInput": "BatchInputKind kind, string* target_name, DataType data_type, "
    "string* source_input",
    "BatchOutput": "BatchOutputKind kind, string* target_name, string* source_input",
    "DynamicBatching": "int32* preferred_batch_size, uint64 max_queue_delay_microseconds, "
    "bool preserve_ordering, uint64 priority_levels, uint64 default_priority_level, "
    "QueuePolicy default_queue_policy, QueuePolicyEntry* priority_queue_policy",
    "QueuePolicy": "TimeoutAction timeout_action, uint64 default_timeout_microseconds, "
    "bool allow_timeout_override, uint32 max_queue_size",
    "QueuePolicyEntry": "uint64 key, QueuePolicy value",
    "StringEntry": "string key, string value",
    "Parameter": "string string_value",
    "ParameterEntry": "string key, Parameter value",
    "Nothing": "",
    "Enabled": "bool enable",
    "LatestVersions": "uint32 num_versions",
    "SpecificVersions": "int64* versions",
    "VersionPolicy": "LatestVersions latest, Nothing all, SpecificVersions specific",
    "Resource": "string name, bool global, uint32 count",
    "RateLimiter": "Resource* resources, uint32 priority",
    "SecondaryDevice": "SecondaryDeviceKind kind, int64 device_id",
    "InstanceGroup": "string name, InstanceKind kind, int32 count, RateLimiter rate_limiter, "
    "int32* gpus, SecondaryDevice* secondary_devices, string* profile, bool passive, "
    "string host_policy",
    "GraphLevel": "int32 level",
    "Dims": "int64* dim",
    "DimsEntry": "string key, Dims value",
    "GraphLowerBound": "int32 batch_size, DimsEntry* input",
    "GraphSpec": "int32 batch_size, DimsEntry* input, GraphLowerBound graph_lower_bound",
    "Cuda": "bool graphs, bool busy_wait_events, GraphSpec* graph_spec, bool output_copy_stream",
    "Accelerator": "string name, StringEntry* parameters",
    "Accelerators": "Accelerator* gpu_execution_accelerator, "
    "Accelerator* cpu_execution_accelerator",
    "Optimization": "GraphLevel graph, Priority priority, Cuda cuda, "
    "Accelerators execution_accelerators, Enabled input_pinned_memory, "
    "Enabled output_pinned_memory, uint32 gather_kernel_buffer_threshold, bool eager_batching",
    "Control": "ControlKind kind, int32* int32_false_true, float* fp32_false_true, "
    "bool* bool_false_true, DataType data_type",
    "ControlInput": "string name, Control* control",
    "InitialState": "DataType data_type, int64* dims, bool zero_data, string data_file, "
    "string name",
    "State": "string input_name, string output_name, DataType data_type, int64* dims, "
    "InitialState* initial_state, bool use_same_buffer_for_input_output, "
    "bool use_growable_memory",
    "DirectStrategy": "uint64 max_queue_delay_microseconds, float minimum_slot_utilization",
    "OldestStrategy": "int32 max_candidate_sequences, int32* preferred_batch_size, "
    "uint64 max_queue_delay_microseconds, bool preserve_ordering",
    "SequenceBatching": "DirectStrategy direct, OldestStrategy oldest, "
    "uint64 max_sequence_idle_microseconds, ControlInput* control_input, State* state, "
    "bool iterative_sequence",
    "Step": "string model_name, int64 model_version, StringEntry* input_map, "
    "StringEntry* output_map, string model_namespace",
    "Ensemble": "Step* step, uint32 max_inflight_requests",
    "WarmupInput": "DataType data_type, int64* dims, bool zero_data, bool random_data, "
    "string input_data_file",
    "WarmupEntry": "string key, WarmupInput value",
    "Warmup": "string name, uint32 batch_size, WarmupEntry* inputs, uint32 count",
    "Operations": "string* op_library_filename",
    "TransactionPolicy": "bool decoupled",
    "Agent": "string name, StringEntry* parameters",
    "Agents": "Agent* agents",
    "MetricIdentifier": "string family",
    "Histogram": "double* buckets",
    "MetricControl": "MetricIdentifier metric_identifier, Histogram histogram_options",
    "Metrics": "MetricControl* metric_control",
}


def parse(text: str) -> Any:
    """The configuration as a message.

    Raises:
        ModelError: protobuf is not installed.
        ValueError: The text is no such configuration; it names the line.
    """
    message_class = _message_class()
    from google.protobuf import text_format

    try:
        return text_format.Parse(text, message_class())
    except text_format.ParseError as error:
        raise ValueError(str(error)) from None


@functools.cache
def _message_class() -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise ModelError(
            "config: protobuf, which reads a Triton model configuration, cannot be imported: pip "
            "install dynbatch[triton]"
        ) from error
    file = descriptor_pb2.FileDescriptorProto(
        name="dynbatch_triton.proto", package="triton", syntax="proto3"
    )
    for name, values in _ENUMS.items():
        enum = file.enum_type.add(name=name)
        for number, value in enumerate(values.split()):
            enum.value.add(name=value, number=number)
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(filter(None, fields.split(", ")), start=1):
            _add_field(message, number, *field.split())
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("triton.ModelConfig"))


def _add_field(message: Any, number: int, kind: str, name: str) -> None:
    repeated = kind.endswith("*")
    kind = kind.removesuffix("*")
    field = message.field.add(name=name, number=number)
    field.label = field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL
    if kind in _ENUMS or kind in _MESSAGES:
        field.type = field.TYPE_ENUM if kind in _ENUMS else field.TYPE_MESSAGE
        field.type_name = f".triton.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
