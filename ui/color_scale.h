// The legend of the sequential colour scale (theme.h): a title with the unit, the bar, its ends, a mark. Every panel
// that colours by a number uses it. Knows no engine.
#pragma once

#include <string>

namespace headroom {

struct ColorScale {
  std::string title;  // what is coloured, and in which unit
  std::string lowest, highest;
  double mark = -1;          // a place on the scale, 0 to 1; below 0: none
  std::string mark_label{};  // left out if it would overlap the ends
};

/// Three lines high.
void draw_color_scale(const ColorScale& scale, float width);

}  // namespace headroom
