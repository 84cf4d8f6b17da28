// Recoveries, choice and kept sets: small cases by hand, then random attention maps against the plain definitions of
// tests/support/fastgen_simulation.h.
#include "engine/kv/profile.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "tests/support/effort.h"
#include "tests/support/fastgen_simulation.h"

namespace headroom::profile_test {
namespace {

constexpr uint8_t S = Policy::special, P = Policy::punctuation, F = Policy::frequent, L = Policy::local;
constexpr uint8_t first = Policy::first;

std::vector<SlotTag> tags_of(const std::vector<TokenClass>& classes) {
  std::vector<SlotTag> tags;
  for (const TokenClass token_class : classes) tags.push_back(make_tag(static_cast<int32_t>(tags.size()), token_class));
  return tags;
}

// Six tokens; position 0 is special, 2 is punctuation. Attention in eighths, w = ceil(0.3 * 6) = 2, and in brackets
// what lies outside the window:
//   row 0   8
//   row 1   4   4
//   row 2  (4)  2   2
//   row 3  (2) (1)  1   4
//   row 4  (2) (3) (1)  1   1
//   row 5  (1) (1) (1) (2)  1   2
//   col    21  11   5   7   2   2     sum 48
//   win    12   6   3   5   2   2     sum 30
const std::vector<TokenClass> six_classes{TokenClass::special, TokenClass::plain, TokenClass::punctuation,
                                          TokenClass::plain,   TokenClass::plain, TokenClass::plain};
const std::vector<float> six_col{21, 11, 5, 7, 2, 2};
const std::vector<float> six_win{12, 6, 3, 5, 2, 2};

TEST_CASE("recoveries of six tokens, by hand") {
  const std::vector<SlotTag> tags = tags_of(six_classes);
  const KeyStats stats{
      .n_group = 1, .stride = 6, .attention_mass = six_col, .windowed_mass = six_win, .tags = tags, .scores = six_col};
  CacheConfig config = find_cache_config("paper").value();
  config.r_frequent = 0.15;  // ceil(0.9) = 1 frequent token
  const HeadProfile profile = profile_head(stats, 6, 0, config);
  const auto recovery_48ths = [&](int parts) { return profile.recovery({static_cast<uint8_t>(parts)}) * 48; };
  CHECK(recovery_48ths(S) == Approx(21));
  CHECK(recovery_48ths(P) == Approx(5));
  CHECK(recovery_48ths(S | P) == Approx(26));
  CHECK(recovery_48ths(F) == Approx(21));           // position 0 is the best of all
  CHECK(recovery_48ths(S | F) == Approx(21 + 11));  // 0 is kept already, so 1 is the best of the rest
  CHECK(recovery_48ths(S | P | F) == Approx(26 + 11));
  CHECK(recovery_48ths(L) == Approx(30));
  CHECK(recovery_48ths(F | L) == Approx(21 + 6 + 3 + 5 + 2 + 2));
  CHECK(recovery_48ths(S | P | L) == Approx(26 + 6 + 5 + 2 + 2));
  CHECK(recovery_48ths(S | P | F | L) == Approx(26 + 11 + 5 + 2 + 2));
  CHECK(recovery_48ths(first) == Approx(44));
  CHECK(recovery_48ths(first | F) == Approx(46));
  CHECK(profile.recovery({first | L}) == 1.0);  // 0 to 3 for good, 4 and 5 never outside the window
  CHECK(profile.recovery({Policy::full}) == 1.0);

  // 37/48 = 0.771, 46/48 = 0.958
  config.threshold = 0.95;
  CHECK(choose_policy(profile, config) == Policy{S | P | F | L});
  config.threshold = 0.77;
  CHECK(choose_policy(profile, config) == Policy{S | P | F});
  const KeepRule rule = make_keep_rule({S | P | F | L}, 6, 0, config.r_local, config.r_frequent);
  CHECK(select_kept(tags, six_col, rule) == std::vector<int32_t>{0, 1, 2, 4, 5});
}

TEST_CASE("the group is reduced by the worst or by the mean of its query heads") {
  // The second query head attends only to its own token: every column gets 8 of 48, all within the window. The
  // scores are the sums 29, 19, 13, 15, 10, 10, so the frequent token is still 1.
  const std::vector<SlotTag> tags = tags_of(six_classes);
  const std::vector<float> col{21, 11, 5, 7, 2, 2, -1, 8, 8, 8, 8, 8, 8};  // rows are 7 apart; the gap is not read
  const std::vector<float> win{12, 6, 3, 5, 2, 2, -1, 8, 8, 8, 8, 8, 8};
  const std::vector<float> scores{29, 19, 13, 15, 10, 10};
  const KeyStats stats{
      .n_group = 2, .stride = 7, .attention_mass = col, .windowed_mass = win, .tags = tags, .scores = scores};
  CacheConfig config = find_cache_config("paper").value();
  config.r_frequent = 0.15;
  const HeadProfile worst = profile_head(stats, 6, 0, config);
  CHECK(worst.recovery({S | P | F}) == Approx(24.0 / 48));
  CHECK(worst.recovery({S | P | F | L}) == Approx(46.0 / 48));
  config.group = GroupReduce::mean;
  const HeadProfile mean = profile_head(stats, 6, 0, config);
  CHECK(mean.recovery({S | P | F}) == Approx((37.0 / 48 + 24.0 / 48) / 2));
  CHECK(mean.recovery({S | P | F | L}) == Approx((46.0 / 48 + 1) / 2));
}

TEST_CASE("in a sliding window only columns within reach count, by hand") {
  // Window 4: the token at position 6 reaches 3, 4, 5; w = ceil(0.9) = 1, one frequent token.
  //   rows 3, 4, 5 of columns 3, 4, 5:   4      col   8  3  4   sum 15
  //                                      2 2    win   4  2  4   sum 10
  //                                      2 1 4
  const std::vector<TokenClass> classes{TokenClass::special,     TokenClass::plain, TokenClass::punctuation,
                                        TokenClass::punctuation, TokenClass::plain, TokenClass::plain};
  const std::vector<SlotTag> tags = tags_of(classes);
  const std::vector<float> col{1000, 900, 800, 8, 3, 4}, win{1000, 900, 800, 4, 2, 4};
  const KeyStats stats{
      .n_group = 1, .stride = 6, .attention_mass = col, .windowed_mass = win, .tags = tags, .scores = col};
  const CacheConfig config = find_cache_config("paper").value();
  const HeadProfile profile = profile_head(stats, 6, 4, config);
  CHECK(profile.recovery({S}) == 0.0);
  CHECK(profile.recovery({first}) == Approx(8.0 / 15));
  CHECK(profile.recovery({S | P}) == Approx(8.0 / 15));
  CHECK(profile.recovery({S | P | F}) == Approx(12.0 / 15));
  CHECK(profile.recovery({L}) == Approx(10.0 / 15));
  CHECK(profile.recovery({S | P | L}) == Approx((8 + 2 + 4) / 15.0));
  CHECK(profile.recovery({S | P | F | L}) == 1.0);
  const auto kept = [&](uint8_t parts) {
    return select_kept(tags, col, make_keep_rule({parts}, 6, 4, config.r_local, config.r_frequent));
  };
  CHECK(kept(S | P | F) == std::vector<int32_t>{3, 5});
  CHECK(kept(Policy::full) == std::vector<int32_t>{3, 4, 5});
}

TEST_CASE("of equal scores the earlier position wins, wherever its slot is") {
  const std::vector<SlotTag> tags{make_tag(7, TokenClass::plain), make_tag(2, TokenClass::plain),
                                  make_tag(9, TokenClass::plain), make_tag(4, TokenClass::plain),
                                  make_tag(1, TokenClass::plain)};
  const std::vector<float> scores{1, 1, 1, 1, 0.5f};
  KeepRule rule{.policy = {F}, .reach_from = 0, .local_from = 10, .n_frequent = 2};
  CHECK(select_kept(tags, scores, rule) == std::vector<int32_t>{1, 3});
  rule.n_frequent = 4;
  CHECK(select_kept(tags, scores, rule) == std::vector<int32_t>{0, 1, 2, 3});
  rule.n_frequent = 99;
  CHECK(select_kept(tags, scores, rule) == std::vector<int32_t>{0, 1, 2, 3, 4});
  rule.n_frequent = 0;
  CHECK(select_kept(tags, scores, rule).empty());
}

TEST_CASE("zeros of both signs are equal scores, and a NaN does not upset the order of the others") {
  const std::vector<SlotTag> tags = tags_of(std::vector<TokenClass>(5, TokenClass::plain));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const KeepRule rule{.policy = {F}, .reach_from = 0, .local_from = 5, .n_frequent = 2};
  CHECK(select_kept(tags, std::vector<float>{-0.0f, 0.0f, 0.0f, -0.0f, -1.0f}, rule) == std::vector<int32_t>{0, 1});
  CHECK(select_kept(tags, std::vector<float>{0, nan, 3, nan, 2}, rule).size() == 2);
}

TEST_CASE("the first policy whose recovery is at least the threshold is chosen") {
  HeadProfile profile;
  profile.recoveries[S] = 0.5;
  profile.recoveries[S | P] = 0.75;
  profile.recoveries[S | P | F] = 0.75;
  profile.recoveries[S | P | F | L] = 0.875;
  CacheConfig config = find_cache_config("paper").value();
  const auto choice = [&](double threshold) {
    config.threshold = threshold;
    return policy_name(choose_policy(profile, config));
  };
  CHECK(choice(0) == "special");
  CHECK(choice(0.75) == "special+punct");
  CHECK(choice(0.7500001) == "special+punct+frequent+local");
  CHECK(choice(0.875) == "special+punct+frequent+local");
  CHECK(choice(0.9) == "full");
  CHECK(choice(1) == "full");
  CHECK(choice(1.01) == "full");
  config.policy_set = {{S | P | F}, {S | P}};  // another order; `full` is the fallback though it is not in the set
  CHECK(choice(0.75) == "special+punct+frequent");
  CHECK(choice(0.9) == "full");
  config.policy_set = {{S}};  // a single policy is used without a choice
  CHECK(choice(0.9) == "special");
}

TEST_CASE("what loses nothing recovers exactly 1, whatever the rounding") {
  std::mt19937 rng(7);
  std::uniform_real_distribution<float> uniform(0, 1);
  CacheConfig config = find_cache_config("paper").value();
  for (int32_t n = 1; n <= 40; ++n) {
    std::vector<TokenClass> classes(static_cast<size_t>(n));
    for (TokenClass& token_class : classes) token_class = static_cast<TokenClass>(rng() % 3);
    const std::vector<SlotTag> tags = tags_of(classes);
    std::vector<float> col(static_cast<size_t>(n));
    for (float& mass : col) mass = uniform(rng) * uniform(rng);
    const KeyStats stats{
        .n_group = 1, .stride = n, .attention_mass = col, .windowed_mass = col, .tags = tags, .scores = col};
    config.r_frequent = 1;
    const HeadProfile all_frequent = profile_head(stats, n, 0, config);
    config.r_frequent = 0.1;
    const HeadProfile all_local = profile_head(stats, n, 0, config);  // no mass outside the window: win = col
    for (unsigned parts = 0; parts < 32; ++parts) {
      const Policy policy{static_cast<uint8_t>(parts)};
      if (policy.has(F)) CHECK(all_frequent.recovery(policy) == 1.0);
      if (policy.has(L)) CHECK(all_local.recovery(policy) == 1.0);
    }
  }
}

TEST_CASE("nothing within reach is nothing lost") {
  const std::vector<SlotTag> tags = tags_of(six_classes);
  const KeyStats stats{
      .n_group = 1, .stride = 6, .attention_mass = six_col, .windowed_mass = six_win, .tags = tags, .scores = six_col};
  const HeadProfile profile = profile_head(stats, 6, 1, find_cache_config("paper").value());
  for (const double recovery : profile.recoveries) CHECK(recovery == 1.0);
}

// --- random attention maps against the definitions ---

struct Case {
  CacheConfig config;
  int32_t window = 0;
  size_t n_group = 1;
  int levels = 4096;  // probabilities are multiples of 1 / levels: float sums are exact, and few levels make ties
};

std::string name_of(const Case& c) {
  return c.config.name + " window " + std::to_string(c.window) + " group " + std::to_string(c.n_group) + " levels " +
         std::to_string(c.levels) + " r_local " + std::to_string(c.config.r_local) + " r_frequent " +
         std::to_string(c.config.r_frequent) + " T " + std::to_string(c.config.threshold);
}

Case random_case(std::mt19937& rng) {
  std::vector<std::string> names;  // configurations whose heads choose by a profile
  for (const std::string& name : cache_config_names())
    if (find_cache_config(name)->budget == BudgetKind::fixed) names.push_back(name);
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> list[] = {values...};
    return list[rng() % sizeof...(values)];
  };
  Case c{.config = find_cache_config(names[rng() % 2 == 0 ? 0 : rng() % names.size()]).value()};
  c.config.r_local = pick(0.0, 0.05, 0.1, 0.3, 0.5, 1.0);
  c.config.r_frequent = pick(0.0, 0.05, 0.1, 0.3, 0.5, 1.0);
  c.config.threshold = std::uniform_real_distribution<double>(0.2, 1.0)(rng);
  c.config.group = pick(GroupReduce::min, GroupReduce::mean);
  c.window = pick(0, 0, 0, 1, 2, 5, 16, 40);
  c.n_group = pick(1u, 2u, 3u, 7u);
  c.levels = pick(4096, 4096, 64, 8);
  return c;
}

std::vector<TokenClass> random_classes(std::mt19937& rng, int32_t n, bool at_start) {
  std::vector<TokenClass> classes(static_cast<size_t>(n));
  for (TokenClass& token_class : classes) {
    const auto dice = rng() % 12;
    token_class = dice == 0 ? TokenClass::special : dice < 3 ? TokenClass::punctuation : TokenClass::plain;
  }
  if (at_start && n > 0) classes[0] = TokenClass::special;
  return classes;
}

// One causal row over the held slots and the earlier rows of this turn: softmax of random logits with a few heavy
// columns, rounded down; the row's own column gets the rest.
std::vector<double> random_row(std::mt19937& rng, const Case& c, const std::set<int32_t>& held, int32_t turn_start,
                               int32_t position) {
  std::vector<double> row(static_cast<size_t>(position) + 1);
  std::normal_distribution<double> logit(0, 1.5);
  double sum = 0;
  for (int32_t j = 0; j <= position; ++j) {
    if (j < turn_start && held.count(j) == 0) continue;
    if (c.window > 0 && position - j >= c.window) continue;
    row[static_cast<size_t>(j)] = std::exp(logit(rng) + (j % 7 == 0 ? 2 : 0) + (j == 0 ? 2 : 0));
    sum += row[static_cast<size_t>(j)];
  }
  double left = 1;
  for (int32_t j = 0; j < position; ++j) {
    double& a = row[static_cast<size_t>(j)];
    a = std::floor(a / sum * c.levels) / c.levels;
    left -= a;
  }
  row[static_cast<size_t>(position)] = left;
  return row;
}

/// The side under test: slots in the order that swaps produce, float scores, engine/kv's rules.
struct JudgedHead {
  std::vector<SlotTag> tags;
  std::vector<float> scores;
  Policy policy;
  HeadProfile profile;

  void apply(const Case& c, int32_t n_tokens) {
    const KeepRule rule = make_keep_rule(policy, n_tokens, c.window, c.config.r_local, c.config.r_frequent);
    const std::vector<int32_t> kept = select_kept(tags, scores, rule);
    std::vector<bool> stays(tags.size());
    for (const int32_t column : kept) stays[static_cast<size_t>(column)] = true;
    for (size_t slot = tags.size(); slot-- > 0;) {
      if (stays[slot]) continue;
      tags[slot] = tags.back();
      scores[slot] = scores.back();
      tags.pop_back();
      scores.pop_back();
    }
  }

  std::set<int32_t> held() const {
    std::set<int32_t> positions;
    for (const SlotTag tag : tags) positions.insert(tag_position(tag));
    return positions;
  }
};

// Runs a turn on both sides. The maps are generated here, since they depend on the held slots.
void run_turn(std::mt19937& rng, const Case& c, int32_t n_new, JudgedHead& judged,
              test::FastGenSimulation& simulation) {
  const int32_t n_before = simulation.n_tokens(), n_tokens = n_before + n_new;
  const std::vector<TokenClass> classes = random_classes(rng, n_new, n_before == 0);
  const std::set<int32_t> held = simulation.held();
  std::vector<test::AttentionMap> maps(c.n_group);
  for (test::AttentionMap& map : maps)
    for (int32_t i = n_before; i < n_tokens; ++i) map.push_back(random_row(rng, c, held, n_before, i));

  for (int32_t t = 0; t < n_new; ++t) judged.tags.push_back(make_tag(n_before + t, classes[static_cast<size_t>(t)]));
  const size_t n_columns = judged.tags.size(), stride = n_columns + 3;
  judged.scores.resize(n_columns, 0);
  const int32_t w = n_tokens - make_keep_rule({}, n_tokens, c.window, c.config.r_local, c.config.r_frequent).local_from;
  std::vector<float> col(c.n_group * stride), win(c.n_group * stride);
  for (size_t q_head = 0; q_head < c.n_group; ++q_head)
    for (int32_t i = n_before; i < n_tokens; ++i)
      for (size_t column = 0; column < n_columns; ++column) {
        const int32_t j = tag_position(judged.tags[column]);
        if (j > i) continue;
        const auto a = static_cast<float>(maps[q_head][static_cast<size_t>(i - n_before)][static_cast<size_t>(j)]);
        col[q_head * stride + column] += a;
        win[q_head * stride + column] += i - j < w ? a : 0;
        judged.scores[column] += a;
      }
  if (n_before == 0 || n_new >= 64) {
    const KeyStats stats{.n_group = static_cast<int32_t>(c.n_group),
                         .stride = static_cast<int64_t>(stride),
                         .attention_mass = col,
                         .windowed_mass = win,
                         .tags = judged.tags,
                         .scores = judged.scores};
    judged.profile = profile_head(stats, n_tokens, c.window, c.config);
    judged.policy = choose_policy(judged.profile, c.config);

    test::SimulatedSlots columns;
    for (size_t column = 0; column < n_columns; ++column)
      columns[tag_position(judged.tags[column])] = {tag_class(judged.tags[column]), judged.scores[column]};
    for (unsigned parts = 0; parts < 32; ++parts) {
      const Policy policy{static_cast<uint8_t>(parts)};
      CAPTURE(policy_name(policy), n_tokens);
      const double expected = test::recovery(columns, maps, policy, n_tokens, c.window, c.config);
      REQUIRE(std::abs(judged.profile.recovery(policy) - expected) < 1e-5);
    }
  }
  judged.apply(c, n_tokens);
  REQUIRE(simulation.turn(classes, maps) == judged.held());
  REQUIRE(simulation.policy() == judged.policy);
}

void run_steps(std::mt19937& rng, const Case& c, int n_steps, JudgedHead& judged, test::FastGenSimulation& simulation) {
  for (int step = 0; step < n_steps; ++step) {
    const int32_t position = simulation.n_tokens();
    const TokenClass token_class = random_classes(rng, 1, false)[0];
    std::vector<double> probabilities(static_cast<size_t>(position) + 1);
    for (size_t q_head = 0; q_head < c.n_group; ++q_head) {
      const std::vector<double> row = random_row(rng, c, simulation.held(), position, position);
      for (size_t j = 0; j < row.size(); ++j) probabilities[j] += row[j];
    }
    judged.tags.push_back(make_tag(position, token_class));
    judged.scores.push_back(0);
    for (size_t slot = 0; slot < judged.tags.size(); ++slot)
      judged.scores[slot] += static_cast<float>(probabilities[static_cast<size_t>(tag_position(judged.tags[slot]))]);
    judged.apply(c, position + 1);
    REQUIRE(simulation.step(position, token_class, probabilities) == judged.held());
  }
}

TEST_CASE("recoveries, choices and kept sets equal the definitions, over turns and generated tokens") {
  for (unsigned seed = 1; seed <= (test::has_sanitizer ? 24 : 120); ++seed) {
    std::mt19937 rng(seed);
    const Case c = random_case(rng);
    CAPTURE(seed, name_of(c));
    JudgedHead judged;
    test::FastGenSimulation simulation(c.config, c.window);
    run_turn(rng, c, 1 + static_cast<int32_t>(rng() % 70), judged, simulation);
    run_steps(rng, c, 20, judged, simulation);
    run_turn(rng, c, 1 + static_cast<int32_t>(rng() % 20), judged, simulation);  // too short to choose again
    run_steps(rng, c, 10, judged, simulation);
    run_turn(rng, c, 63 + static_cast<int32_t>(rng() % 3), judged,
             simulation);  // near the length at which heads choose again
    run_steps(rng, c, 20, judged, simulation);
    CHECK(simulation.margin() >= 0);
  }
}

}  // namespace
}  // namespace headroom::profile_test
