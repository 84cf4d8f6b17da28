// Locates a message's text among the tokens, and answers the panels' queries about tokens and kept sets. See mirror.h.
#include <algorithm>
#include <cstring>

#include "engine/telemetry/mirror.h"

namespace headroom {
namespace {

constexpr size_t max_searched_bytes = size_t{8} << 20;
constexpr std::string_view white_space = " \t\n\v\f\r";

/// Index of the first `needle` (not empty) in `text` at or after `from`, or npos. memmem is linear even for repetitive
/// text.
size_t find_linear(std::string_view text, size_t from, std::string_view needle) {
  if (from >= text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace

/// Position of the token that covers a byte of the text.
int32_t Mirror::token_of_byte(size_t text_byte) const {
  const auto found = std::partition_point(tokens_.begin(), tokens_.end(),
                                          [&](const MirrorToken& token) { return token.text_end <= text_byte; });
  return static_cast<int32_t>(found - tokens_.begin());
}

/// An answer sampled on this stream is at drawn_at, as long as the tokens there have its ids.
bool Mirror::locate_drawn(MirrorMessage& message) const {
  if (message.drawn_at < 0 || static_cast<size_t>(message.drawn_at) >= tokens_.size() || message.ids.empty())
    return false;
  const auto first = static_cast<size_t>(message.drawn_at);
  const size_t n = std::min(message.ids.size(), tokens_.size() - first);
  for (size_t i = 0; i < n; ++i)
    if (tokens_[first + i].id != message.ids[i]) return false;
  message.token_begin = message.drawn_at;
  message.token_end = message.drawn_at + static_cast<int32_t>(n);
  message.text_begin = tokens_[first].text_begin;
  message.content_begin = 0;
  return true;
}

/// Any other text is searched for after the previous message. The template may have removed white space at both ends.
void Mirror::locate_written(MirrorMessage& message, size_t text_from, size_t& budget) const {
  const std::string_view content = message.content;
  const size_t first = content.find_first_not_of(white_space);
  if (first == std::string_view::npos) return;
  const std::string_view core = content.substr(first, content.find_last_not_of(white_space) + 1 - first);
  const size_t cost = core.size() + token_text_.size() - std::min(text_from, token_text_.size());
  if (cost > budget) return;
  size_t found = find_linear(token_text_, text_from, core);
  budget -= found == std::string_view::npos ? cost : core.size() + (found - text_from);
  if (found == std::string_view::npos) return;
  // White space at the ends that is present in the tokens belongs to the message.
  size_t begin = first, end = first + core.size();
  size_t text_end = found + core.size();
  while (begin > 0 && found > text_from && token_text_[found - 1] == content[begin - 1]) --begin, --found;
  while (end < content.size() && text_end < token_text_.size() && token_text_[text_end] == content[end])
    ++end, ++text_end;
  message.text_begin = static_cast<uint32_t>(found);
  message.content_begin = static_cast<uint32_t>(begin);
  message.token_begin = token_of_byte(found);
  message.token_end = token_of_byte(text_end - 1) + 1;
}

void Mirror::tokens_changed(int32_t first_position) {
  first_changed_ = std::min(first_changed_, first_position);
}

void Mirror::messages_changed(size_t first) {
  first_unlocated_ = std::min(first_unlocated_, first);
}

const std::vector<MirrorMessage>& Mirror::messages() const {
  if (first_unlocated_ != no_message || first_changed_ != no_position) locate_messages();
  return messages_;
}

void Mirror::locate_messages() const {
  size_t first = std::min(first_unlocated_, messages_.size());
  if (first_changed_ != no_position)
    for (size_t i = 0; i < first; ++i)
      if (messages_[i].token_begin < 0 || messages_[i].token_end >= first_changed_) first = i;
  first_unlocated_ = no_message;
  first_changed_ = no_position;
  // Limits the search to a few times the whole text, which is plenty; a hostile stream cannot cost more.
  size_t budget = 8 * std::min(token_text_.size(), max_searched_bytes) + (size_t{1} << 20);
  size_t text_from = 0;
  for (size_t i = 0; i < messages_.size(); ++i) {
    MirrorMessage& message = messages_[i];
    if (i >= first) {
      message.token_begin = message.token_end = -1;
      message.text_begin = message.content_begin = 0;
      if (!locate_drawn(message)) locate_written(message, text_from, budget);
    }
    if (message.token_end > 0) text_from = tokens_[static_cast<size_t>(message.token_end) - 1].text_end;
  }
}

std::string_view Mirror::text_of(int32_t position) const {
  if (position < 0 || static_cast<size_t>(position) >= tokens_.size()) return {};
  const MirrorToken& token = tokens_[static_cast<size_t>(position)];
  return token_text().substr(token.text_begin, token.text_end - token.text_begin);
}

int32_t Mirror::token_at(const MirrorMessage& message, size_t content_byte) const {
  if (message.token_begin < 0 || content_byte < message.content_begin || content_byte >= message.content.size())
    return -1;
  const size_t byte = message.text_begin + (content_byte - message.content_begin);
  const int32_t position = token_of_byte(byte);
  return position < message.token_end && static_cast<size_t>(position) < tokens_.size() ? position : -1;
}

std::pair<size_t, size_t> Mirror::content_bytes_of(const MirrorMessage& message, int32_t position) const {
  if (position < message.token_begin || position >= message.token_end || position < 0 ||
      static_cast<size_t>(position) >= tokens_.size())
    return {0, 0};
  const MirrorToken& token = tokens_[static_cast<size_t>(position)];
  const auto to_content = [&](size_t text_byte) {
    const size_t byte = std::max<size_t>(text_byte, message.text_begin) - message.text_begin + message.content_begin;
    return std::min(byte, message.content.size());
  };
  return {to_content(token.text_begin), to_content(token.text_end)};
}

bool Mirror::holds(int32_t head, int32_t position) const {
  return head >= 0 && static_cast<size_t>(head) < n_heads() && position >= 0 && position < n_cached_ &&
         kept_.holds(head, position);
}

int32_t Mirror::n_heads_holding(int32_t position) const {
  return position >= 0 && position < n_cached_ ? kept_.n_holding(position) : 0;
}

std::vector<int32_t> Mirror::kept_positions(int32_t head) const {
  std::vector<int32_t> positions;
  for (int32_t position = 0; position < n_cached_; ++position)
    if (holds(head, position)) positions.push_back(position);
  return positions;
}

}  // namespace headroom
