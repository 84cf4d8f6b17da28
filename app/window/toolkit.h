// The contexts of the toolkit (Dear ImGui, ImPlot, Markdown) for as long as one picture lives, with its fonts. The
// hosts make one before their device's backends, and destroy it after them. Keeps no file of its own.
#pragma once

struct ImGuiContext;
struct ImPlotContext;
namespace RichMd {
struct Context;
}

namespace headroom {

class Toolkit {
 public:
  /// follows_links: a click on a link in a text starts the browser.
  Toolkit(float display_scale, bool follows_links);
  ~Toolkit();
  Toolkit(const Toolkit&) = delete;
  Toolkit& operator=(const Toolkit&) = delete;

  /// Makes its contexts the current ones.
  void make_current() const;
  /// Frees the textures of Markdown; the renderer is still there, and draws no more frames.
  void before_renderer_ends();

 private:
  ImGuiContext* imgui_ = nullptr;
  ImPlotContext* plots_ = nullptr;
  RichMd::Context* markdown_ = nullptr;
};

}  // namespace headroom
