// One token's attention over every slot of a layer's heads. Each head's slots are cut into splits of equal size,
// whatever the heads' lengths; each split gives a state (max, sum, output) for every query head of its group, the
// states are merged in order, and the final probabilities are added to the slots' scores. The result does not depend on
// the threads.
#include "engine/backend/cpu/simd_targets.h"
//
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/attend_decode.cpp"
#include "hwy/foreach_target.h"
//
#include <utility>

#include "engine/backend/cpu/operations.h"
#include "engine/backend/cpu/vector_math-inl.h"
#include "hwy/cache_control.h"

#ifndef HEADROOM_ATTEND_DECODE_TYPES
#define HEADROOM_ATTEND_DECODE_TYPES
namespace headroom {

constexpr int32_t split_pages = 16;
constexpr int32_t split_slots = split_pages * page_tokens;

/// Slots of one KV head that are attended to at one go, with their part of the result.
struct DecodeSplit {
  const PageView* pages;  // (ceil(n_slots / page_tokens))
  int32_t n_slots;
  int32_t group;
  int32_t head_dim;
  CacheType type;
  const float* q;        // (group, head_dim), times scale and log2(e): scores are exponents of 2
  float* probabilities;  // (group, split_slots): 2^(score - max), 0 behind the last slot
  float* max;            // (group)
  float* sum;            // (group), of probabilities; after the merge the factor that makes them final
  float* out;            // (group, head_dim): sum of probabilities * V
};

}  // namespace headroom
#endif  // HEADROOM_ATTEND_DECODE_TYPES

HWY_BEFORE_NAMESPACE();
namespace headroom {
namespace HWY_NAMESPACE {

// Query heads that share a load of K or V, as far as the registers reach.
constexpr int max_heads_at_once = HWY_TARGET == HWY_AVX2 ? 2 : 4;

/// Scores of a page's first n_slots, rounded up to 4, for some query heads.
/// scores: a row of split_slots for each query head
template <int n_heads>
HWY_INLINE void ScorePage(const DecodeSplit& split, const float* HWY_RESTRICT q, const uint16_t* HWY_RESTRICT k,
                          int32_t n_slots, float* HWY_RESTRICT scores) {
  const hn::ScalableTag<float> d;
  using V = hn::Vec<decltype(d)>;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const int32_t head_dim = split.head_dim;
  for (int32_t s = 0; s < n_slots; s += 4) {
    const uint16_t* k4 = k + s * head_dim;
    V sums[n_heads][4];
    for (int g = 0; g < n_heads; ++g)
      for (int j = 0; j < 4; ++j) sums[g][j] = hn::Zero(d);
    int32_t i = 0;
    for (; i + lanes <= head_dim; i += lanes) {
      const V k0 = LoadHalves(d, k4 + i), k1 = LoadHalves(d, k4 + head_dim + i);
      const V k2 = LoadHalves(d, k4 + 2 * head_dim + i), k3 = LoadHalves(d, k4 + 3 * head_dim + i);
      for (int g = 0; g < n_heads; ++g) {
        const V query = hn::LoadU(d, q + g * head_dim + i);
        sums[g][0] = hn::MulAdd(query, k0, sums[g][0]);
        sums[g][1] = hn::MulAdd(query, k1, sums[g][1]);
        sums[g][2] = hn::MulAdd(query, k2, sums[g][2]);
        sums[g][3] = hn::MulAdd(query, k3, sums[g][3]);
      }
    }
    for (int g = 0; g < n_heads; ++g)
      StoreFourSums(d, sums[g][0], sums[g][1], sums[g][2], sums[g][3], scores + g * split_slots + s);
    const hn::CappedTag<float, 1> one;
    for (; i < head_dim; ++i)
      for (int j = 0; j < 4; ++j)
        for (int g = 0; g < n_heads; ++g)
          scores[g * split_slots + s + j] += q[g * head_dim + i] * hn::GetLane(LoadHalves(one, k4 + j * head_dim + i));
  }
}

/// out += probability * V over a page's slots, for n_vectors * Lanes(d) values of V and out, and some query heads.
template <int n_heads, int n_vectors, class D>
HWY_INLINE void MixValues(D d, const DecodeSplit& split, const float* HWY_RESTRICT probabilities,
                          const uint16_t* HWY_RESTRICT v, int32_t n_slots, float* HWY_RESTRICT out) {
  using V = hn::Vec<D>;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const int32_t head_dim = split.head_dim;
  V sums[n_heads][n_vectors];
  for (int g = 0; g < n_heads; ++g)
    for (int j = 0; j < n_vectors; ++j) sums[g][j] = hn::LoadU(d, out + g * head_dim + j * lanes);
  for (int32_t s = 0; s < n_slots; ++s) {
    V values[n_vectors];
    for (int j = 0; j < n_vectors; ++j) values[j] = LoadHalves(d, v + s * head_dim + j * lanes);
    for (int g = 0; g < n_heads; ++g) {
      const V weight = hn::Set(d, probabilities[g * split_slots + s]);
      for (int j = 0; j < n_vectors; ++j) sums[g][j] = hn::MulAdd(weight, values[j], sums[g][j]);
    }
  }
  for (int g = 0; g < n_heads; ++g)
    for (int j = 0; j < n_vectors; ++j) hn::StoreU(sums[g][j], d, out + g * head_dim + j * lanes);
}

template <int n_heads>
HWY_INLINE void MixPage(const DecodeSplit& split, const float* probabilities, const uint16_t* v, int32_t n_slots,
                        float* out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  int32_t i = 0;
  for (; i + 4 * lanes <= split.head_dim; i += 4 * lanes)
    MixValues<n_heads, 4>(d, split, probabilities, v + i, n_slots, out + i);
  for (; i + lanes <= split.head_dim; i += lanes)
    MixValues<n_heads, 1>(d, split, probabilities, v + i, n_slots, out + i);
  for (; i < split.head_dim; ++i)
    MixValues<n_heads, 1>(hn::CappedTag<float, 1>(), split, probabilities, v + i, n_slots, out + i);
}

/// ScorePage for a page of q8_0: values become f32 in registers, for all query heads at once.
template <int n_heads>
HWY_INLINE void ScoreQ8Page(const DecodeSplit& split, const float* HWY_RESTRICT q, CacheRow k, int32_t n_slots,
                            float* HWY_RESTRICT scores) {
  const BlockTag d;
  const hn::CappedTag<float, 4> d4;
  using V = hn::Vec<BlockTag>;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  const int32_t head_dim = split.head_dim;
  for (int32_t s = 0; s < n_slots; s += 4) {
    const int8_t* k4 = k.bytes() + s * head_dim;
    V sums[n_heads][4];
    for (int g = 0; g < n_heads; ++g)
      for (int j = 0; j < 4; ++j) sums[g][j] = hn::Zero(d);
    for (int32_t first = 0; first < head_dim; first += q8_block_values) {
      float scales[4];
      for (int32_t j = 0; j < 4; j += static_cast<int32_t>(hn::Lanes(d4)))
        hn::StoreU(LoadHalves(d4, &k.scale(first / q8_block_values) + s + j), d4, scales + j);
      for (int32_t i = first; i < first + q8_block_values; i += lanes) {
        V keys[4];
        for (int j = 0; j < 4; ++j) keys[j] = hn::Mul(LoadBytes(d, k4 + j * head_dim + i), hn::Set(d, scales[j]));
        for (int g = 0; g < n_heads; ++g) {
          const V query = hn::LoadU(d, q + g * head_dim + i);
          for (int j = 0; j < 4; ++j) sums[g][j] = hn::MulAdd(query, keys[j], sums[g][j]);
        }
      }
    }
    for (int g = 0; g < n_heads; ++g)
      StoreFourSums(d, sums[g][0], sums[g][1], sums[g][2], sums[g][3], scores + g * split_slots + s);
  }
}

/// out += weight * V over a page's slots, for n_vectors * Lanes(d) values of V and out, and some query heads.
/// weights: (n_heads, page_tokens)
template <int n_heads, int n_vectors>
HWY_INLINE void MixBytes(int32_t head_dim, const float* HWY_RESTRICT weights, const int8_t* HWY_RESTRICT v,
                         int32_t n_slots, float* HWY_RESTRICT out) {
  const BlockTag d;
  using V = hn::Vec<BlockTag>;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  V sums[n_heads][n_vectors];
  for (int g = 0; g < n_heads; ++g)
    for (int j = 0; j < n_vectors; ++j) sums[g][j] = hn::LoadU(d, out + g * head_dim + j * lanes);
  for (int32_t s = 0; s < n_slots; ++s) {
    V values[n_vectors];
    for (int j = 0; j < n_vectors; ++j) values[j] = LoadBytes(d, v + s * head_dim + j * lanes);
    for (int g = 0; g < n_heads; ++g) {
      const V weight = hn::Set(d, weights[g * page_tokens + s]);
      for (int j = 0; j < n_vectors; ++j) sums[g][j] = hn::MulAdd(weight, values[j], sums[g][j]);
    }
  }
  for (int g = 0; g < n_heads; ++g)
    for (int j = 0; j < n_vectors; ++j) hn::StoreU(sums[g][j], d, out + g * head_dim + j * lanes);
}

/// MixPage for a page of q8_0: a block's scales go into the probabilities, once for all its values.
template <int n_heads>
HWY_INLINE void MixQ8Page(const DecodeSplit& split, const float* HWY_RESTRICT probabilities, CacheRow v,
                          int32_t n_slots, float* HWY_RESTRICT out) {
  const BlockTag d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  for (int32_t first = 0; first < split.head_dim; first += q8_block_values) {
    float weights[n_heads * page_tokens];
    for (int32_t s = 0; s < page_tokens; s += lanes) {
      const auto scales = LoadHalves(d, &v.scale(first / q8_block_values) + s);
      for (int g = 0; g < n_heads; ++g)
        hn::StoreU(hn::Mul(hn::LoadU(d, probabilities + g * split_slots + s), scales), d,
                   weights + g * page_tokens + s);
    }
    const int32_t end = first + q8_block_values;
    int32_t i = first;
    for (; i + 4 * lanes <= end; i += 4 * lanes)
      MixBytes<n_heads, 4>(split.head_dim, weights, v.bytes() + i, n_slots, out + i);
    for (; i + 2 * lanes <= end; i += 2 * lanes)
      MixBytes<n_heads, 2>(split.head_dim, weights, v.bytes() + i, n_slots, out + i);
  }
}

/// Calls f with the number of query heads, as a constant, and the first of them, until all of the group had their turn.
template <class F>
HWY_INLINE void ForHeadsOfGroup(int32_t group, F f) {
  int32_t g = 0;
  for (; g + max_heads_at_once <= group; g += max_heads_at_once) f(std::integral_constant<int, max_heads_at_once>(), g);
  switch (group - g) {
    case 3:
      f(std::integral_constant<int, 3>(), g);
      break;
    case 2:
      f(std::integral_constant<int, 2>(), g);
      break;
    case 1:
      f(std::integral_constant<int, 1>(), g);
      break;
    default:
      break;
  }
}

/// Scores ─► 2^(score - max), with 0 for the slots behind the last up to the end of its page.
HWY_INLINE void SoftmaxSplit(const DecodeSplit& split, int32_t g, int32_t n_padded) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int32_t>(hn::Lanes(d));
  float* scores = split.probabilities + g * split_slots;
  for (int32_t s = split.n_slots; s < n_padded; ++s) scores[s] = -3e38f;
  auto largest = hn::Set(d, -3e38f);
  for (int32_t s = 0; s < n_padded; s += lanes) largest = hn::Max(largest, hn::LoadU(d, scores + s));
  largest = hn::MaxOfLanes(d, largest);
  auto sum = hn::Zero(d);
  for (int32_t s = 0; s < n_padded; s += lanes) {
    const auto probability = Exp2(d, hn::Sub(hn::LoadU(d, scores + s), largest));
    sum = hn::Add(sum, probability);
    hn::StoreU(probability, d, scores + s);
  }
  split.max[g] = hn::GetLane(largest);
  split.sum[g] = hn::GetLane(hn::SumOfLanes(d, sum));
}

/// Asks for the rows of the next page while this one is computed: pages lie scattered, the processor cannot guess.
HWY_INLINE void PrefetchRows(const std::byte* part, size_t part_bytes) {
  constexpr size_t line_bytes = 64;
  for (size_t i = 0; i < part_bytes; i += line_bytes) hwy::Prefetch(part + i);
}

template <CacheType type>
HWY_INLINE void AttendSplitOf(const DecodeSplit& split) {
  const PageLayout layout{split.head_dim, type};
  const int32_t n_pages = (split.n_slots + page_tokens - 1) / page_tokens;
  const size_t part_bytes = page_tokens * layout.row_bytes();
  const auto slots_of_page = [&](int32_t page) { return HWY_MIN(page_tokens, split.n_slots - page * page_tokens); };
  // scores
  for (int32_t p = 0; p < n_pages; ++p) {
    PrefetchRows(p + 1 < n_pages ? split.pages[p + 1].k : split.pages[0].v, part_bytes);
    ForHeadsOfGroup(split.group, [&](auto n_heads, int32_t g) HWY_ATTR {
      const CacheRow k = cache_row(layout, split.pages[p].k, 0);
      const float* q = split.q + g * split.head_dim;
      float* scores = split.probabilities + g * split_slots + p * page_tokens;
      if constexpr (type == CacheType::f16)
        ScorePage<n_heads()>(split, q, k.halves(), slots_of_page(p), scores);
      else
        ScoreQ8Page<n_heads()>(split, q, k, slots_of_page(p), scores);
    });
  }
  // softmax within the split
  for (int32_t g = 0; g < split.group; ++g) SoftmaxSplit(split, g, n_pages * page_tokens);
  // mix of V
  for (int32_t i = 0; i < split.group * split.head_dim; ++i) split.out[i] = 0;
  for (int32_t p = 0; p < n_pages; ++p) {
    if (p + 1 < n_pages) PrefetchRows(split.pages[p + 1].v, part_bytes);
    ForHeadsOfGroup(split.group, [&](auto n_heads, int32_t g) HWY_ATTR {
      const CacheRow v = cache_row(layout, split.pages[p].v, 0);
      const float* probabilities = split.probabilities + g * split_slots + p * page_tokens;
      float* out = split.out + g * split.head_dim;
      if constexpr (type == CacheType::f16)
        MixPage<n_heads()>(split, probabilities, v.halves(), slots_of_page(p), out);
      else
        MixQ8Page<n_heads()>(split, probabilities, v, slots_of_page(p), out);
    });
  }
}

void AttendSplit(const DecodeSplit& split) {
  if (split.type == CacheType::f16)
    AttendSplitOf<CacheType::f16>(split);
  else
    AttendSplitOf<CacheType::q8_0>(split);
}

/// Merges one query head's states of all splits in their order (Milakov & Gimelshein 2018). split.sum becomes the
/// factor of the split's probabilities.
void MergeSplits(const DecodeSplit* splits, int32_t n_splits, int32_t g, float* HWY_RESTRICT out) {
  const hn::CappedTag<float, 1> one;
  float largest = splits[0].max[g];
  for (int32_t c = 1; c < n_splits; ++c) largest = HWY_MAX(largest, splits[c].max[g]);
  float sum = 0;
  for (int32_t c = 0; c < n_splits; ++c) {
    const float factor = hn::GetLane(Exp2(one, hn::Set(one, splits[c].max[g] - largest)));
    sum += factor * splits[c].sum[g];
    splits[c].sum[g] = factor;
  }
  const int32_t head_dim = splits[0].head_dim;
  for (int32_t i = 0; i < head_dim; ++i) out[i] = 0;
  for (int32_t c = 0; c < n_splits; ++c) {
    const float factor = splits[c].sum[g] / sum;
    splits[c].sum[g] = factor;
    const float* HWY_RESTRICT part = splits[c].out + g * head_dim;
    for (int32_t i = 0; i < head_dim; ++i) out[i] += factor * part[i];
  }
}

/// The slots' scores grow by the final probabilities of the group.
void AddProbabilities(const DecodeSplit& split) {
  for (int32_t s = 0; s < split.n_slots; s += page_tokens) {
    float* HWY_RESTRICT scores = split.pages[s / page_tokens].scores;
    const int32_t n = HWY_MIN(page_tokens, split.n_slots - s);
    float sums[page_tokens] = {};
    for (int32_t g = 0; g < split.group; ++g) {
      const float factor = split.sum[g];
      const float* HWY_RESTRICT probabilities = split.probabilities + g * split_slots + s;
      for (int32_t i = 0; i < page_tokens; ++i) sums[i] += factor * probabilities[i];
    }
    for (int32_t i = 0; i < n; ++i) scores[i] += sums[i];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace headroom
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace headroom {
HWY_EXPORT(AttendSplit);
HWY_EXPORT(MergeSplits);
HWY_EXPORT(AddProbabilities);

namespace {

/// Splits of all heads, each with its part of the scratch.
std::vector<DecodeSplit> plan_splits(DecodeScratch& scratch, const AttendDecode& args, const Slabs& slabs) {
  const int32_t head_dim = slabs.layout().head_dim;
  const auto n_q = static_cast<size_t>(args.group) * static_cast<size_t>(head_dim);  // values of a group's queries
  const auto group = static_cast<size_t>(args.group);
  std::vector<PageView>& pages = scratch.pages;
  pages.clear();
  size_t n_splits = 0;
  for (const HeadView& head : args.heads) {
    n_splits += static_cast<size_t>((head.length + split_slots - 1) / split_slots);
    for (int32_t p = 0; p * page_tokens < head.length; ++p)
      pages.push_back(slabs.page(head.pages[static_cast<size_t>(p)]));
  }
  const size_t split_floats = group * split_slots + n_q + 2 * group;
  const size_t q_floats = args.heads.size() * n_q;
  float* free = scratch.floats.reserve(q_floats + n_splits * split_floats);
  const auto take = [&](size_t count) { return std::exchange(free, free + count); };
  float* q = take(q_floats);
  for (size_t i = 0; i < q_floats; ++i) q[i] = args.q[i] * (args.scale * log2_e);

  std::vector<DecodeSplit> splits;
  splits.reserve(n_splits);
  const PageView* next_page = pages.data();
  for (size_t h = 0; h < args.heads.size(); ++h) {
    for (int32_t first = 0; first < args.heads[h].length; first += split_slots) {
      splits.push_back({.pages = next_page,
                        .n_slots = std::min(split_slots, args.heads[h].length - first),
                        .group = args.group,
                        .head_dim = head_dim,
                        .type = slabs.layout().type,
                        .q = q + h * n_q,
                        .probabilities = take(group * split_slots),
                        .max = take(group),
                        .sum = take(group),
                        .out = take(n_q)});
      next_page += (splits.back().n_slots + page_tokens - 1) / page_tokens;
    }
  }
  return splits;
}

/// The output of each head from the states of its splits, then the scores of its slots.
void merge_splits(ThreadPool& pool, const AttendDecode& args, std::span<const DecodeSplit> splits, int32_t head_dim) {
  const auto n_q = static_cast<size_t>(args.group) * static_cast<size_t>(head_dim);
  const DecodeSplit* of_head = splits.data();
  for (size_t h = 0; h < args.heads.size(); ++h) {
    const int32_t n = (args.heads[h].length + split_slots - 1) / split_slots;
    for (int32_t g = 0; g < args.group; ++g)
      HWY_DYNAMIC_DISPATCH(MergeSplits)(of_head, n, g, args.out + h * n_q + static_cast<size_t>(g * head_dim));
    of_head += n;
  }
  pool.parallel_for(static_cast<int64_t>(splits.size()), 16, [&](int64_t begin, int64_t end, int) {
    for (int64_t s = begin; s < end; ++s) HWY_DYNAMIC_DISPATCH(AddProbabilities)(splits[static_cast<size_t>(s)]);
  });
}

}  // namespace

void attend_decode(ThreadPool& pool, StageClock& clock, double bytes, DecodeScratch& scratch, const AttendDecode& args,
                   const Slabs& slabs) {
  std::vector<DecodeSplit> splits;
  {
    const auto scope = clock.time(Stage::attend_decode, bytes);
    splits = plan_splits(scratch, args, slabs);
    pool.parallel_for(static_cast<int64_t>(splits.size()), 1, [&](int64_t begin, int64_t end, int) {
      for (int64_t s = begin; s < end; ++s) HWY_DYNAMIC_DISPATCH(AttendSplit)(splits[static_cast<size_t>(s)]);
    });
  }
  const double probability_bytes = 4.0 * args.group * split_slots * static_cast<double>(splits.size());
  const auto scope = clock.time(Stage::merge_decode, probability_bytes);
  merge_splits(pool, args, splits, slabs.layout().head_dim);
}

}  // namespace headroom
#endif  // HWY_ONCE
