// A block of scores: (query head, row, column), columns in texels of four. Whoever includes this has its constants in c
// and the buffers `heads` and `positions` (texels).

/// Texels that the head of this query head really has: of its held slots, then of the turn.
uint head_held_texels(uint head) {
  return (heads[2 * (c.block.kv_head + head / c.block.group)] + 3) / 4;
}

uint turn_texels() {
  return (c.block.n_turn + 3) / 4;
}

/// Positions of a texel's columns. Columns that are none lie far behind.
ivec4 held_positions(uint head, uint texel) {
  const uint kv = head / c.block.group, length = heads[2 * (c.block.kv_head + kv)];
  const ivec4 found = ivec4(texelFetch(positions, int(kv * c.block.held_texels + texel)));
  return mix(ivec4(0x3fffffff), found, lessThan(ivec4(4 * texel) + ivec4(0, 1, 2, 3), ivec4(length)));
}

ivec4 turn_positions(uint texel) {
  const ivec4 row = ivec4(c.block.turn_first + 4 * texel) + ivec4(0, 1, 2, 3);
  return mix(ivec4(0x3fffffff), ivec4(c.block.position0) + row,
             lessThan(row, ivec4(c.block.turn_first + c.block.n_turn)));
}

bvec4 is_seen(int position, ivec4 columns) {
  const ivec4 distance = ivec4(position) - columns;
  const bvec4 is_before = greaterThanEqual(distance, ivec4(0));
  const bvec4 is_near = lessThan(distance, ivec4(c.block.window == 0 ? 0x7fffffffu : c.block.window));
  return bvec4(is_before.x && is_near.x, is_before.y && is_near.y, is_before.z && is_near.z,
               is_before.w && is_near.w);
}
