// The map is rectangles in one draw list, so that a thousand heads cost as much as a paragraph of text. One invisible
// button over all of them receives the mouse, and arithmetic finds the cell.
#include "ui/head_map.h"

#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "ui/color_scale.h"
#include "ui/head_card.h"
#include "ui/number_text.h"
#include "ui/policy_look.h"
#include "ui/theme.h"
#include "ui/what_if.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

struct ModeName {
  HeadMapMode mode;
  const char* label;
  const char* explanation;
};
constexpr std::array<ModeName, n_head_map_modes> modes{{
    {HeadMapMode::policy, "Policy###mode_policy",
     "What each head keeps: its policy, or its share if all heads have one policy and different budgets."},
    {HeadMapMode::kept_share, "Kept share###mode_kept",
     "Tokens that a head still holds, as a share of those in its reach."},
    {HeadMapMode::recovery, "Recovery###mode_recovery",
     "Share of a head's attention that a policy would recover, as measured while the prompt was read. With budgets: "
     "share of a head's score that its kept tokens hold."},
    {HeadMapMode::live_bytes, "Live bytes###mode_bytes",
     "Bytes of the pages that a head holds, unused slots and metadata included."},
    {HeadMapMode::importance, "Importance###mode_importance",
     "Importance of a head for shared budgets, from the model's table; the mean of all heads is 1."},
}};

// The lowest end of the importance scale: less has no effect (engine/base/budget.cpp).
constexpr double least_importance = 1e-3;

struct Drawn {
  const Mirror& mirror;
  const LoadedModel& model;
  UiState& state;
  bool has_budgets = false;
  std::vector<PolicyTotal> totals;
  std::vector<Policy> policies;
  std::string letters;
  Policy recovery_policy;
  double lowest = 0, highest = 1;  // of the scale
  ColorScale scale;

  /// Whether cells have the colour of a policy, not of a number.
  bool shows_kinds() const { return state.head_map_mode == HeadMapMode::policy && !has_budgets; }
  /// Whether the mode has no numbers to draw.
  bool shows_nothing() const {
    return (state.head_map_mode == HeadMapMode::importance && mirror.config().head_importance.empty()) ||
           (state.head_map_mode == HeadMapMode::recovery && has_budgets && !mirror.has_profile());
  }
};

double importance_of(const Drawn& d, int32_t head) {
  return std::max<double>(d.mirror.config().head_importance[static_cast<size_t>(head)], least_importance);
}

/// A head's place on the scale, 0 to 1.
double place_of(const Drawn& d, int32_t head) {
  const MirrorHead& it = d.mirror.heads()[static_cast<size_t>(head)];
  switch (d.state.head_map_mode) {
    case HeadMapMode::policy:
    case HeadMapMode::kept_share: {
      const int32_t n_reach = tokens_in_reach(d.mirror, head);
      return n_reach == 0 ? 0 : static_cast<double>(it.kept_tokens) / n_reach;
    }
    case HeadMapMode::recovery:
      return it.profile.recovery(d.has_budgets ? it.policy : d.recovery_policy);
    case HeadMapMode::live_bytes:
      return static_cast<double>(it.pages * d.model.page_bytes) / d.highest;
    case HeadMapMode::importance:
      return d.highest > d.lowest ? std::log(importance_of(d, head) / d.lowest) / std::log(d.highest / d.lowest) : 0.5;
  }
  return 0;
}

void set_scale(Drawn& d) {
  d.lowest = 0;
  d.highest = 1;
  switch (d.state.head_map_mode) {
    case HeadMapMode::policy:
    case HeadMapMode::kept_share:
      d.scale = {"tokens kept, of those in reach", "0 %", "100 %"};
      return;
    case HeadMapMode::recovery: {
      if (d.has_budgets) {
        d.scale = {"share of a head's score that its kept tokens hold", "0", "1"};
        return;
      }
      const double threshold = d.mirror.config().threshold;
      d.scale = {"recovery of " + policy_name(d.recovery_policy), "0", "1", threshold, "T = " + share_text(threshold)};
      return;
    }
    case HeadMapMode::live_bytes: {
      int32_t most_pages = 1;
      for (const MirrorHead& head : d.mirror.heads()) most_pages = std::max(most_pages, head.pages);
      const int64_t bytes = most_pages * d.model.page_bytes;
      d.highest = static_cast<double>(bytes);
      d.scale = {"live bytes of a head", "0 B", bytes_text(bytes)};
      return;
    }
    case HeadMapMode::importance: {
      if (d.shows_nothing()) return;
      d.lowest = d.highest = importance_of(d, 0);
      for (int32_t head = 1; head < std::ssize(d.mirror.heads()); ++head) {
        d.lowest = std::min(d.lowest, importance_of(d, head));
        d.highest = std::max(d.highest, importance_of(d, head));
      }
      d.scale = {"importance c_h of a head, mean 1, log scale", factor_text(d.lowest), factor_text(d.highest)};
      if (d.lowest < 1 && d.highest > 1) {
        d.scale.mark = -std::log(d.lowest) / std::log(d.highest / d.lowest);
        d.scale.mark_label = "1";
      }
      return;
    }
  }
}

void draw_modes(Drawn& d) {
  const float room = ImGui::GetContentRegionAvail().x;
  const auto current =
      std::find_if(modes.begin(), modes.end(), [&](const ModeName& m) { return m.mode == d.state.head_map_mode; });
  const std::string preview(current->label, std::string_view(current->label).find("###"));
  const bool has_policies = d.state.head_map_mode == HeadMapMode::recovery && !d.has_budgets;
  const bool side_by_side = has_policies && room > ImGui::GetFontSize() * 20;
  ImGui::SetNextItemWidth(side_by_side ? room * 0.36f : std::min(room, ImGui::GetFontSize() * 14));
  if (ImGui::BeginCombo("###map_mode", preview.c_str())) {
    for (const ModeName& mode : modes) {
      if (ImGui::Selectable(mode.label, mode.mode == d.state.head_map_mode)) d.state.head_map_mode = mode.mode;
      explain(mode.explanation);
    }
    ImGui::EndCombo();
  }
  explain(current->explanation);
  if (!has_policies) return;
  if (side_by_side) ImGui::SameLine();
  ImGui::SetNextItemWidth(side_by_side ? -1 : std::min(room, ImGui::GetFontSize() * 14));
  if (ImGui::BeginCombo("###map_policy", policy_name(d.recovery_policy).c_str())) {
    for (size_t i = 0; i < d.policies.size(); ++i) {
      const std::string label = policy_name(d.policies[i]) + "###map_policy_" + std::to_string(i);
      if (ImGui::Selectable(label.c_str(), d.policies[i] == d.recovery_policy))
        d.state.recovery_policy = static_cast<int32_t>(i);
    }
    ImGui::EndCombo();
  }
  explain("The policy whose recovery is shown.");
}

ImU32 faded(ImU32 color) {
  const ImVec4 background = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  return ImGui::GetColorU32(ImLerp(background, ImGui::ColorConvertU32ToFloat4(color), 0.18f));
}

/// A label appears every this many rows or columns: 1, 2, 5, 10, 20, 50, …
int32_t label_step(float needed, float cell) {
  int32_t step = 1;
  while (static_cast<float>(step) * cell < needed) {
    int32_t leading = step;
    while (leading >= 10) leading /= 10;
    step = leading == 2 ? step / 2 * 5 : step * 2;
  }
  return step;
}

struct Grid {
  ImVec2 origin;  // of the first cell
  float cell_width = 1, cell_height = 1;
  int32_t n_columns = 0, n_rows = 0;

  ImVec2 corner(int32_t head) const {
    return {origin.x + static_cast<float>(head % n_columns) * cell_width,
            origin.y + static_cast<float>(head / n_columns) * cell_height};
  }
  int32_t head_at(ImVec2 mouse) const {
    const int32_t column = static_cast<int32_t>(std::floor((mouse.x - origin.x) / cell_width));
    const int32_t row = static_cast<int32_t>(std::floor((mouse.y - origin.y) / cell_height));
    if (column < 0 || column >= n_columns || row < 0 || row >= n_rows) return -1;
    return row * n_columns + column;
  }
};

constexpr const char* axes_text = "layers down, KV heads across";

void draw_labels(ImDrawList& list, const Grid& grid, float label_width) {
  const ImU32 color = ImGui::GetColorU32(ImGuiCol_TextDisabled);
  const float line = ImGui::GetTextLineHeight();
  for (int32_t row = 0, step = label_step(line, grid.cell_height); row < grid.n_rows; row += step) {
    const std::string text = std::to_string(row);
    const float y = grid.origin.y + static_cast<float>(row) * grid.cell_height + (grid.cell_height - line) / 2;
    const float gap = line * 0.3f;
    list.AddText({grid.origin.x - gap - width_of(text), std::max(grid.origin.y - line * 0.25f, y)}, color,
                 text.c_str());
  }
  const float widest = width_of(std::to_string(grid.n_columns - 1)) + line * 0.3f;
  for (int32_t column = 0, step = label_step(widest, grid.cell_width); column < grid.n_columns; column += step) {
    const std::string text = std::to_string(column);
    const float x = grid.origin.x + (static_cast<float>(column) + 0.5f) * grid.cell_width - width_of(text) / 2;
    list.AddText({x, grid.origin.y - line * 1.15f}, color, text.c_str());
  }
  const float top = grid.origin.y - line * 2.3f;
  list.AddText({grid.origin.x - label_width, top}, color, axes_text);
}

void draw_cells(const Drawn& d, ImDrawList& list, const Grid& grid) {
  const int32_t n_heads = static_cast<int32_t>(d.mirror.heads().size());
  const bool is_policy = d.shows_kinds(), shows_nothing = d.shows_nothing();
  const ImU32 nothing = ImGui::GetColorU32(ImGuiCol_FrameBg);
  const int32_t token = d.state.hovered_token;
  const bool dims = token >= 0 && token < d.mirror.n_cached();
  const float gap = std::min(grid.cell_width, grid.cell_height) > ImGui::GetFontSize() * 0.4f ? 1.0f : 0.0f;
  const bool has_letters =
      is_policy && grid.cell_width >= ImGui::GetFontSize() * 0.9f && grid.cell_height >= ImGui::GetFontSize() * 0.9f;
  for (int32_t head = 0; head < n_heads; ++head) {
    const ImVec2 min = grid.corner(head);
    const Policy policy = d.mirror.heads()[static_cast<size_t>(head)].policy;
    ImU32 color = is_policy       ? policy_color(policy, d.state.dark)
                  : shows_nothing ? nothing
                                  : scale_color(static_cast<float>(place_of(d, head)));
    if (dims && !d.mirror.holds(head, token)) color = faded(color);
    list.AddRectFilled(min, {min.x + grid.cell_width - gap, min.y + grid.cell_height - gap}, color);
    if (!has_letters) continue;
    const auto index = std::find(d.policies.begin(), d.policies.end(), policy) - d.policies.begin();
    const std::string letter(1, d.letters[static_cast<size_t>(index)]);
    const ImVec2 size = ImGui::CalcTextSize(letter.c_str());
    list.AddText({min.x + (grid.cell_width - gap - size.x) / 2, min.y + (grid.cell_height - gap - size.y) / 2},
                 text_on(color), letter.c_str());
  }
}

void outline(ImDrawList& list, const Grid& grid, int32_t head, ImU32 color, float thickness) {
  if (head < 0) return;
  const ImVec2 min = grid.corner(head);
  list.AddRect(min, {min.x + grid.cell_width, min.y + grid.cell_height}, color, 0, thickness);
}

/// Arrow keys move the pinned head; if none is pinned, the first key pins one. Owning the keys disables ImGui's own
/// navigation for them.
void take_keys(const Drawn& d, const Grid& grid, ImGuiID owner) {
  constexpr std::array<std::pair<ImGuiKey, std::pair<int32_t, int32_t>>, 4> arrows{{
      {ImGuiKey_LeftArrow, {-1, 0}},
      {ImGuiKey_RightArrow, {1, 0}},
      {ImGuiKey_UpArrow, {0, -1}},
      {ImGuiKey_DownArrow, {0, 1}},
  }};
  for (const auto& [key, step] : arrows) {
    ImGui::SetKeyOwner(key, owner);
    if (!ImGui::IsKeyPressed(key, ImGuiInputFlags_Repeat, owner)) continue;
    if (d.state.pinned_head < 0) {
      d.state.pinned_head = 0;
      continue;
    }
    const int32_t column = std::clamp(d.state.pinned_head % grid.n_columns + step.first, 0, grid.n_columns - 1);
    const int32_t row = std::clamp(d.state.pinned_head / grid.n_columns + step.second, 0, grid.n_rows - 1);
    d.state.pinned_head = row * grid.n_columns + column;
    const float y = grid.corner(d.state.pinned_head).y;
    ImGui::SetScrollFromPosY(y - ImGui::GetWindowPos().y + grid.cell_height / 2);
  }
}

float label_width_of(const LoadedModel& model) {
  return width_of(std::to_string(model.n_layers - 1)) + ImGui::GetTextLineHeight() * 0.4f;
}

float widest_cell() {
  return ImGui::GetTextLineHeight() * 3;
}

float smallest_cell() {
  return std::floor(ImGui::GetTextLineHeight() * 0.4f);
}

/// Height of the labels above the cells: the axes' names and the numbers of the KV heads.
float header_height() {
  return ImGui::GetTextLineHeight() * 2.4f;
}

/// The map's smallest height; below it the map scrolls.
float lowest_map(const Drawn& d) {
  return header_height() + static_cast<float>(d.model.n_layers) * smallest_cell() + 2;
}

void draw_map(const Drawn& d, ImVec2 child_size, HeadMapState& own) {
  const float line = ImGui::GetTextLineHeight();
  ImGui::BeginChild("###map", child_size, 0, ImGuiWindowFlags_HorizontalScrollbar);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const ImVec2 at = ImGui::GetCursorScreenPos();
  const float label_width = label_width_of(d.model);
  const float header = header_height();
  Grid grid;
  grid.n_columns = d.model.n_kv_heads;
  grid.n_rows = d.model.n_layers;
  const float smallest = smallest_cell();
  grid.cell_width = std::clamp(std::floor((room.x - label_width - 1) / static_cast<float>(grid.n_columns)), smallest,
                               std::floor(widest_cell()));
  grid.cell_height =
      std::clamp(std::floor((room.y - header - 1) / static_cast<float>(grid.n_rows)), smallest, line * 2);
  grid.origin = {std::floor(at.x + label_width), std::floor(at.y + header)};
  own = {grid.cell_width, grid.cell_height, grid.origin.x, grid.origin.y};

  ImDrawList& list = *ImGui::GetWindowDrawList();
  draw_cells(d, list, grid);
  draw_labels(list, grid, label_width);

  const ImVec2 size{static_cast<float>(grid.n_columns) * grid.cell_width,
                    static_cast<float>(grid.n_rows) * grid.cell_height};
  ImGui::SetCursorScreenPos(grid.origin);
  const bool clicked = ImGui::InvisibleButton("###cells", size, ImGuiButtonFlags_EnableNav);
  const bool by_mouse = ImGui::IsItemHovered();
  if (by_mouse) d.state.hovered_head = grid.head_at(ImGui::GetIO().MousePos);
  if (clicked && by_mouse && d.state.hovered_head >= 0)
    d.state.pinned_head = d.state.pinned_head == d.state.hovered_head ? -1 : d.state.hovered_head;
  const bool has_focus = ImGui::IsWindowFocused(ImGuiFocusedFlags_ChildWindows) && !ImGui::GetIO().WantTextInput;
  if (has_focus) take_keys(d, grid, ImGui::GetItemID());

  const ImU32 strong = ImGui::GetColorU32(ImGuiCol_Text);
  outline(list, grid, d.state.pinned_head, ImGui::GetColorU32(ImGuiCol_WindowBg), line * 0.34f);
  outline(list, grid, d.state.pinned_head, strong, line * 0.18f);
  outline(list, grid, d.state.hovered_head, strong, std::max(1.0f, line * 0.1f));
  ImGui::EndChild();

  if (d.state.hovered_head >= 0 && by_mouse && ImGui::BeginTooltip()) {
    const float widest = ImGui::GetMainViewport()->WorkSize.x - 4 * ImGui::GetStyle().WindowPadding.x;
    draw_head_card(d.mirror, d.state.dark, d.state.hovered_head, std::min(ImGui::GetFontSize() * 26, widest));
    ImGui::EndTooltip();
  }
}

void draw_policy_legend(const Drawn& d) {
  constexpr ImGuiTableFlags flags = ImGuiTableFlags_SizingFixedFit | ImGuiTableFlags_NoSavedSettings;
  const float width = std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 32);
  if (!ImGui::BeginTable("###legend", 3, flags, {width, 0})) return;
  ImGui::TableSetupColumn("policy", ImGuiTableColumnFlags_WidthStretch);
  const float side = ImGui::GetTextLineHeight();
  for (size_t i = 0; i < d.totals.size(); ++i) {
    const PolicyTotal& total = d.totals[i];
    ImGui::TableNextRow();
    ImGui::TableNextColumn();
    if (d.shows_kinds()) {
      const ImVec2 at = ImGui::GetCursorScreenPos();
      const ImU32 color = policy_color(total.policy, d.state.dark);
      ImDrawList& list = *ImGui::GetWindowDrawList();
      list.AddRectFilled(at, {at.x + side, at.y + side}, color);
      const std::string letter(1, d.letters[i]);
      list.AddText({at.x + (side - width_of(letter)) / 2, at.y}, text_on(color), letter.c_str());
      ImGui::Dummy({side, side});
      ImGui::SameLine();
    }
    elided_policy_name(total.policy);
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(count_text(total.n_heads, "head", "heads").c_str());
    explain("KV heads with this policy.");
    ImGui::TableNextColumn();
    ImGui::TextUnformatted(bytes_text(total.bytes).c_str());
    explain("Live bytes of these heads: their pages, unused slots and metadata included.");
  }
  ImGui::EndTable();
}

const char* why_nothing(const Drawn& d) {
  if (d.state.head_map_mode != HeadMapMode::importance) return "Nothing was measured.";
  return d.mirror.config().importance == ImportanceKind::calibrated
             ? "All heads count alike; a calibration would tell them apart."
             : "All heads count alike in this configuration; headroom is the one that weighs them.";
}

/// What all heads keep, and why it differs from the requested share.
std::string kept_sentence(const Mirror& mirror, const KeptTotal& kept) {
  const CacheConfig& config = mirror.config();
  const std::string keep = "All heads keep " + percent_text(kept.share()) + " of the tokens";
  constexpr double near = 0.02;
  if (config.budget == BudgetKind::shared && config.kv_budget_bytes > 0 && kept.share() < config.keep - near)
    return keep + "; " + percent_text(config.keep) + " were requested, but the bound of " +
           bytes_text(config.kv_budget_bytes) + " allows no more";
  if (kept.share() > config.keep + near && mirror.n_cached() < 1000)
    return keep + ": most tokens of a short conversation are protected (" + percent_text(config.keep) +
           " were requested)";
  return keep + ", " + percent_text(config.keep) + " were requested";
}

/// For configurations with budgets, where all heads have one policy and differ only in how much they keep.
void draw_kept_line(const Drawn& d) {
  const KeptTotal kept = kept_total(d.mirror);
  ImGui::PushTextWrapPos(0);
  ImGui::TextUnformatted(kept_sentence(d.mirror, kept).c_str());
  ImGui::PopTextWrapPos();
  explain(
      "Share of the tokens in reach that all heads hold together, and the share that was requested for the budgets at "
      "the end of the prompt.");
}

float legend_height(const Drawn& d) {
  const ImGuiStyle& style = ImGui::GetStyle();
  const float scale = 3 * ImGui::GetTextLineHeightWithSpacing() + style.ItemSpacing.y;
  if (d.state.head_map_mode != HeadMapMode::policy) return scale;
  const float table = static_cast<float>(d.totals.size()) * (ImGui::GetTextLineHeight() + 2 * style.CellPadding.y) +
                      2 * style.ItemSpacing.y;
  return d.has_budgets ? table + 2 * ImGui::GetTextLineHeightWithSpacing() + scale : table;
}

float card_height(const Drawn& d) {
  if (d.state.pinned_head < 0) return 0;
  const size_t n_lines = (d.has_budgets ? 17 : 9) + possible_policies(d.mirror.config()).size();
  return static_cast<float>(n_lines) * ImGui::GetTextLineHeightWithSpacing();
}

void draw_pinned(const Drawn& d) {
  ImGui::Separator();
  if (ImGui::SmallButton("Unpin###unpin")) {
    d.state.pinned_head = -1;
    return;
  }
  explain(
      "The pinned head's tokens stay tinted in the chat. Arrow keys move the pin; Esc or another click removes it.");
  const float width = std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 36);
  draw_head_card(d.mirror, d.state.dark, d.state.pinned_head, width);
}

void draw_legend_and_pinned(const Drawn& d) {
  if (d.state.head_map_mode == HeadMapMode::policy) draw_policy_legend(d);
  if (d.state.head_map_mode == HeadMapMode::policy && d.has_budgets) draw_kept_line(d);
  if (!d.shows_kinds() && !d.shows_nothing())
    draw_color_scale(d.scale, std::min(ImGui::GetContentRegionAvail().x, ImGui::GetFontSize() * 24));
  if (d.shows_nothing() || (d.state.head_map_mode == HeadMapMode::recovery && !d.mirror.has_profile())) {
    ImGui::PushTextWrapPos(0);
    ImGui::TextDisabled("%s", why_nothing(d));
    ImGui::PopTextWrapPos();
  }
  if (d.state.pinned_head >= 0) draw_pinned(d);
}

}  // namespace

void draw_head_map(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& /*actions*/,
                   HeadMapState& own) {
  state.hovered_head = -1;
  own = {};
  const int32_t n_heads = static_cast<int32_t>(mirror.heads().size());
  if (state.pinned_head >= n_heads) state.pinned_head = -1;
  if (mirror.model() == nullptr || n_heads == 0)
    return empty_panel_text(chat.replay ? "This trace has not opened a model yet: step forward to see its heads."
                                        : "Open a model (File menu, or drop a GGUF file here) to see its heads.");
  if (mirror.n_cached() == 0)
    return empty_panel_text(chat.is_busy ? "The prompt is being read. Every head chooses its policy when that is done."
                                         : "Nothing is in the cache yet. Send a message: while it is read, every head "
                                           "chooses what it keeps, and shows it here.");

  Drawn d{mirror, *mirror.model(), state, mirror.config().budget != BudgetKind::fixed, {}, {}, {}, {}, 0, 1, {}};
  d.totals = policy_totals(d.model, mirror.heads(), mirror.config());
  for (const PolicyTotal& total : d.totals) d.policies.push_back(total.policy);
  d.letters = policy_letters(d.policies);
  state.recovery_policy = std::clamp(state.recovery_policy, 0, static_cast<int32_t>(d.policies.size()) - 1);
  d.recovery_policy = d.policies[static_cast<size_t>(state.recovery_policy)];
  set_scale(d);

  draw_modes(d);
  d.recovery_policy = d.policies[static_cast<size_t>(state.recovery_policy)];
  set_scale(d);
  const ImVec2 room = ImGui::GetContentRegionAvail();
  const float em = ImGui::GetFontSize();
  const float widest_map =
      std::max(label_width_of(d.model) + static_cast<float>(d.model.n_kv_heads) * widest_cell() + em,
               width_of(axes_text) + em * 0.25f);
  // A map of few heads leaves room for the legend beside it. A map that would get too low keeps its height, and the
  // panel scrolls.
  const float lowest = std::max(em * 9, std::min(lowest_map(d), room.y * 0.75f));
  if (room.x - widest_map >= em * 14) {
    draw_map(d, {widest_map, std::max(lowest, room.y)}, own);
    ImGui::SameLine();
    ImGui::BeginChild("###beside", {0, std::max(lowest, room.y)});
    draw_legend_and_pinned(d);
    ImGui::EndChild();
  } else {
    draw_map(d, {0, std::max(lowest, room.y - legend_height(d) - card_height(d))}, own);
    draw_legend_and_pinned(d);
  }
}

}  // namespace headroom
