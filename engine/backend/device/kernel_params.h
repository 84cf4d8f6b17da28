// What C++ and GLSL agree on: push constants of each shader, and the state of a decode step. Both include it, so it
// holds nothing but structs of 32-bit members, which both lay out alike.
// Offsets and strides of matrices count floats (f32), as in struct Matrix.
#ifdef __cplusplus
#pragma once
#include <cstdint>
namespace headroom::device {
using uint = uint32_t;
#endif

// The first words of the step buffer (step_plan.h). The host writes them before a step is submitted, so that a recorded
// step serves every position.
struct StepState {
  uint position;
  uint tag;  // of the token: position and class
  uint token_id;
  uint log_before;
  uint n_changes;  // of the page table
};

struct AddConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
  uint y_offset;
  uint y_stride;
};

struct GatedActivationConstants {
  uint n_rows;
  uint n_cols;
  uint gate_offset;
  uint gate_stride;
  uint up_offset;
  uint up_stride;
  uint activation;  // 0 silu, 1 gelu
};

struct RmsNormConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
  uint out_offset;
  uint out_stride;
  float eps;
};

struct RopeConstants {
  uint n_rows;
  uint n_heads;
  uint head_dim;
  uint x_offset;
  uint x_stride;
  uint n_rot;
  uint is_interleaved;  // pairs (2i, 2i + 1); else (i, i + n_rot / 2)
  uint is_step;         // the position is the step's
  uint position0;
};

struct StoreKvConstants {
  uint n_rows;
  uint row_values;
  uint k_offset;
  uint k_stride;
  uint v_offset;
  uint v_stride;
  uint first_row;
  uint capacity_rows;
  uint kv_low;  // address of the scratch
  uint kv_high;
};

// Rows of a matrix to where texels can be read: whole texels of four, zeros behind the last value.
struct PackConstants {
  uint n_rows;
  uint n_cols;
  uint x_offset;
  uint x_stride;
};

// Rows of x to 16 bits, 32 values a block.
struct QuantizeRowsConstants {
  uint n_cols;  // whole blocks
  uint x_offset;
  uint x_stride;
};
// A block: 32 upper bytes, 32 lower bytes, then d and d times the sums of 16-bit values: of the first half, of the
// second, of both.
#ifdef __cplusplus
inline constexpr int x_block_values = 32, x_block_texels = 5;
#else
const uint x_block_texels = 5;
#endif

// A weight lies in planes: unit u of block b (32 values) of row r is number
// (b * n_units + u) * unit_stride + r * unit_row_stride, and so is a word of the other plane (weight.h).
struct EmbedConstants {
  uint n_rows;
  uint n_cols;
  uint n_blocks;
  uint unit_stride;
  uint unit_row_stride;
  uint word_row_stride;
  uint first_row;  // of the weight's part
  uint part_rows;
  uint out_offset;
  uint out_stride;
  uint is_step;  // the token is the step's, and there is one row
  float scale;
};

struct MatmulConstants {
  uint n_in;
  uint n_out;     // rows of the weight's part
  uint n_tokens;  // rows of x
  uint x_offset;  // texels, as the next: of floats, or of blocks in 16 bits
  uint x_stride;
  uint y_offset;
  uint y_stride;
  uint unit_stride;
  uint unit_row_stride;
  uint word_row_stride;
  uint bias_first;  // first value of the bias for this part
  uint flags;       // matmul_has_bias, matmul_accumulates
};
#ifdef __cplusplus
inline constexpr uint matmul_has_bias = 1, matmul_accumulates = 2;
#else
const uint matmul_has_bias = 1, matmul_accumulates = 2;
#endif

// Attention of many rows, and what it is made of. Between the kernels everything is f32 in rows of whole texels (four
// values); offsets, strides and distances of such buffers count texels.

// y[b][m][n] (+)= sum over k of x[b / x_group][m][k] * w[b / w_group][n][k]. Its variants: plain; scores, where y is
// lowest_score for what a row does not see; mix, where x are scores that become probabilities as they are read.
struct BatchProductConstants {
  uint n_m;
  uint n_n;
  uint n_k;  // texels
  uint x_offset;
  uint x_batch;  // distance from one b to the next
  uint x_stride;
  uint x_group;
  uint w_offset;
  uint w_batch;
  uint w_stride;
  uint w_group;
  uint y_offset;  // floats, as are the next two
  uint y_batch;
  uint y_stride;
  uint flags;         // product_…
  uint length_at;     // product_n_by_length, product_k_by_length: word of the head table with the first head's length
  uint length_group;  // b of one head's length
  uint length_first;  // slots before the first column
  int diagonal;       // product_n_by_row, product_k_by_row: row m needs columns 0 … m + diagonal
  // of scores
  uint position;  // of row 0
  uint window;
  uint positions_stride;  // from head to head
};
#ifdef __cplusplus
inline constexpr uint product_accumulates = 1, product_n_by_length = 2, product_k_by_length = 4, product_n_by_row = 8,
                      product_k_by_row = 16;
#else
const float lowest_score = -3e38;
const uint product_accumulates = 1, product_n_by_length = 2, product_k_by_length = 4, product_n_by_row = 8,
           product_k_by_row = 16;
#endif

// Query heads side by side ─► one head behind the other: (head, row, value) times a factor, or (head, value, row) less
// the shift of the head's moments.
struct PackHeadsConstants {
  uint n_rows;
  uint head_dim;
  uint x_offset;  // of the first head
  uint x_stride;
  uint x_head;  // distance from one head to the next
  uint is_transposed;
  uint shift_stride;  // floats from head to head
  float factor;
};

// K or V of some columns ─► (head, column, value) or (head, value, column), of all KV heads from kv_head on.
struct LoadColumnsConstants {
  uint kv_head;
  uint head_dim;
  uint n_columns;  // rounded up to whole texels, as zeros
  uint first;      // slot, or row of the scratch
  uint is_held;
  uint is_v;
  uint is_transposed;
  uint stride;         // of the rows that are written
  uint has_positions;  // of held slots, to positions[head - kv_head][slot]
  uint positions_stride;
  uint row_values;  // of the scratch
  uint capacity_rows;
  uint kv_low;  // its address
  uint kv_high;
  uint pages_per_slab;
  uint page_bytes;
};

// Columns of a block of scores: the held slots, padded to whole texels, then turn rows from turn_first on.
struct ScoreBlock {
  uint n_rows;
  uint stride;   // texels from row to row; heads follow one another
  uint kv_head;  // of the first query head
  uint group;
  uint held_texels;  // of the longest head
  uint turn_first;
  uint n_turn;
  uint row_first;  // turn row of the first row
  uint position0;  // of turn row 0
};

// Largest score and 1 / sum of powers of two of each row: (query head, row), an even number of rows.
struct AttendSoftmaxConstants {
  ScoreBlock block;
};

struct AttendSumsConstants {
  ScoreBlock block;
  uint q_head;     // of all the query heads, the first here
  uint n_q_heads;  // of the matrices
  uint turn_column;
  uint col_offset;
  uint col_stride;
  uint win_offset;
  uint win_stride;
  uint recent_offset;
  uint recent_stride;
  uint has_col;
  uint win_tokens_0;
  uint win_tokens_1;
  uint win_tokens_2;
  uint recent_from;
};

struct MomentsSumConstants {
  uint n_rows;
  uint head_dim;
};

struct ExpectedLogitsConstants {
  uint n_columns;
  uint head_dim;
  uint group;
  uint is_held;
  uint first;   // slot of the first column; 0 for the turn
  uint column;  // of the matrices
  uint logits_offset;
  uint logits_stride;
  uint norms_offset;
  uint norms_stride;
};

// A head of the step, in the order of layers and their heads.
struct StepHead {
  uint n_slots;      // before the step's token
  uint first_page;   // of its row in the page table
  uint first_split;  // among those of its layer
  uint n_splits;
  uint split_slots;  // slots of each split but the last
  uint parts;        // of its rule: see KeepRule
  uint reach_from;
  uint local_from;
  uint n_frequent;
  int n_total;
  uint class_from;
  uint padding[5];
};

// A page that the table does not know yet.
struct PageChange {
  uint index;
  uint low;  // address
  uint high;
  uint padding;
};

struct UpdatePagesConstants {
  uint change_begin;  // in the step buffer, counted in PageChange
};

struct AttendDecodeConstants {
  uint q_offset;
  uint k_offset;
  uint v_offset;
  float scale;            // times log2(e): probabilities are powers of 2
  uint head_begin;        // of the layer, in the step buffer, counted in StepHead
  uint n_kv_heads;        // of the layer
  uint first_query_head;  // of the group, that this dispatch serves
  uint n_query_heads;     // of the group
};

struct MergeDecodeConstants {
  uint out_offset;
  uint head_begin;
  uint n_kv_heads;
};

// A slot that left its head, in the report.
struct ReportedSlot {
  uint slot;
  uint position;
  float score;
  uint is_logged;
};
#ifdef __cplusplus
inline constexpr uint n_reported_slots = 4, split_capacity = 256;
#else
const uint n_reported_slots = 4, split_capacity = 256;  // slots of a split at most
#endif
struct ReportedHead {
  uint n_left;      // slots that left in this pass
  uint n_to_leave;  // in passes to come
  uint n_slots;     // now
  uint padding;
  ReportedSlot slots[4];
};

struct EvictConstants {
  uint head_begin;
  uint first_head;   // of the report
  uint n_heads;      // of all layers: the row of slot i of head h is number i * n_heads + h
  uint is_appended;  // the step's token is there
  uint is_first_pass;
};

// Where a slot of a new page comes from. A page's address is a multiple of 64: the bits below say the slot in it
// (4 bits) and the kind.
struct SlotSourceWords {
  uint low;  // held: address; else row * 4 + kind
  uint high;
  uint tag;
  float score;
};
#ifdef __cplusplus
inline constexpr uint source_held = 0, source_scratch = 1, source_log = 2;
#else
const uint source_held = 0, source_scratch = 1, source_log = 2;
#endif

// A page that is written anew.
struct GatherPage {
  uint low;  // its address
  uint high;
  uint first_source;  // of its slots, from the first of all heads
  uint n_slots;
  uint kv_first;  // value of the scratch's first row that is its head's first
};

struct GatherSlotsConstants {
  uint source_begin;  // in the lists, counted in SlotSourceWords
  uint page_begin;    // GatherPage, counted in words
  uint log_begin;     // rows, counted in words
  uint kv_row_values;
  uint kv_capacity_rows;
  uint kv_low;  // address of the scratch
  uint kv_high;
  uint n_pages;
};

struct ReadSlotsConstants {
  uint n_slots;
  uint list_begin;  // addresses with slots, counted in pairs of words
  uint is_scores;   // else rows
};

struct ReadOnlyConstants {
  uint n_units;  // of 16 bytes
};

struct CopyPageConstants {
  uint from_low;
  uint from_high;
  uint to_low;
  uint to_high;
  uint n_units;  // of 16 bytes
};

// What a rule keeps without a look at the score, as KeepRule::keeps_always in engine/base/policy.h says it.
#ifdef __cplusplus
#define DEVICE_FUNCTION inline
inline constexpr uint part_special = 1, part_punctuation = 2, part_frequent = 4, part_local = 8, part_first = 16,
                      part_full = 128;
inline constexpr uint class_special = 1, class_punctuation = 2, n_sink_tokens = 4;
#else
#define DEVICE_FUNCTION
const uint part_special = 1, part_punctuation = 2, part_frequent = 4, part_local = 8, part_first = 16, part_full = 128;
const uint class_special = 1, class_punctuation = 2, n_sink_tokens = 4;
#endif

DEVICE_FUNCTION bool keeps_always(StepHead head, uint position, uint token_class) {
  const bool keeps_class = ((head.parts & part_special) != 0 && token_class == class_special) ||
                           ((head.parts & part_punctuation) != 0 && token_class == class_punctuation);
  return (head.parts & part_full) != 0 || (keeps_class && (position >= head.class_from || position < n_sink_tokens)) ||
         ((head.parts & part_first) != 0 && position < n_sink_tokens) ||
         ((head.parts & part_local) != 0 && position >= head.local_from);
}

/// Slots that stay by their score if n_always stay without a look at it.
DEVICE_FUNCTION uint n_kept_by_score(StepHead head, uint n_always) {
  if ((head.parts & part_frequent) == 0) return 0;
  if (head.n_total < 0) return head.n_frequent;
  return uint(head.n_total) > n_always ? uint(head.n_total) - n_always : 0;
}

#ifdef __cplusplus
}  // namespace headroom::device
#endif
