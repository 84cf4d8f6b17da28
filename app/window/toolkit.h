// Owns the contexts of the toolkit (Dear ImGui, ImPlot, Markdown) and its fonts while one picture lives. A host creates
// it before the backends of its device and destroys it after them. Writes no file of its own.
#pragma once

struct ImGuiContext;
struct ImPlotContext;
namespace RichMd {
struct Context;
}

namespace headroom {

class Toolkit {
 public:
  /// follows_links: a click on a link in a text opens the browser.
  Toolkit(float display_scale, bool follows_links);
  ~Toolkit();
  Toolkit(const Toolkit&) = delete;
  Toolkit& operator=(const Toolkit&) = delete;

  /// Makes these contexts the current ones.
  void make_current() const;
  /// Frees the textures of Markdown. Call it while the renderer still exists, after the last frame.
  void before_renderer_ends();

 private:
  ImGuiContext* imgui_ = nullptr;
  ImPlotContext* plots_ = nullptr;
  RichMd::Context* markdown_ = nullptr;
};

}  // namespace headroom
