// ImGui's draw lists ─► the images of a window's swap chain. Made anew with the window's size.
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

  /// Before NewFrame: the size in pixels of what will be drawn.
  void resize(int width, int height);
  /// False where the window system gave no image: the frame is lost, the next one should follow.
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
