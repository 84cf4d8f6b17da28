// Text ─► words for byte-level BPE, by PCRE2 with its just-in-time compiler. See pretokenizer.h.
//
// llama.cpp and the models' own tokenisers use Unicode 15.1, but PCRE2 10.42 uses Unicode 14. So the letters and
// numbers added since are listed by hand. White space is Unicode's property, since PCRE2's \s also matches U+180E.
#include "engine/text/pretokenizer.h"

#include <cassert>
#include <cstdint>
#include <string>

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace headroom {
namespace {

constexpr const char* letter =
    "\\p{L}\\x{1123f}\\x{11240}\\x{11f02}\\x{11f04}-\\x{11f10}\\x{11f12}-\\x{11f33}\\x{1342f}\\x{13441}-\\x{13446}"
    "\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}\\x{1e4d0}-\\x{1e4eb}\\x{2b739}"
    "\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}";
constexpr const char* number = "\\p{N}\\x{11f50}-\\x{11f59}\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}";
constexpr const char* space = "\\p{White_Space}";

enum class Family { gpt2, smollm, llama3, llama3_whole_words, qwen2 };

// The expressions of the models' own tokenizer.json. @L, @N and @S are replaced by letters, numbers and white space, as
// they are written inside a character class. Contractions list both cases, since a caseless s also matches U+017F.
std::string pattern(Family family) {
  std::string named;
  switch (family) {
    case Family::gpt2:
      named = "'(?:[stmd]|re|ve|ll)| ?[@L]+| ?[@N]+| ?[^@S@L@N]+|[@S]+(?![^@S])|[@S]+";
      break;
    case Family::smollm:
      // Digits are split off before the GPT-2 expression is applied, so white space before a digit counts as final.
      named = "'(?:[stmd]|re|ve|ll)|[@N]| ?[@L]+| ?[^@S@L@N]+|[@S]+(?![^@S@N])|[@S]+";
      break;
    case Family::llama3:
    case Family::llama3_whole_words:
    case Family::qwen2:
      named = "'(?:[sStTmMdD]|[rR][eE]|[vV][eE]|[lL][lL])|[^\\r\\n@L@N]?[@L]+|";
      named += family == Family::qwen2 ? "[@N]" : "[@N]{1,3}";
      named += "| ?[^@S@L@N]+[\\r\\n]*|[@S]*[\\r\\n]+|[@S]+(?![^@S])|[@S]+";
      break;
  }
  std::string whole;
  for (size_t i = 0; i < named.size(); ++i) {
    if (named[i] != '@') {
      whole += named[i];
    } else {
      ++i;
      whole += named[i] == 'L' ? letter : named[i] == 'N' ? number : space;
    }
  }
  return whole;
}

// The values of tokenizer.ggml.pre with their expression and their handling of whole words.
struct Known {
  std::string_view pre;
  Family family;
};
constexpr Known known[] = {
    // clang-format off
    {"gpt-2", Family::gpt2}, {"phi-2", Family::gpt2}, {"mpt", Family::gpt2}, {"olmo", Family::gpt2},
    {"jais", Family::gpt2}, {"exaone4", Family::gpt2}, {"gigachat", Family::gpt2}, {"a.x-4.0", Family::gpt2},
    {"trillion", Family::gpt2}, {"granite-docling", Family::gpt2},
    {"smollm", Family::smollm}, {"starcoder", Family::smollm}, {"refact", Family::smollm},
    {"command-r", Family::smollm}, {"codeshell", Family::smollm}, {"exaone", Family::smollm},
    {"minerva-7b", Family::smollm},
    {"llama3", Family::llama3_whole_words}, {"llama-v3", Family::llama3_whole_words},
    {"llama-bpe", Family::llama3_whole_words}, {"falcon3", Family::llama3_whole_words},
    {"falcon-h1", Family::llama3_whole_words}, {"pixtral", Family::llama3_whole_words},
    {"midm-2.0", Family::llama3_whole_words}, {"lfm2", Family::llama3_whole_words},
    {"glm4", Family::llama3_whole_words},
    {"chatglm-bpe", Family::llama3}, {"dbrx", Family::llama3}, {"smaug-bpe", Family::llama3},
    {"qwen2", Family::qwen2}, {"deepseek-r1-qwen", Family::qwen2}, {"stablelm2", Family::qwen2},
    {"hunyuan", Family::qwen2}, {"megrez", Family::qwen2}, {"grok-2", Family::qwen2},
    // clang-format on
};

Family find_family(std::string_view pre) {
  for (const Known& k : known) {
    if (k.pre == pre) return k.family;
  }
  if (pre.empty()) {
    throw Error(ErrorKind::unsupported,
                "the file has no tokenizer.ggml.pre, so how its text is split into words is not known");
  }
  throw Error(ErrorKind::unsupported, "tokenizer.ggml.pre is '" + std::string(pre.substr(0, 40)) +
                                          "'; the pre-tokenisers of GPT-2, SmolLM, Llama 3 and Qwen 2 are supported");
}

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
};

}  // namespace

struct Pretokenizer::Impl {
  std::unique_ptr<pcre2_code, FreeCode> code;
  std::unique_ptr<pcre2_match_context, FreeMatchContext> context;
  bool whole_words_first = false;

  explicit Impl(Family family) : whole_words_first(family == Family::llama3_whole_words) {
    const std::string expression = pattern(family);
    int error = 0;
    size_t where = 0;
    code.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(expression.data()), expression.size(),
                             PCRE2_UTF | PCRE2_UCP | PCRE2_ANCHORED, &error, &where, nullptr));
    context.reset(pcre2_match_context_create(nullptr));
    if (!code || !context) {
      throw Error(ErrorKind::unsupported,
                  "PCRE2 cannot compile the pre-tokeniser's expression (error " + std::to_string(error) + ")");
    }
    // If just-in-time compilation fails, PCRE2 interprets the same expression. The expressions need one step per
    // character of a word, so the default match limit would fail for a very long word.
    pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);
    pcre2_set_match_limit(context.get(), UINT32_MAX);
  }

  // valid: must be valid UTF-8.
  void split_valid(std::string_view valid, pcre2_match_data* data, std::vector<std::string_view>* words,
                   StopClock& clock) const {
    const auto* bytes = reinterpret_cast<PCRE2_SPTR>(valid.data());
    for (size_t at = 0; at < valid.size();) {
      clock.step();
      const int rc = pcre2_match(code.get(), bytes, valid.size(), at, PCRE2_NO_UTF_CHECK, data, context.get());
      if (rc < 0) {
        throw Error(
            rc == PCRE2_ERROR_NOMEMORY ? ErrorKind::out_of_memory : ErrorKind::unsupported,
            "PCRE2 could not split the text at byte " + std::to_string(at) + " (error " + std::to_string(rc) + ")");
      }
      const size_t end = pcre2_get_ovector_pointer(data)[1];
      assert(end > at);
      words->push_back(valid.substr(at, end - at));
      at = end;
    }
  }
};

Pretokenizer::Pretokenizer(std::string_view pre) : impl_(std::make_unique<const Impl>(find_family(pre))) {}
Pretokenizer::Pretokenizer(Pretokenizer&&) noexcept = default;
Pretokenizer& Pretokenizer::operator=(Pretokenizer&&) noexcept = default;
Pretokenizer::~Pretokenizer() = default;

bool Pretokenizer::whole_words_first() const {
  return impl_->whole_words_first;
}

void Pretokenizer::split(std::string_view text, std::vector<std::string_view>* words, const StopQuestion& stop) const {
  StopClock clock(stop);
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(pcre2_match_data_create(1, nullptr));
  if (!data) throw Error(ErrorKind::out_of_memory, "no memory to split a text into words");
  size_t begin = 0;
  bool valid = true;  // what text[begin, at) is
  for (size_t at = 0; at <= text.size();) {
    clock.step();
    const Utf8Char c = at < text.size() ? utf8_char_at(text, at) : Utf8Char{};
    const bool ends = at == text.size();
    if ((ends || (c.n_bytes > 0) != valid) && at > begin) {
      if (valid) {
        impl_->split_valid(text.substr(begin, at - begin), data.get(), words, clock);
      } else {
        words->push_back(text.substr(begin, at - begin));
      }
      begin = at;
    }
    if (ends) break;
    valid = c.n_bytes > 0;
    at += valid ? c.n_bytes : 1;
  }
}

}  // namespace headroom
