# What every target of this repository is compiled and linked with, in one interface target, and
# the sanitizers, which must hold for the whole build or not at all.

add_library(dynbatch_compile_options INTERFACE)
target_compile_features(dynbatch_compile_options INTERFACE cxx_std_20)
target_compile_options(
  dynbatch_compile_options
  INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
            -Wno-missing-field-initializers # designated initialisers leave defaults alone
            # GCC 12 and 13 take "," + std::to_string(n) for overlapping copies with -O3 (GCC bug 105651)
            $<$<AND:$<CXX_COMPILER_ID:GNU>,$<CONFIG:Release>>:-Wno-restrict>
            $<$<BOOL:${DYNBATCH_WERROR}>:-Werror>)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CXX_SCAN_FOR_MODULES OFF) # there are none, and clang's scanner is a package of its own
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(DYNBATCH_EXPENSIVE_CHECKS)
  target_compile_definitions(dynbatch_compile_options INTERFACE DYNBATCH_EXPENSIVE_CHECKS)
endif()

if(is_wheel)
  # Paths of the build machine would otherwise make two wheels of one source differ.
  target_compile_options(dynbatch_compile_options
                         INTERFACE "-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.")
endif()

if(DYNBATCH_SANITIZE STREQUAL "address")
  set(sanitizer_options -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(DYNBATCH_SANITIZE STREQUAL "thread")
  set(sanitizer_options -fsanitize=thread)
elseif(DYNBATCH_SANITIZE)
  message(FATAL_ERROR "DYNBATCH_SANITIZE: expected address, thread or nothing, "
                      "got '${DYNBATCH_SANITIZE}'")
endif()
if(DYNBATCH_SANITIZE)
  add_compile_options(${sanitizer_options} -fno-omit-frame-pointer)
  add_link_options(${sanitizer_options})
endif()
