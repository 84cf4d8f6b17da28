// Products of quantised weights (weights.glsl, included before) with rows of x in 16 bits (quantize_rows.comp): dot
// products of four signed bytes, which a device computes with one instruction.
#extension GL_EXT_spirv_intrinsics : require

// OpSDotKHR with the capabilities DotProductKHR and DotProductInput4x8BitPackedKHR. GLSL has no name for it that
// every shader compiler knows. Format 0: a word holds four bytes.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int packed_dot(uint a, uint b, spirv_literal int format);

/// Sum of the products of the four signed bytes of two words.
int dot_bytes(uint a, uint b) {
  return packed_dot(a, b, 0);
}

/// The product of a block of x with those weights that use scale s of their block. high, low: sums of products of q
/// with the bytes of x. factors: the last texel of the block of x.
float scaled_product(int high, int low, vec4 factors, float scale, float offset, uint s) {
  return scale * factors.x * float(256 * high + low) + offset * (N_SCALES == 1 ? factors.w : factors[1 + s]);
}
