// Draws figures, one plot of three lines, and bars by policy and by layer. The plot's samples are thinned out once per
// change, not once per frame.
#include "ui/memory_panel.h"

#include <imgui.h>
#include <implot.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/theme.h"
#include "ui/what_if.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

constexpr const char* live_explanation =
    "Live: bytes of the pages that the heads hold, unused slots and metadata included. This is what the cache costs "
    "now.";
constexpr const char* full_explanation =
    "Full: what an uncompressed f16 cache of the same tokens would need. It is computed, not held; live is compared "
    "with it.";
constexpr const char* pool_explanation =
    "Pool: bytes allocated from the system for pages. It changes in steps of 2 MiB, so it is above live. The memory "
    "use that the system reports follows it.";

void draw_figures(const Mirror& mirror) {
  const MirrorSample& now = mirror.now();
  const double saved =
      now.kv_full_bytes > 0 ? 1 - static_cast<double>(now.kv_live_bytes) / static_cast<double>(now.kv_full_bytes) : 0.0;
  struct Figure {
    const char* name;
    std::string value;
    const char* explanation;
  };
  const KeptTotal kept = kept_total(mirror);
  const std::string too_short = too_short_text(mirror);
  const Figure figures[] = {
      {"live", bytes_text(now.kv_live_bytes), live_explanation},
      {"full", bytes_text(now.kv_full_bytes), full_explanation},
      {"pool", bytes_text(now.kv_pool_bytes), pool_explanation},
      {"saved", now.kv_full_bytes > 0 && too_short.empty() ? percent_text(saved) : "–",
       "1 - live / full: the share that the heads evicted; unused slots of pages count as held."},
      {"kept", kept.n_reach > 0 ? percent_text(kept.share()) : "–",
       "Share of the tokens in reach that all heads hold together. The share of bytes can differ: pages are whole, and "
       "the cache type decides the bytes per token."},
      {"peak", bytes_text(mirror.kv_peak_bytes()),
       "Most that pages and the scratch of a prefill have needed together since the model was opened."},
      {"turn log", bytes_text(mirror.turn_log_bytes()),
       "Host memory that holds what the turns evicted, so that they can be undone. Not part of live."},
      {"resident", bytes_text(mirror.resident_bytes()),
       "Memory of the engine's whole process as the system counts it: weights, pages, scratch."},
  };
  const float cell = width_of("1000.0 MiB") + ImGui::GetStyle().ItemSpacing.x;
  const int columns = std::clamp(static_cast<int>(ImGui::GetContentRegionAvail().x / cell), 1, 8);
  if (!ImGui::BeginTable("###figures", columns, ImGuiTableFlags_SizingStretchSame | ImGuiTableFlags_NoSavedSettings))
    return;
  for (const Figure& it : figures) {
    ImGui::TableNextColumn();
    figure(it.name, it.value, it.explanation);
  }
  ImGui::EndTable();
  if (too_short.empty()) return;
  ImGui::PushTextWrapPos(0);
  ImGui::TextDisabled("The conversation is %s.", too_short.c_str());
  ImGui::PopTextWrapPos();
}

struct LineLook {
  ImVec4 live, full, pool;
};

/// The hues differ. Live is the strongest line; full is only a comparison.
LineLook line_look(bool dark) {
  const auto color = [&](int index) { return ImGui::ColorConvertU32ToFloat4(category_color(index, dark)); };
  return {color(2), ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled), color(1)};
}

/// Sets at most n_most ticks at whole tokens: multiples of 1, 2 or 5 times a power of ten.
void set_whole_ticks(double left, double right, int n_most) {
  int64_t step = 1;
  for (int i = 0; (right - left) / static_cast<double>(step) > n_most; ++i) step = i % 3 == 1 ? step / 2 * 5 : step * 2;
  std::vector<double> ticks;
  std::vector<std::string> labels;
  for (auto at = static_cast<int64_t>(std::ceil(left / static_cast<double>(step))) * step;
       static_cast<double>(at) <= right; at += step) {
    ticks.push_back(static_cast<double>(at));
    labels.push_back(count_text(at));
  }
  std::vector<const char*> texts;
  for (const std::string& label : labels) texts.push_back(label.c_str());
  if (!ticks.empty()) ImPlot::SetupAxisTicks(ImAxis_X1, ticks.data(), static_cast<int>(ticks.size()), texts.data());
}

void draw_lines(const Mirror& mirror, bool dark, MemoryPanelState& own, float height) {
  const float width = ImGui::GetContentRegionAvail().x;
  const int32_t n_columns = std::max(16, static_cast<int32_t>(width));
  int64_t largest = 1;
  largest = std::max({largest, mirror.now().kv_full_bytes, mirror.now().kv_pool_bytes, mirror.kv_peak_bytes()});
  const ByteUnit unit = byte_unit(largest);
  if (own.version != mirror.version() || own.n_columns != n_columns || own.lines_axis != own.axis) {
    own.lines = memory_lines(mirror.history(), own.axis, n_columns, unit.bytes);
    own.version = mirror.version();
    own.n_columns = n_columns;
    own.lines_axis = own.axis;
  }
  if (own.lines.x.empty()) {
    ImGui::TextDisabled("No sample yet.");
    return;
  }
  const float em = ImGui::GetFontSize();
  ImPlot::PushStyleVar(ImPlotStyleVar_LabelPadding, {em * 0.3f, em * 0.3f});
  ImPlot::PushStyleVar(ImPlotStyleVar_PlotPadding, {em * 0.4f, em * 0.4f});
  ImPlot::PushStyleVar(ImPlotStyleVar_LegendPadding, {em * 0.5f, em * 0.4f});
  ImPlot::PushStyleVar(ImPlotStyleVar_LegendSpacing, {em * 0.5f, 0.0f});
  ImPlot::PushStyleVar(ImPlotStyleVar_LegendInnerPadding, {em * 0.3f, em * 0.2f});
  ImPlot::PushStyleVar(ImPlotStyleVar_PlotMinSize, {em * 3, em * 3});
  constexpr ImPlotFlags flags = ImPlotFlags_NoTitle | ImPlotFlags_NoMenus | ImPlotFlags_NoBoxSelect |
                                ImPlotFlags_NoMouseText | ImPlotFlags_NoInputs;
  if (ImPlot::BeginPlot("###kv_over_tokens", {-1, height}, flags)) {
    const bool narrow = width < em * 14 || height < em * 11;
    ImPlot::SetupAxes(own.axis == MemoryAxis::tokens ? "tokens" : "seconds",
                      narrow ? unit.name : (std::string("KV cache, ") + unit.name).c_str(),
                      height < em * 11 ? ImPlotAxisFlags_NoLabel : 0, 0);
    const double right = std::max(own.lines.x.back(), own.lines.x.front() + 1);
    double top = 0;
    for (const auto* line : {&own.lines.live, &own.lines.full, &own.lines.pool})
      top = std::max(top, *std::max_element(line->begin(), line->end()));
    ImPlot::SetupAxesLimits(own.lines.x.front(), right, 0, top > 0 ? top * 1.08 : 1, ImPlotCond_Always);
    if (own.axis == MemoryAxis::tokens)
      set_whole_ticks(own.lines.x.front(), right, std::clamp(static_cast<int>(width / (em * 5)), 2, 8));
    else
      ImPlot::SetupAxisFormat(ImAxis_X1, "%g");
    ImPlot::SetupAxisFormat(ImAxis_Y1, "%g");
    // A low plot has no room for a legend above it. Its upper left corner is free, because all lines start low.
    const bool is_low = height < em * 11;
    ImPlot::SetupLegend(is_low ? ImPlotLocation_NorthWest : ImPlotLocation_North,
                        ImPlotLegendFlags_Horizontal | (is_low ? 0 : ImPlotLegendFlags_Outside));
    const LineLook look = line_look(dark);
    const int n = static_cast<int>(own.lines.x.size());
    const auto line = [&](const char* name, const std::vector<double>& y, const ImVec4& color, float weight) {
      ImPlotSpec spec;
      spec.LineColor = color;
      spec.LineWeight = em * weight;
      if (n == 1) {  // a line needs two points
        const double x[2] = {own.lines.x[0], right}, same[2] = {y[0], y[0]};
        ImPlot::PlotLine(name, x, same, 2, spec);
      } else {
        ImPlot::PlotLine(name, own.lines.x.data(), y.data(), n, spec);
      }
    };
    line("full", own.lines.full, look.full, 0.08f);
    line("pool", own.lines.pool, look.pool, 0.08f);
    line("live", own.lines.live, look.live, 0.16f);
    ImPlot::EndPlot();
  }
  ImPlot::PopStyleVar(6);
}

/// A row of a bar chart: the name, a bar for its share of the largest value, the number.
void bar_row(const std::string& name, const std::string& explanation, int64_t bytes, int64_t most_bytes, ImU32 color,
             float name_width) {
  const float width = ImGui::GetContentRegionAvail().x;
  const float height = ImGui::GetTextLineHeight();
  const float gap = ImGui::GetStyle().ItemInnerSpacing.x;
  const std::string number = bytes_text(bytes);
  const float number_width = width_of("1000.0 MiB");
  const ImVec2 at = ImGui::GetCursorScreenPos();
  ImGui::Dummy({width, height});
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const float shown_name = std::min(name_width, width * 0.45f);
  draw_elided(list, at, {at.x + shown_name, at.y + height}, ImGui::GetColorU32(ImGuiCol_Text), name);
  explain(explanation + ": " + bytes_text(bytes) + " live");
  const float bar_left = at.x + shown_name + gap, bar_right = at.x + width - number_width - gap;
  if (bar_right > bar_left + height) {
    const float filled =
        (bar_right - bar_left) * static_cast<float>(bytes) / static_cast<float>(std::max<int64_t>(1, most_bytes));
    list.AddRectFilled({bar_left, at.y + height * 0.15f}, {bar_left + filled, at.y + height * 0.85f}, color);
  }
  list.AddText({at.x + width - width_of(number), at.y}, ImGui::GetColorU32(ImGuiCol_Text), number.c_str());
}

void draw_by_policy(const Mirror& mirror, bool dark) {
  const std::vector<PolicyTotal> totals = policy_totals(*mirror.model(), mirror.heads(), mirror.config());
  int64_t most = 0;
  float name_width = 0;
  for (const PolicyTotal& total : totals) {
    most = std::max(most, total.bytes);
    name_width = std::max(name_width, width_of(policy_name(total.policy)));
  }
  ImGui::SeparatorText("Live bytes by policy");
  const float room = ImGui::GetContentRegionAvail().x;
  for (const PolicyTotal& total : totals)
    bar_row(policy_name_within(total.policy, std::min(name_width, room * 0.45f)), policy_name(total.policy),
            total.bytes, most, policy_color(total.policy, dark), name_width);
}

void draw_by_layer(const Mirror& mirror) {
  const LoadedModel& model = *mirror.model();
  const size_t n_layers = static_cast<size_t>(model.n_layers);
  std::vector<int64_t> bytes(n_layers);
  for (size_t head = 0; head < mirror.heads().size(); ++head)
    bytes[head / static_cast<size_t>(model.n_kv_heads)] += mirror.heads()[head].pages * model.page_bytes;
  const int64_t most = *std::max_element(bytes.begin(), bytes.end());
  ImGui::SeparatorText("Live bytes by layer");
  const ImU32 color = ImGui::GetColorU32(ImGuiCol_SliderGrab);
  const float name_width = width_of("layer 000");
  for (size_t layer = 0; layer < n_layers; ++layer) {
    const std::string name = "layer " + std::to_string(layer);
    bar_row(name, name, bytes[layer], most, color, name_width);
  }
}

}  // namespace

MemoryLines memory_lines(std::span<const MirrorSample> history, MemoryAxis axis, int32_t n_columns, double unit_bytes) {
  MemoryLines lines;
  if (history.empty()) return lines;
  // On the axis of tokens, drop the samples of undone tokens.
  std::vector<MirrorSample> path;
  if (axis == MemoryAxis::tokens) {
    for (const MirrorSample& sample : history) {
      while (!path.empty() && path.back().n_tokens > sample.n_tokens) path.pop_back();
      path.push_back(sample);
    }
  }
  const std::span<const MirrorSample> shown =
      axis == MemoryAxis::tokens ? std::span<const MirrorSample>(path) : history;
  const auto x_of = [&](const MirrorSample& sample) {
    return axis == MemoryAxis::tokens ? static_cast<double>(sample.n_tokens)
                                      : (sample.time_ms - history.front().time_ms) / 1000;
  };
  const auto add = [&](const MirrorSample& sample) {
    lines.x.push_back(x_of(sample));
    lines.live.push_back(static_cast<double>(sample.kv_live_bytes) / unit_bytes);
    lines.full.push_back(static_cast<double>(sample.kv_full_bytes) / unit_bytes);
    lines.pool.push_back(static_cast<double>(sample.kv_pool_bytes) / unit_bytes);
  };
  const double left = x_of(shown.front()), right = x_of(shown.back());
  const double column_width = (right - left) / std::max(1, n_columns);
  const auto column_of = [&](const MirrorSample& sample) {
    return column_width > 0 ? static_cast<int64_t>((x_of(sample) - left) / column_width) : 0;
  };
  for (size_t i = 0; i < shown.size();) {
    size_t lowest = i, highest = i, end = i;
    const int64_t column = column_of(shown[i]);
    for (; end < shown.size() && column_of(shown[end]) == column; ++end) {
      if (shown[end].kv_live_bytes < shown[lowest].kv_live_bytes) lowest = end;
      if (shown[end].kv_live_bytes > shown[highest].kv_live_bytes) highest = end;
    }
    add(shown[std::min(lowest, highest)]);
    if (lowest != highest) add(shown[std::max(lowest, highest)]);
    i = end;
  }
  // The line must end at the current state, even if thinning removed that sample.
  if (lines.x.back() != right || lines.live.back() != static_cast<double>(shown.back().kv_live_bytes) / unit_bytes)
    add(shown.back());
  return lines;
}

void draw_memory_panel(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& /*actions*/,
                       MemoryPanelState& own) {
  if (mirror.model() == nullptr)
    return empty_panel_text(chat.replay ? "This trace has not opened a model yet: step forward to see its memory."
                                        : "Open a model (File menu, or drop a GGUF file here) to see what its KV "
                                          "cache takes.");
  draw_figures(mirror);
  if (mirror.n_cached() == 0 && mirror.history().size() < 2) {
    ImGui::Spacing();
    return empty_panel_text("Nothing is in the cache yet. Send a message to see its memory grow.");
  }
  const auto axis_button = [&](const char* label, MemoryAxis axis, const char* explanation) {
    if (ImGui::RadioButton(label, own.axis == axis)) own.axis = axis;
    explain(explanation);
  };
  axis_button("over tokens###over_tokens", MemoryAxis::tokens, "The open conversation, from its first token on.");
  same_line_if_fits(width_of("over time") + ImGui::GetFrameHeight());
  axis_button("over time###over_time", MemoryAxis::time, "Everything since the model was opened.");
  if (own.axis == MemoryAxis::tokens && mirror.n_cached() == 0)
    return empty_panel_text("Nothing of this conversation is in the cache. Send a message to see its memory grow.");
  const float em = ImGui::GetFontSize();
  // A low panel shows the whole plot before it scrolls to the bars.
  const float room = ImGui::GetContentRegionAvail().y;
  draw_lines(mirror, state.dark, own, room < em * 18 ? std::max(em * 5.5f, room) : std::min(room * 0.6f, em * 22));
  if (mirror.n_cached() == 0) return;
  draw_by_policy(mirror, state.dark);
  draw_by_layer(mirror);
}

}  // namespace headroom
