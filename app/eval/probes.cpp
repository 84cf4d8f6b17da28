// Builds instances. Every instance has its own random generator, so that it does not depend on the number of instances.
#include "app/eval/probes.h"

#include <array>
#include <numeric>
#include <random>
#include <span>

#include "app/eval/probe_words.h"

namespace headroom::eval {
namespace {

struct ProbeName {
  ProbeKind kind;
  const char* name;
};

constexpr std::array<ProbeName, 6> probe_table{{{ProbeKind::needle, "needle"},
                                                {ProbeKind::multi_key, "multikey"},
                                                {ProbeKind::passphrase, "passphrase"},
                                                {ProbeKind::copy, "copy"},
                                                {ProbeKind::variables, "variables"},
                                                {ProbeKind::second_turn, "second-turn"}}};

/// Random choices that are equal on every system; the distributions of the standard library are not.
class Draw {
 public:
  Draw(ProbeKind kind, uint64_t seed, int32_t index) {
    std::seed_seq sequence{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32), static_cast<uint32_t>(kind),
                           static_cast<uint32_t>(index)};
    random_.seed(sequence);
  }

  size_t below(size_t n) { return random_() % n; }

  /// Four digits, the first not 0.
  std::string number() { return std::to_string(1000 + below(9000)); }

  /// n different elements in random order.
  std::vector<std::string> some(std::span<const char* const> words, size_t n) {
    std::vector<size_t> order(words.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::vector<std::string> chosen;
    for (size_t i = 0; i < n; ++i) {
      std::swap(order[i], order[i + below(order.size() - i)]);
      chosen.emplace_back(words[order[i]]);
    }
    return chosen;
  }

  std::string one(std::span<const char* const> words) { return words[below(words.size())]; }

 private:
  std::mt19937_64 random_;
};

std::string joined_parts(std::span<const std::string> parts, const char* between = " ") {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

ProbeInstance needle(Draw& draw) {
  std::vector<std::string> sentences = draw.some(probe_filler, 16);
  const std::string place = draw.one(probe_places);
  const std::string number = draw.number();
  const size_t at = 1 + draw.below(sentences.size() - 4);
  sentences.insert(sentences.begin() + static_cast<int64_t>(at),
                   "The secret number of the " + place + " is " + number + ".");
  return {.prompt = joined_parts(sentences) + "\n\nThe secret number of the " + place + " is", .answer = " " + number};
}

ProbeInstance multi_key(Draw& draw) {
  constexpr size_t n_facts = 4;
  const std::vector<std::string> sentences = draw.some(probe_filler, 2 * n_facts);
  const std::vector<std::string> people = draw.some(probe_people, n_facts);
  std::vector<std::string> numbers;
  std::string text;
  for (size_t i = 0; i < n_facts; ++i) {
    numbers.push_back(draw.number());
    text += sentences[2 * i] + " The number of " + people[i] + " is " + numbers[i] + ". " + sentences[2 * i + 1] + " ";
  }
  const size_t asked = draw.below(n_facts);
  return {.prompt = text + "\n\nThe number of " + people[asked] + " is", .answer = " " + numbers[asked]};
}

ProbeInstance passphrase(Draw& draw) {
  const std::string phrase = joined_parts(draw.some(probe_words, 4));
  return {.prompt = "Remember the passphrase: " + phrase + ".\n\n" + joined_parts(draw.some(probe_filler, 13)) +
                    "\n\nAgain, the passphrase is: " + phrase.substr(0, phrase.find(' ')),
          .answer = phrase.substr(phrase.find(' '))};
}

ProbeInstance copy(Draw& draw) {
  constexpr size_t n_sentences = 4;
  const std::vector<std::string> people = draw.some(probe_people, n_sentences);
  const std::vector<std::string> things = draw.some(probe_things, n_sentences);
  const std::vector<std::string> places = draw.some(probe_places, n_sentences);
  std::string passage;
  for (size_t i = 0; i < n_sentences; ++i)
    passage += (i == 0 ? "" : " ") + people[i] + " " + draw.one(probe_verbs) + " the " + draw.one(probe_colours) + " " +
               things[i] + " at the " + places[i] + ".";
  return {
      .prompt = "Text:\n\n" + passage + "\n\n" + joined_parts(draw.some(probe_filler, 8)) + "\n\nText:\n\n" + people[0],
      .answer = passage.substr(people[0].size())};
}

/// Each value has a second name. For every chain except the one asked for, the text spells out the way from name to
/// value.
ProbeInstance variables(Draw& draw) {
  constexpr size_t n_chains = 2;
  const std::vector<std::string> sentences = draw.some(probe_filler, 4 * n_chains);
  const std::vector<std::string> names = draw.some(probe_words, 2 * n_chains);
  const size_t asked = draw.below(n_chains);
  std::string values, links, solved, answer;
  for (size_t i = 0; i < n_chains; ++i) {
    const std::string number = draw.number();
    values += sentences[4 * i] + " " + sentences[4 * i + 1] + " The value of " + names[2 * i] + " is " + number + ". ";
    links += sentences[4 * i + 2] + " " + sentences[4 * i + 3] + " The value of " + names[2 * i + 1] + " is that of " +
             names[2 * i] + ". ";
    const std::string way = " " + names[2 * i] + ", which is " + number;
    if (i == asked)
      answer = way;
    else
      solved += "The value of " + names[2 * i + 1] + " is that of" + way + ".\n";
  }
  return {.prompt = values + links + "\n\n" + solved + "The value of " + names[2 * asked + 1] + " is that of",
          .answer = answer};
}

ProbeInstance second_turn(Draw& draw) {
  std::vector<std::string> sentences = draw.some(probe_filler, 14);
  const std::vector<std::string> places = draw.some(probe_places, 2);
  const std::string numbers[] = {draw.number(), draw.number()};
  const size_t first = draw.below(2);
  sentences.insert(sentences.begin() + 10, "The secret number of the " + places[1] + " is " + numbers[1] + ".");
  sentences.insert(sentences.begin() + 4, "The secret number of the " + places[0] + " is " + numbers[0] + ".");
  const auto question = [&](size_t i) { return "What is the secret number of the " + places[i] + "?"; };
  const auto answer = [&](size_t i) { return "The secret number of the " + places[i] + " is"; };
  return {.prompt = joined_parts(sentences) + "\n\n" + question(first),
          .first_answer = answer(first) + " " + numbers[first] + ".",
          .question = question(1 - first),
          .answer_start = answer(1 - first),
          .answer = " " + numbers[1 - first]};
}

}  // namespace

std::string probe_name(ProbeKind kind) {
  for (const ProbeName& entry : probe_table)
    if (entry.kind == kind) return entry.name;
  return "";
}

std::optional<ProbeKind> find_probe(const std::string& name) {
  for (const ProbeName& entry : probe_table)
    if (name == entry.name) return entry.kind;
  return std::nullopt;
}

std::vector<ProbeKind> all_probes() {
  std::vector<ProbeKind> kinds;
  for (const ProbeName& entry : probe_table) kinds.push_back(entry.kind);
  return kinds;
}

std::vector<std::string> probe_names() {
  std::vector<std::string> names;
  for (const ProbeName& entry : probe_table) names.emplace_back(entry.name);
  return names;
}

ProbeInstance make_probe(ProbeKind kind, uint64_t seed, int32_t index) {
  Draw draw(kind, seed, index);
  switch (kind) {
    case ProbeKind::needle:
      return needle(draw);
    case ProbeKind::multi_key:
      return multi_key(draw);
    case ProbeKind::passphrase:
      return passphrase(draw);
    case ProbeKind::copy:
      return copy(draw);
    case ProbeKind::variables:
      return variables(draw);
    case ProbeKind::second_turn:
      return second_turn(draw);
  }
  return {};
}

}  // namespace headroom::eval
