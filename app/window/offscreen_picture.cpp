// Draw lists ─► render pass into an image ─► copy into mapped memory.
#include "app/window/offscreen_picture.h"

#include <imgui.h>
#include <imgui_impl_vulkan.h>

#include <string>

#include "engine/base/error.h"

namespace headroom {
namespace {

constexpr VkFormat format = VK_FORMAT_R8G8B8A8_UNORM;

void check_offscreen_backend(VkResult result) {
  check_vulkan(result, "draw a picture");
}

}  // namespace

OffscreenPicture::OffscreenPicture(int width, int height) : device_({}, nullptr), width_(width), height_(height) {
  try {
    make_image();
    make_render_pass();
    make_buffer();
    install_backend();
  } catch (...) {
    destroy();
    throw;
  }
}

OffscreenPicture::~OffscreenPicture() {
  destroy();
}

void OffscreenPicture::destroy() {
  VkDevice device = device_.device;
  vkDeviceWaitIdle(device);
  if (has_backend_) ImGui_ImplVulkan_Shutdown();
  vkDestroyCommandPool(device, pool_, nullptr);
  vkDestroyBuffer(device, buffer_, nullptr);
  vkFreeMemory(device, buffer_memory_, nullptr);
  vkDestroyFramebuffer(device, framebuffer_, nullptr);
  vkDestroyRenderPass(device, pass_, nullptr);
  vkDestroyImageView(device, view_, nullptr);
  vkDestroyImage(device, image_, nullptr);
  vkFreeMemory(device, image_memory_, nullptr);
}

void OffscreenPicture::make_image() {
  VkPhysicalDeviceProperties properties;
  vkGetPhysicalDeviceProperties(device_.physical_device, &properties);
  const auto limit = static_cast<int>(properties.limits.maxImageDimension2D);
  if (width_ < 1 || height_ < 1 || width_ > limit || height_ > limit) {
    throw Error("found a picture of " + std::to_string(width_) + "x" + std::to_string(height_) +
                " pixels, expected 1 to " + std::to_string(limit) + " each way on " + device_.name);
  }
  VkImageCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO;
  info.imageType = VK_IMAGE_TYPE_2D;
  info.format = format;
  info.extent = {static_cast<uint32_t>(width_), static_cast<uint32_t>(height_), 1};
  info.mipLevels = info.arrayLayers = 1;
  info.samples = VK_SAMPLE_COUNT_1_BIT;
  info.tiling = VK_IMAGE_TILING_OPTIMAL;
  info.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_TRANSFER_SRC_BIT;
  check_vulkan(vkCreateImage(device_.device, &info, nullptr, &image_), "make a picture");
  VkMemoryRequirements needs;
  vkGetImageMemoryRequirements(device_.device, image_, &needs);
  VkMemoryAllocateInfo memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  memory.allocationSize = needs.size;
  memory.memoryTypeIndex = device_.memory_type(needs.memoryTypeBits, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT);
  check_vulkan(vkAllocateMemory(device_.device, &memory, nullptr, &image_memory_), "find memory for a picture");
  check_vulkan(vkBindImageMemory(device_.device, image_, image_memory_, 0), "find memory for a picture");
  VkImageViewCreateInfo view = {};
  view.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO;
  view.image = image_;
  view.viewType = VK_IMAGE_VIEW_TYPE_2D;
  view.format = format;
  view.subresourceRange = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 1, 0, 1};
  check_vulkan(vkCreateImageView(device_.device, &view, nullptr, &view_), "make a picture");
}

void OffscreenPicture::make_render_pass() {
  VkAttachmentDescription attachment = {};
  attachment.format = format;
  attachment.samples = VK_SAMPLE_COUNT_1_BIT;
  attachment.loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
  attachment.storeOp = VK_ATTACHMENT_STORE_OP_STORE;
  attachment.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE;
  attachment.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
  attachment.initialLayout = VK_IMAGE_LAYOUT_UNDEFINED;
  attachment.finalLayout = VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL;
  const VkAttachmentReference reference = {0, VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL};
  VkSubpassDescription subpass = {};
  subpass.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS;
  subpass.colorAttachmentCount = 1;
  subpass.pColorAttachments = &reference;
  // The copy must see what the render pass wrote.
  VkSubpassDependency before_copy = {};
  before_copy.srcSubpass = 0;
  before_copy.dstSubpass = VK_SUBPASS_EXTERNAL;
  before_copy.srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT;
  before_copy.dstStageMask = VK_PIPELINE_STAGE_TRANSFER_BIT;
  before_copy.srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT;
  before_copy.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT;
  VkRenderPassCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO;
  info.attachmentCount = info.subpassCount = info.dependencyCount = 1;
  info.pAttachments = &attachment;
  info.pSubpasses = &subpass;
  info.pDependencies = &before_copy;
  check_vulkan(vkCreateRenderPass(device_.device, &info, nullptr, &pass_), "make a render pass");
  VkFramebufferCreateInfo framebuffer = {};
  framebuffer.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO;
  framebuffer.renderPass = pass_;
  framebuffer.attachmentCount = framebuffer.layers = 1;
  framebuffer.pAttachments = &view_;
  framebuffer.width = static_cast<uint32_t>(width_);
  framebuffer.height = static_cast<uint32_t>(height_);
  check_vulkan(vkCreateFramebuffer(device_.device, &framebuffer, nullptr, &framebuffer_), "make a frame buffer");
}

void OffscreenPicture::make_buffer() {
  VkBufferCreateInfo info = {};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.size = VkDeviceSize{4} * static_cast<uint32_t>(width_) * static_cast<uint32_t>(height_);
  info.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT;
  check_vulkan(vkCreateBuffer(device_.device, &info, nullptr, &buffer_), "make a buffer for a picture");
  VkMemoryRequirements needs;
  vkGetBufferMemoryRequirements(device_.device, buffer_, &needs);
  VkMemoryAllocateInfo memory = {};
  memory.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  memory.allocationSize = needs.size;
  memory.memoryTypeIndex = device_.memory_type(
      needs.memoryTypeBits, VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT);
  check_vulkan(vkAllocateMemory(device_.device, &memory, nullptr, &buffer_memory_), "find memory for a picture");
  check_vulkan(vkBindBufferMemory(device_.device, buffer_, buffer_memory_, 0), "find memory for a picture");
  void* mapped = nullptr;
  check_vulkan(vkMapMemory(device_.device, buffer_memory_, 0, VK_WHOLE_SIZE, 0, &mapped), "map a picture");
  pixels_ = static_cast<const uint8_t*>(mapped);
  VkCommandPoolCreateInfo pool = {};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = device_.queue_family;
  check_vulkan(vkCreateCommandPool(device_.device, &pool, nullptr, &pool_), "make a command pool");
  VkCommandBufferAllocateInfo commands = {};
  commands.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  commands.commandPool = pool_;
  commands.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  commands.commandBufferCount = 1;
  check_vulkan(vkAllocateCommandBuffers(device_.device, &commands, &commands_), "make a command buffer");
}

void OffscreenPicture::install_backend() {
  ImGui_ImplVulkan_InitInfo info = {};
  info.ApiVersion = VK_API_VERSION_1_0;
  info.Instance = device_.instance;
  info.PhysicalDevice = device_.physical_device;
  info.Device = device_.device;
  info.QueueFamily = device_.queue_family;
  info.Queue = device_.queue;
  info.DescriptorPoolSize = 64;
  info.MinImageCount = info.ImageCount = 2;
  info.PipelineInfoMain.RenderPass = pass_;
  info.CheckVkResultFn = check_offscreen_backend;
  has_backend_ = ImGui_ImplVulkan_Init(&info);
}

void OffscreenPicture::record(ImDrawData* frame) {
  VkCommandBufferBeginInfo begin = {};
  begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
  begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
  check_vulkan(vkResetCommandPool(device_.device, pool_, 0), "draw a picture");
  check_vulkan(vkBeginCommandBuffer(commands_, &begin), "draw a picture");
  const ImVec4 ground = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  VkClearValue clear = {};
  clear.color = {{ground.x, ground.y, ground.z, 1.0f}};
  VkRenderPassBeginInfo pass = {};
  pass.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO;
  pass.renderPass = pass_;
  pass.framebuffer = framebuffer_;
  pass.renderArea.extent = {static_cast<uint32_t>(width_), static_cast<uint32_t>(height_)};
  pass.clearValueCount = 1;
  pass.pClearValues = &clear;
  vkCmdBeginRenderPass(commands_, &pass, VK_SUBPASS_CONTENTS_INLINE);
  ImGui_ImplVulkan_RenderDrawData(frame, commands_);
  vkCmdEndRenderPass(commands_);
  VkBufferImageCopy copy = {};
  copy.imageSubresource = {VK_IMAGE_ASPECT_COLOR_BIT, 0, 0, 1};
  copy.imageExtent = {static_cast<uint32_t>(width_), static_cast<uint32_t>(height_), 1};
  vkCmdCopyImageToBuffer(commands_, image_, VK_IMAGE_LAYOUT_TRANSFER_SRC_OPTIMAL, buffer_, 1, &copy);
  VkMemoryBarrier to_host = {};
  to_host.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
  to_host.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
  to_host.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
  vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &to_host, 0,
                       nullptr, 0, nullptr);
  check_vulkan(vkEndCommandBuffer(commands_), "draw a picture");
}

void OffscreenPicture::draw(ImDrawData* frame) {
  record(frame);
  VkSubmitInfo submit = {};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
  submit.commandBufferCount = 1;
  submit.pCommandBuffers = &commands_;
  check_vulkan(vkQueueSubmit(device_.queue, 1, &submit, VK_NULL_HANDLE), "draw a picture");
  check_vulkan(vkQueueWaitIdle(device_.queue), "draw a picture");
}

std::vector<uint8_t> OffscreenPicture::read_rgba() const {
  std::vector<uint8_t> rgba(pixels_, pixels_ + size_t{4} * static_cast<size_t>(width_) * static_cast<size_t>(height_));
  for (size_t i = 3; i < rgba.size(); i += 4) rgba[i] = 255;
  return rgba;
}

}  // namespace headroom
