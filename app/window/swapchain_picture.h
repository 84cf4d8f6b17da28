// ImGui's draw lists ─► the images of a window's swap chain. The swap chain is rebuilt when the window's size changes.
#pragma once

#include <imgui.h>
#include <imgui_impl_vulkan.h>

#include "app/window/vulkan_device.h"

namespace headroom {

class SwapchainPicture {
 public:
  /// Installs ImGui's Vulkan backend in the current context. Throws Error(device).
  SwapchainPicture(const VulkanDevice& device, int width, int height);
  ~SwapchainPicture();
  SwapchainPicture(const SwapchainPicture&) = delete;
  SwapchainPicture& operator=(const SwapchainPicture&) = delete;

  /// Call it before NewFrame, with the size of the next frame in pixels.
  void resize(int width, int height);
  /// False if the window system gave no image. The frame is lost, so the caller should draw another one soon.
  bool draw(ImDrawData* frame);

 private:
  void make_swapchain(int width, int height);
  bool next_image();
  void record_and_submit(ImDrawData* frame);

  const VulkanDevice& device_;
  ImGui_ImplVulkanH_Window window_;
  bool is_stale_ = false;
};

}  // namespace headroom
