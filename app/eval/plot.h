// Series of points ─► an SVG picture: panels below one another, each with axes, ticks, units and a legend. Only
// report_plot knows reports.
#pragma once

#include <string>
#include <vector>

#include "app/eval/report.h"

namespace headroom::eval {

struct PlotPoint {
  double x = 0;
  double y = 0;
  std::string label;  // tooltip
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  // joined from left to right
};

struct Axis {
  std::string title;  // with unit
  bool logarithmic = false;
  double min = 0;  // the axis begins here or lower
  double max = 0;  // and ends here or higher; if min == max, only the points decide
};

struct Panel {
  std::string title;
  Axis x, y;
  std::vector<PlotSeries> series;
};

/// Positions of ticks: 1, 2, 5 times powers of ten. A logarithmic axis has whole decades, plus 2 and 5 if there are few
/// of them.
std::vector<double> axis_ticks(double min, double max, bool logarithmic);

/// A whole SVG file. Names may contain any text; it is escaped.
std::string plot_svg(const std::vector<Panel>& panels);

/// Quality against live bytes for each kind of row in the report: KL, perplexity, accuracy. For profiling, its share of
/// the time.
std::string report_plot(const Report& report);

}  // namespace headroom::eval
