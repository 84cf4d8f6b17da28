// A kind of task, a seed and a number ─► one instance of it, as text: what is read, and the answer that the text itself
// determines. The same seed gives the same instances, so that configurations are compared in pairs. Knows no model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace headroom::eval {

enum class ProbeKind {
  needle,       // one fact in filler prose
  multi_key,    // four facts of one form, one is asked for
  passphrase,   // four words at the beginning, to be repeated
  copy,         // a passage, to be written again
  variables,    // a second name for a value
  second_turn,  // two facts in a first message, the second one is asked for in a later turn
};

std::string probe_name(ProbeKind kind);  // "needle", "multikey", …
std::optional<ProbeKind> find_probe(const std::string& name);
std::vector<ProbeKind> all_probes();
std::vector<std::string> probe_names();

/// One text: prompt and answer follow one another, and the answer begins with a space. Or two turns of a chat: prompt
/// and first_answer, question and answer_start + answer.
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
