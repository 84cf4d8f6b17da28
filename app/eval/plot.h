// Series of points ─► an SVG picture: panels below one another, each with axes, ticks, units and a legend. Small and
// plain; knows nothing of reports but report_plot.
#pragma once

#include <string>
#include <vector>

#include "app/eval/report.h"

namespace headroom::eval {

struct PlotPoint {
  double x = 0;
  double y = 0;
  std::string label;  // shown beside the pointer
};

struct PlotSeries {
  std::string name;
  std::vector<PlotPoint> points;  // joined from left to right
};

struct Axis {
  std::string title;  // with unit
  bool logarithmic = false;
  double min = 0;  // the axis reaches at least from here
  double max = 0;  // to here; equal: the points alone decide
};

struct Panel {
  std::string title;
  Axis x, y;
  std::vector<PlotSeries> series;
};

/// Where ticks stand: 1, 2, 5 times powers of ten; for a logarithmic axis whole decades, with 2 and 5 where there are
/// few of them.
std::vector<double> axis_ticks(double min, double max, bool logarithmic);

/// A whole file. Names may hold anything.
std::string plot_svg(const std::vector<Panel>& panels);

/// Quality against live bytes for what the report holds: KL, perplexity, accuracy; for profiling its share.
std::string report_plot(const Report& report);

}  // namespace headroom::eval
