// evict: removes the slots that a rule does not keep, lowest score first; the last slot fills each hole.
#include <algorithm>
#include <limits>

#include "tests/ops/backend_fixture.h"

namespace headroom::test::evict_test {
namespace {

struct Outcome {
  StepReport report;
  std::vector<Slot> slots;  // what is held now, in slot order, by replay of the report
};

/// One head with these slots, whose K and V encode the position. Replays the report on a mirror of the tags; the head's
/// pages must then match the mirror exactly.
Outcome evict(Backend& backend, const std::vector<Slot>& slots, const KeepRule& rule, int32_t log_before = 0,
              PageLayout layout = {4}) {
  const size_t row_u16s = layout.slot_row_u16s();
  const auto row_of = [&](int32_t position) {
    std::vector<uint16_t> row(row_u16s);
    for (size_t i = 0; i < row_u16s; ++i) row[i] = static_cast<uint16_t>(static_cast<size_t>(position) + 7 * i);
    return row;
  };
  TestCache cache(backend, layout);
  std::vector<uint16_t> rows;
  for (const Slot& slot : slots)
    for (const uint16_t value : row_of(slot.position)) rows.push_back(value);
  cache.add_head(slots, rows);
  const std::vector<HeadView> views = cache.views();
  const std::vector<KeepRule> rules{rule};
  const DecodeStep step{.position = 30000, .n_kv_heads = 1, .heads = views, .rules = rules, .log_before = log_before};
  Outcome outcome{run_step(backend, step, [&] { backend.evict(0); }), slots};

  size_t n_logged = 0;
  for (const Eviction& eviction : outcome.report.evictions) {
    std::vector<Slot>& held = outcome.slots;
    REQUIRE(eviction.head == 0);
    REQUIRE(static_cast<size_t>(eviction.slot) < held.size());
    Slot& hole = held[static_cast<size_t>(eviction.slot)];
    CHECK(eviction.position == hole.position);
    if (hole.score == hole.score) CHECK(eviction.score == hole.score);
    if (eviction.position < log_before) {
      REQUIRE(eviction.row == static_cast<int64_t>(n_logged++));
      const auto row = outcome.report.rows.begin() + eviction.row * static_cast<int64_t>(row_u16s);
      CHECK(std::vector<uint16_t>(row, row + static_cast<int64_t>(row_u16s)) == row_of(eviction.position));
    } else {
      CHECK(eviction.row == -1);
    }
    hole = held.back();
    held.pop_back();
  }
  CHECK(outcome.report.rows.size() == n_logged * row_u16s);

  cache.set_length(0, static_cast<int32_t>(outcome.slots.size()));
  const std::vector<float> scores = cache.scores(0);
  const std::vector<uint16_t> found_rows = cache.rows(0);
  for (size_t s = 0; s < outcome.slots.size(); ++s) {
    if (outcome.slots[s].score == outcome.slots[s].score) CHECK(scores[s] == outcome.slots[s].score);
    const auto row = found_rows.begin() + static_cast<int64_t>(s * row_u16s);
    CHECK(std::vector<uint16_t>(row, row + static_cast<int64_t>(row_u16s)) == row_of(outcome.slots[s].position));
  }
  return outcome;
}

std::vector<int32_t> evicted_positions(const Outcome& outcome) {
  std::vector<int32_t> positions;
  for (const Eviction& eviction : outcome.report.evictions) positions.push_back(eviction.position);
  return positions;
}

/// The definition, slot by slot: a slot of the contest stays if fewer than n_frequent others beat it.
std::vector<int32_t> expected_positions(const std::vector<Slot>& slots, const KeepRule& rule) {
  const auto contests = [&](const Slot& slot) {
    return slot.position >= rule.reach_from && !rule.keeps_always(slot.position, slot.token_class);
  };
  const auto beats = [](const Slot& a, const Slot& b) {
    return a.score > b.score || (a.score == b.score && a.position < b.position);
  };
  std::vector<Slot> leaving;
  for (const Slot& slot : slots) {
    if (slot.position >= rule.reach_from && !contests(slot)) continue;
    if (contests(slot) && rule.policy.has(Policy::frequent)) {
      const auto n_better = std::count_if(slots.begin(), slots.end(),
                                          [&](const Slot& other) { return contests(other) && beats(other, slot); });
      if (n_better < rule.n_frequent) continue;
    }
    leaving.push_back(slot);
  }
  std::sort(leaving.begin(), leaving.end(), [&](const Slot& a, const Slot& b) { return beats(b, a); });
  std::vector<int32_t> positions;
  for (const Slot& slot : leaving) positions.push_back(slot.position);
  return positions;
}

constexpr uint8_t s = Policy::special, p = Policy::punctuation, f = Policy::frequent, l = Policy::local;

}  // namespace

TEST_CASE("evict by hand: the lowest of the contest leaves and the last slot takes its place") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const std::vector<Slot> slots{{0, TokenClass::special, 0.1f},
                                  {1, TokenClass::plain, 0.5f},
                                  {2, TokenClass::punctuation, 0.2f},
                                  {3, TokenClass::plain, 0.9f},
                                  {4, TokenClass::plain, 0}};
    const Outcome outcome =
        evict(*backend, slots, {.policy = {s | p | f | l}, .reach_from = 0, .local_from = 4, .n_frequent = 1});
    CHECK(evicted_positions(outcome) == std::vector<int32_t>{1});
    CHECK(outcome.report.evictions[0].slot == 1);
    CHECK(outcome.slots == std::vector<Slot>{slots[0], slots[4], slots[2], slots[3]});
  }
}

TEST_CASE("of equal scores the later position leaves, wherever its slot is") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const std::vector<Slot> slots{
        {7, TokenClass::plain, 1}, {9, TokenClass::plain, 1}, {8, TokenClass::plain, 1}, {3, TokenClass::plain, 1}};
    const KeepRule rule{.policy = {f}, .reach_from = 0, .local_from = 100, .n_frequent = 2};
    CHECK(evicted_positions(evict(*backend, slots, rule)) == std::vector<int32_t>{9, 8});
  }
}

TEST_CASE("what the window has passed leaves, protected or not, also from a full head") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const std::vector<Slot> slots{{0, TokenClass::special, 5}, {5, TokenClass::plain, 1}, {6, TokenClass::plain, 2}};
    CHECK(evicted_positions(
              evict(*backend, slots, {.policy = {Policy::full}, .reach_from = 6, .local_from = 0, .n_frequent = 0})) ==
          std::vector<int32_t>{5, 0});
  }
}

TEST_CASE("a head may lose everything, the last slot included") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    const std::vector<Slot> slots{{4, TokenClass::plain, 2}, {5, TokenClass::plain, 1}, {6, TokenClass::plain, 3}};
    const KeepRule rule{.policy = {s}, .reach_from = 0, .local_from = 0, .n_frequent = 5};
    const Outcome outcome = evict(*backend, slots, rule);
    CHECK(evicted_positions(outcome) == std::vector<int32_t>{5, 4, 6});
    CHECK(outcome.slots.empty());
    CHECK(evicted_positions(evict(*backend, {}, rule)).empty());
  }
}

TEST_CASE("evicted slots from before the turn are handed out with K and V") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    Random random(2);
    const KeepRule rule{.policy = {l}, .reach_from = 0, .local_from = 90, .n_frequent = 0};
    const Outcome outcome = evict(*backend, random_slots(random, 60, 100), rule, 50);
    CHECK(std::any_of(outcome.report.evictions.begin(), outcome.report.evictions.end(),
                      [](const Eviction& e) { return e.row < 0; }));
    CHECK(std::any_of(outcome.report.evictions.begin(), outcome.report.evictions.end(),
                      [](const Eviction& e) { return e.row >= 0; }));
  }
}

TEST_CASE("slots of 8 bits keep every bit where they move and where they are handed out") {
  for (const auto& [name, backend] : all_backends())
    for (const int32_t head_dim : {32, 96}) {
      INFO(name);
      Random random(6);
      const KeepRule rule{.policy = {p | l}, .reach_from = 0, .local_from = 90, .n_frequent = 0};
      const Outcome outcome = evict(*backend, random_slots(random, 60, 100), rule, 50, {head_dim, CacheType::q8_0});
      CHECK(outcome.report.evictions.size() > 20);
    }
}

TEST_CASE("control tokens and punctuation before class_from leave by their score, but for the first four") {
  // Positions 0 to 9: 2, 5 and 8 are control tokens, 3, 6 and 9 punctuation; the score falls with the position.
  std::vector<Slot> slots;
  for (int32_t position = 0; position < 10; ++position)
    slots.push_back({.position = position,
                     .token_class = position % 3 == 2                    ? TokenClass::special
                                    : position % 3 == 0 && position != 0 ? TokenClass::punctuation
                                                                         : TokenClass::plain,
                     .score = static_cast<float>(20 - position)});
  KeepRule rule{.policy = {s | p | f}, .reach_from = 0, .local_from = 100, .n_frequent = 1, .class_from = 7};
  const std::vector<int32_t> expected{7, 6, 5, 4, 1};  // 0 is the best of the others
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    CHECK(evicted_positions(evict(*backend, slots, rule)) == expected);
  }
  rule.class_from = 0;
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    CHECK(evicted_positions(evict(*backend, slots, rule)) == std::vector<int32_t>{7, 4, 1});
  }
}

TEST_CASE("evict keeps what the rule's definition keeps, for all policies, windows and ties") {
  Random random(11);
  const uint8_t policies[] = {
      s, p, f, l, s | p, s | f, p | f, f | l, s | p | f, s | p | l, s | p | f | l, Policy::first | l, Policy::full};
  for (const uint8_t parts : policies)
    for (const int32_t length : {1, 15, 16, 17, 40, 257})
      for (const int32_t reach_from : {0, 60})
        for (const bool ties : {false, true}) {
          const int32_t class_from = ties ? 0 : 150;
          std::vector<Slot> slots = random_slots(random, length, 300);
          if (ties)
            for (Slot& slot : slots) slot.score = static_cast<float>(random() % 3);
          int32_t n_contest = 0;
          KeepRule rule{.policy = {parts},
                        .reach_from = reach_from,
                        .local_from = 220,
                        .n_frequent = 0,
                        .class_from = class_from};
          for (const Slot& slot : slots)
            n_contest += slot.position >= reach_from && !rule.keeps_always(slot.position, slot.token_class);
          for (const int32_t leaving : {-3, 0, 1, 2, 9}) {
            rule.n_frequent = std::max(0, n_contest - leaving);
            CAPTURE(policy_name(rule.policy), length, reach_from, ties, leaving);
            const std::vector<int32_t> expected = expected_positions(slots, rule);
            for (const auto& [name, backend] : all_backends()) {
              INFO(name);
              CHECK(evicted_positions(evict(*backend, slots, rule)) == expected);
            }
            for (const CpuLevel level : cpu_levels()) {
              const CpuLevelVariable variable(level);
              CHECK(evicted_positions(evict(*cpu(1), slots, rule)) == expected);
            }
          }
        }
}

TEST_CASE("scores that are not numbers or infinite do not upset the cache") {
  for (const auto& [name, backend] : tested_backends()) {
    INFO(name);
    const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
    std::vector<Slot> slots;
    for (int32_t i = 0; i < 40; ++i)
      slots.push_back({i, TokenClass::plain, i % 3 == 0 ? nan : i % 3 == 1 ? infinity : static_cast<float>(i)});
    for (const int32_t n_frequent : {0, 1, 20, 38, 39, 40}) {
      const KeepRule rule{.policy = {f}, .reach_from = 0, .local_from = 100, .n_frequent = n_frequent};
      CHECK(evict(*backend, slots, rule).slots.size() == static_cast<size_t>(n_frequent));
    }
    for (Slot& slot : slots) slot.score = nan;
    const KeepRule rule{.policy = {f}, .reach_from = 0, .local_from = 100, .n_frequent = 39};
    CHECK(evicted_positions(evict(*backend, slots, rule)) == std::vector<int32_t>{39});
  }
}

TEST_CASE("evict serves each head of its layer by its own rule, after the step's token was appended") {
  for (const auto& [name, backend] : all_backends()) {
    INFO(name);
    TestCache cache(*backend, 2);
    const std::vector<uint16_t> rows(3 * 4);
    for (int head = 0; head < 4; ++head)
      cache.add_head({{0, TokenClass::special, 9}, {1, TokenClass::plain, 5}, {2, TokenClass::plain, 4}}, rows);
    const std::vector<HeadView> views = cache.views();
    const KeepRule full{.policy = {Policy::full}}, local{.policy = {l}, .local_from = 2};
    const std::vector<KeepRule> rules{local, full, full, local};
    const DeviceMatrix q(*backend, zeros(1, 4)), kv(*backend, zeros(1, 4)), out(*backend, zeros(1, 4));
    const DecodeStep step{.position = 3, .n_kv_heads = 2, .heads = views, .rules = rules};
    const StepReport report = run_step(*backend, step, [&] {
      for (const int32_t layer : {0, 1}) {
        backend->attend_decode(layer, q, kv, kv, 1, out);
        backend->evict(layer);
      }
    });
    REQUIRE(report.evictions.size() == 4);  // positions 1 and 0 of heads 0 and 3
    const int32_t heads[] = {0, 0, 3, 3}, positions[] = {1, 0, 1, 0}, slots[] = {1, 0, 1, 0};
    for (size_t i = 0; i < 4; ++i) {
      CHECK(report.evictions[i].head == heads[i]);
      CHECK(report.evictions[i].position == positions[i]);
      CHECK(report.evictions[i].slot == slots[i]);
    }
  }
}

}  // namespace headroom::test::evict_test
