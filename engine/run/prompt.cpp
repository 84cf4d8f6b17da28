// Messages or raw text ─► token ids. See prompt.h.
#include "engine/run/prompt.h"

#include <algorithm>

#include "engine/base/error.h"
#include "engine/text/utf8.h"

namespace headroom {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

void append(std::vector<TokenId>& ids, const std::vector<TokenId>& more) {
  ids.insert(ids.end(), more.begin(), more.end());
}

/// The model's BOS in front, unless the text brought it along.
void put_bos(const Model& model, std::vector<TokenId>& ids) {
  const Vocab& vocab = model.tokenizer().vocab();
  if (!vocab.add_bos || vocab.bos_id < 0) return;
  if (ids.empty() || ids.front() != vocab.bos_id) ids.insert(ids.begin(), vocab.bos_id);
}

/// What a stream of the ids showed, and so what the message holds: broken characters replaced.
std::string shown_text(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  StreamDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

/// Finds, span by span, the message that a stretch of user text is, so that an answer keeps the ids it was generated
/// with: tokenising its text again may give others, and the cache would be lost.
class AnswerFinder {
 public:
  AnswerFinder(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages)
      : tokenizer_(tokenizer), messages_(messages) {}

  /// Null where the text is no generated answer, or where the template changed it so that its ids do not spell it.
  const std::vector<TokenId>* find(std::string_view text) {
    for (size_t i = next_; i < messages_.size(); ++i) {
      const ChatMessage& message = messages_[i];
      if (message.content != text && trimmed(message.content) != text) continue;
      next_ = i + 1;
      return !message.ids.empty() && shown_text(tokenizer_, message.ids) == text ? &message.ids : nullptr;
    }
    return nullptr;
  }

 private:
  const Tokenizer& tokenizer_;
  const std::vector<ChatMessage>& messages_;
  size_t next_ = 0;
};

std::vector<TextSpan> render(const Model& model, const std::vector<ChatMessage>& messages, bool with_answer_head,
                             const StopQuestion& stop) {
  if (model.chat_template() == nullptr) {
    std::vector<TextSpan> spans;
    for (const ChatMessage& message : messages)
      if (!message.content.empty()) spans.push_back({message.content, true});
    return spans;
  }
  const Tokenizer& tokenizer = model.tokenizer();
  TemplateInput input;
  input.add_generation_prompt = with_answer_head;
  for (const ChatMessage& message : messages) input.messages.push_back({message.role, message.content});
  if (tokenizer.vocab().bos_id >= 0) input.bos_token = tokenizer.piece(tokenizer.vocab().bos_id, true);
  if (tokenizer.vocab().eos_id >= 0) input.eos_token = tokenizer.piece(tokenizer.vocab().eos_id, true);
  return model.chat_template()->render(input, stop);
}

std::string joined(const std::vector<TextSpan>& spans) {
  std::string text;
  for (const TextSpan& span : spans) text += span.text;
  return text;
}

/// Bytes of the rendered text before the head of the next answer; all of them where the template adds none at the end.
size_t find_answer_head(const Model& model, const std::vector<ChatMessage>& messages, std::string_view text,
                        const StopQuestion& stop) {
  if (model.chat_template() == nullptr) return text.size();
  try {
    const std::string without = joined(render(model, messages, false, stop));
    if (!without.empty() && text.starts_with(without)) return without.size();
  } catch (const Error&) {  // a template may have no such form
  }
  return text.size();
}

/// Of the ids of a text: those that end within its first n_bytes.
size_t count_within(const Tokenizer& tokenizer, std::string_view text, const std::vector<TokenId>& ids,
                    size_t n_bytes) {
  size_t end = 0;
  for (size_t i = 0; i < ids.size(); ++i) {
    std::string piece = tokenizer.piece(ids[i], true);
    if (end == 0 && piece.starts_with(' ') && !text.starts_with(' ')) piece.erase(0, 1);  // SentencePiece's prefix
    end += piece.size();
    if (end > n_bytes) return i;
  }
  return ids.size();
}

}  // namespace

void check_prompt_text(std::string_view text, std::string_view what) {
  if (text.empty()) throw Error(std::string(what) + " is empty; at least one character was expected");
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\0')
      throw Error(std::string(what) + " has a NUL byte at byte " + std::to_string(at) + "; text was expected");
    const size_t length = utf8_char_at(text, at).n_bytes;
    if (length == 0)
      throw Error(std::string(what) + " is not valid UTF-8 at byte " + std::to_string(at) + "; UTF-8 was expected");
    at += length;
  }
}

std::vector<TokenId> encode_raw(const Model& model, std::string_view text, bool allow_control) {
  check_prompt_text(text, "the prompt");
  std::vector<TokenId> ids = model.tokenizer().encode(text, allow_control);
  put_bos(model, ids);
  return ids;
}

EncodedChat encode_chat(const Model& model, const std::vector<ChatMessage>& messages, const StopQuestion& stop) {
  if (messages.empty()) throw Error("the conversation is empty; at least one message was expected");
  for (const ChatMessage& message : messages)
    if (message.ids.empty() && message.role != "assistant")
      check_prompt_text(message.content, "the " + message.role + " message");
  const Tokenizer& tokenizer = model.tokenizer();
  AnswerFinder answers(tokenizer, messages);
  const std::vector<TextSpan> spans = render(model, messages, true, stop);
  const size_t answer_head = find_answer_head(model, messages, joined(spans), stop);
  EncodedChat chat;
  size_t n_before_answer = 0;
  size_t begin = 0;
  for (const TextSpan& span : spans) {
    std::vector<TokenId> ids;
    const std::vector<TokenId>* answer = span.from_user ? answers.find(span.text) : nullptr;
    if (answer != nullptr) {
      ids = *answer;
    } else {
      const bool first_piece = chat.ids.empty() || tokenizer.is_control(chat.ids.back());
      ids = tokenizer.encode(span.text, !span.from_user, first_piece);
    }
    const size_t end = begin + span.text.size();
    if (end <= answer_head)
      n_before_answer = chat.ids.size() + ids.size();
    else if (begin < answer_head && answer == nullptr)
      n_before_answer = chat.ids.size() + count_within(tokenizer, span.text, ids, answer_head - begin);
    append(chat.ids, ids);
    begin = end;
  }
  const size_t n_without_bos = chat.ids.size();
  put_bos(model, chat.ids);
  if (chat.ids.empty()) throw Error("the chat template gave an empty prompt; text was expected");
  n_before_answer = n_before_answer > 0 ? n_before_answer + chat.ids.size() - n_without_bos : chat.ids.size();
  chat.n_before_answer = static_cast<int32_t>(n_before_answer);
  return chat;
}

}  // namespace headroom
