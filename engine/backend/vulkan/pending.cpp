#include "engine/backend/vulkan/backend_state.h"

namespace headroom::vulkan {

[[noreturn]] static void missing() {
  throw Error(ErrorKind::unsupported, "this operation is missing");
}
void VulkanBackend::copy_page(PageId, PageId) {
  missing();
}
void VulkanBackend::assemble(const AssembleHead&) {
  missing();
}
void VulkanBackend::read_scores(HeadView, std::span<float>) {
  missing();
}
void VulkanBackend::read_rows(HeadView, std::span<const int32_t>, std::span<uint16_t>) {
  missing();
}
void VulkanBackend::begin_step(const DecodeStep&) {
  missing();
}
void VulkanBackend::attend_decode(int32_t, Matrix, Matrix, Matrix, float, Matrix) {
  missing();
}
void VulkanBackend::evict(int32_t) {
  missing();
}
StepReport VulkanBackend::end_step() {
  missing();
}

}  // namespace headroom::vulkan
