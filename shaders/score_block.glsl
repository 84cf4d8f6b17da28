// A block of scores: (query head, row, column), columns in texels of four. Whoever includes this has its constants in c
// and the buffer `heads`.

/// Texels of the head's own held slots.
uint head_held_texels(uint head) {
  return (heads[2 * (c.block.kv_head + head / c.block.group)] + 3) / 4;
}

/// Texel of a row of scores where texel i lies, of the head's held slots first and then of the turn.
uint score_texel(uint i, uint n_held, uint held_texels) {
  return i < n_held ? i : held_texels + i - n_held;
}
