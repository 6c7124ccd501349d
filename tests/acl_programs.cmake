# Programs in the words of the C API, compiled by a C or C++ compiler and run: examples/acl, and the published
# call sequence, which is linked to libascendcl.so where that is built.

enable_language(C)
set(CMAKE_C_STANDARD 11)

add_executable(write_acl_models cpp/capi/write_models.cpp)
target_link_libraries(write_acl_models PRIVATE ${acl_libraries} GTest::gmock)
target_include_directories(write_acl_models PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
set(acl_models "${CMAKE_CURRENT_BINARY_DIR}/acl_models")
add_test(NAME capi/write_models COMMAND ${test_launcher} $<TARGET_FILE:write_acl_models> "${acl_models}")
set_tests_properties(capi/write_models PROPERTIES LABELS fast FIXTURES_SETUP acl_models)

# Programs that include no header of the tests get what these say to ThreadSanitizer.
set(ort_mutexes "${CMAKE_CURRENT_BINARY_DIR}/ort_mutexes.cpp")
file(CONFIGURE OUTPUT "${ort_mutexes}" CONTENT "#include \"cpp/executor/ort_mutexes.hpp\"\n")

function(add_acl_program name source library model expected)
  add_executable(${name} "${source}")
  target_link_libraries(${name} PRIVATE ${library})
  target_compile_options(${name} PRIVATE -Wall -Wextra $<$<BOOL:${DYNBATCH_WERROR}>:-Werror>)
  if(source MATCHES "[.]cpp$")
    target_compile_features(${name} PRIVATE cxx_std_20)
  endif()
  if(DYNBATCH_SANITIZE STREQUAL "thread")
    target_sources(${name} PRIVATE "${ort_mutexes}")
    target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  endif()
  add_test(NAME capi/${name} COMMAND ${test_launcher} $<TARGET_FILE:${name}> "${acl_models}/${model}")
  set_tests_properties(
    capi/${name} PROPERTIES LABELS fast TIMEOUT ${test_timeout_s} FIXTURES_REQUIRED acl_models
                            ENVIRONMENT_MODIFICATION "${library_variable}")
  # Unless something is printed, the exit status alone tells.
  if(expected)
    add_test(NAME capi/${name}_prints
             COMMAND ${CMAKE_COMMAND} -E env "DYNBATCH_ORT_LIB=${onnxruntime_library}"
                     ${test_launcher} $<TARGET_FILE:${name}> "${acl_models}/${model}")
    set_tests_properties(
      capi/${name}_prints PROPERTIES LABELS fast TIMEOUT ${test_timeout_s} FIXTURES_REQUIRED acl_models
                                     PASS_REGULAR_EXPRESSION "${expected}")
  endif()
endfunction()

set(examples "${PROJECT_SOURCE_DIR}/examples/acl")
add_acl_program(acl_dynamic_batch "${examples}/dynamic_batch.c" dynbatch_acl batch.om
                "gear 4: output 4 3, first value 1\ngear 1: output 1 3, first value 1\ngear 8: output 8 3")
add_acl_program(acl_image_size "${examples}/image_size.cpp" dynbatch_acl image.om
                "gear 2 x 3: output 1 1 2 3\ngear 4 x 2: output 1 1 4 2")
add_acl_program(acl_dims "${examples}/dims.cpp" dynbatch_acl dims.om
                "gear 2 2 5: output 2 2 5\ngear 3 2 1: output 3 2 1")
if(DYNBATCH_BUILD_ASCENDCL)
  add_acl_program(acl_published_sequence cpp/capi/published_sequence.c dynbatch_ascendcl batch.om "")
endif()
