// Messages or raw text ─► token ids. See prompt.h.
#include "engine/run/prompt.h"

#include <algorithm>
#include <cstdio>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace headroom {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n\f\v";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// A sentence about the bytes at these places that the vocabulary has no token for; empty where there are none.
std::string left_out_note(std::string_view text, const std::vector<size_t>& places) {
  constexpr size_t max_listed = 8;
  std::vector<unsigned char> bytes;
  for (const size_t at : places) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (std::find(bytes.begin(), bytes.end(), byte) == bytes.end()) bytes.push_back(byte);
  }
  if (bytes.empty()) return {};
  std::string list;
  for (size_t i = 0; i < std::min(bytes.size(), max_listed); ++i) {
    char hex[8];
    std::snprintf(hex, sizeof hex, "%s0x%02X", i > 0 ? ", " : "", bytes[i]);
    list += hex;
  }
  if (bytes.size() > max_listed) list += " and others";
  return "the model's vocabulary has no token for the byte" + std::string(bytes.size() > 1 ? "s " : " ") + list +
         (bytes.size() > 1 ? ", which were" : ", which was") + " left out of the prompt";
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
  TextDecoder decoder(tokenizer);
  std::string text;
  for (const TokenId id : ids) text += decoder.push(id);
  return text + decoder.finish();
}

/// Ids that a message brings along may be of another vocabulary, or not what its text shows.
bool spell(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, std::string_view text) {
  const auto is_known = [&](TokenId id) { return id >= 0 && id < tokenizer.size(); };
  return !ids.empty() && std::all_of(ids.begin(), ids.end(), is_known) && shown_text(tokenizer, ids) == text;
}

/// Finds, span by span, the message that a stretch of user text is, so that an answer keeps the ids it was generated
/// with: tokenising its text again may give others, and the cache would be lost.
class AnswerFinder {
 public:
  AnswerFinder(const Tokenizer& tokenizer, const std::vector<ChatMessage>& messages)
      : tokenizer_(tokenizer), messages_(messages) {}

  /// Null where the text is no generated answer, or where its ids do not spell it.
  const std::vector<TokenId>* find(std::string_view text) {
    for (size_t i = next_; i < messages_.size(); ++i) {
      const ChatMessage& message = messages_[i];
      if (message.content != text && trimmed(message.content) != text) continue;
      next_ = i + 1;
      return spell(tokenizer_, message.ids, text) ? &message.ids : nullptr;
    }
    return nullptr;
  }

 private:
  const Tokenizer& tokenizer_;
  const std::vector<ChatMessage>& messages_;
  size_t next_ = 0;
};

/// Stretches of a rendered prompt, in order ─► its ids. Text is tokenised together up to the next answer that keeps its
/// ids, since models were trained on whole texts.
class PromptWriter {
 public:
  /// n_before_answer: bytes of the text before the head of the next answer.
  PromptWriter(const Tokenizer& tokenizer, size_t n_before_answer, const StopQuestion& stop)
      : tokenizer_(&tokenizer), n_before_answer_(n_before_answer), stop_(&stop) {}

  void add_text(const TextSpan& span) {
    parts_.push_back({span.text, !span.from_user});
    n_waiting_ += span.text.size();
  }
  void add_answer(std::string_view text, const std::vector<TokenId>& answer) {
    flush();
    append(ids, answer);
    n_bytes_ += text.size();
    if (n_bytes_ <= n_before_answer_) n_ids_before_answer = ids.size();
  }
  void flush() {
    const bool first_piece = ids.empty() || tokenizer_->is_special(ids.back());
    const Encoding encoding = tokenizer_->encode_parts(parts_, first_piece, *stop_);
    size_t n_before = 0;
    for (size_t begin = 0; n_before < encoding.ids.size(); begin = encoding.ends[n_before++]) {
      // SentencePiece's space before a first piece takes no bytes and belongs to what follows it.
      const size_t end = n_bytes_ + encoding.ends[n_before];
      if (end > n_before_answer_ || n_bytes_ + begin == n_before_answer_) break;
    }
    if (n_before > 0) n_ids_before_answer = ids.size() + n_before;
    append(ids, encoding.ids);
    for (const size_t at : encoding.left_out) left_out.push_back(n_bytes_ + at);
    n_bytes_ += n_waiting_;
    n_waiting_ = 0;
    parts_.clear();
  }

  std::vector<TokenId> ids;
  size_t n_ids_before_answer = 0;
  std::vector<size_t> left_out;  // places in the rendered text

 private:
  const Tokenizer* tokenizer_;
  size_t n_before_answer_;
  const StopQuestion* stop_;
  std::vector<TextPart> parts_;
  size_t n_waiting_ = 0;  // bytes of parts_
  size_t n_bytes_ = 0;    // of the text before them
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

/// An answer keeps its ids where its text could have them. A closed token inside, which the text may not even show, is
/// believed only where the session itself generated the conversation so far: files and peers could have put it there.
/// False: the text is to be tokenised.
bool take_answer(const Model& model, std::string_view text, const std::vector<TokenId>& answer,
                 std::span<const TokenId> generated, PromptWriter& writer) {
  const Tokenizer& tokenizer = model.tokenizer();
  const bool is_open = std::none_of(answer.begin(), answer.end(), [&](TokenId id) { return tokenizer.is_closed(id); });
  if (is_open) {
    writer.add_answer(text, answer);
    return true;
  }
  PromptWriter with_answer = writer;
  with_answer.add_answer(text, answer);
  std::vector<TokenId> ids = with_answer.ids;
  put_bos(model, ids);
  if (ids.size() > generated.size() || !std::equal(ids.begin(), ids.end(), generated.begin())) return false;
  writer = std::move(with_answer);
  return true;
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

std::string written_by_users(const std::vector<TextSpan>& spans) {
  std::string text;
  for (const TextSpan& span : spans)
    if (span.from_user) text += span.text;
  return text;
}

size_t count_places(std::string_view text, std::string_view part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string_view::npos; at += part.size()) ++n;
  return n;
}

/// The last message that a user wrote, or the end.
std::vector<ChatMessage>::const_iterator last_question(const std::vector<ChatMessage>& messages) {
  const auto found =
      std::find_if(messages.rbegin(), messages.rend(), [](const ChatMessage& m) { return m.role == "user"; });
  return found == messages.rend() ? messages.end() : std::prev(found.base());
}

/// Throws Error for a prompt that holds nothing of the last message, which the model would answer all the same.
void check_holds_question(const Model& model, const std::vector<ChatMessage>& messages,
                          const std::vector<TextSpan>& spans, const StopQuestion& stop) {
  const auto question = last_question(messages);
  if (model.chat_template() == nullptr || question == messages.end()) return;
  const std::string written = written_by_users(spans);
  const std::string_view wanted = trimmed(question->content);
  if (!wanted.empty()) {
    size_t n_expected = 0;  // an earlier message may hold the same words
    for (const ChatMessage& message : messages) n_expected += count_places(message.content, wanted);
    if (count_places(written, wanted) >= n_expected) return;
  }
  // The template changes the text, or leaves out something that holds the same words. Would another text show?
  std::vector<ChatMessage> others = messages;
  others[static_cast<size_t>(question - messages.begin())].content = "x" + question->content + "x";
  try {
    if (written_by_users(render(model, others, true, stop)) != written) return;
  } catch (const Error&) {
    return;  // it depends on the text
  }
  throw Error("the chat template's prompt does not hold the message; expected the text of the last message in it");
}

/// Where the last message begins in the rendered text; 0 where the conversation has no answer yet, or where it is not
/// found.
size_t find_question(const std::vector<ChatMessage>& messages, std::string_view text) {
  const bool first = std::none_of(messages.begin(), messages.end(),
                                  [](const ChatMessage& message) { return message.role == "assistant"; });
  const auto question = last_question(messages);
  if (first || question == messages.end()) return 0;
  const size_t at = text.rfind(trimmed(question->content));
  return at == std::string_view::npos ? 0 : at;
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

std::vector<TokenId> encode_raw(const Model& model, std::string_view text, bool allow_control, std::string* note) {
  check_prompt_text(text, "the prompt");
  const TextPart part{text, allow_control};
  Encoding encoding = model.tokenizer().encode_parts({&part, 1});
  if (encoding.ids.empty()) throw Error("the model's vocabulary has no token for any byte of the prompt");
  if (note != nullptr) *note = left_out_note(text, encoding.left_out);
  put_bos(model, encoding.ids);
  return std::move(encoding.ids);
}

EncodedChat encode_chat(const Model& model, const std::vector<ChatMessage>& messages, const StopQuestion& stop,
                        std::span<const TokenId> generated) {
  if (messages.empty()) throw Error("the conversation is empty; at least one message was expected");
  if (!model.template_problem().empty()) throw Error(model.template_problem());
  for (const ChatMessage& message : messages)
    if (message.ids.empty() && message.role != "assistant")
      check_prompt_text(message.content, "the " + message.role + " message");
  const std::vector<TextSpan> spans = render(model, messages, true, stop);
  check_holds_question(model, messages, spans, stop);
  const std::string text = joined(spans);
  AnswerFinder answers(model.tokenizer(), messages);
  PromptWriter writer(model.tokenizer(), find_answer_head(model, messages, text, stop), stop);
  for (const TextSpan& span : spans) {
    const std::vector<TokenId>* answer = span.from_user ? answers.find(span.text) : nullptr;
    if (answer == nullptr || !take_answer(model, span.text, *answer, generated, writer)) writer.add_text(span);
  }
  writer.flush();
  EncodedChat chat{.ids = std::move(writer.ids), .n_before_answer = 0, .note = {}};
  if (!writer.left_out.empty()) {
    const size_t begin = find_question(messages, text);  // earlier turns reported theirs already
    std::erase_if(writer.left_out, [&](size_t at) { return at < begin; });
    chat.note = left_out_note(text, writer.left_out);
  }
  const size_t n_without_bos = chat.ids.size();
  put_bos(model, chat.ids);
  if (chat.ids.empty()) throw Error("the chat template gave an empty prompt; text was expected");
  const size_t n_before = writer.n_ids_before_answer;
  chat.n_before_answer =
      static_cast<int32_t>(n_before > 0 ? n_before + chat.ids.size() - n_without_bos : chat.ids.size());
  return chat;
}

}  // namespace headroom
