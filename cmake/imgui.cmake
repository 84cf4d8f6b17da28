# The window's toolkit, built from the sources that fetch_imgui (cmake/setup.sh) unpacks and patches:
#   headroom_imgui              Dear ImGui (docking), ImPlot, imgui_rich_md with its code editor; no device, no network
#   headroom_imgui_vulkan       its backends for GLFW and Vulkan, GLFW (X11 and Wayland), volk
#   headroom_imgui_test_engine  imgui_test_engine, for the tests only
#   headroom_file_dialogs       portable-file-dialogs: one header
# There is one build of Dear ImGui for product and tests, with the hooks of the test engine: a product pays one test of a
# flag for each widget, and four empty functions.
if(IS_ABSOLUTE "$ENV{XDG_CACHE_HOME}")
  set(imgui_cache $ENV{XDG_CACHE_HOME})
else()
  set(imgui_cache $ENV{HOME}/.cache)
endif()
set(HEADROOM_IMGUI_BUNDLE ${imgui_cache}/headroom/imgui-bundle/imgui_bundle-1.93.0
    CACHE PATH "the sources of imgui-bundle 1.93.0 with cmake/imgui_rich_md_text_runs.patch")
if(NOT EXISTS ${HEADROOM_IMGUI_BUNDLE}/.patched)
  message(FATAL_ERROR "The window's toolkit is not in ${HEADROOM_IMGUI_BUNDLE}: ./run.sh fetches it "
                      "(or set HEADROOM_IMGUI_BUNDLE to where it is)")
endif()
set(imgui_external ${HEADROOM_IMGUI_BUNDLE}/external)
set(imgui_dir ${imgui_external}/imgui/imgui)
set(implot_dir ${imgui_external}/implot/implot)
set(rich_md_dir ${imgui_external}/imgui_rich_md/imgui_rich_md)
set(code_editor_dir ${imgui_external}/ImGuiColorTextEdit)
set(test_engine_dir ${imgui_external}/imgui_test_engine/imgui_test_engine)

enable_language(C)
set(CMAKE_C_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})

# Code of others: fast in every build, none of our warnings. The address and thread sanitizers watch it too, so that they
# see what is handed over; the one for undefined behaviour is for our code, and would double the time of this build.
function(headroom_foreign target)
  target_compile_options(${target} PRIVATE -w -O2)
  if(HEADROOM_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${HEADROOM_SANITIZE} -fno-sanitize=undefined
                                             -fno-omit-frame-pointer -g1)
  endif()
endfunction()

add_library(headroom_imgui STATIC
  ${imgui_dir}/imgui.cpp ${imgui_dir}/imgui_draw.cpp ${imgui_dir}/imgui_tables.cpp ${imgui_dir}/imgui_widgets.cpp
  ${imgui_dir}/imgui_stacklayout.cpp ${imgui_dir}/misc/cpp/imgui_stdlib.cpp ${CMAKE_CURRENT_LIST_DIR}/imgui_test_hooks.cpp
  ${implot_dir}/implot.cpp ${implot_dir}/implot_items.cpp
  ${code_editor_dir}/ImGuiColorTextEdit/TextEditor.cpp
  ${rich_md_dir}/external/md4c/src/md4c.c
  ${rich_md_dir}/imgui_rich_md/rich_md.cpp ${rich_md_dir}/imgui_rich_md/narrative_programming.cpp
  ${rich_md_dir}/imgui_rich_md/internal/rich_md_renderer.cpp ${rich_md_dir}/imgui_rich_md/internal/rich_md_search.cpp
  ${rich_md_dir}/imgui_rich_md/backends/code_editor/snippets.cpp
  ${rich_md_dir}/imgui_rich_md/third_party/stb_image_impl.cpp)
target_include_directories(headroom_imgui SYSTEM PUBLIC ${imgui_dir} ${imgui_dir}/misc/cpp ${implot_dir} ${rich_md_dir}
                                                        ${code_editor_dir})
target_include_directories(headroom_imgui PRIVATE ${rich_md_dir}/external/md4c/src)
# Neither LaTeX, Mermaid nor pictures from the network: a model's answer is text from a stranger.
target_compile_definitions(headroom_imgui PUBLIC IMGUI_USE_WCHAR32 IMGUI_ENABLE_TEST_ENGINE IMGUI_RICHMD_WITH_CODE_EDITOR
                                                 IMGUI_RICHMD_EMBED_ASSETS)
# The items of a plot are compiled once for each type; all of them take a minute.
set_source_files_properties(${implot_dir}/implot_items.cpp PROPERTIES
                            COMPILE_DEFINITIONS "IMPLOT_CUSTOM_NUMERIC_TYPES=(float)(double)(int)")
include(${rich_md_dir}/cmake/imgui_richmd_embed_files.cmake)
imgui_richmd_embed_files(headroom_imgui imgui_richmd_embedded_assets BASE_DIR ${rich_md_dir}/assets FILES
  fonts/Roboto/Roboto-Regular.ttf fonts/Roboto/Roboto-Bold.ttf fonts/Roboto/Roboto-RegularItalic.ttf
  fonts/Roboto/Roboto-BoldItalic.ttf fonts/Inconsolata-Medium.ttf images/markdown_broken_image.png)
headroom_foreign(headroom_imgui)

foreach(option GLFW_BUILD_DOCS GLFW_BUILD_EXAMPLES GLFW_BUILD_TESTS GLFW_INSTALL BUILD_SHARED_LIBS)
  set(${option} OFF)
endforeach()
set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
add_subdirectory(${imgui_external}/glfw/glfw ${CMAKE_BINARY_DIR}/glfw EXCLUDE_FROM_ALL)
headroom_foreign(glfw)
add_library(headroom_imgui_vulkan STATIC ${imgui_dir}/backends/imgui_impl_glfw.cpp
                                         ${imgui_dir}/backends/imgui_impl_vulkan.cpp)
target_include_directories(headroom_imgui_vulkan SYSTEM PUBLIC ${imgui_dir}/backends)
target_compile_definitions(headroom_imgui_vulkan PUBLIC IMGUI_IMPL_VULKAN_USE_VOLK GLFW_INCLUDE_NONE
                           GLFW_INCLUDE_VULKAN)
target_link_libraries(headroom_imgui_vulkan PUBLIC headroom_imgui headroom_volk glfw)
headroom_foreign(headroom_imgui_vulkan)

add_library(headroom_file_dialogs INTERFACE)
target_include_directories(headroom_file_dialogs SYSTEM INTERFACE
                           ${imgui_external}/portable_file_dialogs/portable_file_dialogs)

if(HEADROOM_TESTS)
  file(GLOB test_engine_sources ${test_engine_dir}/imgui_test_engine/*.cpp)
  list(FILTER test_engine_sources EXCLUDE REGEX "python_gil")
  add_library(headroom_imgui_test_engine STATIC EXCLUDE_FROM_ALL ${test_engine_sources})
  target_include_directories(headroom_imgui_test_engine SYSTEM PUBLIC ${test_engine_dir}
                                                                      ${test_engine_dir}/imgui_test_engine)
  target_compile_definitions(headroom_imgui_test_engine PUBLIC
    IMGUI_TEST_ENGINE_ENABLE_COROUTINE_STDTHREAD_IMPL=1 IMGUI_TEST_ENGINE_ENABLE_STD_FUNCTION=1
    IMGUI_TEST_ENGINE_ENABLE_CAPTURE=0)
  target_link_libraries(headroom_imgui_test_engine PUBLIC headroom_imgui)
  headroom_foreign(headroom_imgui_test_engine)
endif()
