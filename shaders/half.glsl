// f32 ─► f16, to the nearest, ties to even, like the other backends. The rounding of packHalf2x16 is up to the device.
uint to_half(float value) {
  const uint bits = floatBitsToUint(value);
  const uint sign = bits >> 16 & 0x8000u;
  const uint magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;   // not a number
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // rounds to infinity
  if (magnitude < 0x38800000u) {                        // subnormal: counted in units of 2^-24
    const float units = roundEven(uintBitsToFloat(magnitude) * 16777216.0);
    return sign | uint(units);
  }
  const uint rebased = magnitude - 0x38000000u;
  return sign | (rebased + 0xfffu + (rebased >> 13 & 1u)) >> 13;
}

uint pack_halves(float low, float high) {
  return to_half(low) | to_half(high) << 16;
}
