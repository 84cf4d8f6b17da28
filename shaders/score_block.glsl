// A block of scores: (query head, row, column), columns in texels of four. The including file defines the
// constants c and the buffer `heads`.

/// Number of texels for the head's own held slots.
uint head_held_texels(uint head) {
  return (heads[2 * (c.block.kv_head + head / c.block.group)] + 3) / 4;
}

/// Where texel i lies in a row of scores. i counts the head's held slots first, then the turn.
uint score_texel(uint i, uint n_held, uint held_texels) {
  return i < n_held ? i : held_texels + i - n_held;
}
