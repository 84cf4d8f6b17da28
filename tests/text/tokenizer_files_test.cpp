// Vocabularies of real models: ids equal to llama.cpp's, other vocabularies refused. Missing files are skipped with a
// warning; tests/fetch_vocabs.sh downloads them.
#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "engine/base/error.h"
#include "engine/text/tokenizer.h"
#include "tests/support/effort.h"
#include "tests/support/model_paths.h"
#include "tests/text/vocab_files.h"

namespace headroom::tokenizer_files_test {
namespace {

using Ids = std::vector<TokenId>;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

struct Case {
  std::string text;
  Ids ids;
};

// llama.cpp's format: .inp has texts separated by a line "__ggml_vocab_test__", .out has one line of ids per text.
std::vector<Case> read_cases(const std::string& vocab_path) {
  const std::string separator = "\n__ggml_vocab_test__\n";
  const std::string texts = read_file(vocab_path + ".inp");
  std::vector<Case> cases;
  for (size_t at = 0; at < texts.size();) {
    const size_t end = std::min(texts.find(separator, at), texts.size());
    cases.push_back({texts.substr(at, end - at), {}});
    at = end + separator.size();
  }
  std::istringstream lines(read_file(vocab_path + ".out"));
  std::string line;
  size_t n_lines = 0;
  for (; std::getline(lines, line); ++n_lines) {
    std::istringstream numbers(line);
    TokenId id = 0;
    while (n_lines < cases.size() && numbers >> id) cases[n_lines].ids.push_back(id);
  }
  REQUIRE(n_lines == cases.size());
  return cases;
}

TEST_CASE("ids equal llama.cpp's on its vocabulary files") {
  for (const std::string name :
       {"gpt-2", "llama-bpe", "llama-spm", "qwen2", "mpt", "starcoder", "refact", "command-r"}) {
    const auto path = test::find_vocab(name);
    if (!path) {
      WARN("skipped: ggml-vocab-" << name << ".gguf is not there (tests/fetch_vocabs.sh fetches it)");
      continue;
    }
    const Tokenizer tokenizer(test::load_vocab(*path));
    const std::vector<Case> cases = read_cases(*path);
    CHECK(cases.size() >= 40);
    for (const Case& c : cases) {
      INFO(name << ": '" << c.text << "'");
      const Ids ids = tokenizer.encode(c.text);
      CHECK(ids == c.ids);
      CHECK(tokenizer.decode(ids) == c.text);
    }
  }
}

TEST_CASE("vocabularies with another pre-tokeniser, and Phi-3's, are refused") {
  const std::pair<std::string, std::string> files[] = {
      {"phi-3", "Phi-3"}, {"falcon", "'falcon'"}, {"deepseek-coder", "'deepseek-coder'"}};
  for (const auto& [name, why] : files) {
    const auto path = test::find_vocab(name);
    if (!path) {
      WARN("skipped: ggml-vocab-" << name << ".gguf is not there (tests/fetch_vocabs.sh fetches it)");
      continue;
    }
    CHECK_THROWS_WITH(Tokenizer(test::load_vocab(*path)), Catch::Contains(why));
  }
}

TEST_CASE("the default model: ids equal llama.cpp's on several hundred multilingual texts") {
  const auto path = test::find_model(test::smollm2_file);
  if (!path) {
    WARN("skipped: " << test::smollm2_file << " is not there");
    return;
  }
  const Tokenizer tokenizer(test::load_vocab(*path));
  const auto fixture = nlohmann::json::parse(read_file(HEADROOM_TEST_DATA "/tokenizer_smollm2.json"));
  CHECK(fixture.at("cases").size() >= 300);
  for (const auto& c : fixture.at("cases")) {
    const auto text = c.at("text").get<std::string>();
    const bool allow_control = c.at("allow_control").get<bool>();
    INFO("'" << text << "'");
    const Ids ids = tokenizer.encode(text, allow_control);
    CHECK(ids == c.at("ids").get<Ids>());
    CHECK(tokenizer.decode(ids, allow_control) == text);
  }
}

TEST_CASE("the default model: chat markers, classes and bytes that its vocabulary lacks") {
  const auto path = test::find_model(test::smollm2_file);
  if (!path) {
    WARN("skipped: " << test::smollm2_file << " is not there");
    return;
  }
  const Tokenizer tokenizer(test::load_vocab(*path));
  CHECK(tokenizer.size() == 49152);
  CHECK(tokenizer.encode("<|im_start|>user\n", true) == Ids{1, 4093, 198});
  CHECK(tokenizer.encode("<|im_start|>").size() > 1);
  CHECK(tokenizer.is_end_of_turn(2));
  CHECK_FALSE(tokenizer.is_end_of_turn(1));
  CHECK(tokenizer.token_class(1) == TokenClass::special);
  CHECK(tokenizer.token_class(tokenizer.encode(".")[0]) == TokenClass::punctuation);
  CHECK(tokenizer.token_class(tokenizer.encode(" the")[0]) == TokenClass::plain);
  CHECK(tokenizer.encode("a\x1d"
                         "b") == Ids{81, 82});  // no token for this byte, as in llama.cpp
}

TEST_CASE("construction is quick") {
  // An idle machine takes a quarter of the times below.
  constexpr double patience = test::has_address_sanitizer ? 20 : 4;
  const std::pair<const char*, double> models[] = {{test::smollm2_file, 0.3}, {test::gemma3_file, 0.5}};
  for (const auto& [name, seconds] : models) {
    const auto path = test::find_model(name);
    if (!path) {
      WARN("skipped: " << name << " is not there");
      continue;
    }
    Vocab vocab = test::load_vocab(*path);
    const auto start = std::chrono::steady_clock::now();
    const Tokenizer tokenizer(std::move(vocab));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    CHECK(took.count() < patience * seconds);
  }
}

}  // namespace
}  // namespace headroom::tokenizer_files_test
