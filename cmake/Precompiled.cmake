# heimdall_precompiled(target product|tests): with HEIMDALL_PCH the headers of the standard library (and of the test libraries) are read once and not in each
# file. The sources do not depend on it: clang-tidy, which reads each file without, is what says that each includes what it needs.

if(HEIMDALL_PCH)
  # What ccache needs to know such builds again.
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options(-Xclang -fno-pch-timestamp)
  endif()
  file(WRITE ${PROJECT_BINARY_DIR}/generated/precompiled.cc "")
  set(standard <algorithm> <array> <atomic> <chrono> <condition_variable> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional> <set> <span>
               <string> <string_view> <thread> <utility> <variant> <vector> <fmt/format.h> <tl/expected.hpp>)
  add_library(heimdall_pch_product OBJECT ${PROJECT_BINARY_DIR}/generated/precompiled.cc)
  target_link_libraries(heimdall_pch_product PRIVATE heimdall_options fmt::fmt)
  target_precompile_headers(heimdall_pch_product PRIVATE ${standard})
  if(BUILD_TESTING)
    add_library(heimdall_pch_tests OBJECT ${PROJECT_BINARY_DIR}/generated/precompiled.cc)
    target_link_libraries(heimdall_pch_tests PRIVATE heimdall_options fmt::fmt GTest::gmock rapidcheck)
    target_compile_options(heimdall_pch_tests PRIVATE ${HEIMDALL_TEST_OPTIONS})
    target_precompile_headers(heimdall_pch_tests PRIVATE ${standard} <gmock/gmock.h> <gtest/gtest.h> <rapidcheck.h>)
  endif()
endif()

function(heimdall_precompiled target kind)
  if(HEIMDALL_PCH)
    target_precompile_headers(${target} REUSE_FROM heimdall_pch_${kind})
  endif()
endfunction()
