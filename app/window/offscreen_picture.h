// ImGui's draw lists ─► an image on a Vulkan device ─► bytes. Draws one frame at a time and waits for it.
#pragma once

#include <cstdint>
#include <vector>

#include "app/window/vulkan_device.h"

struct ImDrawData;

namespace headroom {

class OffscreenPicture {
 public:
  /// Installs ImGui's Vulkan backend in the current context. Throws Error(device).
  OffscreenPicture(int width, int height);
  ~OffscreenPicture();
  OffscreenPicture(const OffscreenPicture&) = delete;
  OffscreenPicture& operator=(const OffscreenPicture&) = delete;

  void draw(ImDrawData* frame);
  std::vector<uint8_t> read_rgba() const;  // (height, width, 4)
  const VulkanDevice& device() const { return device_; }

 private:
  void make_image();
  void make_render_pass();
  void make_buffer();
  void install_backend();
  void record(ImDrawData* frame);
  void destroy();

  VulkanDevice device_;
  int width_, height_;
  bool has_backend_ = false;
  VkImage image_ = VK_NULL_HANDLE;
  VkDeviceMemory image_memory_ = VK_NULL_HANDLE;
  VkImageView view_ = VK_NULL_HANDLE;
  VkRenderPass pass_ = VK_NULL_HANDLE;
  VkFramebuffer framebuffer_ = VK_NULL_HANDLE;
  VkBuffer buffer_ = VK_NULL_HANDLE;
  VkDeviceMemory buffer_memory_ = VK_NULL_HANDLE;
  const uint8_t* pixels_ = nullptr;  // of the buffer, mapped
  VkCommandPool pool_ = VK_NULL_HANDLE;
  VkCommandBuffer commands_ = VK_NULL_HANDLE;
};

}  // namespace headroom
