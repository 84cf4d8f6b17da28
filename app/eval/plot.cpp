// Places points, ticks and words; escapes text that came from outside.
#include "app/eval/plot.h"

#include <algorithm>
#include <cmath>

#include "app/format.h"

namespace headroom::eval {
namespace {

constexpr double left = 90, plot_width = 480, top = 46, plot_height = 320, panel_height = 430, width = 860;
constexpr size_t n_colours = 8;
constexpr const char* colours[n_colours] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                            "#56b4e9", "#e69f00", "#7f3c8d", "#444444"};

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : printable(text)) {
    if (c == '&')
      result += "&amp;";
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '"')
      result += "&quot;";
    else
      result += c;
  }
  return result;
}

std::string tick_text(double value) {
  return format("%g", value);
}

/// An axis with its final range; converts values to pixels.
class Scale {
 public:
  Scale(const Axis& axis, const std::vector<double>& values, double from, double to)
      : logarithmic_(axis.logarithmic), from_(from), to_(to) {
    const bool fixed = axis.min < axis.max;
    double min = fixed ? axis.min : *std::min_element(values.begin(), values.end());
    double max = fixed ? axis.max : *std::max_element(values.begin(), values.end());
    for (const double value : values) {
      min = std::min(min, value);
      max = std::max(max, value);
    }
    if (logarithmic_) {
      min_ = std::pow(10, std::floor(std::log10(min) + 1e-9));
      max_ = std::pow(10, std::ceil(std::log10(max) - 1e-9));
      if (min_ == max_) max_ = min_ * 10;
      return;
    }
    if (min == max) max = min + 1;
    const std::vector<double> ticks = axis_ticks(min, max, false);
    const double step = ticks[1] - ticks[0];
    min_ = std::floor(min / step + 1e-9) * step;
    max_ = std::ceil(max / step - 1e-9) * step;
  }

  double pixel(double value) const {
    const double share = logarithmic_ ? std::log(value / min_) / std::log(max_ / min_) : (value - min_) / (max_ - min_);
    return from_ + share * (to_ - from_);
  }
  std::vector<double> ticks() const { return axis_ticks(min_, max_, logarithmic_); }

 private:
  bool logarithmic_;
  double from_, to_;
  double min_ = 0, max_ = 1;
};

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* more = "") {
  return format("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>%s</text>\n", x, y, anchor, more,
                escaped(text).c_str());
}

std::string axes_svg(const Panel& panel, const Scale& x, const Scale& y) {
  std::string svg;
  for (const double tick : x.ticks()) {
    const double at = x.pixel(tick);
    svg += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", at, top, at,
                  top + plot_height);
    svg += text_at(at, top + plot_height + 18, "middle", tick_text(tick));
  }
  for (const double tick : y.ticks()) {
    const double at = y.pixel(tick);
    svg += format("<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#e4e4e4\"/>\n", left, at,
                  left + plot_width, at);
    svg += text_at(left - 8, at + 4, "end", tick_text(tick));
  }
  svg += format("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#888\"/>\n", left,
                top, plot_width, plot_height);
  svg += text_at(left, top - 16, "start", panel.title, " font-size=\"15\" font-weight=\"bold\"");
  svg += text_at(left + plot_width / 2, top + plot_height + 42, "middle", panel.x.title);
  const double middle = top + plot_height / 2;
  svg += text_at(22, middle, "middle", panel.y.title, format(" transform=\"rotate(-90 22 %.1f)\"", middle).c_str());
  return svg;
}

std::string series_svg(const PlotSeries& series, size_t index, const Scale& x, const Scale& y) {
  const std::string stroke = format("stroke=\"%s\" fill=\"none\" stroke-width=\"2\"%s", colours[index % n_colours],
                                    index < n_colours ? "" : " stroke-dasharray=\"6 3\"");
  std::vector<PlotPoint> points = series.points;
  std::stable_sort(points.begin(), points.end(), [](const PlotPoint& a, const PlotPoint& b) { return a.x < b.x; });
  std::string line, dots;
  for (const PlotPoint& point : points) {
    const double px = x.pixel(point.x), py = y.pixel(point.y);
    line += format("%s%.1f,%.1f", line.empty() ? "" : " ", px, py);
    dots += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"><title>%s</title></circle>\n", px, py,
                   colours[index % n_colours], escaped(series.name + ": " + point.label).c_str());
  }
  const double legend_x = left + plot_width + 16, legend_y = top + 12 + 18 * static_cast<double>(index);
  return format("<polyline points=\"%s\" %s/>\n", line.c_str(), stroke.c_str()) + dots +
         format("<polyline points=\"%.1f,%.1f %.1f,%.1f\" %s/>\n", legend_x, legend_y - 4, legend_x + 20, legend_y - 4,
                stroke.c_str()) +
         text_at(legend_x + 26, legend_y, "start", shortened(printable(series.name), 36));
}

}  // namespace

std::vector<double> axis_ticks(double min, double max, bool logarithmic) {
  std::vector<double> ticks;
  if (logarithmic) {
    const int first = static_cast<int>(std::floor(std::log10(min) + 1e-9));
    const int last = static_cast<int>(std::ceil(std::log10(max) - 1e-9));
    for (int decade = first; decade <= last; ++decade)
      for (const double times : {1.0, 2.0, 5.0}) {
        const double tick = times * std::pow(10, decade);
        if (times > 1 && last - first > 3) continue;
        if (tick >= min * (1 - 1e-9) && tick <= max * (1 + 1e-9)) ticks.push_back(tick);
      }
    return ticks;
  }
  const double rough = (max - min) / 6;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double step = power * (rough / power > 5 ? 10 : rough / power > 2 ? 5 : rough / power > 1 ? 2 : 1);
  const double first = std::ceil(min / step - 1e-9);
  for (double i = first; i * step <= max + step * 1e-9; ++i) ticks.push_back(i * step + 0.0);  // no -0
  return ticks;
}

std::string plot_svg(const std::vector<Panel>& panels) {
  // A legend higher than its panel makes the panel higher.
  const auto height_of = [](const Panel& panel) {
    return std::max(panel_height, top + 40 + 18 * static_cast<double>(panel.series.size()));
  };
  double height = 0;
  for (const Panel& panel : panels) height += height_of(panel);
  height = std::max(height, 40.0);
  std::string svg = format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n"
      "<rect width=\"%.0f\" height=\"%.0f\" fill=\"#fff\"/>\n",
      width, height, width, height, width, height);
  double begin = 0;
  for (const Panel& panel : panels) {
    std::vector<double> xs, ys;
    for (const PlotSeries& series : panel.series)
      for (const PlotPoint& point : series.points) {
        xs.push_back(point.x);
        ys.push_back(point.y);
      }
    if (xs.empty()) continue;
    const Scale x(panel.x, xs, left, left + plot_width);
    const Scale y(panel.y, ys, top + plot_height, top);
    svg += format("<g transform=\"translate(0 %.0f)\">\n", begin) + axes_svg(panel, x, y);
    for (size_t i = 0; i < panel.series.size(); ++i) svg += series_svg(panel.series[i], i, x, y);
    svg += "</g>\n";
    begin += height_of(panel);
  }
  return svg + "</svg>\n";
}

}  // namespace headroom::eval
