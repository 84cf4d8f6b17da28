// Code that the kinds of batch_product share: which part of a product a block of rows needs, and what each variant does
// with the values that it reads and writes.
layout(push_constant) uniform Constants { BatchProductConstants c; };
layout(binding = 2) readonly buffer Heads { uint heads[]; };
#ifdef IS_SCORES
layout(binding = 3) writeonly buffer Y { float y[]; };
layout(binding = 4) readonly buffer Positions { uint positions[]; };  // of held slots
#else
layout(binding = 3) buffer Y { float y[]; };
#endif
#ifdef IS_MIX
layout(binding = 4) uniform textureBuffer row_sums;  // AttendSoftmaxConstants
#endif

/// Number of slots of the batch's head from the first column on.
uint length_left(uint b) {
  const uint length = heads[c.length_at + 2 * (b / c.length_group)];
  return length - min(length, c.length_first);
}

/// Number of columns of y that its rows up to last_m need.
uint needed_n(uint b, uint last_m) {
  uint n = c.n_n;
  if ((c.flags & product_n_by_length) != 0) n = min(n, length_left(b));
  if ((c.flags & product_n_by_row) != 0) n = min(n, uint(max(int(last_m) + c.diagonal + 1, 0)));
  return n;
}

/// Number of texels along k that the rows of x up to last_m fill.
uint needed_k(uint b, uint last_m) {
  uint k = c.n_k;
  if ((c.flags & product_k_by_length) != 0) k = min(k, (length_left(b) + 3) / 4);
  if ((c.flags & product_k_by_row) != 0) k = min(k, uint(max(int(last_m) + c.diagonal + 4, 0)) / 4);
  return k;
}

/// Largest score and factor for a row of x.
vec2 row_sum(uint b, uint m) {
#ifdef IS_MIX
  return texelFetch(row_sums, int(b * ((c.n_m + 1) / 2 * 2) + min(m, c.n_m - 1))).xy;
#else
  return vec2(0, 1);
#endif
}

/// Values of x as the product uses them, without the row's factor.
vec4 x_values(vec4 found, float largest) {
#ifdef IS_MIX
  return exp2(found - largest);
#else
  return found;
#endif
}

// Constants for the stores, read once: lavapipe reads a push constant per lane, and again behind every branch.
uint n_m, n_n, y_begin, y_stride;
bool is_accumulated;
uint window;

void prepare_stores(uint b) {
  n_m = c.n_m;
  n_n = c.n_n;
  y_begin = c.y_offset + b * c.y_batch;
  y_stride = c.y_stride;
  is_accumulated = (c.flags & product_accumulates) != 0;
  window = c.window == 0 ? 0x3fffffff : c.window;
}

/// Distance in positions from column n to row 0. Held slots store their positions; turn rows are consecutive.
int first_distance(uint b, uint n) {
#ifdef IS_SCORES
  if ((c.flags & product_n_by_length) == 0) return c.diagonal - int(n);
  if (n >= length_left(b)) return -0x3fffffff;
  return int(c.position) - int(positions[b / c.length_group * c.positions_stride + c.length_first + n]);
#else
  return 0;
#endif
}

/// distance: first_distance of n.
void store(uint m, uint n, float value, int distance) {
  const uint at = y_begin + m * y_stride + n;
#ifdef IS_SCORES
  if (uint(distance + int(m)) >= window) value = lowest_score;  // in the future, or out of the window
#endif
  if (m >= n_m || n >= n_n) return;
#ifndef IS_SCORES
  if (is_accumulated) value += y[at];
#endif
  y[at] = value;
}
