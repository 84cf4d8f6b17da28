// What a colour of the sequential scale (theme.h) means, printed: a title with the unit, the bar, its ends, a mark. For
// every panel that colours by a number. Knows no engine.
#pragma once

#include <string>

namespace headroom {

struct ColorScale {
  std::string title;  // what is coloured, and in which unit
  std::string lowest, highest;
  double mark = -1;          // a place on the scale, 0 to 1; below 0: none
  std::string mark_label{};  // left out where it would run into the ends
};

/// Three lines high.
void draw_color_scale(const ColorScale& scale, float width);

}  // namespace headroom
