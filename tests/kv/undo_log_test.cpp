// The undo log: whatever a turn appends, evicts, reassembles and moves, undo restores each head slot by slot: order,
// tags, scores, policy and contents.
#include "engine/kv/undo_log.h"

#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "tests/kv/fake_slab_owner.h"
#include "tests/support/effort.h"

namespace headroom::turn_log_test {
namespace {

using test::FakeSlabOwner;

constexpr PageLayout four_a_slab{8000};
constexpr size_t log_row_units = 4;  // the log copies rows; their length is independent of the pages here

using Row = std::vector<uint16_t>;

SlotTag plain(int32_t position) {
  return make_tag(position, TokenClass::plain);
}

TEST_CASE("a head of four slots loses two and gets them back, by hand") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  for (int32_t position = 0; position < 4; ++position) {
    caches.reserve_slot();
    caches.append(plain(position));
  }
  caches.head(0).policy = Policy{Policy::local};
  UndoLog log(log_row_units);
  CHECK(log.n_marks() == 0);
  log.mark(MarkKind::turn, caches, 4, {{0.5f, 1.5f, 2.5f, 3.5f}});
  CHECK(log.n_marks() == 1);
  CHECK(log.n_tokens(0) == 4);

  // Appends token 4; evicts 1 (4 moves to its slot), then 0 (3 moves to its slot): 3 4 2.
  caches.reserve_slot();
  caches.append(plain(4));
  log.add(0, 1, Row{10, 11, 12, 13});
  caches.evict(0, 1);
  log.add(0, 0, Row{20, 21, 22, 23});
  caches.evict(0, 0);
  caches.head(0).policy = Policy{Policy::full};

  const std::vector<RestoredSlot> plan = log.plan_undo(0, 0, caches.head(0));
  REQUIRE(plan.size() == 4);
  const std::tuple<bool, int32_t, float> expected[] = {
      {true, 1, 0.5f}, {true, 0, 1.5f}, {false, 2, 2.5f}, {false, 0, 3.5f}};
  for (size_t slot = 0; slot < 4; ++slot) {
    CAPTURE(slot);
    CHECK(std::tuple(plan[slot].from_log, plan[slot].index, plan[slot].score) == expected[slot]);
    CHECK(plan[slot].tag == plain(static_cast<int32_t>(slot)));
  }
  CHECK(Row(log.rows(0).begin(), log.rows(0).end()) == Row{10, 11, 12, 13, 20, 21, 22, 23});
  CHECK(log.policy(0, 0) == Policy{Policy::local});
}

TEST_CASE("the log's bytes grow with what it holds and go when it is cleared") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  caches.reserve_slot();
  caches.append(plain(0));
  UndoLog log(128);
  CHECK(log.bytes() == 0);
  log.mark(MarkKind::turn, caches, 1000, {{1.0f}});
  const int64_t empty = log.bytes();
  for (int32_t position = 0; position < 1000; ++position) log.add(0, position, Row(128));
  CHECK(log.bytes() >= empty + 1000 * (256 + 4));
  CHECK(log.bytes() <= empty + 2 * 1000 * (256 + 4));  // lists grow by doubling
  log.clear();
  CHECK(log.n_marks() == 0);
  CHECK(log.bytes() == 0);
}

/// A conversation over simulated pages: every slot's K, V (as one row) and score are where a device would hold them.
class Machine {
 public:
  Machine(int32_t n_layers, int32_t n_kv_heads, unsigned seed)
      : caches(n_layers, n_kv_heads, four_a_slab, owner), rng(seed) {}

  struct Slot {
    Row row;
    float score = 0;
    bool operator==(const Slot&) const = default;
  };
  struct HeadState {
    std::vector<SlotTag> tags;
    std::vector<Slot> slots;
    Policy policy;
    double recovery = 0;
    bool operator==(const HeadState&) const = default;
  };

  Slot& at(const std::vector<PageId>& pages, int32_t slot) {
    return memory[{pages[static_cast<size_t>(slot / page_tokens)], slot % page_tokens}];
  }

  std::vector<HeadState> state() {
    std::vector<HeadState> heads;
    for (int32_t h = 0; h < caches.n_heads(); ++h) {
      const HeadCache& head = caches.head(h);
      HeadState& state = heads.emplace_back();
      state.tags = head.tags;
      for (int32_t slot = 0; slot < head.length(); ++slot) state.slots.push_back(at(head.pages, slot));
      state.policy = head.policy;
      state.recovery = head.profile.recoveries[3];
    }
    return heads;
  }

  void append() {
    caches.reserve_slot();
    for (int32_t h = 0; h < caches.n_heads(); ++h)
      at(caches.head(h).pages, caches.head(h).length()) = {
          {static_cast<uint16_t>(n_tokens), static_cast<uint16_t>(h), static_cast<uint16_t>(rng()), 4}, 0};
    caches.append(make_tag(n_tokens++, static_cast<TokenClass>(rng() % 3)));
    for (int32_t h = 0; h < caches.n_heads(); ++h)
      for (int32_t slot = 0; slot < caches.head(h).length(); ++slot)
        at(caches.head(h).pages, slot).score += static_cast<float>(rng() % 1000) / 999;
  }

  void evict_some() {
    for (int32_t h = 0; h < caches.n_heads(); ++h) {
      // Heads differ: some keep nearly all, some hardly anything.
      while (caches.head(h).length() > 0 && static_cast<int32_t>(rng() % 7) < h % 6) {
        const auto slot = static_cast<int32_t>(rng() % caches.head(h).tags.size());
        evict(h, slot);
      }
    }
  }

  void evict(int32_t h, int32_t slot) {
    const HeadCache& head = caches.head(h);
    log_slot(h, slot);
    at(head.pages, slot) = at(head.pages, head.length() - 1);
    caches.evict(h, slot);
  }

  void log_slot(int32_t h, int32_t slot) {
    const int32_t position = tag_position(caches.head(h).tags[static_cast<size_t>(slot)]);
    if (log.n_marks() > 0 && position < log.n_tokens(log.n_marks() - 1))
      log.add(h, position, at(caches.head(h).pages, slot).row);
  }

  // Does what a later turn's prefill does: rewrites the head without some of its slots and with another policy.
  void reassemble(int32_t h) {
    const HeadCache& head = caches.head(h);
    std::vector<SlotTag> tags;
    std::vector<Slot> slots;
    for (int32_t slot = 0; slot < head.length(); ++slot) {
      if (rng() % 4 == 0) {
        log_slot(h, slot);
      } else {
        tags.push_back(head.tags[static_cast<size_t>(slot)]);
        slots.push_back(at(head.pages, slot));
      }
    }
    write_head(h, tags, slots);
    caches.head(h).policy = Policy{static_cast<uint8_t>(1 + rng() % 31)};
    caches.head(h).profile.recoveries[3] = static_cast<double>(rng() % 100);
  }

  void write_head(int32_t h, const std::vector<SlotTag>& tags, const std::vector<Slot>& slots) {
    std::vector<PageId> pages = caches.allocate_pages(h, static_cast<int32_t>(tags.size()));
    for (size_t slot = 0; slot < slots.size(); ++slot) at(pages, static_cast<int32_t>(slot)) = slots[slot];
    caches.replace(h, std::move(pages), tags);
  }

  void move_pages() {
    const std::vector<PageMove> moves = caches.pool().plan_moves();
    for (const PageMove& move : moves)
      for (int32_t slot = 0; slot < page_tokens; ++slot) {
        memory[{move.to, slot}] = memory[{move.from, slot}];
        memory.erase({move.from, slot});
      }
    caches.finish_moves(moves);
  }

  void live(int n_steps) {
    for (int step = 0; step < n_steps; ++step) {
      append();
      evict_some();
      if (rng() % 10 == 0) reassemble(static_cast<int32_t>(rng() % static_cast<unsigned>(caches.n_heads())));
      if (rng() % 10 == 0) move_pages();
      if (rng() % 10 == 0) caches.trim();
    }
  }

  void mark(MarkKind kind = MarkKind::turn) {
    std::vector<std::vector<float>> scores;
    for (const HeadState& head : state()) {
      scores.emplace_back();
      for (const Slot& slot : head.slots) scores.back().push_back(slot.score);
    }
    log.mark(kind, caches, n_tokens, std::move(scores));
  }

  void undo(size_t mark) {
    for (int32_t h = 0; h < caches.n_heads(); ++h) {
      std::vector<SlotTag> tags;
      std::vector<Slot> slots;
      for (const RestoredSlot& restored : log.plan_undo(mark, h, caches.head(h))) {
        tags.push_back(restored.tag);
        const std::span<const uint16_t> rows = log.rows(h);
        const Row row = restored.from_log
                            ? Row(rows.begin() + restored.index * 4, rows.begin() + restored.index * 4 + 4)
                            : at(caches.head(h).pages, restored.index).row;
        slots.push_back({row, restored.score});
      }
      write_head(h, tags, slots);
      caches.head(h).policy = log.policy(mark, h);
      caches.head(h).profile = log.profile(mark, h);
    }
    n_tokens = log.n_tokens(mark);
    log.returned_to(mark, caches);
    move_pages();
  }

  FakeSlabOwner owner;
  HeadCaches caches;
  UndoLog log{log_row_units};
  std::map<std::pair<PageId, int32_t>, Slot> memory;
  int32_t n_tokens = 0;
  std::mt19937 rng;
};

TEST_CASE("undo restores order, tags, scores, policies and contents at both marks, as often as one likes") {
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    Machine machine(2, 3, seed);
    machine.live(static_cast<int>(seed % 4) * 20);  // an empty conversation too
    machine.log.clear();
    machine.mark();
    const std::vector<Machine::HeadState> at_turn = machine.state();
    const int32_t n_at_turn = machine.n_tokens;

    machine.live(15);
    machine.mark(MarkKind::answer);
    const std::vector<Machine::HeadState> at_answer = machine.state();
    const int32_t n_at_answer = machine.n_tokens;
    for (int attempt = 0; attempt < 3; ++attempt) {  // regenerate
      machine.live(10 + static_cast<int>(machine.rng() % 30));
      machine.undo(1);
      REQUIRE(machine.state() == at_answer);
      REQUIRE(machine.n_tokens == n_at_answer);
      REQUIRE(machine.log.n_marks() == 2);
    }
    if (seed % 2 == 0) machine.live(20);
    machine.undo(0);
    REQUIRE(machine.state() == at_turn);
    REQUIRE(machine.n_tokens == n_at_turn);
    REQUIRE(machine.log.n_marks() == 1);
    for (int32_t h = 0; h < machine.caches.n_heads(); ++h) REQUIRE(machine.log.rows(h).empty());

    machine.live(25);  // another message, whose tokens reuse the positions of the last one
    machine.mark(MarkKind::answer);
    const std::vector<Machine::HeadState> at_other_answer = machine.state();
    machine.live(25);
    machine.undo(1);
    REQUIRE(machine.state() == at_other_answer);
    machine.undo(0);
    REQUIRE(machine.state() == at_turn);
  }
}

TEST_CASE("over many turns any mark that is left can be gone back to, whichever older turns were given up") {
  for (unsigned seed = 1; seed <= (test::has_sanitizer ? 5 : 25); ++seed) {
    CAPTURE(seed);
    Machine machine(2, 3, seed);
    struct Mark {
      MarkKind kind;
      int32_t n_tokens;
      std::vector<Machine::HeadState> state;
    };
    std::vector<Mark> marks;
    const auto set_mark = [&](MarkKind kind) {
      machine.mark(kind);
      marks.push_back({kind, machine.n_tokens, machine.state()});
    };
    for (int turn = 0; turn < 12; ++turn) {
      set_mark(MarkKind::turn);
      machine.live(static_cast<int>(machine.rng() % 20));
      set_mark(MarkKind::generation);
      machine.live(2);
      set_mark(MarkKind::answer);
      machine.live(static_cast<int>(machine.rng() % 20));
      if (machine.rng() % 3 == 0) {
        const size_t to = machine.rng() % marks.size();
        machine.undo(to);
        REQUIRE(machine.state() == marks[to].state);
        REQUIRE(machine.n_tokens == marks[to].n_tokens);
        marks.resize(to + 1);
      }
      if (machine.rng() % 3 == 0) {
        size_t second_turn = 1;
        while (second_turn < marks.size() && marks[second_turn].kind != MarkKind::turn) ++second_turn;
        const int64_t bytes_before = machine.log.bytes();
        REQUIRE(machine.log.drop_oldest_turn() == (second_turn < marks.size()));
        if (second_turn < marks.size()) {
          REQUIRE(machine.log.bytes() < bytes_before);
          marks.erase(marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(second_turn));
        }
      }
      REQUIRE(machine.log.n_marks() == marks.size());
    }
    while (!marks.empty()) {  // all the way back
      machine.undo(marks.size() - 1);
      REQUIRE(machine.state() == marks.back().state);
      marks.pop_back();
      machine.live(3);
    }
  }
}

TEST_CASE("turns before the last one are given up where they are more than their bound, oldest first") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  caches.reserve_slot();
  caches.append(plain(0));
  UndoLog log(128, {.old_turns_bytes = 12'000});
  for (int32_t turn = 0; turn < 10; ++turn) {
    log.mark(MarkKind::turn, caches, 100 * (turn + 1), {{1.0f}});
    log.hold_old_turns();
    CHECK(log.n_tokens(log.n_marks() - 1) == 100 * (turn + 1));
    // Ten rows of 260 bytes per turn: four turns are within the bound, five are not.
    CHECK(log.n_marks() <= 5);
    if (turn >= 5) CHECK(log.n_marks() >= 3);
    for (int32_t row = 0; row < 10; ++row) log.add(0, 100 * turn + row, Row(128));
  }
  CHECK(log.rows(0).size() < 60 * 128);  // the rows of dropped turns are freed
}

TEST_CASE("more than all of the log may hold is refused like memory that is not there, and the log stays as it was") {
  FakeSlabOwner owner;
  HeadCaches caches(1, 1, four_a_slab, owner);
  caches.reserve_slot();
  caches.append(plain(0));
  UndoLog log(128, {.old_turns_bytes = 1 << 20, .all_bytes = 4'000});
  log.mark(MarkKind::turn, caches, 1000, {{1.0f}});
  int32_t n_added = 0;
  const auto add_all = [&] {
    for (; n_added < 1000; ++n_added) log.add(0, n_added, Row(128));
  };
  CHECK_THROWS_AS(add_all(), std::bad_alloc);
  CHECK(n_added > 2);
  CHECK(n_added < 16);
  CHECK(log.rows(0).size() == static_cast<size_t>(n_added) * 128);
  const std::vector<float> logits(1000);
  CHECK_THROWS_AS(log.mark(MarkKind::answer, caches, 1001, {{1.0f}}, logits), std::bad_alloc);
  CHECK(log.n_marks() == 1);
}

}  // namespace
}  // namespace headroom::turn_log_test
