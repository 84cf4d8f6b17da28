// The interface between the engine and the machine it computes on: buffers, about a dozen transformer operations, the
// paged KV cache's device side, stage timers. cpu/ and vulkan/ implement it; CUDA would implement the same class.
// Nothing above this header may assume that device memory is host memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/model_config.h"
#include "engine/base/page_layout.h"
#include "engine/base/policy.h"
#include "engine/base/tensor.h"
#include "engine/base/types.h"

namespace headroom {

/// Device memory. Freed by its destructor; the backend must outlive it.
class DeviceBuffer {
 public:
  virtual ~DeviceBuffer() = default;
  virtual size_t size_bytes() const = 0;
};

/// A weight tensor in the backend's memory: on the CPU the file's own mapped bytes, elsewhere a copy.
/// The TensorView's bytes must outlive it.
class DeviceWeight {
 public:
  explicit DeviceWeight(TensorView view) : view_(std::move(view)) {}
  virtual ~DeviceWeight() = default;
  /// Name, type and shape; only a backend may look at `data`.
  const TensorView& view() const { return view_; }

 private:
  TensorView view_;
};

/// A matrix of f32 inside a buffer, row-major: element (r, c) is float number offset + r * stride + c of the buffer.
struct Matrix {
  DeviceBuffer* buffer = nullptr;
  int64_t offset = 0;  // floats
  int32_t n_rows = 0;
  int32_t n_cols = 0;
  int64_t stride = 0;  // floats from row to row, >= n_cols

  Matrix rows(int32_t first, int32_t count) const { return {buffer, offset + first * stride, count, n_cols, stride}; }
};

/// K and V of one layer during a prefill, f16: first all of K, then all of V. Row r of K begins at half number
/// r * row_values.
struct KvScratch {
  DeviceBuffer* buffer = nullptr;  // 2 * capacity_rows * row_values halves
  int32_t capacity_rows = 0;
  int32_t row_values = 0;  // n_kv_heads * head_dim; head h at h * head_dim
};

/// One KV head's cache as the operations see it: slot s is in page pages[s / page_tokens].
struct HeadView {
  std::span<const PageId> pages;
  int32_t length = 0;  // slots filled
};

/// One product of MatmulTerm: y = x * weight^T (+ bias) (+ y before).
struct MatmulTerm {
  const DeviceWeight* weight = nullptr;  // (n_out, n_in)
  const DeviceWeight* bias = nullptr;    // (n_out), F32; may be null
  Matrix y;                              // (n_rows, n_out)
  bool accumulate = false;               // add to what y holds
};

/// Maximum number of local windows that one prefill can sum over.
inline constexpr int32_t max_win_sums = 3;

/// Causal attention of a block of prompt rows over a head's held slots and the rows of this turn.
/// Columns of the sums: first the held slots (column s = slot s), padded to n_held_columns, then the turn's rows
/// (column n_held_columns + t). Each call adds to the sums, so a prompt can be split into blocks of rows. Columns that
/// no row attends to keep their values.
struct AttendPrefill {
  Matrix q{};                      // (n_rows, n_heads * head_dim), after RoPE; row r is turn row first_row + r
  KvScratch kv;                    // rows 0 .. first_row + n_rows - 1 of the turn are filled
  std::span<const HeadView> held;  // one per KV head; empty in a first turn
  int32_t n_held_columns = 0;      // at least the longest held length
  int32_t first_row = 0;
  int32_t position0 = 0;  // position of turn row 0
  int32_t window = 0;     // row at position i sees columns j with i - j < window; 0: all j <= i
  int32_t head_dim = 0;
  float scale = 0;
  Matrix out{};  // (n_rows, n_heads * head_dim)
  // Statistics of the profile. If a buffer is null, its sum is skipped.
  Matrix attention_mass{};  // (n_heads, n_held_columns + turn rows): sum over rows of A[i][j] is added to [j]
  Matrix windowed_mass{};   // (n_win * n_heads, the same): of rows with i - j < win_tokens[w], in rows w * n_heads …
  Matrix recent_mass{};     // (n_heads, the same): of turn rows from recent_from on
  int32_t n_win = 1;
  std::array<int32_t, max_win_sums> win_tokens{};
  int32_t recent_from = 0;
};

/// First and second moments of every query head's queries before RoPE, centred on a constant shift. Without the shift,
/// a mean far from zero would cause cancellation in the variance. Per query head, f32, one after another:
///   shift (head_dim), sum of q - shift (head_dim), sum of (q - shift) (q - shift)^T (head_dim, head_dim), symmetric
struct QueryMoments {
  DeviceBuffer* buffer = nullptr;  // (n_heads, values(head_dim))

  static constexpr int64_t values(int32_t head_dim) { return int64_t{head_dim} * (head_dim + 2); }
};

/// Expected attention of queries with a known mean and covariance (engine/kv/expected_attention.h), before the softmax,
/// for every column of the sums of AttendPrefill:
///   logits[h][j] = k_j . linear_h + k_j^T quadratic_h k_j
///   norms[kv][j] = |v_j|
struct ExpectedAttention {
  const DeviceBuffer* queries =
      nullptr;  // (n_heads, head_dim * (1 + head_dim)): linear, then quadratic, symmetric; f32
  KvScratch kv;
  int32_t n_rows = 0;              // of the scratch: the turn's tokens
  std::span<const HeadView> held;  // one per KV head
  int32_t n_held_columns = 0;      // at least the longest held length; columns past a head's length keep their values
  int32_t head_dim = 0;
  Matrix logits;  // (n_heads, n_held_columns + n_rows)
  Matrix norms;   // (n_kv_heads, the same)
};

/// What a product is for. Stage timers count it under this use.
enum class MatmulUse : uint8_t { other, qkv, output, feed_forward, logits };

/// The operations of a decode step as a value: recorded once, run for every token. Belongs to its backend, which must
/// outlive it.
class StepProgram {
 public:
  virtual ~StepProgram() = default;
};

/// The data of a step: everything that differs from token to token.
struct DecodeStep {
  int32_t position = 0;  // of the token that is computed
  TokenId token_id = 0;
  TokenClass token_class = TokenClass::plain;
  int32_t n_kv_heads = 0;           // heads of a layer; heads and rules are layer-major
  std::span<const HeadView> heads;  // the pages of every head have room for length + 1 slots
  std::span<const KeepRule> rules;  // computed for position + 1 tokens
  int32_t log_before = 0;           // the report holds K and V of evicted slots at positions below it
};

/// One evicted slot. Evictions are listed in the order in which they happened. The head's last slot moved into its
/// place.
struct Eviction {
  int32_t head = 0;  // layer * n_kv_heads + kv_head
  int32_t slot = 0;  // its index before it was evicted
  int32_t position = 0;
  float score = 0;   // when it was evicted
  int64_t row = -1;  // index into StepReport::rows; -1: not logged
};

struct StepReport {
  std::vector<Eviction> evictions;
  std::vector<uint16_t> rows;  // (logged evictions, PageLayout::slot_row_u16s()), exactly as the page held them
};

/// Where a slot's K and V come from when a head's pages are rewritten.
struct SlotSource {
  enum class Kind : uint8_t {
    held,     // index = slot in the head's present pages
    scratch,  // index = row of KvScratch
    log,      // index = row of `log_rows`
  };
  Kind kind = Kind::held;
  int32_t index = 0;
  SlotTag tag = 0;
  float score = 0;
};

/// Writes one head's cache from its parts into new pages, which nothing uses yet. Rows of the scratch are rounded to
/// the layout's type; held and logged rows are copied unchanged.
struct GatherHead {
  int32_t kv_head = 0;                 // selects the columns of the scratch
  HeadView from;                       // may be empty
  KvScratch kv;                        // may be null
  std::span<const uint16_t> log_rows;  // host: (n, slot_row_u16s()), as read_rows returns them; may be empty
  std::span<const SlotSource> slots;   // in order of the new slots
  std::span<const PageId> pages;       // ceil(slots / page_tokens) pages
};

/// Some slots of one head.
struct HeadSlots {
  HeadView head;
  std::span<const int32_t> slots;
};

/// Part of a buffer to copy to host memory.
struct ReadBack {
  const DeviceBuffer* from = nullptr;
  size_t offset_bytes = 0;
  std::span<std::byte> to;
};

struct StageTime {
  std::string name;
  int64_t calls = 0;
  double ms = 0;
  double bytes = 0;  // minimum that the stage had to read and write
};

/// What the host did since the backend was made.
struct BackendCounters {
  int64_t calls = 0;        // of operations; a recorded one counts each time it is recorded
  int64_t submissions = 0;  // to a device
  int64_t waits = 0;        // for it
  int64_t bytes_up = 0;     // to it
  int64_t bytes_down = 0;   // from it
};

struct BackendInfo {
  std::string name;    // "cpu"
  std::string device;  // "AVX-512 VNNI, 2 threads"
  bool unified_memory = true;
};

/// Only one thread at a time may call it. Operations throw Error(out_of_memory) or Error(device). Arguments that do not
/// fit each other are a programmer's mistake. Effects happen in the order of the calls.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const BackendInfo& info() const = 0;

  // Memory.
  virtual std::unique_ptr<DeviceBuffer> allocate(size_t bytes) = 0;  // contents undefined
  virtual void upload(DeviceBuffer& to, size_t offset_bytes, std::span<const std::byte> from) = 0;
  /// Copies all parts with one wait for the device.
  virtual void download(std::span<const ReadBack> parts) = 0;
  void download(const DeviceBuffer& from, size_t offset_bytes, std::span<std::byte> to) {
    const ReadBack part{&from, offset_bytes, to};
    download({&part, 1});
  }
  virtual std::unique_ptr<DeviceWeight> load_weight(const TensorView& view) = 0;

  // Transformer operations on f32 activations.
  /// out row r = scale * row ids[r] of table.  out: (n, n_embd)
  virtual void embed(const DeviceWeight& table, std::span<const TokenId> ids, float scale, Matrix out) = 0;
  /// out = x / sqrt(mean(x^2) + eps) * gain, row by row; out may be x. gain: (n_cols), F32
  virtual void rms_norm(Matrix x, const DeviceWeight& gain, float eps, Matrix out) = 0;
  /// Several products of the same x, so that it is quantised once and the terms run side by side.
  /// x: (n_rows, n_in). For quantised weights x is rounded to 16 bits in blocks of 32; for float weights it stays f32.
  virtual void matmul(Matrix x, std::span<const MatmulTerm> terms, MatmulUse use) = 0;
  void matmul(Matrix x, std::span<const MatmulTerm> terms) { matmul(x, terms, MatmulUse::other); }
  /// Rotates the first n_rot values of every head of x in place; row r is at position0 + r.
  /// x: (n_rows, n * head_dim). frequencies: buffer of n_rot / 2 f32, radians per position.
  virtual void rope(Matrix x, int32_t head_dim, int32_t position0, RopeStyle style, int32_t n_rot,
                    const DeviceBuffer& frequencies) = 0;
  /// x += y
  virtual void add(Matrix x, Matrix y) = 0;
  /// gate = act(gate) * up, as in SwiGLU and GeGLU
  virtual void gated_activation(Activation activation, Matrix gate, Matrix up) = 0;
  virtual void fill_zero(Matrix x) = 0;
  /// Rounds k and v to f16 into rows first_row … of the scratch.  k, v: (n_rows, kv.row_values)
  virtual void store_kv(Matrix k, Matrix v, KvScratch kv, int32_t first_row) = 0;
  virtual void attend_prefill(const AttendPrefill& args) = 0;
  /// Resets the moments and centres them on a shift near the queries' mean.
  /// shift: (1, n_heads * head_dim), before RoPE
  virtual void begin_query_moments(Matrix shift, int32_t head_dim, QueryMoments moments) = 0;
  /// Adds rows to the moments.  q: (n_rows, n_heads * head_dim), before RoPE
  virtual void add_query_moments(Matrix q, int32_t head_dim, QueryMoments moments) = 0;
  virtual void expected_attention(const ExpectedAttention& args) = 0;

  // The paged cache of one conversation: a backend holds one at a time. Pages lie in slabs, which are added and removed
  // one by one.
  virtual void set_page_layout(PageLayout layout) = 0;  // only while there is no slab
  virtual void add_slab(int32_t slab) = 0;              // throws out_of_memory and then changes nothing
  virtual void remove_slab(int32_t slab) = 0;           // returns its memory to the system at once
  virtual void copy_page(PageId from, PageId to) = 0;
  /// The new pages of one head must not be old pages of another.
  virtual void gather_slots(std::span<const GatherHead> heads) = 0;
  void gather_slots(const GatherHead& head) { gather_slots({&head, 1}); }
  /// Scores of all slots, head after head in slot order, with one wait for the device.  out: (sum of lengths)
  virtual void read_scores(std::span<const HeadView> heads, std::span<float> out) = 0;
  void read_scores(HeadView head, std::span<float> out) { read_scores({&head, 1}, out); }
  /// K and V of some slots, bit for bit, with one wait for the device.  out: (all slots, PageLayout::slot_row_u16s())
  virtual void read_rows(std::span<const HeadSlots> heads, std::span<uint16_t> out) = 0;
  void read_rows(HeadView head, std::span<const int32_t> slots, std::span<uint16_t> out) {
    const HeadSlots of_head{head, slots};
    read_rows({&of_head, 1}, out);
  }

  // One token.
  /// Makes a program of these operations. Each works on one row; at least one is among the four below that only a step
  /// may call. The backend calls `operations` to record them, or in every step. It must call the same operations each
  /// time, and everything it uses must outlive the program. Every step returns `result`, one row of floats; its buffer
  /// may be null.
  virtual std::unique_ptr<StepProgram> make_step(std::function<void()> operations, Matrix result) = 0;
  /// Prepares a program for a step. The step's spans must stay valid until run_step returns. Throws out_of_memory and
  /// then changes nothing.
  virtual void prepare_step(StepProgram& program, const DecodeStep& step) = 0;
  /// Runs the prepared program: at most one submission and one wait, unless a head evicts many slots.  result: (n_cols)
  virtual StepReport run_step(std::span<float> result) = 0;

  // Operations that only a step may call.
  /// out = scale * row of the step's token.  out: (1, n_embd)
  virtual void embed_token(const DeviceWeight& table, float scale, Matrix out) = 0;
  /// rope() at the step's position.  x: (1, n * head_dim)
  virtual void rope_token(Matrix x, int32_t head_dim, RopeStyle style, int32_t n_rot,
                          const DeviceBuffer& frequencies) = 0;
  /// Appends k and v to each KV head (score 0), attends over all its slots including the new one, adds the
  /// probabilities of the query group to the slots' scores.
  /// q, out: (1, n_heads * head_dim); k, v: (1, n_kv_heads * head_dim)
  virtual void attend_decode(int32_t layer, Matrix q, Matrix k, Matrix v, float scale, Matrix out) = 0;
  /// Applies each head's rule to its slots. Slots that the rule does not keep are evicted, the lowest score first; if
  /// scores are equal, the later position first. Each time the head's last slot moves into the free place.
  virtual void evict(int32_t layer) = 0;

  // Stage timers, since the last reset.
  virtual std::vector<StageTime> stage_times() const = 0;
  virtual void reset_stage_times() = 0;
  virtual BackendCounters counters() const = 0;
  /// Bandwidth of a kernel that only reads memory, in 1e9 bytes per second; 0 if the backend cannot measure it.
  virtual double measure_read_gb_per_s() { return 0; }
};

}  // namespace headroom
