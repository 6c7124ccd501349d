# Fuzz targets. Every *_target.cpp is a test, with any compiler: replay.cpp runs it over the files of
# corpus/<target> and over seeded random inputs. With DYNBATCH_BUILD_FUZZERS, which needs clang, it is
# also linked to libFuzzer, as <target>_fuzzer; `make fuzz` builds and runs those.

option(DYNBATCH_BUILD_FUZZERS "Link the fuzz targets to libFuzzer (needs clang)" OFF)

# Some seconds each: a model is loaded, or a batcher made, for each input of the last two.
set(fuzz_inputs_feeds 100000)
set(fuzz_inputs_shapes 50000)
set(fuzz_inputs_options 50000)
set(fuzz_inputs_metadata 300000)
set(fuzz_inputs_models 5000)
set(fuzz_inputs_compile 200000)
set(fuzz_inputs_calls 4000)
set(fuzz_inputs_acl 8000)

if(DYNBATCH_BUILD_FUZZERS)
  add_custom_target(fuzzers)
endif()

file(GLOB files CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/*_target.cpp")
foreach(file IN LISTS files)
  get_filename_component(target "${file}" NAME_WE)
  string(REGEX REPLACE "_target$" "" target "${target}")
  set(corpus "${CMAKE_CURRENT_LIST_DIR}/corpus/${target}")
  math(EXPR inputs "${fuzz_inputs_${target}} / ${stress_divisor}")

  set(library dynbatch_internal)
  if(target STREQUAL "acl")
    set(library ${acl_libraries})
  endif()
  add_executable(fuzz_${target} "${file}" "${CMAKE_CURRENT_LIST_DIR}/replay.cpp")
  target_link_libraries(fuzz_${target} PRIVATE ${library} GTest::gmock)
  target_include_directories(fuzz_${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(fuzz_${target} PRIVATE "DYNBATCH_FUZZ_CORPUS=\"${corpus}\""
                                                    DYNBATCH_FUZZ_INPUTS=${inputs})
  if(test_launcher)
    set_target_properties(fuzz_${target} PROPERTIES CROSSCOMPILING_EMULATOR "${test_launcher}")
  endif()
  gtest_discover_tests(
    fuzz_${target} TEST_PREFIX "fuzz/${target}/" DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS fuzz TIMEOUT ${test_timeout_s}
               ENVIRONMENT "${models_variable}" ENVIRONMENT_MODIFICATION "${library_variable}")

  if(DYNBATCH_BUILD_FUZZERS)
    add_executable(${target}_fuzzer "${file}")
    target_link_libraries(${target}_fuzzer PRIVATE ${library} GTest::gmock)
    target_include_directories(${target}_fuzzer PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_options(${target}_fuzzer PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${target}_fuzzer)
  endif()
endforeach()
