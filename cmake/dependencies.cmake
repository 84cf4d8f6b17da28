# Every library that is not ours: name, version seen, source, licence, why. All from Debian packages.
find_package(PkgConfig REQUIRED)

# Highway 1.0.3 · libhwy-dev · Apache-2.0 · one source for SSE4 to AVX-512 and NEON, chosen at run time
pkg_check_modules(hwy REQUIRED IMPORTED_TARGET libhwy)
# PCRE2 10.42 · libpcre2-dev · BSD-3-Clause · the pre-tokenisers' regular expressions with Unicode properties
pkg_check_modules(pcre2 REQUIRED IMPORTED_TARGET libpcre2-8)
# utf8proc 2.8 · libutf8proc-dev · MIT · general categories of characters
pkg_check_modules(utf8proc REQUIRED IMPORTED_TARGET libutf8proc)
# sentencepiece 0.1.97 · libsentencepiece-dev · Apache-2.0 · SentencePiece vocabularies (BPE, unigram)
pkg_check_modules(sentencepiece REQUIRED IMPORTED_TARGET sentencepiece)
# libedit 3.1 · libedit-dev · BSD-3-Clause · line editing and history of the chat in the terminal
pkg_check_modules(libedit REQUIRED IMPORTED_TARGET libedit)
# xxHash 0.8 · libxxhash-dev · BSD-2-Clause · tells models and texts apart
pkg_check_modules(xxhash REQUIRED IMPORTED_TARGET libxxhash)
# nlohmann-json 3.11 · nlohmann-json3-dev · MIT · --json
find_package(nlohmann_json 3.11 REQUIRED)
# SQLite 3.40 · libsqlite3-dev · public domain · chats
pkg_check_modules(sqlite3 REQUIRED IMPORTED_TARGET sqlite3)
# CLI11 2.1 · libcli11-dev · BSD-3-Clause · the command line
find_package(CLI11 2.1 REQUIRED)
# FlatBuffers 2.0 · libflatbuffers-dev, flatbuffers-compiler · Apache-2.0 · the stream between engine and window
find_program(FLATC flatc REQUIRED)
find_path(FLATBUFFERS_INCLUDE flatbuffers/flatbuffers.h REQUIRED)
# zlib 1.2 · zlib1g-dev · Zlib · CRC-32 of a trace's events
find_package(ZLIB REQUIRED)
# volk 1.3.239 · libvulkan-volk-dev, libvulkan-dev (headers) · MIT, Apache-2.0 · opens Vulkan's loader at run time
find_path(VOLK_INCLUDE volk.c REQUIRED)
add_library(headroom_volk STATIC ${VOLK_INCLUDE}/volk.c)
target_include_directories(headroom_volk SYSTEM PUBLIC ${VOLK_INCLUDE})
target_compile_definitions(headroom_volk PUBLIC VK_NO_PROTOTYPES)
target_link_libraries(headroom_volk PUBLIC ${CMAKE_DL_LIBS})
# glslang 12.0 · glslang-tools · BSD-3-Clause and others · compute shaders, at build time
find_program(GLSLANG glslangValidator REQUIRED)
# imgui-bundle 1.93.0 · its source package, by fetch_imgui in setup.sh, SHA-256 10ad1dab8258a6787b4f07bb926b08d0efc648a7
# 906242568c8dd778c5e719bf · MIT, Zlib (GLFW) and others, see THIRD_PARTY.md · window, widgets, plots, Markdown, UI tests
if(HEADROOM_WINDOW)
  include(imgui)
  # libpng 1.6 · libpng-dev · libpng-2.0 · pictures of the window
  find_package(PNG REQUIRED)
endif()
if(HEADROOM_TESTS)
  # Catch2 2.13 · catch2 · BSL-1.0 · tests
  find_package(Catch2 2.13 REQUIRED)
endif()
