// A kind of task, a seed and a number ─► one instance of it, as text: the prompt, and the answer that the prompt
// determines. The same seed gives the same instances, so that configurations can be compared in pairs. Knows no model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headroom::eval {

enum class ProbeKind {
  needle,       // one fact in filler prose
  multi_key,    // four facts of one form; the question asks for one
  passphrase,   // four words at the beginning, which the answer repeats
  copy,         // a passage, which the answer repeats
  variables,    // a second name for a value
  second_turn,  // two facts in a first message; a later turn asks for the second one
};

std::string probe_name(ProbeKind kind);  // "needle", "multikey", …
std::optional<ProbeKind> find_probe(const std::string& name);
std::vector<ProbeKind> all_probes();
std::vector<std::string> probe_names();

/// Either one text: prompt followed by answer, which begins with a space. Or two turns of a chat: prompt and
/// first_answer, then question and answer_start + answer.
struct ProbeInstance {
  std::string prompt{};
  std::string first_answer{};
  std::string question{};
  std::string answer_start{};
  std::string answer{};

  bool has_two_turns() const { return !question.empty(); }
};

ProbeInstance make_probe(ProbeKind kind, uint64_t seed, int32_t index);

}  // namespace headroom::eval
