// `headroom replay`: a trace ─► the window, or a picture of it without a display.
#include <cstdlib>
#include <ostream>

#include "app/command_line.h"
#include "app/commands.h"
#include "app/desktop_window.h"
#include "app/format.h"
#include "engine/base/error.h"

namespace headroom {
namespace {

/// "1280x800"
void parse_size(const std::string& text, PictureOptions& options) {
  const size_t cross = text.find('x');
  if (cross == std::string::npos) throw UsageError("--size is '" + text + "', expected WxH such as 1280x800");
  options.width = static_cast<int>(parse_int("--size", text.substr(0, cross), 160, 8192));
  options.height = static_cast<int>(parse_int("--size", text.substr(cross + 1), 120, 8192));
}

}  // namespace

void replay_command(const Arguments& args, Console& io) {
  std::optional<std::string> trace, png, size, panel, theme;
  std::optional<int64_t> at, layer, kv_head;
  std::optional<double> scale;
  CommandLine line("replay",
                   "Shows a recording in the window, with no model and no engine; --png makes a picture instead.",
                   "  headroom replay chat.hrtrace\n"
                   "  headroom replay chat.hrtrace --png heads.png --size 1280x800 --panel heads --at 300\n"
                   "  headroom replay chat.hrtrace --png big.png --size 2560x1440 --scale 2 --theme light");
  line.add_positional("TRACE", "a file that `run --trace` or the window recorded", trace);
  line.begin_group("Picture (needs no display)");
  line.add_text("--png", "FILE", "write a picture; an existing file is replaced", png);
  line.add_text("--size", "WxH", "pixels (1280x800)", size);
  line.add_number("--scale", "size of text and controls (1; 2 for a HiDPI screen)", 0.5, 4, scale);
  std::string panels;
  for (const std::string& name : panel_names()) panels += (panels.empty() ? "" : ", ") + name;
  line.add_choice("--panel", "NAME", "one panel filling the picture: " + panels, panel_names(), panel);
  line.add_int("--at", "the first moment at which the cache holds this many tokens (the end)", 0, max_position, at);
  line.add_choice("--theme", "NAME", "dark or light (dark)", {"dark", "light"}, theme);
  line.add_int("--layer", "with --kv-head: the head that is pinned", 0, 65535, layer);
  line.add_int("--kv-head", "with --layer: the head that is pinned", 0, 65535, kv_head);
  line.parse(args, io);
  if (!trace) throw UsageError("replay needs a trace: headroom replay FILE");
  if (!png) {
    if (size || panel || at || theme || scale || layer || kv_head)
      throw UsageError("--size, --scale, --panel, --at, --theme, --layer and --kv-head need --png FILE");
    show_replay_window(*trace);
    return;
  }
  PictureOptions options;
  options.png_path = *png;
  if (size) parse_size(*size, options);
  if (scale) options.scale = static_cast<float>(*scale);
  options.dark = !theme || *theme == "dark";
  if (panel) options.panel = *panel;
  if (at) options.at_token = static_cast<int32_t>(*at);
  if (layer.has_value() != kv_head.has_value()) throw UsageError("--layer and --kv-head go together");
  if (layer) options.pinned = {static_cast<int32_t>(*layer), static_cast<int32_t>(*kv_head)};
  draw_replay_picture(*trace, options);
  io.err << "wrote " << printable(options.png_path) << std::endl;
}

}  // namespace headroom
