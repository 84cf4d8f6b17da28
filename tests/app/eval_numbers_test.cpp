// Divergence and statistics against numbers computed by hand, and the tasks' texts.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "app/eval/probes.h"
#include "engine/run/divergence.h"

using namespace headroom;
using namespace headroom::eval;

namespace {

/// Logits of given probabilities, shifted: only differences count.
std::vector<float> logits_of(std::vector<double> probabilities, double shift) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + shift));
  return logits;
}

}  // namespace

TEST_CASE("KL is the sum of p ln p/q, in nats, whatever the logits' offset", "[eval]") {
  const std::vector<float> p = logits_of({0.5, 0.25, 0.25}, 10);
  const std::vector<float> q = logits_of({0.25, 0.5, 0.25}, -300);
  // 0.5 ln 2 + 0.25 ln 1/2 + 0 = 0.25 ln 2
  CHECK(kl_divergence(p, q) == Approx(0.25 * std::log(2.0)).epsilon(1e-5));
  CHECK(kl_divergence(p, p) == 0);
  const std::vector<float> sharp{0, 800};
  const std::vector<float> other{800, 0};
  CHECK(kl_divergence(sharp, other) == Approx(800));
}

TEST_CASE("agreement counts equal arg max, and the first difference is the first that is not", "[eval]") {
  Divergence divergence;
  const std::vector<float> a{3, 1, 0}, b{1, 3, 0}, tie{3, 3, 0};
  divergence.add(a, a);
  divergence.add(a, tie);  // the first of equal logits wins
  CHECK(divergence.first_difference() == -1);
  divergence.add(a, b);
  divergence.add(b, a);
  CHECK(divergence.n_steps() == 4);
  CHECK(divergence.agreement() == 0.5);
  CHECK(divergence.first_difference() == 2);
}

TEST_CASE("the 95th percentile is the nearest rank, and means are what they are called", "[eval]") {
  std::vector<double> values;
  for (int i = 20; i >= 1; --i) values.push_back(i);
  CHECK(percentile(values, 0.95) == 19);
  values.push_back(21);
  CHECK(percentile(values, 0.95) == 20);  // ceil(19.95)
  CHECK(percentile(std::vector<double>{7}, 0.95) == 7);
  CHECK(mean(std::vector<double>{1, 2, 6}) == 3);
  CHECK(geometric_mean(std::vector<double>{1, 100}) == Approx(10));
  CHECK(geometric_mean(std::vector<double>{0, 1e-9}) == Approx(1e-9));
  CHECK_FALSE(all_finite(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN()}));
  CHECK(log_sum_exp(std::vector<float>{1000, 1000}) == Approx(1000 + std::log(2.0)));
}

TEST_CASE("a seed gives the same instances, another number or seed another one", "[eval]") {
  for (const ProbeKind kind : all_probes()) {
    INFO(probe_name(kind));
    CHECK(find_probe(probe_name(kind)) == kind);
    std::set<std::string> prompts;
    for (int32_t index = 0; index < 50; ++index) {
      const ProbeInstance one = make_probe(kind, 7, index), again = make_probe(kind, 7, index);
      CHECK(one.prompt == again.prompt);
      CHECK(one.answer == again.answer);
      CHECK(one.answer.substr(0, 1) == " ");
      CHECK(one.answer.size() > 1);
      prompts.insert(one.prompt);
    }
    CHECK(prompts.size() == 50);
    CHECK(make_probe(kind, 8, 0).prompt != make_probe(kind, 7, 0).prompt);
  }
  CHECK(make_probe(ProbeKind::second_turn, 1, 0).has_two_turns());
  CHECK_FALSE(find_probe("haystack"));
}

TEST_CASE("the text of a task holds its answer, and the question does not give it away", "[eval]") {
  for (int32_t index = 0; index < 100; ++index) {
    const ProbeInstance needle = make_probe(ProbeKind::needle, 1, index);
    const size_t at = needle.prompt.find(needle.answer);
    CHECK(at != std::string::npos);
    CHECK(at < needle.prompt.rfind("\n\n"));
    const ProbeInstance later = make_probe(ProbeKind::second_turn, 1, index);
    CHECK(later.prompt.find(later.answer) != std::string::npos);
    CHECK((later.first_answer + later.question + later.answer_start).find(later.answer) == std::string::npos);
  }
}
