# Compiler options of every target, and the helper that makes a folder a target.
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "build type" FORCE)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # The sloppiness is what lets ccache and precompiled headers work together.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
endif()

add_library(headroom_options INTERFACE)
target_include_directories(headroom_options INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(headroom_options INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wno-sign-conversion
                                                  -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(headroom_options INTERFACE -fpch-preprocess)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 takes "literal" + std::string for an overflow (GCC bug 105329); the sanitizers look for real ones.
    target_compile_options(headroom_options INTERFACE -Wno-stringop-overflow -Wno-restrict -Wno-array-bounds)
  endif()
endif()
if(HEADROOM_SANITIZE)
  target_compile_options(headroom_options INTERFACE -fsanitize=${HEADROOM_SANITIZE} -fno-sanitize-recover=all
                                                    -fno-omit-frame-pointer -g1)
  target_link_options(headroom_options INTERFACE -fsanitize=${HEADROOM_SANITIZE})
endif()
foreach(sanitizer address thread)
  if(HEADROOM_SANITIZE MATCHES ${sanitizer})
    string(TOUPPER HEADROOM_${sanitizer}_SANITIZER definition)
    target_compile_definitions(headroom_options INTERFACE ${definition})
  endif()
endforeach()
if(HEADROOM_SANITIZE MATCHES "address|leak")
  # Every program, the ones that tests start too.
  add_library(headroom_keep_libraries OBJECT ${CMAKE_CURRENT_LIST_DIR}/keep_libraries.cpp)
  set(is_program $<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>)
  target_sources(headroom_options INTERFACE $<${is_program}:$<TARGET_OBJECTS:headroom_keep_libraries>>)
endif()
# The code of tests (targets with the property headroom_is_test) is built to be built quickly: it is half of all lines,
# and Catch's macros take the optimiser and the sanitizer for undefined behaviour three times as long as all the rest.
# What the tests call is built as everywhere else, and the address sanitizer watches the tests too.
set(is_test $<BOOL:$<TARGET_PROPERTY:headroom_is_test>>)
if(HEADROOM_SANITIZE)
  target_compile_options(headroom_options INTERFACE $<${is_test}:-O0> $<${is_test}:-fno-sanitize=undefined>)
else()
  target_compile_options(headroom_options INTERFACE $<${is_test}:-O1>)
endif()
find_package(Threads REQUIRED)
target_link_libraries(headroom_options INTERFACE Threads::Threads)

# headroom_unity(TARGET): with HEADROOM_UNITY several files of a target are compiled as one, so that the headers and
# templates that they share are compiled once. Names that are local to a file must then differ within the batch.
function(headroom_unity target)
  if(HEADROOM_UNITY)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# headroom_folder(NAME [LIBRARIES …]): every .cpp of the current folder (and of the sub-folders named by FOLDERS)
# becomes the static library NAME.
function(headroom_folder name)
  cmake_parse_arguments(arg "" "" "LIBRARIES;FOLDERS" ${ARGN})
  set(patterns ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  foreach(folder ${arg_FOLDERS})
    list(APPEND patterns ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/*.cpp)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS ${patterns})
  add_library(${name} STATIC ${sources})
  headroom_unity(${name})
  target_link_libraries(${name} PUBLIC headroom_options ${arg_LIBRARIES})
  target_precompile_headers(${name} PRIVATE <algorithm> <array> <cmath> <cstdint> <cstring> <functional> <map> <memory>
                            <optional> <span> <string> <string_view> <vector>)
endfunction()
