# heimdall_module(name LEVEL n [DEPS modules...] [SOURCES files...] [TESTS files...] [TEST_DEPS modules...] [LIBS external...])
#
# One static library per folder of src/. A module may name only modules of a lower level: an edge to an equal, higher or
# unknown level fails at configure time. TESTS become the program <name>_tests, ctest "unit.<name>"; tests alone may
# use TEST_DEPS (in practice: testing).

function(heimdall_module name)
  cmake_parse_arguments(M "" "LEVEL" "DEPS;SOURCES;TESTS;TEST_DEPS;LIBS" ${ARGN})
  foreach(dep IN LISTS M_DEPS)
    get_property(dep_level GLOBAL PROPERTY heimdall_level_${dep})
    if("${dep_level}" STREQUAL "" OR NOT dep_level LESS M_LEVEL)
      message(FATAL_ERROR "layering: '${name}' (level ${M_LEVEL}) may not depend on '${dep}' (level ${dep_level})")
    endif()
  endforeach()
  set_property(GLOBAL PROPERTY heimdall_level_${name} ${M_LEVEL})
  set_property(GLOBAL APPEND_STRING PROPERTY heimdall_layers "${name}: ${M_DEPS}\n")

  list(TRANSFORM M_DEPS PREPEND "heimdall_")
  if(M_SOURCES)
    add_library(heimdall_${name} STATIC ${M_SOURCES})
    set(scope PUBLIC)
    target_link_libraries(heimdall_${name} PRIVATE ${M_LIBS})
    heimdall_precompiled(heimdall_${name} product)
  else()
    add_library(heimdall_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  add_library(heimdall::${name} ALIAS heimdall_${name})
  target_link_libraries(heimdall_${name} ${scope} heimdall_options ${M_DEPS})

  if(BUILD_TESTING AND M_TESTS)
    list(TRANSFORM M_TEST_DEPS PREPEND "heimdall_")
    add_executable(${name}_tests ${M_TESTS})
    target_link_libraries(${name}_tests PRIVATE heimdall_${name} ${M_TEST_DEPS} ${M_LIBS} GTest::gmock_main rapidcheck)
    target_compile_options(${name}_tests PRIVATE ${HEIMDALL_TEST_OPTIONS})
    heimdall_precompiled(${name}_tests tests)
    add_test(NAME unit.${name} COMMAND ${name}_tests)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300 ENVIRONMENT "RC_PARAMS=seed=20261123")
  endif()
endfunction()

# heimdall_test(name LABEL label SOURCES files... [DEPS modules...] [LIBS external...]): a test program outside src/.
function(heimdall_test name)
  cmake_parse_arguments(T "" "LABEL" "SOURCES;DEPS;LIBS" ${ARGN})
  list(TRANSFORM T_DEPS PREPEND "heimdall_")
  add_executable(${name} ${T_SOURCES})
  target_link_libraries(${name} PRIVATE heimdall_options ${T_DEPS} ${T_LIBS} GTest::gmock_main rapidcheck)
  target_compile_options(${name} PRIVATE ${HEIMDALL_TEST_OPTIONS})
  heimdall_precompiled(${name} tests)
  add_test(NAME ${T_LABEL}.${name} COMMAND ${name})
  set_tests_properties(${T_LABEL}.${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT 600 ENVIRONMENT "RC_PARAMS=seed=20261123")
endfunction()

# Writes layers.txt ("name: deps" a line) for the test lint.layers.
function(heimdall_write_layers)
  get_property(layers GLOBAL PROPERTY heimdall_layers)
  file(WRITE ${PROJECT_BINARY_DIR}/layers.txt "${layers}")
endfunction()
