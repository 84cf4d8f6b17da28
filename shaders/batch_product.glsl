// What the variants of batch_product share: which part of it a block of rows needs.
layout(push_constant) uniform Constants { BatchProductConstants c; };

/// Slots of the batch's head from the first column on.
uint length_left(uint b) {
  const uint length = heads[c.length_at + 2 * (b / c.length_group)];
  return length - min(length, c.length_first);
}

/// Columns of y that rows … last_m of it need.
uint needed_n(uint b, uint last_m) {
  uint n = c.n_n;
  if ((c.flags & product_n_by_length) != 0) n = min(n, length_left(b));
  if ((c.flags & product_n_by_row) != 0) n = min(n, uint(max(int(last_m) + c.diagonal + 1, 0)));
  return n;
}

/// Texels along k that rows … last_m of x fill with more than zeros.
uint needed_k(uint b, uint last_m) {
  uint k = c.n_k;
  if ((c.flags & product_k_by_length) != 0) k = min(k, (length_left(b) + 3) / 4);
  if ((c.flags & product_k_by_row) != 0) k = min(k, uint(max(int(last_m) + c.diagonal + 4, 0)) / 4);
  return k;
}

void store(uint b, uint m, uint n, float value) {
  if (m >= c.n_m || n >= c.n_n) return;
  const uint at = c.y_offset + b * c.y_batch + m * c.y_stride + n;
  if ((c.flags & product_accumulates) != 0) value += y[at];
  y[at] = value;
}
