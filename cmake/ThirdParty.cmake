# Every third-party library by one name. Each C library is linked by exactly one module (see the LIBS of the modules).

find_package(PkgConfig REQUIRED)
find_package(fmt REQUIRED)
find_package(yaml-cpp REQUIRED)
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(crypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(libpq REQUIRED IMPORTED_TARGET libpq)
pkg_check_modules(microhttpd REQUIRED IMPORTED_TARGET libmicrohttpd)
pkg_check_modules(pugixml REQUIRED IMPORTED_TARGET pugixml)
find_path(CCTZ_INCLUDE_DIR cctz/time_zone.h REQUIRED)     # libcctz-dev: no package file of its own
find_library(CCTZ_LIBRARY cctz REQUIRED)
find_path(EXPECTED_INCLUDE_DIR tl/expected.hpp REQUIRED) # libexpected-dev
find_path(CLI11_INCLUDE_DIR CLI/CLI.hpp REQUIRED)        # libcli11-dev
find_path(JSON_INCLUDE_DIR nlohmann/json.hpp REQUIRED)   # nlohmann-json3-dev

if(BUILD_TESTING)
  find_package(GTest REQUIRED)
  find_package(rapidcheck REQUIRED)
endif()
