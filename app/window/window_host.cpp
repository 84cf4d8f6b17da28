// GLFW's events ─► client and ImGui ─► frames on a Vulkan device.
#include "app/window/window_host.h"

#include <GLFW/glfw3.h>
#include <imgui.h>
#include <imgui_impl_glfw.h>
#include <imgui_internal.h>
#include <volk.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "app/window/redraw_schedule.h"
#include "app/window/swapchain_picture.h"
#include "app/window/toolkit.h"
#include "app/window/vulkan_device.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

/// Guards glfw_is_up: another thread may call wake_window() while GLFW ends.
std::mutex glfw_mutex;
bool glfw_is_up = false;

std::string glfw_reason() {
  const char* text = nullptr;
  glfwGetError(&text);
  return text != nullptr ? text : "no reason given";
}

/// Window pixels per pixel of a standard display; 1 if the window system scales the picture itself.
float display_scale(GLFWwindow* window) {
  if (glfwGetPlatform() == GLFW_PLATFORM_WAYLAND) return 1.0f;
  float scale = 1.0f, vertical = 1.0f;
  glfwGetWindowContentScale(window, &scale, &vertical);
  return scale > 0 ? scale : 1.0f;
}

class Glfw {
 public:
  Glfw() {
    if (volkInitialize() != VK_SUCCESS) {
      throw Error(ErrorKind::device, "found no Vulkan loader (libvulkan.so.1), expected one to draw the window with");
    }
    glfwInitVulkanLoader(vkGetInstanceProcAddr);
    if (glfwInit() != GLFW_TRUE)
      throw Error(ErrorKind::device, "found no display to open a window on: " + glfw_reason());
    const std::lock_guard lock(glfw_mutex);
    glfw_is_up = true;
  }
  ~Glfw() {
    const std::lock_guard lock(glfw_mutex);
    glfw_is_up = false;
    glfwTerminate();
  }
  Glfw(const Glfw&) = delete;
  Glfw& operator=(const Glfw&) = delete;
};

class Window {
 public:
  Window(WindowClient& client, const WindowOptions& options);
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  void run();
  const VulkanDevice& device() const { return *device_; }
  /// In the units of WindowOptions. Some window systems report physical pixels on a scaled display.
  int width() const { return unscaled(width_); }
  int height() const { return unscaled(height_); }

 private:
  void open(const WindowOptions& options);
  void fit_to_monitor();
  void install_callbacks();
  void update_title();
  bool is_drawable() const;
  void draw_frame();
  int unscaled(int size) const {
    return static_cast<int>(std::lround(static_cast<float>(size) / display_scale(window_)));
  }
  static Window& of(GLFWwindow* window) { return *static_cast<Window*>(glfwGetWindowUserPointer(window)); }
  static void note_input(GLFWwindow* window) { of(window).schedule_->input(glfwGetTime()); }

  WindowClient& client_;
  Glfw glfw_;
  GLFWwindow* window_ = nullptr;
  int width_ = 0, height_ = 0;
  std::string title_;
  std::optional<VulkanDevice> device_;
  std::optional<RedrawSchedule> schedule_;
  std::optional<Toolkit> toolkit_;
  bool has_input_ = false;
  std::optional<SwapchainPicture> picture_;
};

Window::Window(WindowClient& client, const WindowOptions& options) : client_(client) {
  open(options);
  uint32_t count = 0;
  const char* const* extensions = glfwGetRequiredInstanceExtensions(&count);
  if (extensions == nullptr) {
    throw Error(ErrorKind::device, "no Vulkan driver here can draw into a window: " + glfw_reason());
  }
  device_.emplace(std::vector<const char*>(extensions, extensions + count), [this](VkInstance instance) {
    VkSurfaceKHR surface = VK_NULL_HANDLE;
    check_vulkan(glfwCreateWindowSurface(instance, window_, nullptr, &surface), "draw into a window of this display");
    return surface;
  });
  schedule_.emplace(device_->is_software);
  toolkit_.emplace(display_scale(window_), /*follows_links=*/true);
  install_callbacks();
  has_input_ = ImGui_ImplGlfw_InitForVulkan(window_, true);
  int pixels_wide = 0, pixels_high = 0;
  glfwGetFramebufferSize(window_, &pixels_wide, &pixels_high);
  picture_.emplace(*device_, pixels_wide, pixels_high);
}

Window::~Window() {
  // Destroys in order: ImGui's backends and the surface need the window, and the window needs GLFW.
  if (toolkit_) toolkit_->before_renderer_ends();
  picture_.reset();
  if (has_input_) ImGui_ImplGlfw_Shutdown();
  toolkit_.reset();
  device_.reset();
  if (window_ != nullptr) glfwDestroyWindow(window_);
}

void Window::open(const WindowOptions& options) {
  glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
  glfwWindowHint(GLFW_SCALE_TO_MONITOR, GLFW_TRUE);
  glfwWindowHintString(GLFW_X11_CLASS_NAME, "headroom");  // must match headroom.desktop
  glfwWindowHintString(GLFW_X11_INSTANCE_NAME, "headroom");
  glfwWindowHintString(GLFW_WAYLAND_APP_ID, "headroom");
  glfwWindowHint(GLFW_VISIBLE, GLFW_FALSE);  // hidden until its size fits the monitor
  title_ = client_.title();
  window_ =
      glfwCreateWindow(std::max(options.width, 480), std::max(options.height, 320), title_.c_str(), nullptr, nullptr);
  if (window_ == nullptr) throw Error(ErrorKind::device, "the display opened no window: " + glfw_reason());
  fit_to_monitor();
  glfwShowWindow(window_);
  glfwGetWindowSize(window_, &width_, &height_);
}

/// Shrinks the window to the monitor, since there may be no window manager that does it. On Wayland the compositor
/// decides.
void Window::fit_to_monitor() {
  GLFWmonitor* monitor = glfwGetPrimaryMonitor();
  if (monitor == nullptr || glfwGetPlatform() == GLFW_PLATFORM_WAYLAND) return;
  WindowPlace area;
  glfwGetMonitorWorkarea(monitor, &area.x, &area.y, &area.width, &area.height);
  int width = 0, height = 0, left = 0, top = 0, right = 0, bottom = 0;
  glfwGetWindowSize(window_, &width, &height);
  glfwGetWindowFrameSize(window_, &left, &top, &right, &bottom);
  if (area.width <= 0 || area.height <= 0) return;
  const WindowPlace place = place_within(area, width, height, left + right, top + bottom);
  if (place.width == width && place.height == height) return;
  glfwSetWindowSize(window_, place.width, place.height);
  glfwSetWindowPos(window_, place.x + left, place.y + top);
}

void Window::install_callbacks() {
  // Install these before ImGui's callbacks, which call them first.
  glfwSetWindowUserPointer(window_, this);
  glfwSetCursorPosCallback(window_, [](GLFWwindow* w, double, double) { note_input(w); });
  glfwSetCursorEnterCallback(window_, [](GLFWwindow* w, int) { note_input(w); });
  glfwSetMouseButtonCallback(window_, [](GLFWwindow* w, int, int, int) { note_input(w); });
  glfwSetScrollCallback(window_, [](GLFWwindow* w, double, double) { note_input(w); });
  glfwSetKeyCallback(window_, [](GLFWwindow* w, int, int, int, int) { note_input(w); });
  glfwSetCharCallback(window_, [](GLFWwindow* w, unsigned int) { note_input(w); });
  glfwSetWindowFocusCallback(window_, [](GLFWwindow* w, int) { note_input(w); });
  glfwSetWindowRefreshCallback(window_, [](GLFWwindow* w) { note_input(w); });
  glfwSetFramebufferSizeCallback(window_, [](GLFWwindow* w, int, int) { note_input(w); });
  glfwSetWindowIconifyCallback(window_, [](GLFWwindow* w, int) { note_input(w); });
  glfwSetWindowSizeCallback(window_, [](GLFWwindow* w, int width, int height) {
    Window& self = of(w);
    if (width > 0 && height > 0) self.width_ = width, self.height_ = height;
  });
  glfwSetWindowContentScaleCallback(window_, [](GLFWwindow* w, float, float) {
    ImGui::GetStyle().FontScaleDpi = display_scale(w);
    note_input(w);
  });
  glfwSetDropCallback(window_, [](GLFWwindow* w, int count, const char** paths) {
    of(w).client_.files_dropped(std::vector<std::string>(paths, paths + count));
    note_input(w);
  });
}

void Window::update_title() {
  std::string title = client_.title();
  if (title == title_) return;
  title_ = std::move(title);
  glfwSetWindowTitle(window_, title_.c_str());
}

bool Window::is_drawable() const {
  int pixels_wide = 0, pixels_high = 0;
  glfwGetFramebufferSize(window_, &pixels_wide, &pixels_high);
  return pixels_wide > 0 && pixels_high > 0 && glfwGetWindowAttrib(window_, GLFW_ICONIFIED) == GLFW_FALSE;
}

void Window::draw_frame() {
  int pixels_wide = 0, pixels_high = 0;
  glfwGetFramebufferSize(window_, &pixels_wide, &pixels_high);
  picture_->resize(pixels_wide, pixels_high);
  ImGui_ImplVulkan_NewFrame();
  ImGui_ImplGlfw_NewFrame();
  ImGui::NewFrame();
  client_.draw_frame();
  ImGui::Render();
  if (!picture_->draw(ImGui::GetDrawData())) schedule_->request(Redraw::soon, glfwGetTime());
}

void Window::run() {
  schedule_->input(glfwGetTime());
  while (glfwWindowShouldClose(window_) == GLFW_FALSE && !client_.wants_to_quit()) {
    glfwWaitEventsTimeout(schedule_->wait_s(glfwGetTime()));
    schedule_->request(client_.poll(), glfwGetTime());
    update_title();
    // A frame that is due while the window is minimised is skipped; restoring the window requests a new one.
    if (schedule_->take(glfwGetTime()) && is_drawable()) {
      const double start = glfwGetTime();
      draw_frame();
      schedule_->drawn(glfwGetTime() - start);
    }
    // Dear ImGui handles one key or button per frame, so the remaining input events need further frames.
    if (!ImGui::GetCurrentContext()->InputEventsQueue.empty()) schedule_->request(Redraw::now, glfwGetTime());
    // A held mouse button can drag or scroll without new events.
    if (ImGui::IsAnyMouseDown()) schedule_->request(Redraw::now, glfwGetTime());
  }
}

}  // namespace

WindowPlace place_within(const WindowPlace& work_area, int width, int height, int frame_width, int frame_height) {
  WindowPlace place;
  place.width = std::min(width, std::max(1, work_area.width - frame_width));
  place.height = std::min(height, std::max(1, work_area.height - frame_height));
  place.x = work_area.x + (work_area.width - frame_width - place.width) / 2;
  place.y = work_area.y + (work_area.height - frame_height - place.height) / 2;
  return place;
}

WindowResult run_window(WindowClient& client, const WindowOptions& options,
                        const std::function<void(const std::string& device, bool is_software)>& opened) {
  WindowResult result;
  std::unique_ptr<Window> window;
  try {
    window = std::make_unique<Window>(client, options);
    result.was_open = true;
    if (opened) opened(window->device().name, window->device().is_software);
    window->run();
  } catch (const Error& error) {
    result.problem = error.what();
  }
  if (result.was_open) {
    result.width = window->width();
    result.height = window->height();
    client.closing();
  }
  return result;
}

void copy_to_clipboard(const std::string& text) {
  ImGui::SetClipboardText(text.c_str());
}

void wake_window() {
  const std::lock_guard lock(glfw_mutex);
  if (glfw_is_up) glfwPostEmptyEvent();
}

}  // namespace headroom
