// Returns the sentence of a refusal; shared by the tests of this folder.
#pragma once

#include <catch2/catch.hpp>
#include <string>

#include "engine/base/error.h"

namespace headroom::test {

/// The sentence that `attempt` is refused with, or "accepted".
template <typename Attempt>
std::string sentence_of(const Attempt& attempt) {
  try {
    attempt();
  } catch (const Error& error) {
    const std::string sentence = error.what();
    CHECK(sentence.find('\n') == std::string::npos);
    CHECK(sentence.size() < 1000);
    return sentence;
  }
  return "accepted";
}

}  // namespace headroom::test
