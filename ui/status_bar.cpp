// Each piece of the bar knows its width and its importance; the least important are dropped until the rest fits.
#include "ui/status_bar.h"

#include <imgui.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "ui/number_text.h"
#include "ui/shortcuts.h"
#include "ui/theme.h"
#include "ui/what_if.h"
#include "ui/widgets.h"

namespace headroom {
namespace {

struct Piece {
  int importance = 0;  // the piece with the smallest is dropped first
  float width = 0;
  std::function<void()> draw;
};

std::string speed_text(double tokens_per_s) {
  char text[48];
  std::snprintf(text, sizeof(text), tokens_per_s < 100 ? "%.1f tokens/s" : "%.0f tokens/s", tokens_per_s);
  return text;
}

Piece text_piece(int importance, std::string text, std::string explanation, float longest = 0) {
  const float width = longest > 0 ? std::min(longest, width_of(text)) : width_of(text);
  return {importance, width, [=] {
            const ImVec2 at = ImGui::GetCursorScreenPos();
            const float height = ImGui::GetTextLineHeight();
            ImGui::Dummy({width, height});
            draw_elided(*ImGui::GetWindowDrawList(), at, {at.x + width, at.y + height},
                        ImGui::GetColorU32(ImGuiCol_Text), text);
            explain(explanation);
          }};
}

Piece meter_piece(int importance, double share, ImU32 color, std::string text, std::string explanation) {
  const float width = width_of(text) + ImGui::GetFontSize();
  return {importance, width, [=] {
            meter(share, color, text.c_str(), width);
            explain(explanation);
          }};
}

void add_loading(std::vector<Piece>& pieces, const Mirror& mirror, Actions& actions) {
  const std::string stage = one_line(mirror.load_stage(), 60, "opening the model");
  const double fraction = mirror.load_fraction();
  const float em = ImGui::GetFontSize();
  const std::string text = stage + " " + percent_text(fraction);
  const float width = std::min(width_of(text) + em, em * 20);
  pieces.push_back({9, width, [=] {
                      meter(fraction, ImGui::GetColorU32(ImGuiCol_SliderGrab), text.c_str(), width);
                      explain("Opening the model: " + text);
                    }});
  pieces.push_back({10, width_of("Cancel") + 2 * ImGui::GetStyle().FramePadding.x, [&actions] {
                      if (ImGui::SmallButton("Cancel###cancel_load")) actions.cancel_load();
                      explain("Stops opening this model.");
                    }});
}

void add_model(std::vector<Piece>& pieces, const Mirror& mirror, const ChatView& chat) {
  const float em = ImGui::GetFontSize();
  const LoadedModel* model = mirror.model();
  if (model == nullptr) {
    if (!mirror.is_loading())
      pieces.push_back(text_piece(8, chat.replay ? "no model yet" : "no model",
                                  mirror.load_error().empty()
                                      ? "Open a model by the File menu, or drop a GGUF file here."
                                      : mirror.load_error()));
    return;
  }
  const std::string name = model_text(model->name, model->path);
  std::string about = name + "\n" + (model->name.empty() ? "" : "In the file: " + one_line(model->name, 200) + "\n") +
                      one_line(model->path, 400) + "\n" + model->architecture + ", " + bytes_text(model->file_bytes) +
                      ", " + std::to_string(model->n_layers) + " layers, " + std::to_string(model->n_heads) +
                      " query heads and " + std::to_string(model->n_kv_heads) + " KV heads per layer";
  if (!model->template_name.empty()) about += "\nchat template: " + one_line(model->template_name, 200);
  if (!model->template_note.empty()) about += "\n" + one_line(model->template_note, 400);
  pieces.push_back(text_piece(7, name, about, em * 16));
  std::string choice = "What computes: backend and device.";
  for (const auto& [skipped, reason] : model->skipped)
    choice += "\nNot used: " + skipped + ": " + one_line(reason, 200);
  const std::string device = one_line(model->device, 80);
  pieces.push_back(text_piece(2, device.empty() ? model->backend : model->backend + ": " + device, choice, em * 18));
}

void add_speed(std::vector<Piece>& pieces, const Mirror& mirror) {
  if (mirror.turn() && !mirror.turn()->is_generating) {
    pieces.push_back(meter_piece(6, mirror.turn()->prefill_fraction, ImGui::GetColorU32(ImGuiCol_SliderGrab),
                                 "reading " + percent_text(mirror.turn()->prefill_fraction),
                                 "The prompt is being read, layer by layer."));
    return;
  }
  const double speed = generate_speed(mirror);
  if (speed <= 0) return;
  std::string explanation =
      mirror.turn() ? "Tokens per second of this answer so far." : "Tokens per second of the last answer.";
  if (mirror.last_turn() && mirror.last_turn()->prompt_tokens_per_s > 0)
    explanation += "\nThe last prompt was read at " + speed_text(mirror.last_turn()->prompt_tokens_per_s) + ".";
  pieces.push_back(text_piece(4, speed_text(speed), explanation));
}

void add_meters(std::vector<Piece>& pieces, const Mirror& mirror, bool dark) {
  const LoadedModel* model = mirror.model();
  if (model == nullptr) return;
  const int32_t n = mirror.n_cached(), n_ctx = std::max(1, model->n_ctx);
  const double used = static_cast<double>(n) / n_ctx;
  pieces.push_back(
      meter_piece(6, used, used > 0.9 ? warning_color(dark) : ImGui::GetColorU32(ImGuiCol_SliderGrab),
                  "context " + count_text(n) + " / " + count_text(n_ctx),
                  "Tokens of the conversation, and how many this session can hold" +
                      (model->n_ctx_train > 0 ? " (the model was trained with " + count_text(model->n_ctx_train) + ")."
                                              : std::string("."))));
  const MirrorSample& now = mirror.now();
  // If there is a byte bound, compare the live bytes with it.
  const int64_t bound = mirror.config().budget == BudgetKind::shared ? mirror.config().kv_budget_bytes : 0;
  const int64_t whole = bound > 0 ? bound : now.kv_full_bytes;
  const double share = whole > 0 ? static_cast<double>(now.kv_live_bytes) / static_cast<double>(whole) : 0;
  const std::string too_short = too_short_text(mirror);
  pieces.push_back(meter_piece(
      5, share, ImGui::GetColorU32(ImGuiCol_SliderGrab),
      "KV " + bytes_text(now.kv_live_bytes) +
          (bound > 0           ? " / at most " + bytes_text(bound)
           : too_short.empty() ? " / " + bytes_text(now.kv_full_bytes)
                               : std::string()),
      (bound > 0
           ? "KV cache, live / bound: what the heads hold, unused slots and metadata included, and what "
             "they may hold. An uncompressed f16 cache of the same tokens needs " +
                 bytes_text(now.kv_full_bytes) + ". Allocated from the system: "
           : "KV cache, live / full: what the heads hold, unused slots and metadata included, and what "
             "an uncompressed f16 cache of the same tokens needs (" +
                 bytes_text(now.kv_full_bytes) + "). " +
                 (too_short.empty() ? "" : "The conversation is " + too_short + ". ") + "Allocated from the system: ") +
          bytes_text(now.kv_pool_bytes) + ".\nThe heads keep " + percent_text(kept_total(mirror).share()) +
          " of the tokens in their reach, as " + std::string(cache_type_name(mirror.config().cache_type)) +
          ", under the configuration " + one_line(mirror.config().name, 40, "custom") + "."));
}

void add_recording(std::vector<Piece>& pieces, const Mirror& mirror, const ChatView& chat, const UiState& state,
                   Actions& actions) {
  const float padding = 2 * ImGui::GetStyle().FramePadding.x;
  if (chat.replay) {
    pieces.push_back(text_piece(8, "recording", "A recording is shown: " + one_line(chat.replay->path, 400)));
  } else if (chat.is_recording) {
    const float side = ImGui::GetTextLineHeight();
    const std::string path = one_line(chat.recording_path, 400);
    const bool dark = state.dark;
    pieces.push_back({8, side + width_of("Stop recording") + padding, [=, &actions] {
                        const ImVec2 at = ImGui::GetCursorScreenPos();
                        ImGui::Dummy({side * 0.7f, side});
                        ImGui::GetWindowDrawList()->AddCircleFilled({at.x + side * 0.4f, at.y + side * 0.5f},
                                                                    side * 0.25f, failure_color(dark));
                        ImGui::SameLine(0, side * 0.3f);
                        if (ImGui::SmallButton("Stop recording###record")) actions.stop_recording();
                        explain("The engine's events are being recorded: " + path);
                      }});
  } else if (is_enabled(Action::toggle_recording, mirror, chat, state)) {
    pieces.push_back({1, width_of("Record") + padding, [&actions] {
                        if (ImGui::SmallButton("Record###record")) actions.start_recording();
                        explain("Writes the engine's events into a trace file, which can be played back later.");
                      }});
  }
}

}  // namespace

double generate_speed(const Mirror& mirror) {
  if (mirror.turn() && mirror.turn()->is_generating) {
    const RunningTurn& turn = *mirror.turn();
    const double ms = mirror.time_ms() - turn.generating_since_ms;
    return ms > 0 && turn.n_generated > 1 ? 1000.0 * turn.n_generated / ms : 0;
  }
  return mirror.last_turn() ? mirror.last_turn()->generate_tokens_per_s : 0;
}

void draw_status_bar(const Mirror& mirror, const ChatView& chat, UiState& state, Actions& actions,
                     StatusBarState& own) {
  std::vector<Piece> pieces;
  add_recording(pieces, mirror, chat, state, actions);
  if (mirror.is_loading()) add_loading(pieces, mirror, actions);
  add_model(pieces, mirror, chat);
  add_meters(pieces, mirror, state.dark);
  add_speed(pieces, mirror);
  if (!chat.replay && !chat.engine_is_running)
    pieces.push_back(text_piece(9, "engine not running", "The engine's process has ended; the banner above says why."));

  const float spacing = ImGui::GetStyle().ItemSpacing.x * 1.5f;
  const float room = ImGui::GetContentRegionAvail().x;
  const auto needed = [&] {
    float width = 0;
    for (const Piece& piece : pieces) width += piece.width + spacing;
    return width - spacing;
  };
  own = {};
  while (pieces.size() > 1 && needed() > room) {
    pieces.erase(std::min_element(pieces.begin(), pieces.end(),
                                  [](const Piece& a, const Piece& b) { return a.importance < b.importance; }));
    ++own.n_dropped;
  }
  own.n_shown = static_cast<int>(pieces.size());
  for (size_t i = 0; i < pieces.size(); ++i) {
    if (i > 0) ImGui::SameLine(0, spacing);
    pieces[i].draw();
  }
}

}  // namespace headroom
