// Applies a head's rule to the slots that it holds, one work group of one subgroup per head. Finds the slot to evict
// first, reports it, and moves the head's last slot into its place; then the next. Usually at most one slot is evicted,
// so one pass suffices. If more must be evicted than the report holds, the host dispatches this again.
#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require

#include "engine/backend/device/kernel_params.h"

#define PAGE_QUALIFIER coherent
#include "shaders/pages.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 0) const uint N_LANES = 8;
layout(push_constant) uniform Constants { EvictConstants c; };
layout(binding = 0) readonly buffer Step { StepState step_state; };
layout(binding = 1) readonly buffer Heads { StepHead heads[]; };
layout(binding = 2) readonly buffer PageList { uvec2 pages[]; };
layout(binding = 3) buffer Report { ReportedHead report[]; };
layout(binding = 4) writeonly buffer Rows { uint rows[]; };  // (n_reported_slots, head, SLOT_WORDS)

#define infinity uintBitsToFloat(0x7f800000u)

/// A slot that may be evicted. Position -1: none.
struct Leaver {
  float score;
  int position;
  uint slot;
};

void keep_lowest(inout Leaver lowest, float score, int position, uint slot) {
  if (score < lowest.score || (score == lowest.score && position > lowest.position))
    lowest = Leaver(score, position, slot);
}

Leaver lowest_of_lanes(Leaver lane) {
  const float score = subgroupMin(lane.score);
  const int position = subgroupMax(lane.score == score ? lane.position : -1);
  const bool is_it = lane.score == score && lane.position == position && position >= 0;
  return Leaver(score, position, subgroupMin(is_it ? lane.slot : 0xffffffffu));
}

struct Contest {
  uint n_to_leave;
  Leaver first;  // the first to evict
};

Contest look(StepHead head, uint length, uint first_page) {
  uint n_dropped = 0, n_contest = 0;
  Leaver dropped = Leaver(infinity, -1, 0), contest = dropped;
  // Four slots per lane.
  for (uint s = 4 * gl_SubgroupInvocationID; s < length; s += 4 * N_LANES) {
    const uvec2 page = pages[first_page + s / PAGE_TOKENS];
    const uvec4 tags = PageUnits(page).at[(TAGS_BEGIN + s % PAGE_TOKENS) / 4];
    const uvec4 score_bits = PageUnits(page).at[(SCORES_BEGIN + s % PAGE_TOKENS) / 4];
    [[unroll]] for (uint i = 0; i < 4; ++i) {
      if (s + i >= length) break;
      const uint position = tags[i] & 0x3fffffffu, token_class = tags[i] >> 30;
      // A score that is not a number counts as the lowest.
      const bool is_number = (score_bits[i] & 0x7fffffffu) <= 0x7f800000u;
      const float score = is_number ? uintBitsToFloat(score_bits[i]) : -infinity;
      if (position < head.reach_from) {
        ++n_dropped;
        keep_lowest(dropped, score, int(position), s + i);
      } else if (!keeps_always(head, position, token_class)) {
        ++n_contest;
        keep_lowest(contest, score, int(position), s + i);
      }
    }
  }
  n_dropped = subgroupAdd(n_dropped);
  n_contest = subgroupAdd(n_contest);
  const uint n_always = length - n_dropped - n_contest;
  const uint n_kept = n_kept_by_score(head, n_always);
  const uint n_losers = n_contest > n_kept ? n_contest - n_kept : 0;
  if (n_losers > 0) keep_lowest(dropped, contest.score, contest.position, contest.slot);
  return Contest(n_dropped + n_losers, lowest_of_lanes(dropped));
}

void log_row(uvec2 page, uint slot, uint to) {
  for (uint word = gl_SubgroupInvocationID; word < ROW_WORDS; word += N_LANES) {
    rows[to + word] = PageWords(page).at[slot * ROW_WORDS + word];
    rows[to + ROW_WORDS + word] = PageWords(page).at[V_BEGIN + slot * ROW_WORDS + word];
  }
#ifdef CACHE_Q8
  for (uint block = gl_SubgroupInvocationID; block < N_BLOCKS; block += N_LANES) {
    rows[to + 2 * ROW_WORDS + block] = load_scale(page, 0, slot, block);
    rows[to + 2 * ROW_WORDS + N_BLOCKS + block] = load_scale(page, V_BEGIN, slot, block);
  }
#endif
}

void move_slot(uvec2 from, uint from_slot, uvec2 to, uint to_slot) {
  for (uint word = gl_SubgroupInvocationID; word < ROW_WORDS; word += N_LANES) {
    PageWords(to).at[to_slot * ROW_WORDS + word] = PageWords(from).at[from_slot * ROW_WORDS + word];
    PageWords(to).at[V_BEGIN + to_slot * ROW_WORDS + word] = PageWords(from).at[V_BEGIN + from_slot * ROW_WORDS + word];
  }
#ifdef CACHE_Q8
  for (uint block = gl_SubgroupInvocationID; block < N_BLOCKS; block += N_LANES) {
    store_scale(to, 0, to_slot, block, load_scale(from, 0, from_slot, block));
    store_scale(to, V_BEGIN, to_slot, block, load_scale(from, V_BEGIN, from_slot, block));
  }
#endif
  if (subgroupElect()) {
    PageWords(to).at[TAGS_BEGIN + to_slot] = PageWords(from).at[TAGS_BEGIN + from_slot];
    PageWords(to).at[SCORES_BEGIN + to_slot] = PageWords(from).at[SCORES_BEGIN + from_slot];
  }
}

void main() {
  const StepHead head = heads[c.head_begin + gl_WorkGroupID.x];
  const uint to = c.first_head + gl_WorkGroupID.x, first_page = head.first_page;
  uint length = head.n_slots + c.is_appended, n_left = 0, n_to_leave = 0;
  if (c.is_first_pass == 0) length = report[to].n_slots;
  if ((head.parts & part_full) == 0 || head.reach_from > 0) {
    while (true) {
      const Contest contest = look(head, length, first_page);
      n_to_leave = contest.n_to_leave;
      if (n_to_leave == 0 || n_left == n_reported_slots) break;
      const uint hole = contest.first.slot;
      const uvec2 page = pages[first_page + hole / PAGE_TOKENS];
      const uint slot = hole % PAGE_TOKENS;
      const bool is_logged = uint(contest.first.position) < step_state.log_before;
      if (is_logged) log_row(page, slot, (n_left * c.n_heads + to) * SLOT_WORDS);
      if (subgroupElect())
        report[to].slots[n_left] =
            ReportedSlot(hole, uint(contest.first.position), uintBitsToFloat(PageWords(page).at[SCORES_BEGIN + slot]),
                         is_logged ? 1 : 0);
      subgroupMemoryBarrierBuffer();
      subgroupBarrier();
      --length;
      ++n_left;
      if (hole != length)
        move_slot(pages[first_page + length / PAGE_TOKENS], length % PAGE_TOKENS, page, slot);
      n_to_leave = contest.n_to_leave - 1;
      if (n_to_leave == 0) break;
      subgroupMemoryBarrierBuffer();
      subgroupBarrier();
    }
  }
  if (subgroupElect()) {
    report[to].n_left = n_left;
    report[to].n_to_leave = n_to_leave;
    report[to].n_slots = length;
  }
}
