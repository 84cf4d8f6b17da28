// Draw lists ─► swap chain, with the helpers of ImGui's Vulkan backend.
#include "app/window/swapchain_picture.h"

namespace headroom {
namespace {

constexpr uint32_t min_images = 2;

void check_window_backend(VkResult result) {
  check_vulkan(result, "draw into the window");
}

}  // namespace

SwapchainPicture::SwapchainPicture(const VulkanDevice& device, int width, int height) : device_(device) {
  constexpr VkFormat formats[] = {VK_FORMAT_B8G8R8A8_UNORM, VK_FORMAT_R8G8B8A8_UNORM};
  // Prefers mailbox: with FIFO, a hidden Wayland window never returns an image. The host limits the frame rate itself.
  constexpr VkPresentModeKHR modes[] = {VK_PRESENT_MODE_MAILBOX_KHR, VK_PRESENT_MODE_FIFO_KHR};
  window_.Surface = device.surface;
  window_.SurfaceFormat = ImGui_ImplVulkanH_SelectSurfaceFormat(device.physical_device, device.surface, formats, 2,
                                                                VK_COLOR_SPACE_SRGB_NONLINEAR_KHR);
  window_.PresentMode = ImGui_ImplVulkanH_SelectPresentMode(device.physical_device, device.surface, modes, 2);
  make_swapchain(width, height);
  ImGui_ImplVulkan_InitInfo info = {};
  info.ApiVersion = VK_API_VERSION_1_0;
  info.Instance = device.instance;
  info.PhysicalDevice = device.physical_device;
  info.Device = device.device;
  info.QueueFamily = device.queue_family;
  info.Queue = device.queue;
  info.DescriptorPoolSize = 64;
  info.MinImageCount = min_images;
  info.ImageCount = window_.ImageCount;
  info.PipelineInfoMain.RenderPass = window_.RenderPass;
  info.CheckVkResultFn = check_window_backend;
  ImGui_ImplVulkan_Init(&info);
}

SwapchainPicture::~SwapchainPicture() {
  vkDeviceWaitIdle(device_.device);
  ImGui_ImplVulkan_Shutdown();
  ImGui_ImplVulkanH_DestroyWindow(device_.instance, device_.device, &window_, nullptr);
}

void SwapchainPicture::make_swapchain(int width, int height) {
  ImGui_ImplVulkanH_CreateOrResizeWindow(device_.instance, device_.physical_device, device_.device, &window_,
                                         device_.queue_family, nullptr, width, height, min_images, 0);
  is_stale_ = false;
}

void SwapchainPicture::resize(int width, int height) {
  if (width <= 0 || height <= 0 || (!is_stale_ && width == window_.Width && height == window_.Height)) return;
  check_vulkan(vkDeviceWaitIdle(device_.device), "change the size of the window");
  ImGui_ImplVulkan_SetMinImageCount(min_images);
  make_swapchain(width, height);
}

bool SwapchainPicture::next_image() {
  constexpr uint64_t patience_ns = 200'000'000;
  const VkSemaphore acquired = window_.FrameSemaphores[static_cast<int>(window_.SemaphoreIndex)].ImageAcquiredSemaphore;
  const VkResult result = vkAcquireNextImageKHR(device_.device, window_.Swapchain, patience_ns, acquired,
                                                VK_NULL_HANDLE, &window_.FrameIndex);
  is_stale_ = is_stale_ || result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR;
  if (result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_TIMEOUT || result == VK_NOT_READY) return false;
  check_vulkan(result, "get an image of the window");
  return true;
}

void SwapchainPicture::record_and_submit(ImDrawData* frame) {
  const ImGui_ImplVulkanH_Frame& image = window_.Frames[static_cast<int>(window_.FrameIndex)];
  const auto& semaphores = window_.FrameSemaphores[static_cast<int>(window_.SemaphoreIndex)];
  check_vulkan(vkWaitForFences(device_.device, 1, &image.Fence, VK_TRUE, UINT64_MAX), "wait for a frame");
  check_vulkan(vkResetFences(device_.device, 1, &image.Fence), "wait for a frame");
  check_vulkan(vkResetCommandPool(device_.device, image.CommandPool, 0), "draw a frame");
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check_vulkan(vkBeginCommandBuffer(image.CommandBuffer, &begin), "draw a frame");
  const ImVec4 ground = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  VkClearValue clear = {};
  clear.color = {{ground.x, ground.y, ground.z, 1.0f}};
  VkRenderPassBeginInfo pass = {};
  pass.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO;
  pass.renderPass = window_.RenderPass;
  pass.framebuffer = image.Framebuffer;
  pass.renderArea.extent = {static_cast<uint32_t>(window_.Width), static_cast<uint32_t>(window_.Height)};
  pass.clearValueCount = 1;
  pass.pClearValues = &clear;
  vkCmdBeginRenderPass(image.CommandBuffer, &pass, VK_SUBPASS_CONTENTS_INLINE);
  ImGui_ImplVulkan_RenderDrawData(frame, image.CommandBuffer);
  vkCmdEndRenderPass(image.CommandBuffer);
  check_vulkan(vkEndCommandBuffer(image.CommandBuffer), "draw a frame");
  const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.waitSemaphoreCount = submit.commandBufferCount = submit.signalSemaphoreCount = 1;
  submit.pWaitSemaphores = &semaphores.ImageAcquiredSemaphore;
  submit.pWaitDstStageMask = &stage;
  submit.pCommandBuffers = &image.CommandBuffer;
  submit.pSignalSemaphores = &semaphores.RenderCompleteSemaphore;
  check_vulkan(vkQueueSubmit(device_.queue, 1, &submit, image.Fence), "draw a frame");
}

bool SwapchainPicture::draw(ImDrawData* frame) {
  if (!next_image()) return false;
  record_and_submit(frame);
  VkPresentInfoKHR present = {};
  present.sType = VK_STRUCTURE_TYPE_PRESENT_INFO_KHR;
  present.waitSemaphoreCount = present.swapchainCount = 1;
  present.pWaitSemaphores = &window_.FrameSemaphores[static_cast<int>(window_.SemaphoreIndex)].RenderCompleteSemaphore;
  present.pSwapchains = &window_.Swapchain;
  present.pImageIndices = &window_.FrameIndex;
  const VkResult result = vkQueuePresentKHR(device_.queue, &present);
  window_.SemaphoreIndex = (window_.SemaphoreIndex + 1) % window_.SemaphoreCount;
  is_stale_ = is_stale_ || result == VK_ERROR_OUT_OF_DATE_KHR || result == VK_SUBOPTIMAL_KHR;
  if (result != VK_ERROR_OUT_OF_DATE_KHR) check_vulkan(result, "show a frame");
  return !is_stale_;
}

}  // namespace headroom
