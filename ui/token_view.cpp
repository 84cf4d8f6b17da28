// Tokens ─► rows of coloured cells. Each cell's width is computed once, and only rows in view are drawn.
#include "ui/token_view.h"

#include <imgui.h>
#include <imgui_internal.h>

#include <algorithm>

#include "ui/number_text.h"
#include "ui/theme.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

float padding() {
  return ImGui::GetFontSize() * 0.2f;
}

float row_height() {
  return ImGui::GetTextLineHeight() + 3 * padding();
}

/// The text of a cell: "#id" for a token without text.
std::string cell_text(const Mirror& mirror, int32_t position) {
  const std::string_view text = mirror.text_of(position);
  if (text.empty()) return "#" + std::to_string(mirror.tokens()[static_cast<size_t>(position)].id);
  return visible_token(text);
}

TokenViewState::Cell make_cell(const Mirror& mirror, int32_t position) {
  const MirrorToken& token = mirror.tokens()[static_cast<size_t>(position)];
  const std::string_view text = mirror.text_of(position);
  const float room = 2 * padding() * (token.token_class == TokenClass::special ? 2.0f : 1.0f);
  return {token.id, token.text_end, width_of(cell_text(mirror, position)) + room, !text.empty() && text.back() == '\n'};
}

void add_to_rows(TokenViewState& own, int32_t position, float width) {
  const auto p = static_cast<size_t>(position);
  const bool begins = p == 0 || own.cells[p - 1].ends_row || own.row_width + own.cells[p].width > width;
  if (begins) {
    own.rows.push_back(position);
    own.row_width = 0;
  }
  own.row_width += own.cells[p].width + padding();
}

/// Updates the cells and rows of the tokens that have changed.
void lay_out(const Mirror& mirror, float width, TokenViewState& own) {
  if (own.font_size != ImGui::GetFontSize()) own.cells.clear();
  const bool same = own.version == mirror.version() && own.font_size == ImGui::GetFontSize() && own.width == width;
  if (same && own.cells.size() == mirror.tokens().size()) return;
  const auto tokens = mirror.tokens();
  size_t kept = 0;
  while (kept < own.cells.size() && kept < tokens.size() && own.cells[kept].id == tokens[kept].id &&
         own.cells[kept].text_end == tokens[kept].text_end)
    ++kept;
  const bool only_grew = kept == own.cells.size() && own.width == width && own.font_size == ImGui::GetFontSize();
  own.cells.resize(kept);
  own.cells.reserve(tokens.size());
  for (size_t p = kept; p < tokens.size(); ++p) own.cells.push_back(make_cell(mirror, static_cast<int32_t>(p)));
  if (!only_grew) {
    own.rows.clear();
    own.row_width = 0;
  }
  for (size_t p = only_grew ? kept : 0; p < tokens.size(); ++p) add_to_rows(own, static_cast<int32_t>(p), width);
  own.version = mirror.version();
  own.font_size = ImGui::GetFontSize();
  own.width = width;
}

ImU32 ground_of(const Mirror& mirror, const UiState& state, int32_t position) {
  const int32_t head = state.active_head();
  if (position >= mirror.n_cached()) return 0;  // sampled, not in the cache yet
  if (head >= 0) return mirror.holds(head, position) ? ImGui::GetColorU32(ImGuiCol_ButtonActive) : 0;
  const auto n_heads = static_cast<float>(std::max<size_t>(1, mirror.heads().size()));
  return scale_color(static_cast<float>(mirror.n_heads_holding(position)) / n_heads);
}

void draw_cell(const Mirror& mirror, UiState& state, int32_t position, ImVec2 min, float width) {
  ImDrawList& list = *ImGui::GetWindowDrawList();
  const ImVec2 max = {min.x + width, min.y + ImGui::GetTextLineHeight() + 2 * padding()};
  const ImU32 ground = ground_of(mirror, state, position);
  const bool is_control = mirror.tokens()[static_cast<size_t>(position)].token_class == TokenClass::special;
  const float rounding = is_control ? (max.y - min.y) / 2 : padding();
  if (ground != 0) list.AddRectFilled(min, max, ground, rounding);
  if (is_control || ground == 0) list.AddRect(min, max, ImGui::GetColorU32(ImGuiCol_Border), rounding);
  const ImU32 ink = ground == 0 ? ImGui::GetColorU32(ImGuiCol_TextDisabled) : text_on(ground);
  const float left = min.x + padding() * (is_control ? 2.0f : 1.0f);
  list.AddText({left, min.y + padding()}, ink, cell_text(mirror, position).c_str());
  if (is_pointing() && ImGui::IsWindowHovered() && ImGui::IsMouseHoveringRect(min, max)) {
    list.AddRect(min, max, ImGui::GetColorU32(ImGuiCol_Text), rounding, ImGui::GetFontSize() * 0.1f);
    state.hovered_token = position;
    show_token_card(mirror, position);
  }
}

void draw_legend(const Mirror& mirror, const UiState& state) {
  if (state.active_head() >= 0 && static_cast<size_t>(state.active_head()) < mirror.heads().size()) {
    ImGui::PushStyleColor(ImGuiCol_Text, ImGui::GetStyleColorVec4(ImGuiCol_TextDisabled));
    elided_text("Coloured: the tokens that this head still holds.");
    ImGui::PopStyleColor();
    return;
  }
  const float em = ImGui::GetFontSize();
  ImGui::AlignTextToFramePadding();
  ImGui::TextUnformatted("held by 0 %");
  ImGui::SameLine();
  const ImVec2 min = ImGui::GetCursorScreenPos();
  const float top = min.y + ImGui::GetStyle().FramePadding.y, step = em * 8 / 32;
  for (int i = 0; i < 32; ++i) {
    const float left = min.x + step * static_cast<float>(i);
    ImGui::GetWindowDrawList()->AddRectFilled({left, top}, {left + step, top + em},
                                              scale_color(static_cast<float>(i) / 31.0f));
  }
  ImGui::Dummy({em * 8, em});
  ImGui::SameLine();
  ImGui::SetCursorPosY(ImGui::GetCursorPosY() + ImGui::GetStyle().FramePadding.y);
  elided_text("100 % of " + count_text(std::ssize(mirror.heads()), "head", "heads"));
}

void draw_rows(const Mirror& mirror, UiState& state, TokenViewState& own) {
  const float left = ImGui::GetCursorScreenPos().x;
  ImGuiListClipper clipper;
  clipper.Begin(static_cast<int>(own.rows.size()), row_height());
  while (clipper.Step()) {
    for (int row = clipper.DisplayStart; row < clipper.DisplayEnd; ++row) {
      const auto r = static_cast<size_t>(row);
      const auto end = r + 1 < own.rows.size() ? static_cast<size_t>(own.rows[r + 1]) : own.cells.size();
      ImVec2 at = {left, ImGui::GetCursorScreenPos().y};
      for (auto p = static_cast<size_t>(own.rows[r]); p < end; ++p) {
        draw_cell(mirror, state, static_cast<int32_t>(p), at, own.cells[p].width);
        at.x += own.cells[p].width + padding();
      }
      ImGui::Dummy({1, row_height()});
    }
  }
}

}  // namespace

std::string visible_token(std::string_view text) {
  std::string out;
  const char* end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    unsigned int code = 0;
    const int n = ImTextCharFromUtf8(&code, at, end);
    const auto byte = static_cast<unsigned char>(*at);
    const bool is_whole =
        n > 0 && (code != IM_UNICODE_CODEPOINT_INVALID || std::string_view(at, end).starts_with("\xEF\xBF\xBD"));
    if (byte == ' ') {
      out += "\u00B7";
    } else if (byte == '\n') {
      out += "\u00B6";
    } else if (byte == '\t') {
      out += "\u00BB";
    } else if (byte < 0x20 || byte == 0x7F || !is_whole) {
      char hex[8];
      std::snprintf(hex, sizeof hex, "<%02X>", byte);
      out += hex;
      ++at;
      continue;
    } else {
      out.append(at, static_cast<size_t>(n));
    }
    at += n;
  }
  return out;
}

std::string head_sentence(const Mirror& mirror, int32_t head) {
  if (mirror.model() == nullptr || head < 0 || static_cast<size_t>(head) >= mirror.heads().size()) return "";
  const MirrorHead& h = mirror.heads()[static_cast<size_t>(head)];
  const int32_t n_kv_heads = std::max(1, mirror.model()->n_kv_heads);
  return "Layer " + std::to_string(head / n_kv_heads) + ", KV head " + std::to_string(head % n_kv_heads) + " keeps " +
         count_text(h.kept_tokens) + " of " + count_text(mirror.n_cached(), "token", "tokens");
}

void show_token_card(const Mirror& mirror, int32_t position) {
  if (position < 0 || static_cast<size_t>(position) >= mirror.tokens().size() || !ImGui::BeginTooltip()) return;
  const TokenClass token_class = mirror.tokens()[static_cast<size_t>(position)].token_class;
  const char* name = token_class == TokenClass::special       ? "control token"
                     : token_class == TokenClass::punctuation ? "punctuation"
                                                              : "plain";
  ImGui::TextUnformatted(one_line(cell_text(mirror, position), 40).c_str());
  ImGui::TextDisabled("position %d, %s", position, position < mirror.n_cached() ? name : "not in the cache yet");
  if (position < mirror.n_cached())
    ImGui::TextDisabled("held by %d of %d heads", mirror.n_heads_holding(position),
                        static_cast<int>(mirror.heads().size()));
  ImGui::EndTooltip();
}

void draw_token_view(const Mirror& mirror, const ChatView&, UiState& state, Actions&, TokenViewState& own) {
  if (mirror.tokens().empty()) {
    empty_panel_text(
        "The model has not read anything of this chat yet. Its tokens are shown here after the next message.");
    return;
  }
  draw_legend(mirror, state);
  ImGui::PushStyleVar(ImGuiStyleVar_ItemSpacing, ImVec2(0, 0));
  if (ImGui::BeginChild("###tokens", {0, 0}, ImGuiChildFlags_None, ImGuiWindowFlags_AlwaysVerticalScrollbar)) {
    const size_t n_before = own.cells.size();
    lay_out(mirror, ImGui::GetContentRegionAvail().x, own);
    own.follows_end = ImGui::GetScrollY() >= ImGui::GetScrollMaxY() - 1 || n_before == 0;
    draw_rows(mirror, state, own);
    if (own.follows_end) ImGui::SetScrollHereY(1.0f);
  }
  ImGui::EndChild();
  ImGui::PopStyleVar();
}

}  // namespace headroom
