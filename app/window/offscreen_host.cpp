// Client ─► frames ─► picture, without a display.
#include "app/window/offscreen_host.h"

#include <imgui.h>
#include <imgui_impl_vulkan.h>
#include <png.h>

#include <cassert>
#include <optional>

#include "app/window/offscreen_picture.h"
#include "app/window/toolkit.h"
#include "engine/base/error.h"

namespace headroom {

struct OffscreenHost::Impl {
  int width, height;
  Toolkit toolkit;
  std::optional<OffscreenPicture> picture;

  Impl(int w, int h, float scale) : width(w), height(h), toolkit(scale, /*follows_links=*/false) {}
  ~Impl() {
    toolkit.before_renderer_ends();
    if (picture) {
      picture.reset();
    } else {
      take_textures();
    }
  }

  /// Confirms texture requests in place of a renderer: created or destroyed, without pixels.
  static void take_textures() {
    for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
      if (texture->Status == ImTextureStatus_WantDestroy) {
        texture->SetTexID(ImTextureID_Invalid);
        texture->SetStatus(ImTextureStatus_Destroyed);
      } else if (texture->Status != ImTextureStatus_Destroyed) {
        texture->SetTexID(1);
        texture->SetStatus(ImTextureStatus_OK);
      }
    }
  }
};

OffscreenHost::OffscreenHost(int width, int height, float scale, Rasterize rasterize)
    : impl_(std::make_unique<Impl>(width, height, scale)) {
  ImGuiIO& io = ImGui::GetIO();
  io.DisplaySize = ImVec2(static_cast<float>(width), static_cast<float>(height));
  io.DeltaTime = 1.0f / 60.0f;
  if (rasterize == Rasterize::yes) {
    impl_->picture.emplace(width, height);
  } else {
    io.BackendFlags |= ImGuiBackendFlags_RendererHasTextures | ImGuiBackendFlags_RendererHasVtxOffset;
  }
}

OffscreenHost::~OffscreenHost() = default;

void OffscreenHost::frame(WindowClient& client) {
  impl_->toolkit.make_current();
  client.poll();
  if (impl_->picture) ImGui_ImplVulkan_NewFrame();
  ImGui::NewFrame();
  client.draw_frame();
  ImGui::Render();
  if (impl_->picture) {
    impl_->picture->draw(ImGui::GetDrawData());
  } else {
    Impl::take_textures();
  }
}

std::vector<uint8_t> OffscreenHost::read_rgba() const {
  assert(impl_->picture);
  return impl_->picture->read_rgba();
}

int OffscreenHost::width() const {
  return impl_->width;
}
int OffscreenHost::height() const {
  return impl_->height;
}
std::string OffscreenHost::device_name() const {
  return impl_->picture ? impl_->picture->device().name : "";
}

void write_png(const std::string& path, int width, int height, const std::vector<uint8_t>& rgba) {
  assert(rgba.size() == size_t{4} * static_cast<size_t>(width) * static_cast<size_t>(height));
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGBA;
  if (png_image_write_to_file(&image, path.c_str(), 0, rgba.data(), 0, nullptr) == 0) {
    throw Error(ErrorKind::io, "could not write the picture " + path + ": " + image.message);
  }
}

}  // namespace headroom
