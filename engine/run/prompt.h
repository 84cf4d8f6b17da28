// Messages or raw text ─► token ids, the one route from text to tokens. What a user wrote is tokenised apart from the
// template's own text, so that it can never become a control token.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/base/cancelled.h"
#include "engine/base/types.h"
#include "engine/run/model.h"

namespace headroom {

/// A message of a conversation; an answer that was generated keeps its ids, so that the cache is found again.
struct ChatMessage {
  std::string role;
  std::string content;
  std::vector<TokenId> ids;  // generated; empty for what a user wrote
};

/// Throws Error for an empty prompt, NUL bytes or invalid UTF-8; `what` names the text in the sentence.
void check_prompt_text(std::string_view text, std::string_view what);

/// Ids of the text as it is; BOS in front by the model's flag, never doubled.
std::vector<TokenId> encode_raw(const Model& model, std::string_view text, bool allow_control);

struct EncodedChat {
  std::vector<TokenId> ids;
  /// Of ids: those before the head of the next answer (what add_generation_prompt adds), which a later turn may write
  /// differently. ids.size() where the template adds no head behind its other text.
  int32_t n_before_answer = 0;
};

/// Ids of a whole conversation, with the head of the next answer. Without a template the contents follow one another
/// (plain completion). Throws Error where the template stops, Cancelled soon after `stop` says yes.
EncodedChat encode_chat(const Model& model, const std::vector<ChatMessage>& messages, const StopQuestion& stop = {});

}  // namespace headroom
