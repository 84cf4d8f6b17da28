// Messages or raw text ─► token ids, the one route from text to tokens. Control tokens and the template's scaffold are
// looked for in the template's own text only, so that what a user wrote never becomes one; what lies between two of
// them is tokenised as one text, whoever wrote it.
#pragma once

#include <span>
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
/// note: a sentence for the user about bytes that were left out since the vocabulary has no token for them; else empty.
std::vector<TokenId> encode_raw(const Model& model, std::string_view text, bool allow_control,
                                std::string* note = nullptr);

struct EncodedChat {
  std::vector<TokenId> ids;
  /// Of ids: those before the head of the next answer (what add_generation_prompt adds), which a later turn may write
  /// differently. ids.size() where the template adds no head behind its other text.
  int32_t n_before_answer = 0;
  std::string note;  // as encode_raw's, about what is new since the last answer
};

/// Ids of a whole conversation, with the head of the next answer. Without a template the contents follow one another
/// (plain completion). Throws Error where the template stops or leaves out the last message, and where the
/// file has one that cannot be used; Cancelled soon after `stop` says yes.
/// An answer's ids count where they spell its text and hold no token that no text gives; such a token only where the
/// conversation up to and with it is the beginning of `generated`, which the caller knows to be a prompt with the
/// answer that a model gave to it.
EncodedChat encode_chat(const Model& model, const std::vector<ChatMessage>& messages, const StopQuestion& stop = {},
                        std::span<const TokenId> generated = {});

}  // namespace headroom
