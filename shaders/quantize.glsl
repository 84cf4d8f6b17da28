// Blocks of 32 values ─► int8 with a scale in f16, bit for bit like the other backends. A device's division may be off
// by a few units in the last place, so no result here depends on one. Needs half.glsl.

/// The f16 scale of a block by its largest magnitude: largest / 127, rounded to f32, then to f16, at most its largest.
uint block_scale(float largest) {
  const uint bits = floatBitsToUint(largest), exponent = bits >> 23;
  if (exponent < 40) return 0;  // far below the range of f16
  if (exponent == 255) return 0x7bffu;
  const uint mantissa = bits & 0x7fffffu | 0x800000u;
  // Long division by hand: a quotient of 24 bits, to the nearest; there are no ties, 127 being odd.
  const uint shift = (mantissa << 7) / 127u >= 0x1000000u ? 6 : 7;
  const uint dividend = mantissa << shift, quotient = dividend / 127u, rest = dividend - quotient * 127u;
  const uint rounded = quotient + (2 * rest > 127u ? 1 : 0);
  return min(to_half(uintBitsToFloat((exponent - shift << 23) + (rounded - 0x800000u))), 0x7bffu);
}

/// value / scale to the nearest, ties to even, -127 to 127.
int quantized(float value, float scale) {
  if (scale == 0) return 0;
  const float magnitude = abs(value);
  if (!(magnitude < 127 * scale)) return value < 0 ? -127 : value > 0 ? 127 : 0;
  // Products of the scale's 11 bits with numbers of 9 bits are exact.
  float steps = min(roundEven(magnitude / scale), 127);
  const float above = (steps + 0.5) * scale, below = (steps - 0.5) * scale;
  const bool is_odd = (uint(steps) & 1) != 0;
  if (magnitude > above || (magnitude == above && is_odd)) steps += 1;
  else if (magnitude < below || (magnitude == below && is_odd)) steps -= 1;
  return value < 0 ? -int(steps) : int(steps);
}

float scale_value(uint scale) {
  return unpackHalf2x16(scale).x;
}
